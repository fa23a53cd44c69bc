"""The digest of an image in a stack's overlay: only this line of a file that people edit is changed."""

from __future__ import annotations

import hashlib
import re

from lifecycle.gitops import manifests
from lifecycle.gitops.git import InvalidFileError, RepositoryError
from lifecycle.gitops.model_folder import Edits, Files, stack_path
from lifecycle.gitops.publication import ChangePublisher, Publication
from lifecycle.gitops.repository import Change, Repository
from lifecycle.gitops.settings import GitopsSettings

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def publish_digest(settings: GitopsSettings, image: str, digest: str) -> Publication:
    """Commit the digest of an image to the stack, or open a pull request for it, depending on the settings.

    image  the name in `images` of the stack's kustomization

    Raises RepositoryError, also if the stack has no such image.
    """

    def edit(tree: Files) -> Edits:
        return edit_digest(tree, settings, image, digest)

    # The same digest for the same image is one event, even if a pipeline is run several times.
    event = f"image-{hashlib.sha256(f'{settings.stack} {image} {digest}'.encode()).hexdigest()[:16]}"
    repository = Repository(settings)
    try:
        current = edit(repository.tree())
        if not current:
            return Publication()
        if repository.find_event(event):  # set before, and another digest since: returns to a former image
            event = f"{event}-{repository.head[:12]}"
        change = Change(event, f"Run {image} at {digest[:19]} on {settings.stack}", edit)
        return ChangePublisher(settings).publish(repository, [change])[event]
    finally:
        repository.close()


def edit_digest(files: Files, settings: GitopsSettings, image: str, digest: str) -> Edits:
    """The edit that sets the digest; none if it is already set. Raises RepositoryError."""
    path = f"{stack_path(settings)}/kustomization.yaml"
    text = files.read(path)
    if text is None:
        raise RepositoryError(f"{path} is not in the repository: add the folder of the stack, or correct GITOPS_STACK")
    try:
        listed = [item["name"] for item in manifests.parse_first(text).get("images") or () if "digest" in item]
    except Exception as error:
        raise InvalidFileError(f"{path} is not a kustomization ({type(error).__name__}): correct it there") from None
    if listed.count(image) != 1:
        raise RepositoryError(
            f"{path} has no image '{image}' with a digest (it has {', '.join(listed) or 'none'}): add it to "
            "`images`, with `name`, `newName` and `digest`"
        )
    first, others = rf"^- name: {re.escape(image)}[ \t]*\n", r"(?: +(?!digest:)\S.*\n)*"
    edited, count = re.subn(rf"({first}{others} +digest:[ \t]*)\S+", rf"\g<1>{digest}", text, flags=re.MULTILINE)
    if count != 1:
        raise InvalidFileError(f"{path} must begin the image '{image}' with the line `- name: {image}`: correct it")
    return {path: edited} if edited != text else {}
