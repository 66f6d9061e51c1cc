"""What auth holds on a person, for them: never a hash, a token or a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Uuid, bindparam, select, true

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.export import Part, part_of
from libs.chassis.store.listing import Keyset
from libs.chassis.store.scanning import Scan
from libs.chassis.store.work import Work
from libs.contracts.audit import Access
from libs.contracts.erasure import ExportPage, ExportQuery
from libs.contracts.model import Contract
from services.auth import entities
from services.auth.look_ups import address_hash
from services.auth.lost_factors import factor_of
from services.auth.queries import (
    API_KEYS_OF_OWNER,
    COUNTRIES_HELD,
    DEVICE_CREDENTIALS_HELD,
    DEVICES_OF,
    IDENTITIES_OF,
    INVITE,
    INVITES_OF,
    KNOWN_KEYS_OF,
    RECOVERY_CODES,
    SESSIONS_HELD,
)
from services.auth.tables.watch import access_log
from services.auth.views import device_view, invite_view, session_view


class SecondFactorHeld(Contract):
    is_on: bool
    recovery_codes_left: int


def exported(work: Work, query: ExportQuery, caller: Caller) -> ExportPage:
    """Raises Invalid."""
    return part_of("auth", {**_PARTS, "sessions": _sessions(caller)}, work, query, caller)


def _whole(views: Iterable[Contract]) -> ExportPage:
    """Of what there are only a few of."""
    return ExportPage(rows=tuple(view.model_dump(mode="json", by_alias=True) for view in views))


def _user(work: Work, person: UUID, _cursor: str | None) -> ExportPage:
    return _whole([entities.user(work, person)])


def _devices(work: Work, person: UUID, _cursor: str | None) -> ExportPage:
    return _whole(map(device_view, work.fetch(DEVICES_OF, user_id=person)))


def _sessions(caller: Caller) -> Part:
    def part(work: Work, person: UUID, _cursor: str | None) -> ExportPage:
        rows = work.fetch(SESSIONS_HELD, user_id=person)
        return _whole(session_view(row, current=caller.session_id) for row in rows)

    return part


def _second_factor(work: Work, person: UUID, _cursor: str | None) -> ExportPage:
    row = factor_of(work, person)
    left = len(work.fetch(RECOVERY_CODES, user_id=person))
    return _whole([SecondFactorHeld(is_on=bool(row and row["confirmed_at"]), recovery_codes_left=left)])


def _invites(work: Work, person: UUID, _cursor: str | None) -> ExportPage:
    address = address_hash(work, entities.user(work, person).email)
    found = work.fetch(INVITES_OF, user_id=person, hash=address)
    return _whole(invite_view(work.fetch(INVITE, id=row["id"])[0], work.now) for row in found)


def _identities(work: Work, person: UUID, _cursor: str | None) -> ExportPage:
    rows = work.fetch(IDENTITIES_OF, user_id=person)
    return ExportPage(rows=tuple({"issuer": row["issuer"], "linkedAt": row["linked_at"]} for row in rows))


def _device_credentials(work: Work, person: UUID, _cursor: str | None) -> ExportPage:
    rows = work.fetch(DEVICE_CREDENTIALS_HELD, user_id=person)
    times = {"madeAt": "made_at", "usedAt": "used_at", "endsAt": "ends_at"}
    return _told(rows, {"deviceId": "device_id"} | times)


def _known_devices(work: Work, person: UUID, _cursor: str | None) -> ExportPage:
    return _told(work.fetch(KNOWN_KEYS_OF, user_id=person), {"deviceId": "device_id", "knownUntil": "forget_at"})


def _countries(work: Work, person: UUID, _cursor: str | None) -> ExportPage:
    return _told(work.fetch(COUNTRIES_HELD, user_id=person), {"country": "country", "lastAt": "last_at"})


def _told(rows: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> ExportPage:
    return ExportPage(rows=tuple({name: row[column] for name, column in names.items()} for row in rows))


def _api_keys(work: Work, person: UUID, _cursor: str | None) -> ExportPage:
    rows = work.fetch(API_KEYS_OF_OWNER, owner_id=person)
    told = ({"id": row["id"], "name": row["name"], "scopes": row["scopes"], "teamId": row["team_id"]} for row in rows)
    return ExportPage(rows=tuple(told))


def _requests(work: Work, person: UUID, cursor: str | None) -> ExportPage:
    return _REQUESTS.page(work, cursor, _request, person=person)


def _request(row: Mapping[str, Any]) -> Mapping[str, Any]:
    told = Access(**{name: row[name] for name in Access.model_fields})
    return told.model_dump(mode="json", by_alias=True)


_REQUESTS: Final = Scan(
    Keyset("requests", (access_log.c.at, access_log.c.id)),
    select(access_log).where(access_log.c.user_id == bindparam("person", type_=Uuid)),
    true(),
)
_PARTS: Final[Mapping[str, Part]] = {
    "identities": _identities,
    "apiKeys": _api_keys,
    "deviceCredentials": _device_credentials,
    "knownDevices": _known_devices,
    "countries": _countries,
    "requests": _requests,
    "user": _user,
    "devices": _devices,
    "secondFactor": _second_factor,
    "invites": _invites,
}
