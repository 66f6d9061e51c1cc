"""The shell of integrations: what is loaded for a command, which rows it writes, and how they are shown."""

from __future__ import annotations

import secrets
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, and_, any_, bindparam, cast, func, or_, select

from libs.chassis.requests.callers import Caller
from libs.chassis.store.changes import Gone, Patch, Row
from libs.chassis.store.listing import Keyset, Listing
from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.defaults import (
    ADMINS_POLICY_ID,
    DEFAULT_INTEGRATION_ID,
    DEFAULT_INTEGRATION_NAME,
    OWN_INTEGRATION_ID,
    OWN_INTEGRATION_NAME,
)
from libs.contracts.integrations import (
    ChangeIntegration,
    CreatedKeyView,
    IntegrationKeyView,
    IntegrationKind,
    IntegrationList,
    IntegrationView,
)
from libs.contracts.permissions import Action, Sight
from libs.contracts.requests import ListPage, NotFound
from libs.contracts.uses import MOST_NAMED, Use, UserKind
from services.incidents import dedup
from services.incidents.application import SERVICE
from services.incidents.domain import integration
from services.incidents.inputs import Source
from services.incidents.projections import IS_OPEN, incidents, integration_keys, integrations

INTEGRATION: Decider[integration.Integration, integration.Command] = Decider(
    integration.initial, integration.evolve, integration.decide, team=lambda state: state.team_id
)
USE_TOLD_EVERY = timedelta(minutes=1)
"""So exactly it is known when a key was used last."""
_KEY_CHARACTERS = string.ascii_letters + string.digits
_HINT = 4

