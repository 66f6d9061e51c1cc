"""People, layers and overrides in short, for the tests of this service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from libs.contracts.defaults import PAGER
from libs.contracts.oncall import Layer, Override, Shift

ANA, BO, CY = (uuid5(PAGER, f"test/{name}") for name in ("ana", "bo", "cy"))
NAMES = {ANA: "ana", BO: "bo", CY: "cy"}


def utc(text: str) -> datetime:
    """`"2026-03-02 09:00"` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def layer(rotation: str, start: str, *people: UUID, **more: Any) -> Layer:
    return Layer.model_validate(
        {"rotation_type": rotation, "start": start, "participants": people or (ANA, BO), **more}
    )


def override(person: UUID, start: str, end: str, replaces: UUID | None = None) -> Override:
    start_time, end_time = utc(start), utc(end)
    name = f"test/override/{person}/{start}/{end}/{replaces}"
    return Override(id=uuid5(PAGER, name), user_id=person, start_time=start_time, end_time=end_time, replaces=replaces)


def told(shifts: Sequence[Shift]) -> list[str]:
    """`ana 2026-03-02 09:00 2026-03-03 09:00`, with `*` after the name for an override."""
    return [
        f"{NAMES[s.user_id]}{'*' if s.is_override else ''} {s.start_time:%Y-%m-%d %H:%M} {s.end_time:%Y-%m-%d %H:%M}"
        for s in shifts
    ]
