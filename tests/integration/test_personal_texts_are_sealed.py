"""What belongs to a person is read with their key only: in logs, in tables, and on the bus."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from nats.errors import Error as NatsError
from sqlalchemy import select

from libs.chassis.service import Service
from libs.chassis.store.person_keys import forget_key
from libs.chassis.testing.deadline import DEADLINE
from libs.contracts.auth import DeviceRegistered, UserRegistered
from libs.contracts.codec import CODEC
from libs.contracts.model import StillSealed
from libs.contracts.person_keys import PersonKeys, PersonKeysOf
from libs.contracts.requests import Reply
from services.auth.subject_keys import destroy, keys_of
from services.oncall import main as oncall
from services.oncall.projections import people
from services.oncall.settings import Settings
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, query, rebuilt
from tests.world import World


@pytest.mark.services("auth")
async def test_whoever_has_no_key_reads_neither_names_nor_tokens(world: World) -> None:
    ana = await world.person("ana")
    stored = await query(world, "SELECT topic, state FROM auth.stored_events ORDER BY notification_id")
    events = [CODEC.decode(topic, bytes(state)).data for topic, state in stored]
    (registered,) = [e for e in events if isinstance(e, UserRegistered) and e.user_id == ana.user_id]
    assert isinstance(registered.first_name, StillSealed)
    (device,) = [e for e in events if isinstance(e, DeviceRegistered) and e.user_id == ana.user_id]
    assert isinstance(device.push_token, StillSealed)
    ((email, first),) = await query(world, "SELECT email, first_name FROM auth.users WHERE id = %s", ana.user_id)
    assert "ana" not in email.lower()
    assert "ana" not in first.lower()
    assert (await ana.call("GET", "/users/me")).data["user"]["firstName"] == "Ana"


async def test_a_table_holds_the_box_of_the_event_and_is_made_anew_without_keys(world: World) -> None:
    ana, _ = await world.two_responders()
    assert (await ana.call("PATCH", "/users/me", {"firstName": "Anna", "phone": "+4512345678"})).status == 200
    await world.admin.call("POST", "/invites", {"email": "cy@pager.test"})
    await world.settle()
    for service in ("auth", "notifier", "oncall"):
        assert not differences(await rebuilt(world, service)), service
    assert (await ana.call("GET", "/users/me")).data["user"]["firstName"] == "Anna"
    await world.fire_alert(priority="critical")
    await ana.expect_push("db down")


async def test_a_cold_notifier_pages_with_auth_away(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.settle()
    for service in ("notifier", "auth"):
        await world.stop(service)
    await world.start("notifier")
    await world.fire_alert(priority="critical")
    await ana.expect_push("db down")
    await world.advance(minutes=6)
    await bo.expect_push("db down")


async def test_a_page_waits_for_no_key_and_goes_when_it_is_there(world: World) -> None:
    """The key of Ana's phone is missing while auth is away: others are paged, and so is she when it is back."""
    ana, bo = await world.two_responders()
    await world.policy((5, "ana+bo"))
    await world.settle()
    await world.stop("auth")
    store = world.services["notifier"].runtime.work
    await store.transact(lambda work: forget_key(work, ana.user_id))
    await world.fire_alert(priority="critical")
    await bo.expect_push("db down")

    async def attempts() -> list[Any]:
        return await world.log("notifier", "AttemptFailed")

    failed = await world.eventually(attempts, lambda found: len(found) > 0, "an attempt at her phone")
    assert failed[0].data.reason == "the key of its push token is not here yet"
    await world.start("auth")
    await world.advance(seconds=30)
    await ana.expect_push("db down")


async def test_another_secret_of_the_service_fetches_the_keys_anew(world: World) -> None:
    ana, _ = await world.two_responders()
    await world.stop("notifier")
    world.sealing_keys["notifier"] = "another secret of the notifier's, as long as it must be"
    await world.start("notifier")
    await world.fire_alert(priority="critical")
    await ana.expect_push("db down")
    await world.settle()
    ((names,),) = await query(world, "SELECT count(DISTINCT sealed_by) FROM notifier.person_keys")
    assert names == 1


