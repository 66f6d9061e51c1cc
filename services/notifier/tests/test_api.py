"""Who sees whom an incident was told to, and on which phone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.requests.callers import Caller
from libs.chassis.store.changes import compiled
from libs.contracts.model import Role, TeamRole
from libs.contracts.notifier import NotificationList, NotificationsQuery, ReceiptsView
from libs.contracts.requests import ById, NotFound
from services.notifier.api import api
from services.notifier.tests.notifications import BO, NINE

TEAM, INCIDENT, OUTSIDER = UUID(int=1), UUID(int=2), UUID(int=3)
USER = Caller(OUTSIDER, frozenset({Role.USER}), uuid4(), "phone", NINE)
PAGED = replace(USER, user_id=BO)
MEMBER = replace(USER, teams={TEAM: TeamRole.MEMBER})
KEY = replace(PAGED, key_id=uuid4())
"""Made by whom it has paged."""
ADMIN = replace(USER, roles=frozenset({Role.ADMIN}))
_TOLD: dict[str, Any] = {
    **{"id": uuid4(), "incident_id": INCIDENT, "user_id": BO, "method_id": "bo-phone", "method_kind": "fcm"},
    **{"run": 1, "round": 1, "level": 1, "state": "accepted", "created_at": NINE},
}


class _Tables:
    """An incident of a team, or of none, that has paged Bo and nobody else; `told`: and of which he was told."""

    estimates = None

    def __init__(self, team: UUID | None, *, told: bool = True, row: dict[str, Any] | None = None) -> None:
        self.team, self.told, self.row = team, told, row or _TOLD

    def fetch(self, statement: Any, **given: Any) -> list[dict[str, Any]]:
        sql = compiled(statement)[0]
        if "responders" in sql:
            return [{"team_id": self.team, "is_theirs": given["person"] == BO}] if self.team else []
        if "attempts" in sql:
            return []
        if "receipts" in sql:
            asked = _TOLD["id"] in given["ids"]
            return [{"notification_id": _TOLD["id"], "state": "displayed", "seen_at": NINE}] if asked else []
        rows = [self.row] if self.told else []
        return [{"total": len(rows)}] if "count(" in sql else rows


def listed(tables: _Tables, who: Caller) -> NotificationList:
    found: NotificationList = api().operations["list"].handle(tables, NotificationsQuery(incident_id=INCIDENT), who)
    return found


@pytest.mark.parametrize(
    ("who", "of_team", "of_nobody"),
    [
        (USER, False, True),
        (PAGED, True, True),
        (MEMBER, True, True),
        (ADMIN, True, True),
        (KEY, False, True),
        (replace(ADMIN, key_id=uuid4(), bound=TEAM), True, False),
        (replace(ADMIN, key_id=uuid4(), bound=uuid4()), False, False),
    ],
)
def test_who_was_told_is_seen_by_whoever_sees_the_incident(who: Caller, of_team: bool, of_nobody: bool) -> None:
    for team, seen in ((TEAM, of_team), (None, of_nobody)):
        if seen:
            assert [one.user_id for one in listed(_Tables(team), who).notifications] == [BO]
        else:
            with pytest.raises(NotFound):
                listed(_Tables(team), who)
        assert not listed(_Tables(team, told=False), who).notifications, "incidents says whether there is anything"


def test_who_was_told_has_said_what_became_of_it() -> None:
    (told,) = listed(_Tables(None), USER).notifications
    assert told.receipts == ReceiptsView(displayed=NINE)
    assert not told.test


@pytest.mark.parametrize(
    ("who", "of_an_incident", "a_test"),
    [(PAGED, True, True), (MEMBER, True, False), (USER, False, False), (KEY, False, False)],
)
def test_one_is_seen_by_its_person_and_a_test_by_nobody_else(who: Caller, of_an_incident: bool, a_test: bool) -> None:
    handle = api().operations["get"].handle
    for row, seen in ((_TOLD, of_an_incident), (_TOLD | {"id": INCIDENT}, a_test)):
        tables = _Tables(TEAM, row=row)
        if seen:
            assert handle(tables, ById(id=row["id"]), who).test is (row["id"] == INCIDENT)
        else:
            with pytest.raises(NotFound):
                handle(tables, ById(id=row["id"]), who)
    with pytest.raises(NotFound):
        handle(_Tables(TEAM, told=False), ById(id=uuid4()), who)


def test_browsers_are_told_the_key_or_that_there_is_none() -> None:
    assert api("BIdent").operations["web_push_key"].handle(None, None, USER).public_key == "BIdent"
    with pytest.raises(NotFound, match="PAGER_VAPID_KEY_FILE"):
        api().operations["web_push_key"].handle(None, None, USER)


def test_a_phones_id_is_told_to_its_person_and_not_to_their_machines() -> None:
    seen = [listed(_Tables(None), who).notifications[0].device_id for who in (PAGED, KEY, USER)]
    assert seen == ["bo-phone", None, None]
