"""API keys in one transaction each: made, changed, given a second secret, taken over by their team, revoked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.store.changes import Row
from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.api_keys import (
    MOST_KEYS,
    SHOWN,
    ApiKeyChange,
    ApiKeysPage,
    ApiKeyView,
    CreateApiKey,
    CreatedSecretView,
    KeyMarks,
    SecretView,
    mark_of,
    new_key,
)
from libs.contracts.envelope import Envelope
from libs.contracts.permissions import Action
from libs.contracts.requests import Forbidden, Invalid, ListPage, NoSuchTeam, Rejected
from libs.contracts.uses import Use, UserKind, UsesView
from services.auth import machine_sessions, team_room
from services.auth.domain import api_keys
from services.auth.domain.api_keys import (
    AddSecret,
    ChangeKey,
    CreateKey,
    Live,
    NewSecret,
    NoSuchKey,
    RemoveSecret,
    RevokeKey,
    TakeOver,
    TwoSecretsAlready,
)
from services.auth.domain.users import Keep
from services.auth.entities import SESSIONS, locked_user
from services.auth.projections import project
from services.auth.queries import (
    API_KEY,
    API_KEYS,
    API_KEYS_OF_OWNER,
    API_KEYS_OF_TEAM,
    API_KEYS_OF_TEAM_ITSELF,
    SECRET_HASHES,
    SECRETS,
)
from services.auth.tables.keys import api_key_secrets

KEYS: Decider[api_keys.State, api_keys.Command] = Decider(
    api_keys.initial,
    api_keys.evolve,
    api_keys.decide,
    team=lambda state: state.team_id if isinstance(state, Live) else None,
)
_NOT_YOURS = "only its maker may: whoever shows it has its maker's rights. Its team may take it over first"


class TooManyKeys(Rejected):
    """You have a hundred API keys: revoke one first."""


class TeamHasTooManyKeys(Rejected):
    """This team has a hundred API keys of its own: revoke one first."""


def hashed(key: str) -> bytes:
    """Nobody can try out 214 random bits, so no slow hash is needed; nor can anybody choose what it begins with, so
    that looking it up tells nothing by how long it takes."""
    return sha256(key.encode()).digest()


def create(work: Work, body: CreateApiKey, caller: Caller, cause: Cause) -> ApiKeyView:
    """A key with its first secret, which is shown once.

    Raises:
        Forbidden, Unsure: keys of the team, or of the whole organisation, are not the caller's to make.
        Invalid: they cannot give what they do not have, with the scope at fault; or it is over before it begins.
        NoSuchTeam, TooManyKeys.
    """
    caller.require(Action.KEYS_WRITE, body.team_id)
    for number, scope in enumerate(body.scopes):
        has = caller.rights.allow_somewhere(scope) if body.team_id is None else caller.rights.allow(scope, body.team_id)
        if not has:
            raise Invalid(f"you may not give {scope}, which you do not have", field=f"scopes.{number}")
    if body.team_id is not None and not team_room.held(work, (body.team_id,)):
        raise NoSuchTeam(field="teamId")
    locked_user(work, caller.user_id)
    if len(work.fetch(API_KEYS_OF_OWNER, owner_id=caller.user_id)) >= MOST_KEYS:
        raise TooManyKeys
    key, key_id = new_key(), work.new_id()
    command = CreateKey(
        key_id=key_id,
        name=body.name,
        scopes=body.scopes,
        team_id=body.team_id,
        made_by=caller.user_id,
        expires_at=body.expires_at,
        secret=NewSecret(work.new_id(), key[:SHOWN]),
        now=work.now,
    )
    events = work.decide(KEYS, key_id, command, cause)
    secret = _keep(work, key_id, command.secret, key)
    return _view(_row(work, {}, events), [secret]).model_copy(update={"key": key})


def one(work: Work, key_id: UUID, caller: Caller) -> ApiKeyView:
    """Raises NoSuchKey, also where it is none of theirs, or Unsure."""
    row = _seen(work, key_id, caller)
    caller.require(Action.KEYS_READ, row["team_id"])
    return _view(row, work.fetch(SECRETS, ids=[key_id]))


def listed(work: Work, asked: ListPage, caller: Caller) -> ApiKeysPage:
    """Those of the organisation and of the teams whose keys the caller manages, oldest first."""
    seen = caller.sight(Action.KEYS_READ)
    page = API_KEYS.page(
        work, asked, everything=seen.everything, organisation=seen.organisation, teams=list(seen.teams)
    )
    ids = [row["id"] for row in page.rows]
    secrets = work.fetch(SECRETS, ids=ids) if ids else []
    views = (_view(row, [one for one in secrets if one["key_id"] == row["id"]]) for row in page.rows)
    return ApiKeysPage(**page.told("api_keys", views))


def change(work: Work, key_id: UUID, body: ApiKeyChange, caller: Caller, cause: Cause) -> ApiKeyView:
    """What is not given stays; what it may no longer do, it may not with its tokens of a moment ago either.

    Raises:
        NoSuchKey, Forbidden, Unsure, KeyHasExpired.
        Invalid: it would be given more.
    """
    row, before = _own(work, key_id, caller)
    given = "expires_at" in body.model_fields_set
    command = ChangeKey(
        now=work.now, name=body.name, scopes=body.scopes, expires_at=body.expires_at if given else Keep.KEEP
    )
    events = work.decide(KEYS, key_id, command, cause)
    after = work.state(KEYS, key_id)
    assert isinstance(after, Live)  # noqa: S101 - a change leaves it so
    if (after.scopes, after.expires_at) != (before.scopes, before.expires_at):
        _end(work, before, "API key changed", cause)
    return _view(_row(work, row, events), work.fetch(SECRETS, ids=[key_id]))


def add_secret(work: Work, key_id: UUID, caller: Caller, cause: Cause) -> CreatedSecretView:
    """A second one, for the machine to change over to, which is shown once.

    Whoever has it can do what the key can: so it is given to whose rights the key has, and to nobody else.

    Raises:
        NoSuchKey, Forbidden, Unsure, KeyHasExpired.
        TwoSecretsAlready: its details say which.
    """
    _, before = _own(work, key_id, caller)
    if before.owner not in (None, caller.user_id):
        raise Forbidden(_NOT_YOURS)
    key = new_key()
    secret = NewSecret(work.new_id(), key[:SHOWN])
    try:
        work.decide(KEYS, key_id, AddSecret(secret, work.now), cause)
    except TwoSecretsAlready as error:
        live = map(_secret_view, work.fetch(SECRETS, ids=[key_id]))
        error.details = {"secrets": [one.model_dump(mode="json", by_alias=True) for one in live]}
        raise
    row = _keep(work, key_id, secret, key, work.fetch(SECRETS, ids=[key_id]))
    return CreatedSecretView(id=secret.secret_id, prefix=secret.prefix, created_at=row["created_at"], key=key)


def remove_secret(work: Work, key_id: UUID, secret_id: UUID, caller: Caller, cause: Cause) -> None:
    """Whoever shows it is refused from now on. Raises NoSuchKey, NoSuchSecret, Forbidden, Unsure or LastSecret."""
    _, before = _own(work, key_id, caller)
    work.decide(KEYS, key_id, RemoveSecret(secret_id, work.now), cause)
    _end(work, before, "API key's secret removed", cause, only=secret_id, for_good=True)


def take_over(work: Work, key_id: UUID, caller: Caller, cause: Cause) -> ApiKeyView:
    """From now on it is its team's: it goes on without its maker, as a manager of the team within its scopes.

    Raises:
        NoSuchKey, Forbidden, Unsure, KeyHasExpired.
        OfNoTeam: there is no team whose it could be.
        TeamHasTooManyKeys.
    """
    row, before = _own(work, key_id, caller)
    if before.owner is not None and row["team_id"] is not None:
        team_room.held(work, (row["team_id"],))  # until the end: two who take over see each other's
        if len(work.fetch(API_KEYS_OF_TEAM_ITSELF, team_id=row["team_id"])) >= MOST_KEYS:
            raise TeamHasTooManyKeys(field="id")
    if events := work.decide(KEYS, key_id, TakeOver(work.now), cause):
        _end(work, before, "API key taken over", cause)
    return _view(_row(work, row, events), work.fetch(SECRETS, ids=[key_id]))


def revoke(work: Work, key_id: UUID, caller: Caller, cause: Cause) -> None:
    """Raises NoSuchKey, Forbidden or Unsure."""
    _, before = _own(work, key_id, caller)
    work.decide(KEYS, key_id, RevokeKey(), cause)
    _end(work, before, "API key revoked", cause, for_good=True)


def marks(work: Work) -> KeyMarks:
    """What the gateway tells keys by that there are from those that strangers make up."""
    return KeyMarks(marks=tuple(mark_of(bytes(row["hash"])) for row in work.fetch(SECRET_HASHES)))


def uses_of_team(work: Work, team_id: UUID) -> UsesView:
    """The keys that act on a team's things: nobody may delete it under them."""
    rows = work.fetch(API_KEYS_OF_TEAM, id=team_id)
    uses = tuple(Use(type=UserKind.KEY, id=row["id"], name=row["name"]) for row in rows)
    return UsesView(uses=uses, total=rows[0]["total"] if rows else 0)