async def test_every_replica_reads_names_while_the_secret_of_a_service_is_replaced(world: World) -> None:
    old, new = world.sealing_keys["oncall"], "another secret of oncall's, which is as long as it must be"

    async def started(instance: str, **keys: str) -> Service:
        values = world.values_of("oncall") | {"instance": instance} | keys
        service = oncall.service(Settings(**values), world.clock)
        await service.start()
        return service

    async def names(service: Service) -> set[str]:
        rows = await service.runtime.rpc.read(lambda work: work.fetch(select(people)))
        return {str(row["first_name"]) for row in rows}

    async def sealed_by() -> list[str]:
        return [name for (name,) in await query(world, "SELECT DISTINCT sealed_by FROM oncall.person_keys")]

    await world.person("ana")
    await world.settle()
    (before,) = await sealed_by()
    fresh = await started("oncall-2", sealing_key=new, sealing_key_previous=old)
    await world.stop("oncall")  # the fresh one leads, and the other one comes back with the old secret alone
    replicas = [fresh, await started("oncall-1", sealing_key=old)]
    try:
        await world.person("bo")
        for replica in replicas:
            seen = await world.eventually(partial(names, replica), lambda found: "Bo" in found, "somebody new")
            assert seen == {"Pager", "Ana", "Bo"}
        assert await sealed_by() == [before], "by the one that both have"
        await replicas.pop().stop()
        replicas.append(await started("oncall-1", sealing_key=new, sealing_key_previous=old))
        await world.person("cy")
        await world.eventually(sealed_by, lambda found: found not in ([before], []), "keys that are sealed anew")
        await world.eventually(sealed_by, lambda found: len(found) == 1, "all of them")
        for replica in replicas:
            await world.eventually(partial(names, replica), lambda found: "Cy" in found, "somebody new")
            assert await names(replica) == {"Pager", "Ana", "Bo", "Cy"}
        await replicas.pop().stop()
        replicas.append(await started("oncall-1", sealing_key=new))
        assert await names(replicas[-1]) == {"Pager", "Ana", "Bo", "Cy"}
    finally:
        for replica in replicas:
            await replica.stop()


@pytest.mark.services("auth")
async def test_what_a_destroyed_key_has_sealed_is_read_by_nobody_and_nothing_more_is_sealed(world: World) -> None:
    ana = await world.person("ana")
    store = world.services["auth"].runtime.rpc
    await store.transact(lambda work: destroy(work, ana.user_id))
    view = (await world.admin.call("GET", f"/users/{ana.user_id}")).data["user"]
    assert (view["firstName"], view["email"]) == ("[sealed]", "[sealed]")
    assert (await ana.call("PATCH", "/users/me", {"firstName": "Anna"})).status >= 400
    box = await store.read(lambda work: keys_of(work).key(ana.user_id))
    assert box is None
    assert not differences(await rebuilt(world, "auth", swap=False))
    assert (await world.admin.call("GET", "/users?limit=1")).data["users"]


@pytest.mark.services("auth")
async def test_people_are_listed_by_name_page_by_page_though_no_name_is_in_the_clear(world: World) -> None:
    for name in ("dora", "bo", "ana", "cy"):
        await world.person(name)
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await world.admin.call("GET", f"/users?limit=2{cursor and '&cursor=' + cursor}")).data
        seen += [user["firstName"] for user in page["users"]]
        assert page["pagination"]["total"] == 5
        if len(seen) == 2:  # renamed meanwhile, they move, and nobody else does
            await world.phone("ana").call("PATCH", "/users/me", {"lastName": "Aaa"})
        cursor = page.get("nextCursor")
    assert seen == ["Pager", "Ana", "Bo", "Cy", "Dora"]
    refused = await world.admin.call("GET", "/users?cursor=WyJ1c2VycyJd")
    assert (refused.status, refused.body["error"]["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.services("auth")
async def test_people_are_searched_by_their_names_and_by_their_address_though_neither_is_in_the_clear(
    world: World,
) -> None:
    for name in ("dora", "bo", "ana", "cy"):
        await world.person(name)
    await world.phone("ana").call("PATCH", "/users/me", {"lastName": "A\u030ase-Tester"})

    async def found(text: str, more: str = "") -> list[str]:
        answer = await world.phone("bo").call("GET", f"/users?q={quote(text)}{more}")
        assert answer.status == 200, answer.body
        names = [user["firstName"] for user in answer.data["users"]]
        assert answer.data["pagination"]["total"] >= len(names)
        return names

    assert await found("TESTER") == ["Ana", "Bo", "Cy", "Dora"]
    assert await found("tes do") == ["Dora"]
    assert await found("\u00c5SE ana") == ["Ana"], "composed or not"
    assert await found(" CY@pager.test") == ["Cy"]
    assert await found("cy@pager") == await found("nobody") == []
    first = await world.phone("bo").call("GET", "/users?q=tester&limit=3")
    assert first.data["pagination"]["total"] == 4
    assert await found("tester", f"&limit=3&cursor={first.data['nextCursor']}") == ["Dora"]
    assert (await world.admin.call("GET", "/users?q=%20")).status == 400


async def test_only_services_that_read_personal_texts_are_given_keys(world: World, subtests: pytest.Subtests) -> None:
    ana = await world.person("ana")
    asked = PersonKeysOf(user_ids=(ana.user_id,)).to_json()
    service = await world.servers.connect("notifier")
    reply = Reply.model_validate_json(
        (await service.request("pager.rpc.auth.person_keys", asked, timeout=DEADLINE)).data
    )
    assert list(PersonKeys.model_validate(reply.data).keys) == [ana.user_id]
    await service.close()
    for user in ("gateway", "operator", "auditor"):
        with subtests.test(user=user):
            other = await world.servers.connect(user)
            with pytest.raises(NatsError):
                await other.request("pager.rpc.auth.person_keys", asked, timeout=1)
            await other.close()
