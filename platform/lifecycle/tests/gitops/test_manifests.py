"""The manifests of a model: which paths its hostname publishes, and which names it may have.

Not proven: how the gateway evaluates a route; the rehearsal's network does so for paths and weights.
"""

from __future__ import annotations

import pytest

from lifecycle.gitops import manifests
from lifecycle.gitops.manifests import InvalidNameError, check_name
from lifecycle.gitops.settings import GitopsSettings


def test_a_models_hostname_publishes_predictions_and_neither_metrics_nor_probes() -> None:
    route = manifests.render_route(
        "wine", {"champion": 90, "challenger": 10}, GitopsSettings(repository=".", stack="azure-qa")
    )
    (rule,) = manifests.parse_first(route)["spec"]["rules"]
    assert [(match["path"]["type"], match["path"]["value"]) for match in rule["matches"]] == [
        ("Exact", "/predict"),
        ("PathPrefix", "/v1/models"),
        ("PathPrefix", "/v2"),
    ]
    assert manifests.parse_weights("wine", route) == {"champion": 90, "challenger": 10}


@pytest.mark.parametrize("name", ["wine-challenger", "wine-champion", "wine-challenger-predictor", "a-champion"])
def test_a_name_of_another_models_objects_is_rejected(name: str) -> None:
    with pytest.raises(InvalidNameError, match=f"'{name}' ends like the names of another model's InferenceServices"):
        check_name(name)


@pytest.mark.parametrize("name", ["argocd", "experiments", "grafana", "mlflow"])
def test_a_name_of_a_service_of_the_platform_is_rejected(name: str) -> None:
    with pytest.raises(InvalidNameError, match=f"'{name}' is the name of a platform service"):
        check_name(name)
    assert not manifests.is_valid_name(name)


@pytest.mark.parametrize(
    "name", ["mlflow-demo", "wine", "challenger", "champion-wine", "wine-challengers", "wine-predictor"]
)
def test_other_names_are_accepted(name: str) -> None:
    check_name(name)
