"""Amazon SageMaker."""

from __future__ import annotations

from rehearsal.simulator.aws.rules import arn_template, require_trust
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel
from rehearsal.simulator.core.rules import matches, one_of, require_unique

MODELS = (
    ResourceModel(
        "aws:sagemaker/domain:Domain",
        id="d-{hex:12}",
        name_path="domainName",
        outputs={
            "arn": arn_template("sagemaker", "domain/{id}"),
            "homeEfsFileSystemId": lambda request: f"fs-{request.hex(17, 'home')}",
            "url": "https://{id}.studio.{region}.sagemaker.aws",
        },
        required=("domainName", "authMode", "vpcId", "subnetIds", "defaultUserSettings.executionRole"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/sagemaker/domain.go
        replace_on_changes=("domainName", "authMode", "vpcId", "subnetIds", "kmsKeyId"),
        transitions=UNRESTRICTED,
        rules=(
            matches(
                "domainName",
                r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
                "ValidationException: 1 validation error detected: Value '{value}' at 'domainName' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){{0,62}}",
            ),
            one_of("authMode", ("IAM", "SSO"), "expected auth_mode to be one of [SSO IAM], got {value}"),
            one_of(
                "appNetworkAccessType",
                ("PublicInternetOnly", "VpcOnly"),
                "expected app_network_access_type to be one of [PublicInternetOnly VpcOnly], got {value}",
            ),
        ),
        state_rules=(
            # Source: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
            require_trust(
                "defaultUserSettings.executionRole",
                "sagemaker.amazonaws.com",
                'ValidationException: The execution role ARN "{value}" is invalid. Please ensure that the role exists '
                'and that its trust relationship policy allows the action "sts:AssumeRole" for the service principal '
                '"sagemaker.amazonaws.com".',
            ),
            # CloudFormation reports this error of CreateDomain as an existing domain with the name. Source:
            # https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-sagemaker/blob/main/aws-sagemaker-domain/src/main/java/software/amazon/sagemaker/domain/Translator.java
            require_unique(["domainName"], "ResourceInUse: Domain name {0} is already taken"),
        ),
    ),
)
