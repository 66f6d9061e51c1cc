"""`pager migrate up|down|status`: schemas go where they are told, and say why when they cannot."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from cli import main as entry
from cli.commands.migrate import losses
from cli.embedded import EmbeddedPostgres, Home
from cli.settings import Settings
from libs.contracts.subjects import SERVICES

Pager = Callable[..., tuple[int, Any]]


@pytest_asyncio.fixture(scope="module")
async def database() -> AsyncIterator[EmbeddedPostgres]:
    with Home.temporary() as home:
        async with EmbeddedPostgres(home) as running:
            yield running


@pytest.fixture
def pager(
    database: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Pager:
    """Calls a command on that server as on one outside; its exit code, and its JSON or its line of complaint."""
    settings = replace(Settings.from_environment(), home=Home(tmp_path), database_url=database.url("superuser"))
    monkeypatch.setattr(Settings, "from_environment", classmethod(lambda _cls: settings))

    def call(*arguments: str) -> tuple[int, Any]:
        code = entry.exit_code_of(lambda: entry.app([*arguments, "--json"], standalone_mode=False))
        told = capsys.readouterr()
        return code, json.loads(told.out) if told.out else told.err

    return call


def test_schemas_go_up_to_a_revision_down_again_and_to_the_newest(pager: Pager) -> None:
    assert pager("migrate", "up", "incidents", "--to", "0001")[0] == 0  # which makes the schemas
    assert pager("migrate", "down", "incidents", "--to", "base", "--yes")[0] == 0
    code, found = pager("migrate", "status")
    assert (code, {s["service"]: s["current"] for s in found}) == (0, dict.fromkeys(SERVICES))
    assert all(s["pending"] and s["pending"][-1] == s["head"] for s in found)

    code, (incidents,) = pager("migrate", "up", "incidents", "--to", "0001")
    assert (code, incidents["current"], incidents["pending"][0]) == (0, "0001", "0002")
    code, (incidents,) = pager("migrate", "up", "incidents")
    assert (code, incidents["current"], incidents["pending"]) == (0, incidents["head"], [])
    code, (incidents,) = pager("migrate", "down", "incidents", "--to", "0001", "--yes")
    assert (code, incidents["current"]) == (0, "0001")
    code, (incidents,) = pager("migrate", "down", "incidents", "--yes")
    assert (code, incidents["current"]) == (0, None)

    code, found = pager("migrate", "up")
    assert (code, {s["service"]: s["current"] for s in found}) == (0, {s["service"]: s["head"] for s in found})


@pytest.mark.parametrize(
    ("start", "arguments", "says"),
    [
        ("head", ("up", "oncall", "--to", "4711"), "oncall has no revision 4711, only base, 0001"),
        ("head", ("down", "oncall", "--to", "4711"), "oncall has no revision 4711, only base, 0001"),
        ("head", ("up", "incidents", "--to", "0001"), "above 0001: that is a way down"),
        ("base", ("down", "oncall"), "oncall is empty: there is nothing to take back"),
        ("base", ("down", "oncall", "--to", "0001"), "below 0001: that is a way up"),
    ],
)
def test_where_a_schema_cannot_go_is_said_in_a_line(
    pager: Pager, start: str, arguments: tuple[str, ...], says: str
) -> None:
    service = arguments[1]
    assert pager("migrate", "up", service)[0] == 0
    if start == "base":
        assert pager("migrate", "down", service, "--to", "base", "--yes")[0] == 0
    before = pager("migrate", "status", service)
    code, told = pager("migrate", *arguments)
    assert (code, told.count("\n"), says in told) == (2, 1, True), told
    assert pager("migrate", "status", service) == before


def test_a_release_before_the_schema_finds_nothing_to_do(pager: Pager, database: EmbeddedPostgres) -> None:
    assert pager("migrate", "up", "auth")[0] == 0
    with psycopg.connect(database.url("superuser"), autocommit=True) as connection:
        connection.execute("UPDATE auth.alembic_version SET version_num = '9999'")
        code, (auth,) = pager("migrate", "status", "auth")
        assert (code, auth["current"], auth["pending"]) == (0, "9999", [])
        assert "auth has no revision 9999" in pager("migrate", "down", "auth")[1]
        connection.execute("UPDATE auth.alembic_version SET version_num = %s", (auth["head"],))


def test_a_way_down_is_agreed_to_and_is_none_while_somebody_is_there(pager: Pager, database: EmbeddedPostgres) -> None:
    assert pager("migrate", "up", "auth")[0] == 0
    code, told = pager("migrate", "down", "auth")
    assert (code, "nothing was taken back; --json needs --yes" in told) == (2, True), told
    service = {"application_name": "pager/notifier/notifier-1/lock"}
    with psycopg.connect(database.url("superuser"), **service):  # type: ignore[arg-type]
        code, told = pager("migrate", "down", "auth", "--yes")
        assert (code, "the database is in use by notifier: stop them first" in told) == (1, True), told
    code, (auth,) = pager("migrate", "status", "auth")
    assert (code, auth["current"]) == (0, auth["head"])


def test_what_a_way_down_costs_is_said(pager: Pager) -> None:
    assert pager("migrate", "up", "incidents")[0] == 0
    settings = Settings.from_environment()
    told = asyncio.run(losses(settings, "incidents", "0004"))
    assert told.startswith("incidents goes down to 0004. Lost is what only these hold: ")
    assert told.endswith("; 0005 (Epochs say why they were begun, and the service may begin one).")
    told = asyncio.run(losses(settings, "incidents", "base"))
    assert "its log with 0 events" in told
    assert "read and paged again" in told
