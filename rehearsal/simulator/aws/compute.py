"""Amazon EC2: how instances start, and what their disks are."""

from __future__ import annotations

from rehearsal.simulator.aws.rules import arn, unique
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest, in_range, matches, one_of


def _version(request: ResourceRequest) -> int:
    """Each change of a template is a new version of it."""
    existing = request.state.find(request.id)
    return int(existing.outputs["latestVersion"]) + 1 if existing else 1


MODELS = (
    ResourceModel(
        "aws:ec2/launchTemplate:LaunchTemplate",
        id="lt-{hex:17}",
        name_path="name",
        outputs={
            "arn": arn("ec2", "launch-template/{id}"),
            "latestVersion": _version,
            "defaultVersion": _version,
        },
        required=("name",),
        replace_on_changes=("name",),
        rules=(
            matches(
                "name",
                r"[A-Za-z0-9().\-/_]{3,128}",
                "InvalidLaunchTemplateName.MalformedException: A launch template name must be between 3 and 128 "
                "characters, and may contain letters, numbers, and the following characters: - ( ) . / _.",
            ),
            in_range(
                "metadataOptions.httpPutResponseHopLimit",
                1,
                64,
                "expected metadata_options.0.http_put_response_hop_limit to be in the range (1 - 64), got {value}",
            ),
            one_of("metadataOptions.httpTokens", ("optional", "required"), "expected http_tokens, got {value}"),
        ),
        state_rules=(
            unique(
                ["name"],
                "InvalidLaunchTemplateName.AlreadyExistsException: Launch template name already in use.",
            ),
        ),
    ),
    ResourceModel(
        "aws:ebs/encryptionByDefault:EncryptionByDefault",
        id="terraform-{hex:26}",  # it is a switch of the account and has no ID; the provider makes one up
    ),
)
