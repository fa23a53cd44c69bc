"""Cases of AWS clusters, stores, databases and SageMaker beyond their access and encryption."""

from dataclasses import replace
from typing import Any, Final

from kernel.support_calendars import EKS as CALENDAR
from policies.controls.aws.upkeep import TAGGED
from tests.support.policies.aws_cases import (
    ADDON,
    ARN,
    AURORA,
    BUCKET,
    BUCKET_V2,
    ECR,
    EKS,
    GLOBAL,
    ITEM,
    MACHINES,
    MEMBER,
    PROXY,
    PULL_THROUGH,
    RDS,
    REPLICA,
    SECRET,
    SECRET_VERSION,
    TABLE,
    beside_bucket,
    bucket_with,
)
from tests.support.policies.cases import (
    UNKNOWN_TEXT,
    Cases,
    Declared,
    Subject,
    property_cases,
    resource_cases,
)

TEMPLATE, INSTANCE = "aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/instance:Instance"
OBJECT = "aws:s3/bucketObject:BucketObject"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
PARAMETERS, OPTIONS = "aws:rds/parameterGroup:ParameterGroup", "aws:rds/optionGroup:OptionGroup"
CLUSTER_PARAMETERS = "aws:rds/clusterParameterGroup:ClusterParameterGroup"
OTHER_BUCKETS = (
    "aws:s3/directoryBucket:DirectoryBucket",
    "aws:s3/vectorsVectorBucket:VectorsVectorBucket",
    "aws:s3tables/tableBucket:TableBucket",
)
SCALING = "aws:appautoscaling/target:Target"
LOGGING = "aws:s3/bucketLogging:BucketLogging"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
IMAGE_LIFECYCLE = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
ALARM, DASHBOARD = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/dashboard:Dashboard"
BUDGET, BUDGET_ACTION = "aws:budgets/budget:Budget", "aws:budgets/budgetAction:BudgetAction"
NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
DOMAIN, MODEL = "aws:sagemaker/domain:Domain", "aws:sagemaker/model:Model"
ENDPOINT = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
PROJECT = "aws:sagemaker/project:Project"
TOPIC: Final = "arn:aws:sns:eu-west-1:111122223333:alerts"
OWNED: Final = {"environment": "dev", "owner": "ml-platform"}
NEWEST: Final = max(CALENDAR.ends, key=lambda version: int(version.partition(".")[2]))


def parameters(family: object, **values: object) -> dict[str, Any]:
    named = [{"name": f"rds.{name}", "value": value} for name, value in values.items()]
    return {"family": family, "parameters": named}


def table(mode: object, *beside: Declared) -> Subject:
    return [Declared(TABLE, {"name": "runs", "billingMode": mode}, "runs"), *beside]


def owned(kind: str, owner: str, path: str) -> Cases:
    """Cases for a control that requires a companion for every resource of a type."""
    return Cases(
        compliant=[
            [Declared(owner, name="it"), Declared(kind, {path: UNKNOWN_TEXT}, "beside", {path: "it"})],
            [Declared(owner, {"arn": "arn:it"}, "it"), Declared(kind, {path: "arn:it"}, "beside")],
        ],
        violating=[[Declared(owner)], [Declared(owner, name="it"), Declared(kind, {path: "another"}, "beside")]],
        absent=("fails", [Declared(owner), Declared(kind, name="beside")]),
        unknown=("undecided", [Declared(owner), Declared(kind, {path: UNKNOWN_TEXT}, "beside")]),
        other_type=[Declared(kind)],
    )


def rule(status: object = "Enabled", days: object = 7, **more: Any) -> dict[str, Any]:
    return {"rules": [{"status": status, "abortIncompleteMultipartUpload": {"daysAfterInitiation": days}, **more}]}


def notified(*addresses: object) -> dict[str, Any]:
    return {"notifications": [{"threshold": 80, "subscriberEmailAddresses": list(addresses)}]}


def variant(count: object, **more: Any) -> dict[str, Any]:
    return {"productionVariants": [{"variantName": "all", "initialInstanceCount": count, **more}]}


