"""The PostgreSQL server of MLflow and of the promotion's inbox."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, rds
from pulumi_random import RandomId, RandomPassword

from infra.aws.keys import Key
from infra.aws.network import POSTGRES, Network, tcp_rule
from infra.aws.observability import Observability
from infra.aws.secrets import Secrets
from infra.contract import DatabaseContract
from infra.core.component import Component, StackContext
from infra.core.maintenance import WeeklyHour, find_window
from infra.core.settings import Cloud
from infra.core.settings.versions import POSTGRESQL

DATABASE = USERNAME = "mlflow"
LIFECYCLE_DATABASE = "lifecycle"
_VERSION = POSTGRESQL[Cloud.AWS].default
# Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html#gp3-storage
_STRIPED_FROM = 400  # GiB
_STRIPED_IOPS = 12_000
_MOST_GROWTH = 2  # times the size in the settings


@dataclass(frozen=True)
class DatabaseArgs:
    context: StackContext
    network: Network
    observability: Observability
    secrets: Secrets


class Database(Component):
    """An RDS instance in its own subnets, which accepts only connections over TLS."""

    layer = "aws"

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        self._identifier = args.context.naming.regional_name("database", limit=63)
        self._password = self._create_password(f"{name}-password", args.secrets, "tracking-database-password")
        self._lifecycle_password = self._create_password(
            f"{name}-lifecycle-password", args.secrets, "lifecycle-database-password"
        )
        logs = args.observability.create_log_group(
            name, f"/aws/rds/instance/{self._identifier}/postgresql", self.child_options()
        )
        self._log_group: pulumi.Output[str] = logs.name
        self._instance = self._create_instance(
            name,
            args,
            self.child_options(depends_on=[logs], protect=args.context.settings.resilience.deletion_protection),
        )
        if args.secrets.copy_key:
            self._copy_backups(f"{name}-copy", args.secrets.copy_key)
        self.register_outputs({"host": self._instance.address})

    @property
    def identifier(self) -> pulumi.Output[str]:
        """The instance's name, by which CloudWatch knows it."""
        identifier: pulumi.Output[str] = self._instance.identifier
        return identifier

    @property
    def log_group(self) -> pulumi.Output[str]:
        """Name of the log group that RDS writes to."""
        return self._log_group

    @property
    def tracking_contract(self) -> DatabaseContract:
        return self._describe(DATABASE, self._password)

    @property
    def lifecycle_contract(self) -> DatabaseContract:
        return self._describe(LIFECYCLE_DATABASE, self._lifecycle_password)

    def _describe(self, database: str, password: RandomPassword) -> DatabaseContract:
        """A database and the login of the same name."""
        return DatabaseContract(
            host=self._instance.address,
            port=POSTGRES,
            database=database,
            username=database,
            password=pulumi.Output.secret(password.result),
        )

    def _create_password(self, name: str, secrets: Secrets, secret: str) -> RandomPassword:
        """Only letters and digits, because the password becomes part of a URL, and RDS rejects / @ " and spaces."""
        password = RandomPassword(name, length=32, special=False, opts=self.child_options())
        secrets.store_secret(secret, password.result)
        return password

    def _create_instance(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions) -> rds.Instance:
        settings, resilience = self._context.settings.database, self._context.settings.resilience
        window = find_window(self._context.settings)
        return rds.Instance(
            name,
            identifier=self._identifier,
            engine="postgres",
            engine_version=_VERSION,
            allow_major_version_upgrade=True,
            auto_minor_version_upgrade=True,
            maintenance_window=f"{_format_hour(window.start)}-{_format_hour(window.end)}",
            # Each day, and over before maintenance begins. RDS would choose a time that may overlap, and refuse that.
            # Source: https://github.com/hashicorp/terraform-provider-aws/pull/7046
            backup_window=f"{window.start.move(-2).time}-{window.start.move(-1).time}",
            # Otherwise changes wait for the maintenance window, and the server does not match the settings until then.
            apply_immediately=True,
            instance_class=settings.size,
            # A nearly full disk grows by itself up to the maximum; the provider then ignores that it is larger.
            # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/rds/instance.go
            allocated_storage=settings.storage_gb,
            max_allocated_storage=settings.storage_gb * _MOST_GROWTH,
            storage_type="gp3",
            # The baseline of striped storage, free of charge. RDS rejects it for smaller disks, and growth without it.
            iops=_STRIPED_IOPS if settings.storage_gb >= _STRIPED_FROM else None,
            storage_encrypted=True,
            kms_key_id=args.secrets.key.arn,
            db_name=DATABASE,
            username=USERNAME,
            password=self._password.result,
            port=POSTGRES,
            iam_database_authentication_enabled=True,
            multi_az=resilience.multi_zone_database,
            publicly_accessible=False,
            db_subnet_group_name=self._create_subnet_group(name, args.network).name,
            vpc_security_group_ids=[self._create_security_group(name, args.network).id],
            parameter_group_name=self._create_parameters(name).name,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            backup_retention_period=settings.backup_days,
            copy_tags_to_snapshot=True,
            deletion_protection=resilience.deletion_protection,
            skip_final_snapshot=not resilience.retain_data,
            final_snapshot_identifier=self._create_snapshot_name(name) if resilience.retain_data else None,
            enabled_cloudwatch_logs_exports=["postgresql"],
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.secrets.key.arn,
            performance_insights_retention_period=7,  # days, which are free of charge
            tags=self._context.naming.tags,
            opts=opts,
        )

    def _copy_backups(self, name: str, key: Key) -> None:
        """Have RDS keep snapshots and logs in the second region too, from which an instance can be restored there."""
        resilience, settings = self._context.settings.resilience, self._context.settings.database
        rds.InstanceAutomatedBackupsReplication(
            name,
            region=resilience.second_location,
            source_db_instance_arn=self._instance.arn,
            kms_key_id=key.arn,
            retention_period=settings.backup_days,
            opts=self.child_options(),
        )

    def _create_snapshot_name(self, name: str) -> pulumi.Output[str]:
        """A unique name for the final snapshot, since the one of an earlier stack of the same name remains."""
        suffix = RandomId(f"{name}-snapshot", byte_length=4, opts=self.child_options())
        return pulumi.Output.format("{}-final-{}", self._identifier, suffix.hex)

    def _create_subnet_group(self, name: str, network: Network) -> rds.SubnetGroup:
        return rds.SubnetGroup(
            name,
            name=self._identifier,
            description="Data subnets",
            subnet_ids=network.data_subnets,
            tags=self._context.naming.tags,
            opts=self.child_options(),
        )

    def _create_security_group(self, name: str, network: Network) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            name,
            vpc_id=network.vpc_id,
            name=self._identifier,
            description="PostgreSQL of MLflow",
            ingress=[tcp_rule("PostgreSQL from the nodes and pods", POSTGRES, POSTGRES, network.private_blocks)],
            tags={**self._context.naming.tags, "Name": self._identifier},
            opts=self.child_options(),
        )

    def _create_parameters(self, name: str) -> rds.ParameterGroup:
        parameters = {"rds.force_ssl": "1", "log_connections": "1", "log_disconnections": "1"}
        return rds.ParameterGroup(
            name,
            # The name contains the version, because during an upgrade the groups of both versions exist.
            name=f"{self._identifier}-{_VERSION}",
            family=f"postgres{_VERSION}",
            description="TLS only, connections are logged",
            parameters=[
                rds.ParameterGroupParameterArgs(name=parameter, value=value) for parameter, value in parameters.items()
            ],
            tags=self._context.naming.tags,
            opts=self.child_options(),
        )


def _format_hour(hour: WeeklyHour) -> str:
    """An hour of the week as RDS writes it, such as `sun:22:00`."""
    return f"{hour.day_name[:3].lower()}:{hour.time}"
