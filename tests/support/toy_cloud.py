"""A toy cloud for tests of the core: boxes that lie on shelves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rehearsal.simulator.core.resource_model import Cloud, Draft, Invoke, Model, Refusal, matches, one_of, within

SHELF, BOX, SAFE = "toy:index:Shelf", "toy:index:Box", "toy:index:Safe"

_MODELS = (
    Model(SHELF, id="shelf/{name}", required=("name",), replaces=("name",)),
    Model(
        BOX,
        id="box-{hex:12}",
        named="tag",
        outputs={"arn": "arn:toy:{region}:{id}", "label": lambda draft: f"{draft.get('size')} {draft.get('color')}"},
        required=("shelf", "size"),
        replaces=("shelf", "lock.kind"),
        rules=(
            within("size", 1, 9, "SizeOutOfRange: {value}"),
            one_of("color", ("red", "blue"), "UnknownColor: {value}"),
            matches("tag", r"[a-z]+", "BadTag: {value}"),
        ),
        keeps=(lambda draft: "BoxIsSealed" if draft.get("sealed") else None,),
    ),
    Model(SAFE, id="safe/{name}", outputs={"code": "{hex:6}"}, required=("name",), secrets=("code",)),
)


class _Toy:
    name = "toy"
    facts: Mapping[str, str] = {"region": "attic"}
    invokes: Mapping[str, Invoke] = {
        "toy:index:getCode": lambda arguments, _world, facts: {"code": f"{arguments['of']}-{facts['region']}"}
    }
    secret_invokes: Collection[str] = ("toy:index:getCode",)

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        if variables.get("region") == "cellar":
            raise Refusal("the cellar is flooded")
        return {"region": variables.get("region", "attic")}

    def model(self, type_: str) -> Model | None:
        return next((model for model in _MODELS if model.type == type_), None)

    def missing(self, draft: Draft, value: str) -> str | None:
        gone = value.startswith("shelf/") and draft.world.find(value) is None
        return f"NotFound: {value}" if gone else None


CLOUD: Cloud = _Toy()
