"""API keys: what becomes of a key, event by event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.chassis.testing.given import Given
from libs.contracts.api_keys import (
    ApiKeyChanged,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeySecretAdded,
    ApiKeySecretRemoved,
    ApiKeyTakenOver,
)
from libs.contracts.envelope import Fact
from libs.contracts.requests import Invalid
from services.auth.api_keys import KEYS
from services.auth.domain.api_keys import (
    AddSecret,
    ChangeKey,
    CreateKey,
    KeyHasExpired,
    LastSecret,
    NewSecret,
    NoSuchKey,
    NoSuchSecret,
    OfNoTeam,
    RemoveSecret,
    RevokeKey,
    TakeOver,
    TwoSecretsAlready,
)

KEY, ANA, TEAM, FIRST, SECOND = (UUID(int=n) for n in range(1, 6))
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SOON = NOW + timedelta(days=1)
"""When the key ends."""
CREATE = CreateKey(
    KEY, "Deploys", ("incidents.list", "incidents.read"), TEAM, ANA, SOON, NewSecret(FIRST, "pgr_1"), NOW
)
CREATED = ApiKeyCreated(key_id=KEY, name="Deploys", scopes=CREATE.scopes, team_id=TEAM, made_by=ANA, expires_at=SOON)
ADDED = ApiKeySecretAdded(key_id=KEY, secret_id=FIRST, prefix="pgr_1")
OTHER = ApiKeySecretAdded(key_id=KEY, secret_id=SECOND, prefix="pgr_2")
TAKEN = ApiKeyTakenOver(key_id=KEY, team_id=TEAM)
REVOKED = ApiKeyRevoked(key_id=KEY)
LIVE = (CREATED, ADDED)


def _changed(**other: Any) -> ApiKeyChanged:
    same = {"key_id": KEY, "name": "Deploys", "scopes": CREATE.scopes, "expires_at": SOON}
    return ApiKeyChanged.model_validate(same | other)


def test_a_key_is_made_with_a_secret_and_once() -> None:
    Given(KEYS, []).when(CREATE).then([CREATED, ADDED]).when(CREATE).then_nothing()
    over = replace(CREATE, expires_at=NOW)
    assert Given(KEYS, []).when(over).then_rejected(Invalid).field == "expiresAt"
    Given(KEYS, []).when(replace(CREATE, expires_at=None)).then_types(ApiKeyCreated, ApiKeySecretAdded)


def test_two_secrets_are_live_and_one_at_least() -> None:
    second, third = AddSecret(NewSecret(SECOND, "pgr_2"), NOW), AddSecret(NewSecret(UUID(int=9), "pgr_3"), NOW)
    both = Given(KEYS, LIVE).when(second).then([OTHER])
    both.when(third).then_rejected(TwoSecretsAlready)
    both.when(RemoveSecret(UUID(int=9), NOW)).then_rejected(NoSuchSecret)
    one = both.when(RemoveSecret(FIRST, NOW)).then([ApiKeySecretRemoved(key_id=KEY, secret_id=FIRST)])
    one.when(RemoveSecret(SECOND, NOW)).then_rejected(LastSecret)
    one.when(third).then_types(ApiKeySecretAdded)


def test_a_change_takes_away_and_gives_nothing() -> None:
    live = Given(KEYS, LIVE)
    live.when(ChangeKey(NOW)).then_nothing()
    live.when(ChangeKey(NOW, scopes=CREATE.scopes[::-1])).then_nothing()
    live.when(ChangeKey(NOW, name="Reads", scopes=("incidents.read",))).then(
        [_changed(name="Reads", scopes=("incidents.read",))]
    )
    more = live.when(ChangeKey(NOW, scopes=("incidents.read", "people.write"))).then_rejected(Invalid)
    assert more.field == "scopes.1"
    live.when(ChangeKey(NOW, expires_at=None)).then([_changed(expires_at=None)])
    assert live.when(ChangeKey(NOW, expires_at=NOW)).then_rejected(Invalid).field == "expiresAt"


def test_a_team_takes_over_its_own_keys_once() -> None:
    Given(KEYS, LIVE).when(TakeOver(NOW)).then([TAKEN]).when(TakeOver(NOW)).then_nothing()
    alone = [CREATED.model_copy(update={"team_id": None}), ADDED]
    Given(KEYS, alone).when(TakeOver(NOW)).then_rejected(OfNoTeam)


COMMANDS = (
    ChangeKey(SOON, name="x"),
    ChangeKey(SOON, expires_at=None),
    AddSecret(NewSecret(SECOND, "pgr_2"), SOON),
    RemoveSecret(FIRST, SOON),
    TakeOver(SOON),
)


@pytest.mark.parametrize("command", COMMANDS, ids=repr)
def test_what_has_expired_or_was_revoked_changes_no_more(command: Any) -> None:
    Given(KEYS, [*LIVE, OTHER]).when(command).then_rejected(KeyHasExpired)
    none: list[list[Fact]] = [[], [*LIVE, REVOKED]]
    for facts in none:
        Given(KEYS, facts).when(command).then_rejected(NoSuchKey)


def test_a_key_is_revoked_after_its_end_too() -> None:
    revoked = Given(KEYS, LIVE).when(RevokeKey()).then([REVOKED])
    revoked.when(RevokeKey()).then_rejected(NoSuchKey)