def keyed(kind: str, path: str, other: str) -> Cases:
    """Cases for a control that requires a customer-managed key."""
    return property_cases(kind, path, good=(ARN,), bad=("",), absent="fails", unknown="passes", other=other)


CASES: dict[str, Cases] = {
    "aws-eks-version": property_cases(
        EKS, "version", good=(NEWEST, "1.99"), bad=("1.20", "latest"), absent="passes", other=ADDON
    ),
    "aws-eks-standard-support": property_cases(
        EKS, "upgradePolicy.supportType", good=("STANDARD",), bad=("EXTENDED",), absent="fails", other=ADDON
    ),
    "aws-eks-deletion-protection": property_cases(
        EKS, "deletionProtection", good=(True,), bad=(False,), absent="fails", other=ADDON
    ),
    "aws-eks-node-zones": property_cases(
        NODE_GROUP,
        "subnetIds",
        good=(["subnet-1", "subnet-2"], [UNKNOWN_TEXT, UNKNOWN_TEXT]),
        bad=(["subnet-1"], []),
        absent="fails",
        other=ADDON,
    ),
    "aws-eks-node-repair": property_cases(
        NODE_GROUP, "nodeRepairConfig.enabled", good=(True,), bad=(False,), absent="fails", other=ADDON
    ),
    "aws-eks-node-disks": property_cases(
        TEMPLATE,
        "blockDeviceMappings[*].ebs.encrypted",
        good=("true", True),
        bad=("false", False),
        absent="fails",
        other=INSTANCE,
    ),
    "aws-eks-node-public-ip": resource_cases(
        TEMPLATE,
        good=[{"networkInterfaces": [{"associatePublicIpAddress": value}]} for value in ("false", False)],
        bad=[{"networkInterfaces": [{"associatePublicIpAddress": value}]} for value in ("true", True)],
        absent=("passes", {}),
        unknown=("undecided", {"networkInterfaces": [{"associatePublicIpAddress": UNKNOWN_TEXT}]}),
        other=ADDON,
        more_good=[[Declared(INSTANCE, {"associatePublicIpAddress": False})]],
        more_bad=[[Declared(kind, {"associatePublicIpAddress": True})] for kind in MACHINES[1:]],
    ),
    "aws-rds-deletion-protection": property_cases(
        (RDS, AURORA, GLOBAL), "deletionProtection", good=(True,), bad=(False,), absent="fails", other=PROXY
    ),
    "aws-rds-final-snapshot": property_cases(
        (RDS, AURORA), "skipFinalSnapshot", good=(False,), bad=(True,), absent="passes", other=PROXY
    ),
    "aws-rds-kms": property_cases(
        (RDS, AURORA),
        "kmsKeyId",
        good=(ARN,),
        bad=("", "alias/aws/rds"),
        absent="fails",
        unknown="passes",
        other=PROXY,
    ),
    "aws-rds-multi-az": property_cases(RDS, "multiAz", good=(True,), bad=(False,), absent="fails", other=PROXY),
    "aws-rds-storage-autoscaling": property_cases(
        RDS,
        "maxAllocatedStorage",
        good=(128,),
        bad=(0, 64),
        absent="fails",
        other=PROXY,
        beside={"allocatedStorage": 64},
    ),
    "aws-rds-minor-upgrades": property_cases(
        (RDS, AURORA, MEMBER), "autoMinorVersionUpgrade", good=(True,), bad=(False,), absent="passes", other=PROXY
    ),
    "aws-rds-maintenance-window": property_cases(
        RDS, "maintenanceWindow", good=("sun:22:00-mon:02:00",), bad=("", "sunday"), absent="fails", other=PROXY
    ),
    "aws-rds-log-exports": property_cases(
        (RDS, AURORA), "enabledCloudwatchLogsExports", good=(["postgresql"],), bad=([],), absent="fails", other=PROXY
    ),
    "aws-rds-snapshot-tags": property_cases(
        (RDS, AURORA), "copyTagsToSnapshot", good=(True,), bad=(False,), absent="fails", other=PROXY
    ),
    "aws-rds-insights-kms": resource_cases(
        RDS,
        good=[
            {"performanceInsightsEnabled": True, "performanceInsightsKmsKeyId": ARN},
            {"performanceInsightsEnabled": False},
        ],
        bad=[{"performanceInsightsEnabled": True, "performanceInsightsKmsKeyId": ""}],
        absent=("passes", {}),
        unknown=("undecided", {"performanceInsightsEnabled": UNKNOWN_TEXT}),
        other=PROXY,
        more_bad=[
            [Declared(kind, {"performanceInsightsEnabled": True, "performanceInsightsKmsKeyId": "alias/aws/rds"})]
            for kind in (AURORA, MEMBER)
        ],
    ),
    "aws-rds-tls": resource_cases(
        PARAMETERS,
        good=[
            parameters("postgres16", force_ssl="1"),
            parameters("postgres16", log_retention="7"),
            parameters("mysql8.0"),
        ],
        bad=[parameters("postgres16", force_ssl="0"), parameters("postgres14", log_retention="7")],
        absent=("passes", {}),
        unknown=("undecided", parameters("postgres16", force_ssl=UNKNOWN_TEXT)),
        other=OPTIONS,
        more_good=[
            [Declared(CLUSTER_PARAMETERS, parameters("aurora-postgresql16", force_ssl="1"))],
            [Declared(CLUSTER_PARAMETERS, parameters("aurora-mysql8.0"))],
        ],
        more_bad=[
            [Declared(CLUSTER_PARAMETERS, parameters("aurora-postgresql16", **values))]
            for values in ({"force_ssl": "0"}, {"log_retention": "7"})
        ],
        also_undecided=[[Declared(PARAMETERS, parameters(UNKNOWN_TEXT, force_ssl="0"))]],
    ),
    "aws-dynamodb-deletion-protection": property_cases(
        (TABLE, REPLICA), "deletionProtectionEnabled", good=(True,), bad=(False,), absent="fails", other=ITEM
    ),
    "aws-dynamodb-capacity": Cases(
        compliant=[
            table("PAY_PER_REQUEST"),
            table("PROVISIONED", Declared(SCALING, {"resourceId": "table/runs"}, "target")),
            table("PROVISIONED", Declared(SCALING, {"resourceId": UNKNOWN_TEXT}, "target", {"resourceId": "runs"})),
        ],
        violating=[
            table("PROVISIONED"),
            table("PROVISIONED", Declared(SCALING, {"resourceId": "table/others"}, "target")),
        ],
        absent=("fails", [Declared(TABLE)]),
        unknown=("undecided", table(UNKNOWN_TEXT)),
        other_type=[Declared(ITEM)],
    ),
    "aws-s3-access-logging": replace(
        beside_bucket(
            LOGGING,
            {"targetBucket": "logs"},
            [{"targetBucket": ""}],
            {},
            [
                *bucket_with(LOGGING, {"targetBucket": UNKNOWN_TEXT}),
                Declared(BUCKET, name="logs"),
                Declared(
                    LOGGING, {"targetBucket": UNKNOWN_TEXT}, "logging", {"bucket": "models", "targetBucket": "logs"}
                ),
            ],
            [Declared(BUCKET, {"logging": {"targetBucket": "logs"}})],
        ),
        unknown=(
            "undecided",
            [Declared(BUCKET), Declared(LOGGING, {"bucket": UNKNOWN_TEXT, "targetBucket": "logs"}, "logging")],
        ),
    ),
    "aws-s3-lifecycle": beside_bucket(
        LIFECYCLE,
        rule(),
        [rule("Disabled"), {"rules": []}],
        rule(UNKNOWN_TEXT),
        [Declared(BUCKET, {"lifecycleRules": [{"enabled": True}]})],
    ),
    "aws-s3-incomplete-uploads": resource_cases(
        LIFECYCLE,
        good=[rule(), rule(filter={"prefix": ""})],
        bad=[rule("Disabled"), rule(days=0), rule(filter={"prefix": "logs/"}), {"rules": []}],
        absent=("fails", {}),
        unknown=("undecided", rule(UNKNOWN_TEXT)),
        other=BUCKET,
    ),
    "aws-s3-force-destroy": property_cases(
        (BUCKET, BUCKET_V2, *OTHER_BUCKETS), "forceDestroy", good=(False,), bad=(True,), absent="passes", other=OBJECT
    ),
    "aws-secretsmanager-rotation": owned(ROTATION, SECRET, "secretId"),
    "aws-secretsmanager-rotation-period": resource_cases(
        ROTATION,
        good=[
            {"rotationRules": {"automaticallyAfterDays": 90}},
            {"rotationRules": {"scheduleExpression": "rate(30 days)"}},
            {"rotationRules": {"scheduleExpression": "cron(0 4 1 * ? *)"}},
        ],
        bad=[
            {"rotationRules": {"automaticallyAfterDays": 365}},
            {"rotationRules": {"automaticallyAfterDays": None, "scheduleExpression": "rate(91 days)"}},
        ],
        absent=("fails", {}),
        unknown=("undecided", {"rotationRules": {"automaticallyAfterDays": UNKNOWN_TEXT}}),
        other=SECRET_VERSION,
    ),
    "aws-ecr-lifecycle": owned(IMAGE_LIFECYCLE, ECR, "repository"),
    "aws-alarm-receivers": resource_cases(
        ALARM,
        good=[{"alarmActions": [TOPIC], "actionsEnabled": True}, {"alarmActions": [UNKNOWN_TEXT]}],
        bad=[{"alarmActions": []}, {"alarmActions": [TOPIC], "actionsEnabled": False}],
        absent=("fails", {}),
        unknown=("undecided", {"alarmActions": [TOPIC], "actionsEnabled": UNKNOWN_TEXT}),
        other=DASHBOARD,
    ),
    "aws-cost-budget": resource_cases(
        BUDGET,
        good=[notified("a@b.c"), {"notifications": [{"subscriberSnsTopicArns": [TOPIC]}]}],
        bad=[notified(), {"notifications": []}],
        absent=("fails", {}),
        unknown=("undecided", notified(UNKNOWN_TEXT)),
        other=BUDGET_ACTION,
    ),
    "aws-cost-tags": property_cases(
        TAGGED,
        "tags",
        good=(OWNED, {"Environment": "dev", "Owner": UNKNOWN_TEXT}),
        bad=({"environment": "dev"}, {**OWNED, "owner": ""}),
        absent="fails",
        other=PULL_THROUGH,
    ),
    "aws-sagemaker-notebook-internet": property_cases(
        NOTEBOOK, "directInternetAccess", good=("Disabled",), bad=("Enabled",), absent="fails", other=PROJECT
    ),
    "aws-sagemaker-notebook-vpc": property_cases(
        NOTEBOOK, "subnetId", good=("subnet-1",), bad=("",), absent="fails", unknown="passes", other=PROJECT
    ),
    "aws-sagemaker-notebook-root": property_cases(
        NOTEBOOK, "rootAccess", good=("Disabled",), bad=("Enabled",), absent="fails", other=PROJECT
    ),
    "aws-sagemaker-notebook-kms": keyed(NOTEBOOK, "kmsKeyId", PROJECT),
    "aws-sagemaker-domain-vpc": property_cases(
        DOMAIN, "appNetworkAccessType", good=("VpcOnly",), bad=("PublicInternetOnly",), absent="fails", other=PROJECT
    ),
    "aws-sagemaker-domain-kms": keyed(DOMAIN, "kmsKeyId", PROJECT),
    "aws-sagemaker-model-isolation": property_cases(
        MODEL, "enableNetworkIsolation", good=(True,), bad=(False,), absent="fails", other=PROJECT
    ),
    "aws-sagemaker-endpoint-kms": keyed(ENDPOINT, "kmsKeyArn", PROJECT),
    "aws-sagemaker-endpoint-instances": resource_cases(
        ENDPOINT,
        good=[variant(2), variant(None, serverlessConfig={"maxConcurrency": 5})],
        bad=[variant(1)],
        absent=("passes", {}),
        unknown=("undecided", variant(UNKNOWN_TEXT)),
        other=PROJECT,
    ),
}
