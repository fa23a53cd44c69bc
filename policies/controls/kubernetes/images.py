"""Requirements on the names of images, in pods and in objects that pods are created from."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from policies.engine.control import Setting
from policies.engine.expectations import Requirement

# The clouds' own registries. No preview knows the stack's registry, which admission requires instead of these.
CLOUD_REGISTRIES = ("*.azurecr.io/*", "*.dkr.ecr.*.amazonaws.com/*")
# These, and the registries that the platform's charts pull from. A stack can allow others.
IMAGE_REGISTRIES = (
    *CLOUD_REGISTRIES,
    "public.ecr.aws/*",
    "mcr.microsoft.com/*",
    "registry.k8s.io/*",
    "quay.io/*",
    "ghcr.io/*",
    "docker.io/*",
)
ALLOWED = Setting(
    {"type": "array", "items": {"type": "string", "pattern": "/"}},
    default=list(IMAGE_REGISTRIES),
    extended_by="images.registries",
)
REGISTRY_REMEDY = (
    "mirror the image to the stack's registry, or add its registry to the stack's setting images.registries"
)


def _has_fixed_tag(image: Any) -> bool:
    name, _, digest = image.partition("@") if isinstance(image, str) else ("", "", "")
    _, _, tag = name.rpartition("/")[2].partition(":")
    return bool(digest) or tag not in ("", "latest")


FIXED_TAG = Requirement("must have a fixed version tag or a digest", _has_fixed_tag)


def require_registry(settings: Mapping[str, Any]) -> Requirement:
    """The image comes from a registry that the setting `allowed` lists."""
    patterns = [pattern.split("/", 1) for pattern in settings["allowed"]]

    def is_allowed(image: Any) -> bool:
        if not isinstance(image, str) or not image:
            return False
        # Host and path are matched separately: a star in a host must not match a slash.
        host, path = _full_name(image).split("/", 1)
        return any(fnmatchcase(host, where) and fnmatchcase(path, what) for where, what in patterns)

    return Requirement("must come from an allowed registry", is_allowed)


def _full_name(image: str) -> str:
    """The image's name with its registry. As in Docker, a first part without a dot or colon is a user of docker.io."""
    first, slash, _ = image.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    if is_host:
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"
