"""Types of settings: which values are valid on any cloud. The rules of each cloud are in `rules`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Strict
from pydantic_core import PydanticCustomError

_RFC_1918 = tuple(ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_ORGANIZATION = r"[a-z][a-z0-9]{1,7}"


@dataclass(frozen=True)
class Unit:
    """The unit of a number."""

    name: str


def rule_error(rule: str, remedy: str) -> PydanticCustomError:
    """A validation error for a value that breaks `rule`; `remedy` tells the reader how to correct it."""
    return PydanticCustomError("groundwork", "{rule}", {"rule": rule, "remedy": remedy})


def _require_form(pattern: str, rule: str, remedy: str) -> Callable[[str], str]:
    """A validator that requires a text to match a pattern as a whole."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise rule_error(rule, remedy)
        return value

    return check


def _validate_network(value: str) -> str:
    block = _parse_block(value, "10.20.0.0/16", 16)
    if not any(block.subnet_of(private) for private in _RFC_1918):
        raise rule_error("must be in a private range (RFC 1918)", "use a block of 10/8, 172.16/12 or 192.168/16")
    return str(block)


def _validate_authorized_range(value: str) -> str:
    block = _parse_block(value, "203.0.113.0/24", 32)
    if block.prefixlen < 8:
        raise rule_error(
            "opens the Kubernetes API to most of the internet",
            "list the ranges of your runners and operators, or leave the list empty for a private API",
        )
    # Requests from a private address never arrive at a public API. EKS rejects such a block.
    if any(block.overlaps(private) for private in _RFC_1918):
        raise rule_error(
            "is a private range, from which nothing reaches a public Kubernetes API",
            "list the public addresses of your runners and operators, or use privateAccessFrom instead",
        )
    return str(block)


def _parse_block(value: str, example: str, usual_prefix: int) -> ipaddress.IPv4Network:
    """`usual_prefix` is the prefix length to suggest if there is none, which Python and the clouds read as /32."""
    try:
        block = ipaddress.IPv4Network(value)
    except ipaddress.AddressValueError:
        rule, remedy = "is not an IPv4 address", f"write it like {example}"
    except ipaddress.NetmaskValueError:
        rule, remedy = "has no prefix length from /0 to /32", f"write it like {example}"
    except ValueError:  # addresses beyond the first of their block
        first = ipaddress.IPv4Network(value, strict=False)
        raise rule_error(f"is not the first address of its block, {first}", f"write {first}") from None
    else:
        if "/" in value:
            return block
        usual = ipaddress.IPv4Network(f"{value}/{usual_prefix}", strict=False)
        rule = "has no prefix length"
        remedy = f"write it with one, as in {usual}{' for a single address' if usual == block else ''}"
    raise rule_error(f"must be an IPv4 block in CIDR notation; this one {rule}", remedy)


def _validate_organization(value: str) -> str:
    if re.fullmatch(_ORGANIZATION, value):
        return value
    lower = re.sub(r"[^a-z0-9]", "", value.lower())
    raise rule_error(
        "must be 2 to 8 lower-case letters and digits, starting with a letter, since it begins every name in the cloud",
        f"write {lower}" if re.fullmatch(_ORGANIZATION, lower) else "shorten it, such as acme",
    )


WholeNumber = Annotated[int, Strict()]
Switch = Annotated[bool, Strict()]
Cidr = Annotated[str, AfterValidator(_validate_network)]
AuthorizedRange = Annotated[str, AfterValidator(_validate_authorized_range)]
Organization = Annotated[str, AfterValidator(_validate_organization)]
Email = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"([^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+)?",
            "must be one e-mail address",
            "write it like ml-oncall@example.com; for several people use the address of a group",
        )
    ),
]
# Source: https://www.rfc-editor.org/rfc/rfc1123#section-2.1, which Gateway API follows in lower case:
# https://gateway-api.sigs.k8s.io/reference/spec/#hostname
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_LONGEST_DOMAIN = 253 - 64  # leaves room for the longest host before it, and a period
HostLabel = Annotated[
    str,
    AfterValidator(
        _require_form(
            _LABEL,
            "must be one label of a DNS name: at most 63 lower-case letters, digits and hyphens between them",
            "write mlflow for mlflow.<domain>",
        )
    ),
]


def _validate_domain(value: str) -> str:
    if problem := _find_domain_problem(value):
        raise rule_error(
            f"must be a DNS name of two or more labels (RFC 1123); this one {problem}",
            "write it like ml.example.com, without scheme, wildcard, port or trailing period",
        )
    return value


def _find_domain_problem(value: str) -> str:
    """Why a text is not a domain; empty if it is one, or if it is empty."""
    labels = value.split(".")
    wrong = next((label for label in labels if not re.fullmatch(_LABEL, label)), None)
    if not value:
        return ""
    if len(value) > _LONGEST_DOMAIN:
        return f"has {len(value)} characters; {_LONGEST_DOMAIN} leave room for a host before it"
    if wrong == "":
        return "has an empty label"
    if wrong is not None and len(wrong) > 63:
        return f"has a label of {len(wrong)} characters, but a label has at most 63"
    if wrong is not None:
        return f"has the label '{wrong}'; a label has only lower-case letters, digits, and hyphens between them"
    if len(labels) == 1:
        return "has only one label"
    return "ends with a number, as an IP address does" if labels[-1].isdigit() else ""


Domain = Annotated[str, AfterValidator(_validate_domain)]
HttpsUrl = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"(https://[^\s/]+(/\S*)?)?", "must be an https:// URL", "write it like https://acme.example.com/directory"
        )
    ),
]

