"""Writes digests of built images into a stack's file; all other lines stay as people wrote them.

The serving image is not among them: its digest is in the GitOps repository (`lifecycle.gitops set-image`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from delivery.errors import DeliveryError

IMAGES = ("promotion", "experiment", "drift", "training")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SECTION = re.compile(
    r"^(?P<indent> +)groundwork:images:[ \t]*\n(?P<body>(?:(?P=indent) +\S.*\n|[ \t]*#.*\n|\n)*)", re.M
)


def write_digests(file: Path, digests: Mapping[str, str]) -> None:
    """Set the digests of images in a stack's file. Raises DeliveryError.

    The section `groundwork:images` has to exist, as a block. Without it nobody has decided yet that the stack runs its
    own images, and the first deployment has to create the registry.
    """
    for image, digest in digests.items():
        if image not in IMAGES:
            raise DeliveryError(f"There is no setting for an image '{image}': use one of {', '.join(IMAGES)}.")
        if not _DIGEST.fullmatch(digest):
            raise DeliveryError(
                f"The digest of {image} is '{digest}': write it as a push prints it, sha256:<64 digits>."
            )
    text = file.read_text()
    section = _SECTION.search(text)
    if section is None:
        raise DeliveryError(
            f"{file.parent.name}/{file.name} has no section groundwork:images with a line for each image: add it once "
            "the stack's registry exists."
        )
    body = section["body"]
    for image, digest in digests.items():
        body = _set_line(body, image, digest, section["indent"])
    file.write_text(text[: section.start("body")] + body + text[section.end("body") :])


def _set_line(body: str, image: str, digest: str, indent: str) -> str:
    line = re.compile(rf"^( +{image}:[ \t]*)\S+", re.M)
    if line.search(body):
        return line.sub(rf"\g<1>{digest}", body)
    inner = re.search(r"^( +)\S", body, re.M)
    return f"{body}{inner[1] if inner else indent * 2}{image}: {digest}\n"
