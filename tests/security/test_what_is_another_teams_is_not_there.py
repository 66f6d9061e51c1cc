"""Every operation on incidents, their notifications and integrations, asked for by the ids of another team's things."""

from __future__ import annotations

from typing import Any

from docs.permissions import apis
from libs.contracts.permissions import Action
from tests.attacks import Attack, Told
from tests.integration.test_teams_see_their_own import team
from tests.phone import Phone
from tests.world import World

SEEN, NOT_FOUND, FORBIDDEN = "", "not_found", "forbidden"
READS = ("get", "alerts", "timeline", "explain", "incident_audit", "review", "list")
ANSWERS = ("note", "snooze", "escalate", "acknowledge", "resolve", "close")
TEAMS = ("edit", "suppress", "reassign", "responders", "draft_review", "change_review", "delete_review", "reopen")
"""What is its team's affair."""
KEYS = ("add_integration_key", "revoke_integration_key")
WRITES = ("create_integration", "change_integration", *KEYS, "delete_integration")
EXPECTED: dict[str, dict[str, tuple[str, ...]]] = {
    # Whoever may change integrations nowhere is told so before anything is looked at.
    "outsider": {NOT_FOUND: (*READS, *ANSWERS, *TEAMS, "integration"), FORBIDDEN: ("create", *WRITES)},
    "lead": {
        NOT_FOUND: (*READS, *ANSWERS, *TEAMS, "integration", "change_integration", *KEYS, "delete_integration"),
        FORBIDDEN: ("create", "create_integration"),
    },
    "manager of another": {
        NOT_FOUND: (*READS, *ANSWERS, *TEAMS, "integration", "change_integration", *KEYS, "delete_integration"),
        FORBIDDEN: ("create", "create_integration"),
    },
    "was paged": {SEEN: (*READS, *ANSWERS), NOT_FOUND: ("integration",), FORBIDDEN: (*TEAMS, "create", *WRITES)},
    "member": {SEEN: (*READS, *ANSWERS, *TEAMS, "create", "integration"), FORBIDDEN: WRITES},
    "manager": {SEEN: (*READS, *ANSWERS, *TEAMS, "create", "integration", *WRITES)},
    "admin": {SEEN: (*READS, *ANSWERS, *TEAMS, "create", "integration", *WRITES)},
}
NUMBERS = ("summary", "response", "load", "noise")
LISTS = {("incidents", "list"), ("incidents", "integrations"), *(("incidents", name) for name in NUMBERS)}
"""What they show is held against what is found one by one, elsewhere."""


async def test_what_belongs_to_another_team_is_not_there_and_what_one_may_not_do_is_forbidden(
    world: World, told: Told
) -> None:
    people = {"outsider": "oda", "manager of another": "olaf", "was paged": "bo", "member": "ana", "manager": "max"}
    for name in people.values():
        await world.person(name)
    callers = {kind: world.phone(name) for kind, name in people.items()}
    callers |= {"lead": await world.person("lia", roles=("user", "lead")), "admin": world.admin}
    shop = await team(world, "Shop", ana="member", max="manager")
    await team(world, "Bank", olaf="manager")
    await world.policy((15, "bo"))
    walked: set[tuple[str, str]] = set(LISTS)
    for kind, who in callers.items():
        got = {name: said for (_, name), said in (await _walk(world, who, shop, walked)).items()}
        expected = {name: said for said, names in EXPECTED[kind].items() for name in names}
        assert got == expected, kind
    await _page_of(world, shop, callers, walked)
    ones_own = {None, Action.ME}
    there = {(api.service, name) for api in apis() for name, op in api.operations.items() if op.action not in ones_own}
    walked |= {("incidents", "audit"), ("notifier", "audit")}  # admins'
    walked.add(("incidents", "begin_bulk"))  # which does nothing: each command of a bulk is asked for
    assert walked >= {one for one in there if one[0] in ("incidents", "notifier")}, "no operation is forgotten here"
    told(Attack.FOREIGN_IDS, "404, and 403 for what one sees and may not do")


