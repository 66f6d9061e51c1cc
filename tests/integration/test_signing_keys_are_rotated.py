"""Keys change every thirty days, and whenever an operator says so: nobody is signed out, or refused, for it."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from typing import Any
from uuid import uuid4

from joserfc import jwt

from libs.chassis.requests.callers import KEYS_HELD
from services.auth.rotation import EVERY, LEAD, RETIRES
from services.auth.sealing import Seal
from services.auth.signing_keys import stored_keys
from services.auth.tokens import SigningKey
from tests.command import Pager
from tests.phone import Phone
from tests.world import World

_ASKED = {"auth": "me", "oncall": "schedules", "incidents": "list", "escalation": "policies", "notifier": "list"}


def kid_of(token: str) -> str:
    part = token.split(".", maxsplit=1)[0]
    return str(json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))["kid"])


async def said_by_all(world: World, token: str) -> set[str]:
    """What gateway and services say to a token."""
    http = (await world.http("GET", "/users/me", token=token)).status
    replies = [
        await world.rpc(service, operation, {"incidentId": str(uuid4())} if service == "notifier" else {}, token)
        for service, operation in _ASKED.items()
    ]
    kinds = {"ok" if reply.error is None else str(reply.error.kind) for reply in replies}
    return kinds | ({"ok"} if http == 200 else {"unauthenticated"} if http == 401 else {str(http)})


async def published(world: World) -> list[str]:
    return [key["kid"] for key in (await world.rpc("auth", "keys")).data["keys"]]


async def renewed(world: World, phone: Phone) -> dict[str, Any]:
    body, token = {"deviceId": phone.device_id}, phone.session["refreshToken"]
    answer = await world.http("POST", "/auth/refresh", body, token)
    assert answer.status == 200, answer.body
    phone.session = answer.data["tokens"]
    return phone.session


async def test_tokens_go_on_over_a_rotation_and_new_ones_name_the_new_key(world: World, pager: Pager) -> None:
    ana = await world.person("ana")
    old = ana.session["accessToken"]
    before = kid_of(old)
    assert await said_by_all(world, old) == {"ok"}
    code, told = await pager("keys", "rotate")
    assert code == 0, told
    assert told["rotated"]
    code, again = await pager("keys", "rotate")
    assert (code, again["rotated"]) == (0, False), "it is on its way"
    assert again["keys"] == told["keys"]
    assert [key["use"] for key in told["keys"]] == ["signing", "coming"]
    after = told["keys"][1]["kid"]
    assert set(await published(world)) == {before, after}
    early = await renewed(world, ana)
    assert kid_of(early["accessToken"]) == before, "nobody may have heard of the new one yet"
    world.clock.advance(seconds=LEAD.total_seconds())
    # The old access token has expired by now, as each does; the one that was just renewed and the session go on.
    late = await renewed(world, ana)
    assert kid_of(late["accessToken"]) == after
    assert await said_by_all(world, late["accessToken"]) == {"ok"}
    await ana.sign_in()
    assert kid_of(ana.session["accessToken"]) == after
    code, told = await pager("keys", "list")
    assert [(key["kid"], key["use"]) for key in told["keys"]] == [(before, "verifying"), (after, "signing")]
    assert "sealed" not in json.dumps(told["keys"])
    events = await world.log("auth", "SigningKeyRotated")
    assert [(e.data.kid, str(e.data.reason), e.actor.id) for e in events] == [
        (before, "first", "auth"),
        (after, "operator", "operator"),
    ]


async def test_a_token_that_is_good_stays_good_while_its_key_is_replaced(world: World) -> None:
    ana = await world.person("ana")
    assert (await world.rpc("auth", "rotate_keys")).ok
    world.clock.advance(seconds=LEAD.total_seconds() - 60)
    old = (await renewed(world, ana))["accessToken"]
    world.clock.advance(seconds=60)
    new = (await renewed(world, ana))["accessToken"]
    assert kid_of(old) != kid_of(new)
    told = await asyncio.gather(*(said_by_all(world, token) for token in (old, new)))
    assert told == [{"ok"}, {"ok"}], "everybody knows both at once"


async def test_the_key_is_rotated_by_itself_once_however_many_replicas_there_are(world: World) -> None:
    (first,) = await published(world)
    twin = world.twin("auth", "auth-2")
    await twin.start()
    try:
        world.clock.advance(seconds=(EVERY - LEAD).total_seconds())

        async def keys() -> list[str]:
            return await published(world)

        assert len(await world.eventually(keys, lambda found: len(found) > 1, "another key")) == 2
        world.clock.advance(seconds=LEAD.total_seconds())
        await world.admin.sign_in()
        signs = kid_of(world.admin.session["accessToken"])
        assert signs != first
        for _ in range(10):  # whichever of the two answers
            await world.admin.sign_in()
            assert kid_of(world.admin.session["accessToken"]) == signs
        world.clock.advance(seconds=RETIRES.total_seconds())
        assert await published(world) == [signs]
        assert [str(e.data.reason) for e in await world.log("auth", "SigningKeyRotated")] == ["first", "age"]
    finally:
        await twin.stop()


async def test_auth_that_was_off_for_two_months_makes_one_key_and_lets_everybody_in_meanwhile(world: World) -> None:
    (first,) = await published(world)
    await world.stop("auth")
    world.clock.advance(minutes=60 * 24 * 60)
    await world.start("auth")
    await world.admin.sign_in()
    assert kid_of(world.admin.session["accessToken"]) == first

    async def keys() -> list[str]:
        return await published(world)

    assert len(await world.eventually(keys, lambda found: len(found) > 1, "another key")) == 2
    world.clock.advance(seconds=LEAD.total_seconds())
    await world.admin.sign_in()
    assert kid_of(world.admin.session["accessToken"]) != first
    assert len(await world.log("auth", "SigningKeyRotated")) == 2


async def test_a_token_of_a_key_that_is_over_is_refused_by_everybody(world: World, pager: Pager) -> None:
    """Somebody has a key of ours: what it signs is believed until the key is over, or told to be compromised."""
    ana = await world.person("ana")
    assert await said_by_all(world, ana.session["accessToken"]) == {"ok"}
    (row,) = await world.services["auth"].runtime.work.read(stored_keys)
    stolen = SigningKey.from_pem(Seal(world.values_of("auth")["master_key"]).open(row["kid"], bytes(row["sealed"])))

    hers = jwt.decode(ana.session["accessToken"], stolen.private).claims

    def forged() -> str:
        now = int(world.clock.now().timestamp())
        claims = hers | {"roles": ["admin"], "jti": str(uuid4()), "iat": now, "nbf": now, "exp": now + 900}
        return jwt.encode({"alg": "RS256", "kid": stolen.kid}, claims, stolen.private)

    earlier = forged()
    assert await said_by_all(world, earlier) == {"ok"}
    code, told = await pager("keys", "rotate", "--compromised", "--yes")
    assert code == 0, told
    assert [key["use"] for key in told["keys"]] == ["signing"]
    await renewed(world, ana)
    # Each learns of it by the first token of the new key that it sees.
    assert await said_by_all(world, ana.session["accessToken"]) == {"ok"}
    assert await said_by_all(world, forged()) == {"unauthenticated"}
    assert await said_by_all(world, earlier) == {"unauthenticated"}, "one that was let in before, too"


async def test_a_key_that_is_over_is_refused_also_where_nobody_came_with_a_new_one(world: World) -> None:
    ana = await world.person("ana")
    token = ana.session["accessToken"]
    assert await said_by_all(world, token) == {"ok"}
    assert (await world.rpc("auth", "rotate_keys", {"compromised": True})).ok
    world.clock.advance(seconds=KEYS_HELD.total_seconds())

    async def said() -> set[str]:
        return await said_by_all(world, token)

    await world.eventually(said, lambda told: told == {"unauthenticated"}, "a refusal by all")
    assert kid_of((await renewed(world, ana))["accessToken"]) != kid_of(token), "and the session goes on"
