"""A toy cloud for tests of the simulator's core: boxes on shelves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.simulator.core.cloud import Cloud
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest, StateReader
from rehearsal.simulator.core.rules import in_range, matches, one_of
from rehearsal.simulator.core.standalone_provider import StandaloneProvider
from rehearsal.simulator.core.transitions import only_grows

SHELF, BOX, SAFE = "toy:index:Shelf", "toy:index:Box", "toy:index:Safe"

_MODELS = (
    ResourceModel(SHELF, id="shelf/{name}", required=("name",), replace_on_changes=("name",), transitions=UNRESTRICTED),
    ResourceModel(
        BOX,
        id="box-{hex:12}",
        name_path="tag",
        outputs={
            "arn": "arn:toy:{region}:{id}",
            "label": lambda request: f"{request.get('size')} {request.get('color')}",
        },
        required=("shelf", "size"),
        replace_on_changes=("shelf", "lock.kind", "room"),
        transitions=(only_grows("size", "BoxShrinks: {old} to {new}"),),
        defaults={"room": lambda request, old: old.get("room") or request.account["region"]},
        rules=(
            in_range("size", 1, 9, "SizeOutOfRange: {value}"),
            one_of("color", ("red", "blue"), "UnknownColor: {value}"),
            matches("tag", r"[a-z]+", "BadTag: {value}"),
        ),
        delete_rules=(lambda request: "BoxIsSealed" if request.get("sealed") else None,),
    ),
    ResourceModel(
        SAFE,
        id="safe/{name}",
        outputs={"code": "{hex:6}", "weight": "10"},
        required=("name",),
        transitions=UNRESTRICTED,
        stable_outputs=("code",),
        secrets=("code",),
    ),
)


class _Toy(StandaloneProvider):
    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        if variables.get("region") == "cellar":
            raise CloudError("the cellar is flooded")
        return {"region": variables.get("region", "attic")}

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:
        gone = value.startswith("shelf/") and request.state.find(value) is None
        return f"NotFound: {value}" if gone else None


def _get_code(arguments: Mapping[str, Any], _: StateReader, account: Mapping[str, str]) -> Mapping[str, str]:
    return {"code": f"{arguments['of']}-{account['region']}"}


CLOUD: Cloud = _Toy(
    "toy", _MODELS, {"region": "attic"}, {"toy:index:getCode": _get_code}, secret_functions=("toy:index:getCode",)
)