_ONE = select(integrations).where(integrations.c.id == bindparam("id", type_=Uuid))
_ORDER = Keyset("integrations", (integrations.c.created_at, integrations.c.id))
_ALL = Listing(_ORDER, select(integrations))
_OF_TEAMS = integrations.c.team_id == any_(bindparam("teams", type_=ARRAY(Uuid)))
_SEEN = {
    True: Listing(_ORDER, select(integrations).where(or_(integrations.c.team_id.is_(None), _OF_TEAMS))),
    False: Listing(_ORDER, select(integrations).where(_OF_TEAMS)),
}
"""Of teams, with the organisation's or without. There are few: they are read along the list's index."""
_KEYS = (
    select(integration_keys)
    .where(integration_keys.c.integration_id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(integration_keys.c.created_at, integration_keys.c.key_hash)
)
_id = bindparam("id", type_=Uuid)
_by_its_view = incidents.c.view["integrationId"].astext == cast(_id, Text)
_OPEN = (
    select(incidents.c.id, incidents.c.number, func.count().over().label("total"))
    .where(or_(incidents.c.integration_id == _id, and_(incidents.c.integration_id.is_(None), _by_its_view)), IS_OPEN)
    .order_by(incidents.c.number)
    .limit(MOST_NAMED)
)


def new_key() -> str:
    """32 characters that nobody guesses: it is all that a sender shows."""
    return "".join(secrets.choice(_KEY_CHARACTERS) for _ in range(32))


def make_first_integrations(work: Work) -> None:
    """The first start makes "Default" and "Pager", for our own alarms; later starts find them."""
    for integration_id, name, policy in (
        (DEFAULT_INTEGRATION_ID, DEFAULT_INTEGRATION_NAME, None),
        (OWN_INTEGRATION_ID, OWN_INTEGRATION_NAME, ADMINS_POLICY_ID),
    ):
        command = integration.CreateIntegration(integration_id, name, IntegrationKind.GENERIC, policy)
        work.decide(INTEGRATION, integration_id, command, work.begin(SERVICE))


def create_integration(work: Work, command: integration.CreateIntegration, key: str, cause: Cause) -> None:
    """An integration with its first key."""
    work.decide(INTEGRATION, command.integration_id, replace(command, key=_named(key)), cause)
    work.put(_key_row(work, command.integration_id, key))


def check(work: Work, integration_id: UUID, caller: Caller) -> None:
    """Refuse whoever may not change it as it stands.

    Raises:
        NoSuchIntegration: there is none that they see.
        Forbidden, Unsure.
    """
    state = work.state(INTEGRATION, integration_id)
    if state.id is None or state.deleted:
        raise integration.NoSuchIntegration
    if not caller.may(Action.INTEGRATIONS_READ, state.team_id):
        raise integration.NoSuchIntegration().hides()
    caller.require(Action.INTEGRATIONS_WRITE, state.team_id)


def change_integration(work: Work, body: ChangeIntegration, cause: Cause) -> None:
    """Raises NoSuchIntegration, Needed."""
    given, keep = body.model_fields_set, integration.Keep.KEEP
    policy_id = body.policy_id if "policy_id" in given else keep
    team_id = body.team_id if "team_id" in given else keep
    command = integration.ChangeIntegration(body.name, policy_id, team_id)
    work.decide(INTEGRATION, body.id, command, cause)


def add_key(work: Work, integration_id: UUID, key: str, cause: Cause) -> CreatedKeyView:
    """A second key, for senders to change over to. Of two requests at once the later one sees the other's key.

    Raises:
        NoSuchIntegration, Needed.
        TwoKeysAlready: its details say which.
    """
    work.load(INTEGRATION, [integration_id])  # before its keys: whoever adds one meanwhile is found by the append
    live = [key_view(row) for row in work.fetch(_KEYS, ids=[integration_id])]
    named = _named(key)
    try:
        work.decide(INTEGRATION, integration_id, integration.AddKey(named, len(live)), cause)
    except integration.TwoKeysAlready as error:
        error.details = {"keys": [one.model_dump(mode="json", by_alias=True) for one in live]}
        raise
    work.put(_key_row(work, integration_id, key))
    return CreatedKeyView(id=named.id, created_at=work.now, hint=named.hint, key=key)


def revoke_key(work: Work, integration_id: UUID, key_id: UUID, cause: Cause) -> None:
    """From the next batch of alerts on it is unknown.

    Raises:
        NoSuchIntegration, NoSuchKey.
    """
    work.load(INTEGRATION, [integration_id])  # as above
    hashes = [row["key_hash"] for row in work.fetch(_KEYS, ids=[integration_id])]
    found = next((one for one in hashes if dedup.key_id(one) == key_id), None)
    if found is None:
        find_integration(work, integration_id)
        raise integration.NoSuchKey
    work.decide(INTEGRATION, integration_id, integration.RevokeKey(key_id), cause)
    work.put(Gone(integration_keys, {"key_hash": found}))


def delete_integration(work: Work, integration_id: UUID, cause: Cause) -> None:
    """With its keys, unless somebody still works on what came by it.

    An alert that is taken at the same moment may still open an incident of it, which pages whom it would have paged.

    Raises:
        NoSuchIntegration, Needed, InUse.
    """
    work.lock_appends()
    rows = work.fetch(_OPEN, id=integration_id)
    uses = [Use(type=UserKind.INCIDENT, id=row["id"], name=f"#{row['number']}") for row in rows]
    total = rows[0]["total"] if rows else 0
    work.decide(INTEGRATION, integration_id, integration.DeleteIntegration(uses, total), cause)
    for row in work.fetch(_KEYS, ids=[integration_id]):
        work.put(Gone(integration_keys, {"key_hash": row["key_hash"]}))


def note_use(work: Work, used: Mapping[str, Source]) -> None:
    """Remember that a key was used, of those whose last use was noted a minute ago or more.

    Of one in each batch: whoever locks no second row waits for nobody who waits for the first. A key that was revoked
    meanwhile has no row, and gets none.
    """
    due = [key for key, source in used.items() if source.used_at is None or work.now - source.used_at >= USE_TOLD_EVERY]
    if due:
        work.put(Patch(integration_keys, {"key_hash": min(due), "last_used_at": work.now}))


def find_to_list_by(work: Work, integration_id: UUID, caller: Caller) -> None:
    """Raises NotFound: there is no such integration for them, whatever few scopes a machine has."""
    rows = work.fetch(_ONE, id=integration_id)
    if not any(replace(caller.rights, scopes=None).allow(Action.INTEGRATIONS_READ, row["team_id"]) for row in rows):
        raise NotFound("there is no such integration", field="integrationId")


def find_integration(work: Work, integration_id: UUID) -> IntegrationView:
    """Raises NoSuchIntegration."""
    rows = work.fetch(_ONE, id=integration_id)
    if not rows:
        raise integration.NoSuchIntegration
    return _views(work, rows)[0]


def decided_integration(work: Work, integration_id: UUID) -> IntegrationView:
    """As this transaction leaves it; raises NoSuchIntegration."""
    state = work.state(INTEGRATION, integration_id)
    if state.id is None or state.deleted:
        raise integration.NoSuchIntegration
    before = next(iter(work.fetch(_ONE, id=integration_id)), {"created_at": work.now, "updated_at": work.now})
    row = {
        "id": state.id,
        "name": state.name,
        "kind": state.kind,
        "policy_id": state.policy_id,
        "team_id": state.team_id,
        "version": work.version(integration_id),
        "created_at": before["created_at"],
        "updated_at": work.now if any(d.event.entity == state.id for d in work.decided) else before["updated_at"],
    }
    keys = work.fetch(_KEYS, ids=[integration_id])
    keys += [dict(c.values) for c in work.changes if isinstance(c, Row) and c.table is integration_keys]
    return _view(row, keys)


def list_integrations(work: Work, query: ListPage, sight: Sight) -> IntegrationList:
    """A page of what the caller sees, oldest first."""
    listing = _ALL if sight.everything else _SEEN[sight.organisation]
    page = listing.page(work, query, teams=list(sight.teams))
    return IntegrationList(**page.told("integrations", _views(work, page.rows)))


def key_view(row: Mapping[str, Any]) -> IntegrationKeyView:
    return IntegrationKeyView(
        id=dedup.key_id(row["key_hash"]),
        created_at=row["created_at"],
        last_used_at=row.get("last_used_at"),
        hint=row["hint"],
    )


def _named(key: str) -> integration.NewKey:
    return integration.NewKey(dedup.key_id(dedup.key_hash(key)), key[-_HINT:])


def _key_row(work: Work, integration_id: UUID, key: str) -> Row:
    values = {"key_hash": dedup.key_hash(key), "integration_id": integration_id, "created_at": work.now}
    return Row(integration_keys, values | {"hint": key[-_HINT:]})


def _views(work: Work, rows: Sequence[Mapping[str, Any]]) -> list[IntegrationView]:
    ids = [row["id"] for row in rows]
    keys = work.fetch(_KEYS, ids=ids) if ids else []
    return [_view(row, [key for key in keys if key["integration_id"] == row["id"]]) for row in rows]


def _view(row: Mapping[str, Any], keys: Collection[Mapping[str, Any]]) -> IntegrationView:
    return IntegrationView(
        id=row["id"],
        name=row["name"],
        type=row["kind"],
        policy_id=row["policy_id"],
        team_id=row["team_id"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"] or row["created_at"],
        keys=tuple(map(key_view, keys)),
    )
