"""The master key is replaced while auth runs: everybody stays signed in, and nothing is lost."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

import pytest

from libs.chassis.service import Service
from libs.chassis.settings import SettingsError
from libs.chassis.store.changes import Gone, Patch
from services.auth.key_room import KeyRoom
from services.auth.projections import sealed_secrets, second_factors
from services.auth.sealing import derived, name_of
from services.auth.signing_keys import OtherMasterKey, stored_keys
from tests.integration.test_a_second_factor_is_asked_for import code, set_up, sign_in
from tests.integration.test_signing_keys_are_rotated import kid_of, renewed, said_by_all
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
            assert await sealed.reseal() > 0  # as it does once it leads
            assert await sealed.reseal() == 0, "and once"
            with pytest.raises(OtherMasterKey):
                await room_of(elder).rotate(compromised=True)
            for _ in range(6):  # whichever of the two answers
                await renewed(world, ana)
                assert await said_by_all(world, ana.session["accessToken"]) == {"ok"}
        finally:
            await twin.stop()
            await world.stop("auth")
            await world.start_anew(new)
