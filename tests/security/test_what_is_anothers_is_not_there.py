"""Every operation of auth, oncall and escalation, asked for by the ids of another team's and another person's things.

Those of incidents and notifier are next door.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from docs.permissions import apis
from libs.contracts.permissions import PERMISSIONS, Action, Need
from tests.attacks import Attack, Told
from tests.integration.test_teams_see_their_own import team
from tests.world import World

SEEN, NOT_FOUND, FORBIDDEN = "", "not_found", "forbidden"
OTHERS: dict[tuple[str, str], dict[str, str]] = {
    ("oncall", "a team's"): dict.fromkeys(
        (
            *("schedule", "override", "overrides", "shifts", "current", "on_call"),
            *("change_schedule", "delete_schedule", "add_override", "cancel_override"),
        ),
        NOT_FOUND,
    )
    | {"create_schedule": FORBIDDEN},
    ("escalation", "a team's"): dict.fromkeys(("policy", "change_policy", "delete_policy"), NOT_FOUND)
    | {"create_policy": FORBIDDEN},
    ("auth", "a team's"): dict.fromkeys(
        (
            *("api_key", "change_api_key", "revoke_api_key", "take_over_api_key"),
            *("add_api_key_secret", "remove_api_key_secret"),
        ),
        NOT_FOUND,
    )
    | dict.fromkeys(("create_api_key", "set_member", "change_member", "remove_member"), FORBIDDEN),
    ("auth", "a person's"): {
        "sessions": FORBIDDEN,
        "end_session": NOT_FOUND,
        "end_sessions": FORBIDDEN,
        "device": NOT_FOUND,
    },
}
"""What a manager of another team is told of these."""
OPEN_TO_ALL = {
    ("auth", name)
    for name in (
        "users",
        "user",
        "name",
        "teams",
        "team",
        "members",
        "member",
        "api_keys",
        "remove_device",
        "register_device",
    )
} | {("oncall", "schedules"), ("escalation", "policies")}
"""Who there is and what there is of their own: everybody's; lists are held against what is found one by one."""
OF_ONESELF = {
    ("auth", name)
    for name in (
        *("me", "change_me", "change_password", "logout", "revoke_token", "devices", "export"),
        *("ask_to_verify", "second_factor", "begin_totp", "confirm_totp", "remove_totp"),
    )
} | {("oncall", "export"), ("escalation", "export")}
"""They name nothing: whose it is, the token says."""


@pytest.mark.services("auth", "oncall", "escalation", "incidents")
async def test_schedules_policies_keys_sessions_and_devices_of_others_are_not_there(world: World, told: Told) -> None:
    ana, olaf = await world.person("ana"), await world.person("olaf")
    shop = await team(world, "Shop", ana="manager")
    await team(world, "Bank", olaf="manager")
    await olaf.sign_in()
    start = (world.clock.now() + timedelta(days=1)).replace(microsecond=0)
    hours = {"startTime": start.isoformat(), "endTime": (start + timedelta(hours=1)).isoformat()}
    layer = {"rotationType": "weekly", "start": f"{start:%Y-%m-%dT%H:%M}", "participants": [str(ana.user_id)]}
    level = {"timeoutMinutes": 5, "targets": [{"type": "user", "id": str(ana.user_id)}]}

    async def made(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await ana.call("POST", path, body)
        assert answer.status == 201, answer.body
        return dict(next(iter(answer.data.values())))

    schedule = await made("/on-call/schedules", {"name": "Nights", "teamId": shop, "layers": [layer]})
    override = await made(f"/on-call/schedules/{schedule['id']}/overrides", hours | {"userId": str(ana.user_id)})
    policy = await made("/escalation/policies", {"name": "Ours", "teamId": shop, "levels": [level]})
    key = await made("/api-keys", {"name": "Bot", "scopes": ["incidents.list"], "teamId": shop})
    (session,) = (await ana.call("GET", "/auth/sessions")).data["sessions"]
    await world.settle()

    of, the_schedule = {"scheduleId": schedule["id"]}, {"id": schedule["id"]}
    the_policy, the_key = {"id": policy["id"]}, {"id": key["id"]}
    named, whose = {"userId": str(ana.user_id)}, {"id": shop, "userId": str(olaf.user_id)}
    bodies: dict[str, dict[str, Any]] = {
        **dict.fromkeys(("schedule", "delete_schedule"), the_schedule),
        **dict.fromkeys(("override", "cancel_override"), of | {"overrideId": override["id"]}),
        **dict.fromkeys(("overrides", "current", "on_call"), of),
        "shifts": of | {"from": hours["startTime"], "to": hours["endTime"]},
        "change_schedule": {"id": schedule["id"], "name": "Mine"},
        "add_override": of | hours | {"userId": str(olaf.user_id)},
        "create_schedule": {"name": "Mine", "teamId": shop, "layers": [layer]},
        **dict.fromkeys(("policy", "delete_policy"), the_policy),
        "change_policy": {"id": policy["id"], "name": "Mine"},
        "create_policy": {"name": "Mine", "teamId": shop, "levels": [level]},
        **dict.fromkeys(("api_key", "revoke_api_key", "take_over_api_key", "add_api_key_secret"), the_key),
        "change_api_key": {"id": key["id"], "name": "Mine"},
        "remove_api_key_secret": {"id": key["id"], "secretId": key["secrets"][0]["id"]},
        "create_api_key": {"name": "Mine", "scopes": ["incidents.list"], "teamId": shop},
        **dict.fromkeys(("set_member", "change_member"), whose | {"role": "manager"}),
        "remove_member": {"id": shop} | named,
        "sessions": named,
        "end_sessions": named,
        "end_session": {"id": session["id"]},
        "device": {"deviceId": ana.device_id},
    }
    walked = OPEN_TO_ALL | OF_ONESELF
    for (service, kind), expected in OTHERS.items():
        got: dict[str, str] = {}
        for operation in expected:
            reply = await world.rpc(service, operation, bodies[operation], olaf.session["accessToken"])
            got[operation] = SEEN if reply.error is None else str(reply.error.kind)
            walked.add((service, operation))
        assert got == expected, (service, kind)
    admins = {one for one in _operations() if PERMISSIONS[one[2]].need is Need.ADMIN}
    theirs = {(service, name) for service, name, _ in _operations() - admins}
    assert walked == {one for one in theirs if one[0] in ("auth", "oncall", "escalation")}, "none is forgotten here"
    for service, name, _ in admins:
        reply = await world.rpc(service, name, {}, olaf.session["accessToken"])
        assert reply.error is not None, name
        assert str(reply.error.kind) == FORBIDDEN, name
    gone = await world.rpc("auth", "remove_device", {"deviceId": ana.device_id}, olaf.session["accessToken"])
    assert gone.error is None, "he has none of that name"
    assert [d["deviceId"] for d in (await ana.call("GET", "/devices")).data["devices"]] == [ana.device_id]
    told(Attack.FOREIGN_IDS, "404, and 403 for what one sees and may not do")


def _operations() -> set[tuple[str, str, Action]]:
    """Service, name and action of each that needs somebody who is signed in."""
    return {
        (api.service, name, op.action) for api in apis() for name, op in api.operations.items() if op.action is not None
    }
