"""The master key is replaced while auth runs: everybody stays signed in, and nothing is lost."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from libs.chassis.service import Service
from libs.chassis.settings import SettingsError
from libs.chassis.store.changes import Gone, Patch
from libs.chassis.store.keyring import OtherSecret
from libs.chassis.store.roll_call import RollCall
from libs.chassis.store.work import Work
from libs.contracts.health import Effect
from services.auth.key_room import KeyRoom
from services.auth.sealing import derived, name_of
from services.auth.signing_keys import stored_keys
from services.auth.tables.keys import sealed_secrets, subject_keys
from services.auth.tables.passwords import second_factors
from tests.integration.test_a_second_factor_is_asked_for import code, set_up, sign_in
from tests.integration.test_signing_keys_are_rotated import kid_of, renewed, said_by_all
from tests.phone import PASSWORD
from tests.servers import Servers
from tests.world import World


class Installation(World):
    """Its master keys are what a test says when a replica starts."""

    present = ""
    previous: str | None = None

    def values_of(self, name: str) -> dict[str, Any]:
        values = super().values_of(name)
        if name == "auth":
            self.present = self.present or values["master_key"]
            values |= {"master_key": self.present, "master_key_previous": self.previous}
        return values

    async def told(self) -> dict[str, Any]:
        """What auth says of its master key."""
        return dict((await self.rpc("auth", "signing_keys")).data["masterKey"])

    async def sealed(self) -> None:
        """Return when auth says that all is sealed by the present one."""

        async def look() -> dict[str, Any]:
            return await self.told()

        await self.eventually(look, lambda told: told["sealedByOthers"] == 0, "secrets that are sealed anew")

    async def start_anew(self, present: str) -> None:
        """After a start that was refused, or a stop."""
        self.present, self.previous = present, None
        await self.start("auth")

    async def restarted(self, present: str, previous: str | None = None) -> None:
        self.present, self.previous = present, previous
        await self.stop("auth")
        await self.start("auth")


def room_of(service: Service) -> KeyRoom:
    (room,) = (engine for engine in service.parts.engines if isinstance(engine, KeyRoom))
    return room


async def test_the_old_master_key_then_both_then_the_new_one_alone(servers: Servers) -> None:
    async with Installation(servers) as world:
        ana = await world.person("ana")
        old, new = world.present, secrets.token_hex(32)
        token, kid = ana.session["accessToken"], kid_of(ana.session["accessToken"])
        shown = ana.session["refreshToken"]
        answer = await world.http("POST", "/auth/refresh", {"deviceId": ana.device_id}, shown)
        following = answer.data["tokens"]["refreshToken"]

        await world.restarted(new, old)
        assert await world.told() | {"sealedByOthers": 0} == {
            "name": name_of(new),
            "sealedByOthers": 0,
            "unreadable": 0,
            "waitsFor": [],
            "isLeftBehind": False,
        }
        again = await world.http("POST", "/auth/refresh", {"deviceId": ana.device_id}, shown)
        assert again.data["tokens"]["refreshToken"] == following, "whoever has not heard the answer is told it again"
        assert await said_by_all(world, token) == {"ok"}
        await world.sealed()

        await world.restarted(new)
        await world.sealed()
        ana.session["refreshToken"] = following
        late = (await renewed(world, ana))["accessToken"]
        assert kid_of(late) == kid
        for one in (token, late):
            assert await said_by_all(world, one) == {"ok"}
        with pytest.raises(SettingsError, match=r"PAGER_MASTER_KEY: is not the key .* PAGER_MASTER_KEY_PREVIOUS"):
            await world.restarted(old)
        await world.start_anew(new)


async def test_a_second_factor_is_sealed_anew_and_a_recovery_code_goes_without_it(servers: Servers) -> None:
    async with Installation(servers) as world:
        ana, bo = await world.person("ana"), await world.person("bo")
        old, new = world.present, secrets.token_hex(32)
        secret, _ = await set_up(world, ana)
        await world.restarted(new, old)
        assert (await sign_in(world, ana.email, code(world, secret))).status == 200
        await world.sealed()
        await world.restarted(new)
        world.clock.advance(seconds=60)
        assert (await sign_in(world, ana.email, code(world, secret))).status == 200
        _, recovery = await set_up(world, bo)
        await _put(world, bo.user_id, sealed=b"by another one", sealed_by="another")
        assert (await sign_in(world, bo.email, "123456")).status == 503
        assert (await sign_in(world, bo.email, recovery[0])).status == 200


async def _put(world: World, user_id: UUID, **values: Any) -> None:
    store = world.services["auth"].runtime.work
    await store.transact(lambda work: work.put(Patch(second_factors, {"user_id": user_id} | values)))


async def test_a_wrong_master_key_is_said_at_the_start_and_destroys_nothing(servers: Servers) -> None:
    async with Installation(servers) as world:
        right = world.present
        before = await world.services["auth"].runtime.work.read(stored_keys)
        wrong, other = secrets.token_hex(32), secrets.token_hex(32)
        for present, previous in ((wrong, None), (wrong, other)):
            with pytest.raises(SettingsError) as refused:
                await world.restarted(present, previous)
            assert wrong not in str(refused.value)
            await world.start_anew(right)
            assert await world.services["auth"].runtime.work.read(stored_keys) == before
        await world.admin.sign_in()


async def _as_before(world: World) -> None:
    """A release from before has sealed nothing but its signing key."""
    gone = [Gone(sealed_secrets, {"name": name}) for name in ("refresh-tokens", "guesses")]
    await world.services["auth"].runtime.work.transact(lambda work: work.put(*gone))


async def test_a_wrong_master_key_destroys_nothing_of_a_release_from_before_either(servers: Servers) -> None:
    """Whatever were sealed under it could not be opened once it is put right."""
    async with Installation(servers) as world:
        right, wrong = world.present, secrets.token_hex(32)
        await _as_before(world)
        with pytest.raises(SettingsError):
            await world.restarted(wrong)
        await world.start_anew(right)
        await _as_before(world)
        await world.restarted(right, wrong)
        derived_before = derived(right, b"pager/auth/refresh-tokens/v1")
        assert room_of(world.services["auth"]).sealed.refresh_key() == derived_before, "its replicas may still run"
        await world.restarted(right)
        await world.admin.sign_in()


async def _live(world: Installation, name: str) -> None:
    """Each sign-in, invite, list and second factor goes well, whichever replica answers."""
    for number in range(4):
        await world.admin.sign_in()
        await world.person(f"{name}{number}")
        listed = await world.admin.call("GET", "/users?limit=100")
        assert listed.status == 200
        assert "[sealed]" not in str(listed.body)
    somebody = world.phone(f"{name}0")
    secret, _ = await set_up(world, somebody)
    world.clock.advance(seconds=60)
    for _ in range(2):
        assert (await sign_in(world, somebody.email, code(world, secret))).status == 200
        world.clock.advance(seconds=60)


@pytest.mark.parametrize("order", [("auth-1", "auth-2"), ("auth-2", "auth-1")])
async def test_people_sign_in_while_two_replicas_are_given_the_new_master_key_one_after_the_other(
    servers: Servers, order: tuple[str, str]
) -> None:
    async with Installation(servers) as world:
        old, new = world.present, secrets.token_hex(32)
        ana = await world.person("ana")
        twin = world.twin("auth", "auth-2")
        await twin.start()
        replicas = {"auth-1": world.services.pop("auth"), "auth-2": twin}

        async def started_anew(name: str, previous: str | None) -> Service:
            await replicas.pop(name).stop()
            world.present, world.previous = new, previous
            replicas[name] = world.twin("auth", name)
            await replicas[name].start()
            return replicas[name]

        try:
            fresh = await started_anew(order[0], old)
            sealed = room_of(fresh).sealed
            await sealed.reseal()
            assert (await fresh.runtime.rpc.read(sealed.view)).waits_for == (order[1],)
            await _live(world, "between")
            assert set(await _sealed_by(fresh)) == {name_of(old)}, "until everybody opens what the new one seals"

            await started_anew(order[1], old)
            await world.sealed()
            assert set(await _sealed_by(fresh)) == {name_of(new)}
            await _live(world, "after")

            for name in order:
                await started_anew(name, None)
                await _live(world, f"at-{name}")
            await renewed(world, ana)
        finally:
            for service in replicas.values():
                await service.stop()
            world.present, world.previous = new, old
            await world.start("auth")


async def _sealed_by(service: Service) -> list[str]:
    """The master keys by which persons' keys and auth's own secrets are sealed."""

    def read(work: Work) -> list[str]:
        rows = [*work.fetch(select(subject_keys).where(subject_keys.c.sealed.is_not(None)))]
        return [row["sealed_by"] for row in (*rows, *work.fetch(select(sealed_secrets)))]

    return await service.runtime.rpc.read(read)


class _Alone(RollCall):
    """As if nobody else ran: so it looks to a database that has ended the sessions of a replica that is frozen."""

    def sealing(self, work: Work) -> str:
        return self.opens[0]


async def test_a_replica_that_was_left_behind_says_so_once_and_asks_to_come_again(
    servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Installation(servers) as world:
        ana = await world.person("ana")
        old, new = world.present, secrets.token_hex(32)
        elder = world.services["auth"]
        world.present, world.previous = new, old
        twin = world.twin("auth", "auth-2")
        await twin.start()
        sealed = room_of(twin).sealed
        await replace(sealed, roll_call=_Alone("auth", "auth-2", sealed.seal.names)).reseal()
        await twin.stop()
        world.clock.advance(minutes=6)  # it has forgotten what it had opened
        try:
            capsys.readouterr()
            login = {"email": ana.email, "password": PASSWORD, "deviceId": ana.device_id}
            for _ in range(3):
                answer = await world.http("POST", "/auth/login", login)
                assert (answer.status, answer.body["error"]["code"]) == (503, "UNAVAILABLE")
            assert capsys.readouterr().out.count("no master key that is given here") <= 1
            gauges = await elder.runtime.rpc.read(lambda work: list(room_of(elder).gauges(work)))
            assert {g.name: g.value for g in gauges}["pager_master_key_missing"] == 1
            (trouble,) = [one for one in room_of(elder).troubles() if "another master key" in one.problem]
            assert trouble.effect is Effect.OUTAGE
        finally:
            await world.stop("auth")
            await world.start_anew(new)
        await ana.sign_in()


async def test_replicas_with_the_old_and_the_new_master_key_stand_beside_each_other(servers: Servers) -> None:
    """As while a release rolls out: whoever starts again with the old one alone is refused, and the others go on."""
    async with Installation(servers) as world:
        ana = await world.person("ana")
        old, new = world.present, secrets.token_hex(32)
        world.present, world.previous = new, old
        twin = world.twin("auth", "auth-2")
        await twin.start()
        try:
            await world.stop("auth")  # the twin leads, and seals everything anew
            await world.sealed()
            world.present, world.previous = old, None
            with pytest.raises(SettingsError):
                await world.start("auth")
            await renewed(world, ana)
            assert await said_by_all(world, ana.session["accessToken"]) == {"ok"}
        finally:
            await twin.stop()
            await world.start_anew(new)


async def test_an_old_replica_that_still_runs_signs_and_makes_no_key_that_nobody_could_open(servers: Servers) -> None:
    async with Installation(servers) as world:
        ana = await world.person("ana")
        old, new = world.present, secrets.token_hex(32)
        elder = world.services["auth"]
        world.present, world.previous = new, old
        twin = world.twin("auth", "auth-2")
        await twin.start()
        try:
            sealed = room_of(twin).sealed
            sealed = replace(sealed, roll_call=_Alone("auth", "auth-2", sealed.seal.names))
            assert await sealed.reseal() > 0
            assert await sealed.reseal() == 0, "and once"
            with pytest.raises(OtherSecret):
                await room_of(elder).rotate(compromised=True)
            for _ in range(6):  # whichever of the two answers
                await renewed(world, ana)
                assert await said_by_all(world, ana.session["accessToken"]) == {"ok"}
        finally:
            await twin.stop()
            await world.stop("auth")
            await world.start_anew(new)
