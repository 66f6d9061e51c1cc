"""Lockouts, stolen sessions and new countries: whom they concern and all admins are mailed, and not too often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from libs.chassis.settings import SettingsError
from services.auth.settings import Settings
from tests.mailbox import Mailbox
from tests.phone import PASSWORD, Answer
from tests.servers import Servers
from tests.world import World

NORWAY, SWEDEN, NOWHERE = "198.51.100.7", "203.0.113.9", "192.0.2.1"


def countries(path: Path, kind: str = "Pager-Test-Country", value: Any = None) -> str:
    """A file of two countries, made here: the real ones are licensed."""
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type=kind, int_type="u32")
    for address, code in ((NORWAY, "NO"), (SWEDEN, "SE")):
        writer.insert_network(IPSet([f"{address}/24"]), value or {"country": {"iso_code": code}})
    writer.to_db_file(str(path))
    return str(path)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
async def world(servers: Servers, mailbox: Mailbox, tmp_path: Path) -> AsyncIterator[World]:
    settings = {"trusted_proxies": "127.0.0.1", "geoip_file": countries(tmp_path / "countries.mmdb")}
    async with World(servers, ("auth",), public_url="https://pager.example/", **mailbox.settings, **settings) as world:
        yield world


async def sign_in(world: World, email: str, address: str, password: str = PASSWORD) -> Answer:
    body = {"email": email, "password": password, "deviceId": f"of {address}"}
    return await world.http("POST", "/auth/login", body, **{"X-Forwarded-For": address})


async def mails(world: World, mailbox: Mailbox, email: str, subject: str, count: int = 1) -> list[Any]:
    async def look() -> list[Any]:
        world.clock.advance(seconds=5)
        return [mail for mail in mailbox.to(email) if subject in mail["Subject"]]

    return list(await world.eventually(look, lambda found: len(found) >= count, f"{count} mails to {email}"))


async def test_a_sign_in_from_a_new_country_is_told_once_and_goes_on(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    for address in (NOWHERE, NORWAY, NORWAY):
        assert (await sign_in(world, ana.email, address)).status == 200
    assert await world.log("auth", "SignedInFromNewCountry") == [], "one is where they are at home"
    assert (await sign_in(world, ana.email, SWEDEN)).status == 200
    assert (await sign_in(world, ana.email, SWEDEN)).status == 200
    (event,) = await world.log("auth", "SignedInFromNewCountry")
    assert (event.data.country, event.data.ip_address) == ("SE", SWEDEN)
    (own,) = await mails(world, mailbox, ana.email, "new country")
    assert "your account" in own.get_content()
    (to_admin,) = await mails(world, mailbox, world.admin.email, "new country")
    assert f"https://pager.example/api/v1/audit?resource=users/{ana.user_id}" in to_admin.get_content()
    assert SWEDEN not in own.get_content() + to_admin.get_content(), "mails travel in the clear"


async def test_a_lockout_is_mailed_once_an_hour_whatever_strangers_do(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    for number in range(3):
        for _ in range(5):
            assert (await sign_in(world, ana.email, f"192.0.2.{number + 10}", "wrong")).status == 401
    bo = await world.person("bo")
    for _ in range(5):
        await sign_in(world, bo.email, "192.0.2.99", "wrong")
    assert len(await mails(world, mailbox, bo.email, "wrong passwords")) == 1
    assert len(await mails(world, mailbox, ana.email, "wrong passwords")) == 1
    assert len(await mails(world, mailbox, world.admin.email, "wrong passwords")) == 1
    world.clock.advance(minutes=61)
    for _ in range(5):
        await sign_in(world, ana.email, "192.0.2.50", "wrong")
    await mails(world, mailbox, world.admin.email, "wrong passwords", count=2)


async def test_a_stolen_session_is_mailed_also_by_a_server_that_was_away(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    mailbox.refuses = "451 later"
    tokens = (await sign_in(world, ana.email, NORWAY)).data["tokens"]

    async def refresh(token: str) -> Answer:
        body = {"deviceId": f"of {NORWAY}"}
        return await world.http("POST", "/auth/refresh", body, Authorization=f"Bearer {token}")

    second = (await refresh(tokens["refreshToken"])).data["tokens"]
    assert (await refresh(second["refreshToken"])).status == 200
    world.clock.advance(seconds=11)
    assert (await refresh(tokens["refreshToken"])).status == 401

    async def refused() -> int:
        world.clock.advance(seconds=5)
        return mailbox.asked

    await world.eventually(refused, lambda asked: asked >= 2, "the server has refused them")
    mailbox.refuses = None
    for email in (ana.email, world.admin.email):
        assert len(await mails(world, mailbox, email, "ended as stolen")) == 1


def _settings(**more: Any) -> Settings:
    needed = {"database_url": "postgresql://u:p@127.0.0.1/p", "nats_url": "nats://127.0.0.1", "master_key": "k" * 32}
    return Settings.load(**needed, **more)


def test_a_file_that_says_no_countries_stops_the_start_with_its_name(tmp_path: Path) -> None:
    missing, garbage = tmp_path / "none.mmdb", tmp_path / "garbage.mmdb"
    garbage.write_bytes(b"not a database" * 1000)
    cut = tmp_path / "cut.mmdb"
    cut.write_bytes(Path(countries(tmp_path / "whole.mmdb")).read_bytes()[:100])
    other = countries(tmp_path / "asn.mmdb", kind="GeoLite2-ASN")
    for path, said in ((missing, "not there"), (garbage, "no database"), (cut, "no database"), (other, "ASN")):
        with pytest.raises(SettingsError, match="PAGER_GEOIP_FILE") as caught:
            _settings(geoip_file=str(path))
        assert said in str(caught.value)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [{"country": "NO"}, {"country": {"iso_code": 7}}, {"other": 1}, {"country": {}}])
async def test_a_file_that_says_something_else_keeps_nobody_out(servers: Servers, tmp_path: Path, value: Any) -> None:
    odd = countries(tmp_path / "odd.mmdb", value=value)
    async with World(servers, ("auth",), trusted_proxies="127.0.0.1", geoip_file=odd) as world:
        ana = await world.person("ana")
        for address in (NORWAY, SWEDEN, "2001:db8::1"):
            assert (await sign_in(world, ana.email, address)).status == 200
        assert await world.log("auth", "SignedInFromNewCountry") == []
