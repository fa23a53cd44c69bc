"""Physical names and tags.

Logical names, by which Pulumi identifies a resource, are short and never change. Physical names, by which the cloud
identifies it, derive from organization and stack and have to comply with the limits of each service. No two stacks of
an organization have a name in common.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from infra.core.settings import Settings

# Source of the limits: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
# and https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_DIGEST_LENGTH = 5
# With the longest organization, this many characters of a stack's name leave room for the suffix within the shortest
# limit of a regional name: 33, for a Machine Learning workspace.
_LABEL_LENGTH = 12

# Pulumi's rule, except that a name starts with a letter or digit, since it is used as a file name and an argument.
# Source: https://www.pulumi.com/docs/iac/concepts/stacks/#create-stack
_STACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def is_stack_name(text: str) -> bool:
    """Whether a stack can have this name, regardless of the limits of names in the cloud."""
    return bool(_STACK_NAME.fullmatch(text))


class Naming:
    """Physical names and tags of one stack."""

    def __init__(self, settings: Settings, stack: str) -> None:
        self._settings = settings
        self.stack = stack

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of every resource that supports tags."""
        settings = self._settings
        return {
            "project": "groundwork",
            "stack": self.stack,
            "environment": settings.environment.value,
            "organization": settings.organization,
            "owner": settings.owner,
            "cost-center": settings.cost_center,
            "managed-by": "pulumi",
            **settings.tags,
        }

    @property
    def owner_tags(self) -> Mapping[str, str]:
        """The tags that distinguish the stack's resources from all others in an account."""
        return {key: self.tags[key] for key in ("project", "stack", "organization")}

    @property
    def prefix(self) -> str:
        """The start of all physical names: `acme-gw-dev` in azure-dev, `acme-gw-qateama-0c1de` in azure-qa-team-a."""
        return f"{self._settings.organization}-gw-{self._label}"

    @property
    def _label(self) -> str:
        """The part of physical names that identifies the stack among the stacks of this cloud.

        For a stack that is named <cloud>-<word> it is the word. For other names it is the characters that the services
        allow, and a digest that makes it unique. The word has no hyphen: otherwise names of the stack aws-dev-training
        would match the pattern acme-gw-dev-training-*, which a role of aws-dev may access.
        """
        word = self.stack.removeprefix(f"{self._settings.cloud}-")
        if word != self.stack and re.fullmatch(rf"[a-z][a-z0-9]{{0,{_LABEL_LENGTH - 1}}}", word):
            return word
        letters = re.sub(r"[^a-z0-9]", "", word.lower())[:_LABEL_LENGTH]
        return "-".join(filter(None, (letters, _digest(self.stack))))

    @property
    def domain(self) -> str:
        """The domain of the stack's gateway; if none is set, one like `azure-dev.acme.internal`, for private use only.

        `internal` is reserved for private use: https://www.icann.org/en/board-activities-and-meetings/materials/
        approved-resolutions-special-meeting-of-the-icann-board-29-07-2024-en
        """
        settings = self._settings
        return settings.gateway.domain or f"{settings.cloud}-{self._label}.{settings.organization}.internal"

    def regional_name(self, suffix: str, *, limit: int = 63) -> str:
        """A name unique in its account or resource group: `acme-gw-dev-<suffix>`.

        Raises ValueError if it is longer than `limit` characters.
        """
        return _check_length(f"{self.prefix}-{suffix}", limit)

    def global_name(self, suffix: str, *, limit: int = 63) -> str:
        """A globally unique name: `acme-gw-dev-<suffix>-<digest>`, with a digest of organization, stack and location.

        Raises ValueError if it is longer than `limit` characters.
        """
        return _check_length(f"{self.prefix}-{suffix}-{self._global_digest(suffix)}", limit)

    def global_word(self, suffix: str, *, limit: int) -> str:
        """A globally unique name of letters and digits, as storage accounts, vaults and registries require.

        It has at most `limit` characters: organization and stack are shortened, and the digest keeps the name unique.
        """
        end = f"{suffix}{self._global_digest(suffix)}"
        return f"{self.prefix.replace('-', '')[: limit - len(end)]}{end}"

    def _global_digest(self, suffix: str) -> str:
        return _digest(f"{self._settings.organization}/{self.stack}/{self._settings.location}/{suffix}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]


def _check_length(name: str, limit: int) -> str:
    if len(name) > limit:
        raise ValueError(f"name '{name}' has {len(name)} characters, but the service allows {limit}")
    return name
