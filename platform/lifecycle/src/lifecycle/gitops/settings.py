"""Where the GitOps repository is, and who writes to it."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class GitopsSettings(BaseSettings):
    """From `GITOPS_*`; the token may be a file `gitops_token` in the folder GITOPS_SECRETS_DIR."""

    model_config = SettingsConfigDict(
        env_prefix="GITOPS_", secrets_dir=os.environ.get("GITOPS_SECRETS_DIR"), extra="ignore"
    )

    repository: str = Field(description="a URL or path that git understands")
    branch: str = Field("main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", description="the branch that Argo CD follows")
    stack: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$",
        description="the stack that the models run on",
    )
    path: str = Field(
        "",
        pattern=r"^([\w-][\w.-]*(/[\w-][\w.-]*)*)?$",
        description="the folder in which its models are written; if unset, `stacks/<stack>`",
    )
    mode: Literal["commit", "pull-request"] = Field(
        "commit",
        description="`commit` pushes to the branch, `pull-request` pushes another branch and opens a pull request",
    )
    author_name: str = Field("Groundwork", description="author and committer of the commits")
    author_email: str = Field("groundwork@localhost", description="their email address")
    token: SecretStr | None = Field(
        None, description="for https: the password for git, and the bearer token for the forge's REST API"
    )
    forge_url: str = Field(
        "https://api.github.com", description="REST API of GitHub or a compatible forge; only for pull requests"
    )
    project: str = Field("", pattern=r"^([\w.-]+/[\w.-]+)?$", description="`owner/name` in that forge")
    push_attempts: int = Field(8, ge=1, le=50, description="maximum attempts to push a commit overtaken by others")
    timeout: float = Field(60.0, gt=0, description="seconds for one git command, or one call of the forge")

    # The route
    domain: str = Field("models.example.com", description="domain of the models' hostnames: `<model>.<domain>`")
    gateway: str = Field("platform", description="the Gateway that the routes are attached to")
    gateway_namespace: str = Field("gateway", description="its namespace")

    @model_validator(mode="after")
    def _require_forge(self) -> GitopsSettings:
        if self.mode == "pull-request" and not (self.token and self.project):
            raise ValueError("GITOPS_MODE pull-request needs GITOPS_TOKEN and GITOPS_PROJECT (owner/name): set both")
        return self
