"""A sample of every event, made from its fields; `python -m libs.contracts.tests.samples` writes missing files."""

from __future__ import annotations

import json
import types
import typing
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel

import libs.contracts.api_keys
import libs.contracts.audit
import libs.contracts.auth
import libs.contracts.erasure
import libs.contracts.escalation
import libs.contracts.features
import libs.contracts.incident_alerts
import libs.contracts.incidents
import libs.contracts.integrations
import libs.contracts.invites
import libs.contracts.maintenance
import libs.contracts.notifier
import libs.contracts.oidc
import libs.contracts.oncall
import libs.contracts.reviews
import libs.contracts.teams  # noqa: F401 - importing declares the event types
from libs.contracts.codec import CODEC
from libs.contracts.envelope import FACTS, Actor, Envelope, Fact
from libs.contracts.model import Lane

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
_ID = UUID("00000000-0000-4000-8000-000000000001")
_AT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
_SPECIAL = {"from_": "22:00", "duration": "PT8H", "shift_length": "PT8H", "timezone": "Europe/Berlin"} | {
    "href": "https://pager.example/graph"
}


def sample_value(kind: Any, name: str = "") -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return sample_value(args[0], name)
    if origin in (typing.Union, types.UnionType):
        return sample_value(next(a for a in args if a is not type(None)), name)
    if origin is tuple:
        return (sample_value(args[0], name),)
    if origin is dict:
        return {sample_value(args[0], "key"): sample_value(args[1], name) if args[1] is not Any else "value"}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_construct(
            **{n: sample_value(f.annotation, n) for n, f in kind.model_fields.items()},
        )
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    return {
        UUID: _ID,
        AwareDatetime: _AT,
        datetime: _AT.replace(tzinfo=None),
        bool: True,
        int: 2,
        float: 0.5,
        str: _SPECIAL.get(name, f"a {name}"),
    }[kind]


def sample(fact: type[Fact]) -> Envelope[Any]:
    """The same envelope every time."""
    return Envelope(
        id=_ID,
        type=fact.type,
        time=_AT,
        entity=_ID,
        version=1,
        lane=Lane.URGENT,
        slot=2,
        actor=Actor.user(_ID),
        team_id=_ID,
        correlation_id=_ID,
        causation_id=_ID,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        data=sample_value(fact),
    )


def golden_file(type_name: str) -> Path:
    return GOLDEN / f"{type_name}.json"


def main() -> None:
    for type_name, fact in FACTS.items():
        path = golden_file(type_name)
        if not path.exists():
            text = json.dumps(json.loads(CODEC.encode(sample(fact))), indent=2, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
