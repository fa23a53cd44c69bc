"""Rules for what is deployed from the GitOps repository."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from infra.core.settings.faults import Fault
from infra.core.settings.stack_settings import Settings


def check_gitops_path(settings: Settings, stack: str) -> Iterator[Fault]:
    path = settings.gitops.path
    parent, _, owner = path.rpartition("/")
    if path and owner != stack:
        # Stack names are unique, so no two stacks can share a folder.
        yield Fault(
            "gitops.path",
            f"must end with the stack's name, {stack}; this would be the folder of a stack named {owner}, and stacks "
            "that share a folder would roll out each other's models",
            f"write it like {parent or 'stacks'}/{stack}, or remove it",
            value=path,
        )
    elif path and "/" not in path:
        yield Fault(
            "gitops.path",
            "must not be at the root of the repository: `base`, `overlays` and `applications` are beside its parent "
            "folder",
            f"write it like stacks/{stack}, or remove it",
            value=path,
        )
    elif path and not settings.gitops.repository:
        yield _describe_without_repository("gitops.path", path)


def check_gitops(settings: Settings) -> Iterator[Fault]:
    """Settings that need a repository, or a token for it."""
    yield from _check_token(settings)
    yield from _check_git_token(settings)
    yield from _check_pull_requests(settings)
    yield from _check_dispatch(settings)
    yield from _check_pipelines(settings)


def _check_token(settings: Settings) -> Iterator[Fault]:
    if settings.gitops.token_secret and not settings.gitops.repository:
        yield _describe_without_repository("gitops.tokenSecret", settings.gitops.token_secret)


def _describe_without_repository(setting: str, value: str) -> Fault:
    return Fault(
        setting,
        "has no meaning without gitops.repository, which is not set: nothing is deployed from git",
        "set gitops.repository, or remove it",
        value=value,
        others=("gitops.repository",),
    )


def _check_git_token(settings: Settings) -> Iterator[Fault]:
    if settings.images.promotion and not settings.lifecycle.git_token:
        yield Fault(
            "lifecycle.gitToken",
            "must name a secret, with which promotions are pushed to the GitOps repository",
            "store a token that may push under a name such as git-token, and write that name here; or remove "
            "images.promotion",
            value="",
            others=("images.promotion",),
        )


def find_project(repository: str) -> str:
    """The project of a repository's URL in its forge, `owner/name`; empty if the URL has no such path."""
    owner, _, name = urlsplit(repository).path.strip("/").removesuffix(".git").partition("/")
    return f"{owner}/{name}" if owner and name and "/" not in name else ""


def _check_pull_requests(settings: Settings) -> Iterator[Fault]:
    repository = settings.gitops.repository
    if settings.lifecycle.pull_requests and not settings.lifecycle.forge_url:
        yield Fault(
            "lifecycle.forgeUrl",
            "is empty, but pull requests are opened there",
            "write the URL of the forge's REST API, or remove the setting for GitHub's",
            value="",
            others=("lifecycle.pullRequests",),
        )
    if settings.lifecycle.pull_requests and not find_project(repository):
        yield Fault(
            "lifecycle.pullRequests",
            "needs a repository whose URL names a project of the forge, owner/name, but gitops.repository is "
            f"{repository or 'not set'}",
            "set gitops.repository to a URL like https://github.com/acme/models.git, or remove lifecycle.pullRequests",
            value=True,
            others=("gitops.repository",),
        )


def _check_dispatch(settings: Settings) -> Iterator[Fault]:
    lifecycle = settings.lifecycle
    if lifecycle.dispatch_project and not lifecycle.dispatch_token:
        yield Fault(
            "lifecycle.dispatchToken",
            "must name a secret, with which events are sent to the repository in lifecycle.dispatchProject",
            "store a token that may write that repository's contents under a name such as dispatch-token, and write "
            "that name here; or remove lifecycle.dispatchProject",
            value="",
            others=("lifecycle.dispatchProject",),
        )
    if lifecycle.dispatch_project and not lifecycle.forge_url:
        yield Fault(
            "lifecycle.forgeUrl",
            "is empty, but events are sent there",
            "write the URL of the forge's REST API, or remove the setting for GitHub's",
            value="",
            others=("lifecycle.dispatchProject",),
        )


def _check_pipelines(settings: Settings) -> Iterator[Fault]:
    if settings.pipelines.enabled and not settings.gitops.repository:
        yield Fault(
            "pipelines.enabled",
            "needs gitops.repository, which is not set: Argo CD applies Kubeflow Pipelines from there",
            "set gitops.repository to the URL of a repository with the content of platform/gitops, or remove "
            "pipelines.enabled",
            value=True,
            others=("gitops.repository",),
        )
