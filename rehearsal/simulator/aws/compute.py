"""Amazon EC2: how instances start, and what their disks are."""

from __future__ import annotations

from rehearsal.simulator.aws.rules import arn, unique
from rehearsal.simulator.core.resource_model import Draft, Model, matches, one_of, within


def _version(draft: Draft) -> int:
    """Each change of a template is a new version of it."""
    existing = draft.world.find(draft.id)
    return int(existing.outputs["latestVersion"]) + 1 if existing else 1


MODELS = (
    Model(
        "aws:ec2/launchTemplate:LaunchTemplate",
        id="lt-{hex:17}",
        named="name",
        outputs={
            "arn": arn("ec2", "launch-template/{id}"),
            "latestVersion": _version,
            "defaultVersion": _version,
        },
        required=("name",),
        replaces=("name",),
        rules=(
            matches(
                "name",
                r"[A-Za-z0-9().\-/_]{3,128}",
                "InvalidLaunchTemplateName.MalformedException: A launch template name must be between 3 and 128 "
                "characters, and may contain letters, numbers, and the following characters: - ( ) . / _.",
            ),
            within(
                "metadataOptions.httpPutResponseHopLimit",
                1,
                64,
                "expected metadata_options.0.http_put_response_hop_limit to be in the range (1 - 64), got {value}",
            ),
            one_of("metadataOptions.httpTokens", ("optional", "required"), "expected http_tokens, got {value}"),
        ),
        live=(
            unique(
                ["name"],
                "InvalidLaunchTemplateName.AlreadyExistsException: Launch template name already in use.",
            ),
        ),
    ),
    Model(
        "aws:ebs/encryptionByDefault:EncryptionByDefault",
        id="terraform-{hex:26}",  # it is a switch of the account and has no ID; the provider makes one up
    ),
)
