"""A stack's folder in the GitOps repository: the overlay of its environment, and the serving image in its registry."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from infra.core.naming import Naming
from infra.core.settings import Cloud, Settings

# The example account of AWS's documentation: before the stack is deployed, its own account is not known.
_EXAMPLE_ACCOUNT = "111122223333"
# The digest exists in no registry; publishing an image commits the real one.
_NO_DIGEST = f"sha256:{'0' * 64}"


def format_kustomization(settings: Settings, stack: str) -> str:
    """The kustomization of a stack on which no model runs yet. Promotions add models to two of its lists."""
    image = {"name": "groundwork-serving", "newName": _name_image(settings, stack), "digest": _NO_DIGEST}
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "serving",
        "resources": [],
        "components": [f"../../overlays/{settings.environment}"],
        "images": [image],
    }
    text: str = yaml.safe_dump(content, sort_keys=False)
    return text


# The files of a stack's experiments, keyed by their names in its folder `experiments`. No experiment runs yet.
EXPERIMENT_FILES: Mapping[str, str] = {
    "kustomization.yaml": """\
# What Argo CD's Application `experiments` applies: the experiments' file, and routes that lead to their router.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: serving
resources: []
configMapGenerator:
  - name: experiments
    files: [experiments.yaml]
generatorOptions:
  # The router reads the file again when it changes, so the name needs no hash of the content.
  disableNameSuffixHash: true
""",
    "experiments.yaml": """\
# The stack's experiments: a commit here starts, changes or ends one. docs/gitops.md explains the fields.
#   - name: churn-forest
#     model: churn
#     challenger_percent: 10
#     outcomes: {converted: binary}
experiments: []
""",
}


def _name_image(settings: Settings, stack: str) -> str:
    naming = Naming(settings, stack)
    if settings.cloud is Cloud.AZURE:
        return f"{naming.global_word('cr', limit=50)}.azurecr.io/serving"
    return f"{settings.account or _EXAMPLE_ACCOUNT}.dkr.ecr.{settings.location}.amazonaws.com/{naming.prefix}/serving"