HostPattern = Annotated[
    str,
    AfterValidator(
        _require_form(
            rf"(\*\.)?{_LABEL}(\.{_LABEL})+",
            "must be a host's name in lower case, or *. and a domain for all hosts in it",
            "write it like pypi.org or *.pythonhosted.org",
        )
    ),
]

HostAndPort = Annotated[
    str,
    AfterValidator(
        _require_form(
            rf"({_LABEL}(\.{_LABEL})*:[1-9]\d{{0,4}})?",
            "must be a host's name in lower case and a port",
            "write it like smtp.example.com:587",
        )
    ),
]


def _validate_repository(value: str) -> str:
    if re.match(r"\w+://[^/]*@", value):
        raise rule_error(
            "contains credentials, which would be in the stack's file and in its state",
            "remove the part before the @ from the URL",
        )
    if not re.fullmatch(rf"(https://(?i:{_LABEL}(\.{_LABEL})*)(:\d{{1,5}})?(/[\w.~-]+)+)?", value):
        raise rule_error(
            "must be the https URL of a git repository: a host and a path, without a query or spaces",
            "write it like https://git.example.com/acme/models.git",
        )
    return value


GitRepository = Annotated[str, AfterValidator(_validate_repository)]
GitRevision = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"(?!.*(\.\.|//|@\{))[A-Za-z0-9][\w./@+-]*(?<![./])",
            "must be a branch, a tag or a commit",
            "write it like main or 3f2c1ab",
        )
    ),
]
GitFolder = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"((?!\.{1,2}(/|$))[\w.-]+(/(?!\.{1,2}(/|$))[\w.-]+)*)?",
            "must be a folder of the repository, relative to its root",
            "write it like stacks/azure-dev",
        )
    ),
]
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
WeeklyTime = Annotated[
    str,
    AfterValidator(
        _require_form(
            rf"({'|'.join(DAYS)}) ([01]\d|2[0-3]):00",
            "must be a day of the week and a full hour in UTC",
            "write it like Sunday 22:00",
        )
    ),
]
# A quotation mark or a line break would end the group in a policy of Argo CD or an expression of Grafana.
GroupName = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"([\w./:@-]+( [\w./:@-]+)*)?",
            "must be a group's name or ID: letters, digits, spaces and ./:@-_",
            "write it as it is in the claim `groups` of a token",
        )
    ),
]
Digest = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"(sha256:[0-9a-f]{64})?",
            "must be the digest of an image, sha256: and 64 hexadecimal digits, since a tag could be moved to another "
            "image",
            "copy it from the output of the push, or from `docker buildx imagetools inspect`",
        )
    ),
]
# The registry has to be named: a wildcard for all of them would make the rule meaningless.
ImagePattern = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"([a-z0-9*-]+\.)+[a-z0-9-]+(:\d+)?/[A-Za-z0-9._/:@*-]+",
            "must be a pattern for images: a registry's host name, a slash and a path, where * matches any text",
            "write it like registry.example.com/ml/*",
        )
    ),
]
# The same rule as in lifecycle.training, which uses the model's name in the names of Jobs.
ModelName = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?",
            "must be the name of a registered model: at most 42 lower-case letters, digits and hyphens, starting with "
            "a letter",
            "register the model under such a name, like churn-weekly",
        )
    ),
]
SecretName = Annotated[
    str,
    AfterValidator(
        # Key Vault's names, which Secrets Manager allows as well:
        # https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#vault-name-and-object-name
        _require_form(
            r"([0-9a-zA-Z-]{1,127})?",
            "must be the name of a secret in the stack's store: 1 to 127 letters, digits and hyphens; never its value",
            "store the value under a name such as git-token, and write that name here",
        )
    ),
]
BackupStore = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.-]+)*"
            r"|https://[a-z0-9]{3,24}\.blob\.core\.windows\.net/[a-z0-9][a-z0-9-]{2,62}(/[\w.-]+)*"
            r"|file:///[^\s?#]+)?",
            "must be the URL of a bucket or of a container in Azure Blob Storage, optionally with a folder in it",
            "write it like s3://acme-backups/stacks or https://acmebackups.blob.core.windows.net/stacks",
        )
    ),
]
StackName = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"([A-Za-z0-9][\w.-]{0,99})?",
            "must be the name of a stack, which has a file in `stacks`",
            "write it like aws-prod-west",
        )
    ),
]
ForgeProject = Annotated[
    str,
    AfterValidator(
        # https://docs.github.com/en/repositories/creating-and-managing-repositories/about-repositories
        _require_form(
            r"([A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_.-]{1,100})?",
            "must name a repository of the forge by its owner and its name",
            "write it like acme/ml-platform",
        )
    ),
]
AwsAccount = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"(\d{12})?",
            "must be the 12 digits of an AWS account's ID",
            'look it up with `aws sts get-caller-identity`, and put it in quotes: "012345678901"',
        )
    ),
]
Uuid = Annotated[
    str,
    AfterValidator(
        _require_form(
            r"([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?",
            "must be an ID like 11111111-2222-3333-4444-555555555555",
            "look it up with `az account show`",
        )
    ),
]


def _tag_value(maximum: int) -> AfterValidator:
    return AfterValidator(
        _require_form(
            rf"(?!\s)[^\x00-\x1f\x7f\u2028\u2029]{{1,{maximum}}}(?<!\s)",
            f"is a tag's value, which must be one line of 1 to {maximum} characters without leading or trailing spaces",
            f"write 1 to {maximum} characters in one line, such as ml-platform",
        )
    )


# Both clouds allow tags of 256 characters; the shorter limit leaves room in cost reports.
TagValue = Annotated[str, _tag_value(64)]
Tags = Mapping[str, Annotated[str, _tag_value(256)]]
