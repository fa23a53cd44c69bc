"""Where the GitOps repository is, and who writes to it."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class GitopsSettings(BaseSettings):
    """Read from GITOPS_* in the environment; the token may be a file `gitops_token` in the folder GITOPS_SECRETS_DIR.

    repository  a URL or path that git understands
    branch      what Argo CD follows
    environment  the folder that is written: dev, staging, prod
    mode        `commit` pushes to the branch; `pull-request` pushes a branch per promotion and asks for its merge
    token       for https: what the forge accepts as a password, and as a bearer token of its REST API
    author_name, author_email  who commits
    forge       the forge's REST API, GitHub's or a compatible one; only for pull requests
    project     owner/name in that forge
    pushes      how often a rejected push is tried again on what came in between
    patience    seconds for one git command
    domain      of the models' hostnames: <model>.<domain>
    gateway     the Gateway that the routes belong to
    gateway_namespace  where it stands
    """

    model_config = SettingsConfigDict(
        env_prefix="GITOPS_", secrets_dir=os.environ.get("GITOPS_SECRETS_DIR"), extra="ignore"
    )

    repository: str
    branch: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")] = "main"
    environment: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,20}$")] = "dev"
    mode: Literal["commit", "pull-request"] = "commit"
    author_name: str = "Groundwork"
    author_email: str = "groundwork@localhost"
    token: SecretStr | None = None
    forge: str = "https://api.github.com"
    project: Annotated[str, Field(pattern=r"^([\w.-]+/[\w.-]+)?$")] = ""
    pushes: Annotated[int, Field(ge=1, le=50)] = 8
    patience: Annotated[float, Field(gt=0)] = 60.0

    # The route
    domain: str = "models.example.com"
    gateway: str = "kserve-ingress-gateway"
    gateway_namespace: str = "kserve"

    @model_validator(mode="after")
    def _forge_is_known(self) -> GitopsSettings:
        if self.mode == "pull-request" and not (self.token and self.project):
            raise ValueError("mode pull-request needs GITOPS_TOKEN and GITOPS_PROJECT (owner/name)")
        return self
