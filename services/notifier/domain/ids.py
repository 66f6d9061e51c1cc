"""Ids that follow from what they stand for, so that deciding the same thing again never makes a second one."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as spell
from uuid import UUID

from uuid_utils.compat import uuid5

from libs.contracts.defaults import PAGER
from libs.contracts.notifier import Method
from services.notifier.domain.place import Place


def notification_id(incident_id: UUID, place: Place, user_id: UUID, method: Method, step: int = 1) -> UUID:
    """One step of one person's rule at one place of an incident's paging, over one method: one notification."""
    run, round_, level = place
    # Spelt by hand as `_id` would spell it: it is made for every page, and this costs a fifth.
    spelt = f'"{incident_id}", {run}, {round_}, {level}, "{user_id}", "{method.kind}", {spell(method.id)}, {step}'
    return uuid5(PAGER, f'["notification", {spelt}]')


def unreachable_id(incident_id: UUID, place: Place, user_id: UUID) -> UUID:
    """One person whom one place of an incident's paging could not reach."""
    return _id("unreachable", str(incident_id), *place, str(user_id))


def token_id(user_id: UUID, device_id: str) -> UUID:
    """The push token of a person's device, whatever its present value."""
    return _id("token", str(user_id), device_id)


def _id(*parts: str | int) -> UUID:
    # As JSON no two lists are spelt alike, whatever strangers name their devices, and any text can be spelt.
    return uuid5(PAGER, json.dumps(parts))