def _seen(work: Work, key_id: UUID, caller: Caller) -> dict[str, Any]:
    rows = work.fetch(API_KEY, id=key_id)
    if not rows:
        raise NoSuchKey(field="id")
    if not caller.rights.allow(Action.KEYS_READ, rows[0]["team_id"]):
        raise NoSuchKey(field="id").hides()
    return rows[0]


def _own(work: Work, key_id: UUID, caller: Caller) -> tuple[dict[str, Any], Live]:
    """A key that the caller may change: its row, and what it is. Raises NoSuchKey, Forbidden or Unsure."""
    work.load(KEYS, [key_id])  # before its rows: whoever changes it meanwhile is found by the append
    row, state = _seen(work, key_id, caller), work.state(KEYS, key_id)
    caller.require(Action.KEYS_WRITE, row["team_id"])
    if not isinstance(state, Live):
        raise NoSuchKey(field="id")
    return row, state


def _end(work: Work, key: Live, reason: str, cause: Cause, *, only: UUID | None = None, for_good: bool = False) -> None:
    machine_sessions.end(work, SESSIONS, [key.key_id], key.made_by, reason, cause, only=only, for_good=for_good)


def _keep(
    work: Work, key_id: UUID, secret: NewSecret, key: str, before: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    # After the one before it, also for a clock that stands or was set back: this is their order.
    created_at = max([work.now, *(row["created_at"] + timedelta.resolution for row in before)])
    row = {
        "id": secret.secret_id,
        "key_id": key_id,
        "hash": hashed(key),
        "prefix": secret.prefix,
        "session_id": work.new_id(),
        "created_at": created_at,
        "last_used_at": None,
    }
    work.put(Row(api_key_secrets, row))
    return row


def _row(work: Work, row: dict[str, Any], events: Iterable[Envelope[Any]]) -> dict[str, Any]:
    """A key's row after these events."""
    for event in events:
        for changed in project(event, work.state(KEYS, event.entity)):
            row = row | dict(changed.values)
    return row


def _view(row: dict[str, Any], secrets: Sequence[dict[str, Any]]) -> ApiKeyView:
    uses = [secret["last_used_at"] for secret in secrets if secret["last_used_at"] is not None]
    return ApiKeyView(
        id=row["id"],
        version=row["version"],
        name=row["name"],
        scopes=row["scopes"],
        team_id=row["team_id"],
        made_by=row["made_by"],
        owner_id=row["owner_id"],
        prefix=secrets[-1]["prefix"] if secrets else "",
        secrets=tuple(map(_secret_view, secrets)),
        last_used_at=max(uses, default=None),
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _secret_view(row: dict[str, Any]) -> SecretView:
    return SecretView(
        id=row["id"], prefix=row["prefix"], created_at=row["created_at"], last_used_at=row["last_used_at"]
    )