async def _page_of(world: World, shop: str, callers: dict[str, Phone], walked: set[tuple[str, str]]) -> None:
    """A page by its own id is there for whoever sees its incident; only whom it has reached says so."""
    made = await world.admin.call("POST", "/incidents", {"title": "it burns", "teamId": shop})
    await world.settle()
    path = f"/notifications?incidentId={made.data['incident']['id']}"
    page = {"id": (await world.admin.call("GET", path)).data["notifications"][0]["id"]}
    receipt = page | {"state": "opened", "at": world.clock.now().isoformat()}
    for kind, who in callers.items():
        token = who.session["accessToken"]
        sees = "list" in EXPECTED[kind].get(SEEN, ())
        for operation, body, is_there in (("get", page, sees), ("receipt", receipt, kind == "was paged")):
            error = (await world.rpc("notifier", operation, body, token)).error
            assert ("" if error is None else str(error.kind)) == (SEEN if is_there else NOT_FOUND), (kind, operation)
            walked.add(("notifier", operation))


def _more(operation: str) -> dict[str, Any]:
    """What it takes beside an id."""
    more: dict[str, dict[str, Any]] = {
        "note": {"text": "the disk"},
        "snooze": {"minutes": 5},
        "change_review": {"text": "why"},
    }
    return more.get(operation, {})


async def _walk(world: World, who: Phone, shop: str, walked: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What each operation said about fresh things of the team."""
    made = await world.admin.call("POST", "/incidents", {"title": "it burns", "teamId": shop})
    incident = {"id": made.data["incident"]["id"]}
    made = await world.admin.call("POST", "/incidents", {"title": "it burned", "teamId": shop})
    over = {"id": made.data["incident"]["id"]}
    made = await world.admin.call("POST", "/integrations", {"name": "Shop", "teamId": shop})
    sender = {"id": made.data["integration"]["id"]}
    key = {"keyId": made.data["integration"]["keys"][0]["id"]}
    await world.settle()
    for path in ("resolve", "review"):
        await world.admin.call("POST", f"/incidents/{over['id']}/{path}", {})
    asked: tuple[tuple[str, str, dict[str, Any]], ...] = (
        *(("incidents", name, incident) for name in READS if name not in ("review", "list")),
        ("incidents", "review", over),
        ("notifier", "list", {"incidentId": incident["id"]}),
        ("incidents", "edit", incident | {"title": "it is out"}),
        ("incidents", "suppress", incident | {"minutes": 5}),
        ("incidents", "reassign", incident | {"assignedTo": str(world.admin.user_id)}),
        ("incidents", "responders", incident | {"userIds": [str(world.admin.user_id)]}),
        *(("incidents", name, incident | _more(name)) for name in ANSWERS),
        ("incidents", "draft_review", incident),
        ("incidents", "change_review", over | {"text": "why"}),
        ("incidents", "delete_review", over),
        ("incidents", "reopen", incident),
        ("incidents", "create", {"title": "more", "teamId": shop}),
        ("incidents", "integration", sender),
        ("incidents", "create_integration", {"name": "Mine", "teamId": shop}),
        ("incidents", "change_integration", sender | {"name": "Mine"}),
        ("incidents", "add_integration_key", sender),
        ("incidents", "revoke_integration_key", sender | key),
        ("incidents", "delete_integration", sender),
    )
    await who.sign_in()
    got: dict[tuple[str, str], str] = {}
    for service, operation, body in asked:
        reply = await world.rpc(service, operation, body, who.session["accessToken"])
        got[service, operation] = "" if reply.error is None else str(reply.error.kind)
        assert reply.error is None or reply.error.hidden is (reply.error.kind == NOT_FOUND), "the audit is told of it"
    walked.update(got)
    return got
