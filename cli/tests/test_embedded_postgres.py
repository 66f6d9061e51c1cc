"""The embedded PostgreSQL: data survive stops and crashes, roles can do little, faults are one clear line."""

import asyncio
import os
import shutil
import signal
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from cli.embedded import EmbeddedPostgres, Home, StartError, places
from cli.embedded.account import Account, account_for
from cli.embedded.credentials import STATEFUL_SERVICES
from cli.embedded.database import database_setup
from libs.chassis.store.connections import at_most


@pytest.fixture
def home() -> Iterator[Home]:
    with Home.temporary() as home:
        yield home


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("postgres") / "template"


@pytest.fixture(scope="module")
async def shared(template: Path) -> AsyncIterator[EmbeddedPostgres]:
    with Home.temporary() as home:
        async with EmbeddedPostgres(home, template=template) as server:
            yield server


PRIVILEGES = """SELECT has_schema_privilege(%s, 'USAGE'), has_schema_privilege(%s, 'CREATE'),
    has_schema_privilege(%s, 'USAGE'), has_schema_privilege('public', 'CREATE'),
    has_database_privilege('pager', 'CREATE'), has_database_privilege('pager', 'TEMP'),
    (SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname = current_user)"""


async def fetch(url: str, query: str, *values: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(query.encode(), values or None)
        return await cursor.fetchall() if cursor.description else []


async def test_data_survive_a_restart_a_crash_and_a_new_start(home: Home, template: Path) -> None:
    async with EmbeddedPostgres(home, template=template) as server:
        port, first_pid = server.port, server.pid
        await fetch(server.url("owner"), "CREATE TABLE incidents.kept AS SELECT 1 AS n")
        await server.restart()
        assert (server.port, server.pid != first_pid) == (port, True)
        await fetch(server.url("owner"), "INSERT INTO incidents.kept VALUES (2)")
        await server.kill()
        assert await server.wait() == -signal.SIGKILL
        await server.restart()
        assert server.port == port
        await fetch(server.url("owner"), "INSERT INTO incidents.kept VALUES (3)")
    assert not psutil.pid_exists(server.pid)
    async with EmbeddedPostgres(home, port=port) as server:
        assert server.port == port
        assert await fetch(server.url("owner"), "SELECT sum(n) FROM incidents.kept") == [(6,)]
        await server.kill()
    async with EmbeddedPostgres(home) as server:
        assert await fetch(server.url("owner"), "SELECT sum(n) FROM incidents.kept") == [(6,)]


async def test_a_process_number_that_was_given_to_another_program_does_not_stop_a_start(
    home: Home, template: Path
) -> None:
    async with EmbeddedPostgres(home, template=template) as server:
        await server.kill()
    stale = home.postgres / "data" / "postmaster.pid"
    lines = stale.read_text().splitlines()
    # As PostgreSQL's own account, so that its check cannot tell it from a postmaster.
    account = account_for(home.postgres)
    other = await asyncio.create_subprocess_exec("sleep", "60", preexec_fn=account.before_exec(), cwd="/")
    try:
        stale.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        async with EmbeddedPostgres(home) as server:
            assert await fetch(server.url("auth"), "SELECT 1") == [(1,)]
        assert other.returncode is None
    finally:
        other.kill()
        await other.wait()


@pytest.mark.parametrize("service", STATEFUL_SERVICES)
async def test_a_service_may_use_its_schema_and_make_nothing(shared: EmbeddedPostgres, service: str) -> None:
    url = shared.url(service)
    other = next(name for name in STATEFUL_SERVICES if name != service)
    assert await fetch(url, PRIVILEGES, service, service, other) == [(True, False, False, False, False, False, False)]
    for statement in (
        f"CREATE TABLE {service}.t (n int)",
        "CREATE TABLE public.t (n int)",
        "CREATE TEMP TABLE t (n int)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await fetch(url, statement)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        await fetch(psycopg.conninfo.make_conninfo(url, dbname="postgres"), "SELECT 1")


async def test_the_owner_makes_tables_and_grants_them(shared: EmbeddedPostgres) -> None:
    owner, service = shared.url("owner"), shared.url("notifier")
    await fetch(owner, "CREATE TABLE notifier.log (n int); GRANT INSERT, SELECT ON notifier.log TO pager_notifier")
    await fetch(service, "INSERT INTO notifier.log VALUES (1)")
    assert await fetch(service, "SELECT n FROM notifier.log") == [(1,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await fetch(service, "DELETE FROM notifier.log")


async def test_setting_up_again_changes_nothing_and_renews_passwords(shared: EmbeddedPostgres) -> None:
    await database_setup(shared.url("superuser"), {"pager_oncall": "another"})
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await fetch(shared.url("oncall"), "SELECT 1")
    await shared.restart()
    credentials = shared._home.credentials().postgres
    await database_setup(shared.url("superuser"), credentials)
    assert await fetch(shared.url("oncall"), "SELECT 1") == [(1,)]


async def test_a_password_is_needed_and_shown_nowhere(shared: EmbeddedPostgres) -> None:
    password = psycopg.conninfo.conninfo_to_dict(shared.url("incidents"))["password"]
    assert isinstance(password, str)
    bare = shared.url("incidents", password=False)
    assert bare == f"postgresql://pager_incidents@127.0.0.1:{shared.port}/pager"
    assert "pager_incidents" not in shared.public_url
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        await fetch(bare, "SELECT 1")
    shown = [(shared._home.logs / "postgres.log").read_text()]
    postmaster = psutil.Process(shared.pid)
    for process in (postmaster, *postmaster.children()):
        with suppress(psutil.NoSuchProcess):  # the session refused above may be ending
            shown.append(" ".join(process.cmdline()))
    assert "fsync=on" in shown[1]
    assert not any(password in text for text in shown)


async def test_the_settings_are_durable_small_and_utc(shared: EmbeddedPostgres) -> None:
    names = (
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "jit",
        "TimeZone",
        "shared_buffers",
        "max_connections",
    )
    rows = [await fetch(shared.url("auth"), f"SHOW {name}") for name in names]
    assert [row[0][0] for row in rows] == ["on", "on", "on", "off", "UTC", "128MB", "220"]
    assert await fetch(shared.url("auth"), "SELECT current_setting('server_encoding'), upper('é')") == [("UTF8", "É")]


async def test_three_replicas_of_every_service_fit_with_all_their_sessions(shared: EmbeddedPostgres) -> None:
    async with AsyncExitStack() as held:
        for number in range(at_most(len(STATEFUL_SERVICES), 3)):
            url = shared.url(STATEFUL_SERVICES[number % len(STATEFUL_SERVICES)])
            await held.enter_async_context(await psycopg.AsyncConnection.connect(url))
        for _ in range(10):  # a migration, a backup, somebody who looks what is wrong
            await held.enter_async_context(await psycopg.AsyncConnection.connect(shared.url("owner")))


async def test_more_replicas_make_more_room(home: Home) -> None:
    async with EmbeddedPostgres(home, replicas=9) as server:
        ((room,),) = await fetch(server.url("auth"), "SHOW max_connections")
        assert int(str(room)) > at_most(len(STATEFUL_SERVICES), 9)


async def test_the_data_folder_is_private(shared: EmbeddedPostgres) -> None:
    data = (shared._home.postgres / "data").stat()
    assert stat.S_IMODE(data.st_mode) == 0o700
    assert data.st_uid == psutil.Process(shared.pid).uids().real
    assert data.st_uid != 0


async def test_a_taken_port_is_one_clear_line_and_leaves_the_home_free(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=rf"^PAGER_POSTGRES_PORT: port {port} .* choose another") as caught:
            await EmbeddedPostgres(home, port=port).start()
    assert "\n" not in str(caught.value)
    assert not list(home.postgres.iterdir())
    with Home(home.path).hold():
        pass


async def test_a_home_in_use_by_another_start_is_refused(shared: EmbeddedPostgres) -> None:
    with pytest.raises(StartError, match=rf"in use by process {os.getpid()}"):
        await EmbeddedPostgres(Home(shared._home.path)).start()
    assert await fetch(shared.url("auth"), "SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("version", "complaint"), [(None, "is no PostgreSQL data folder"), ("15\n", "was made by PostgreSQL 15")]
)
async def test_a_foreign_folder_is_one_clear_line_and_stays_untouched(
    home: Home, version: str | None, complaint: str
) -> None:
    home.prepare()
    data = home.postgres / "data"
    data.mkdir(parents=True)
    (data / "mine.txt").write_text("precious")
    if version is not None:
        (data / "PG_VERSION").write_text(version)
    with pytest.raises(StartError, match=complaint) as caught:
        await EmbeddedPostgres(home).start()
    assert str(caught.value).startswith("PAGER_HOME: ")
    assert (data / "mine.txt").read_text() == "precious"


async def test_corrupt_data_are_one_clear_line(home: Home, template: Path) -> None:
    async with EmbeddedPostgres(home, template=template):
        pass
    (home.postgres / "data" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(StartError, match=r"^PAGER_HOME: PostgreSQL did not start: .*see .*postgres\.log$"):
        await EmbeddedPostgres(home).start()


async def test_lost_passwords_are_one_clear_line(home: Home, template: Path) -> None:
    async with EmbeddedPostgres(home, template=template):
        pass
    home.credentials_file.unlink()
    with pytest.raises(StartError, match=r"^PAGER_HOME: .*other passwords.*restore that file"):
        await EmbeddedPostgres(home).start()


async def test_a_template_may_hold_more_than_a_new_installation(home: Home, template: Path, tmp_path: Path) -> None:
    migrated = tmp_path / "migrated"
    async with EmbeddedPostgres(home, template=template) as server:
        await fetch(server.url("owner"), "CREATE TABLE auth.people AS SELECT 'ann' AS name")
        await server.save_template(migrated)
    with Home.temporary() as other:
        async with EmbeddedPostgres(other, template=migrated) as server:
            assert await fetch(server.url("owner"), "SELECT name FROM auth.people") == [("ann",)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another account")
def test_programs_that_the_account_cannot_reach_are_copied(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Account.version_of
    programs = home.path / "programs"
    home.prepare()

    def version_of(self: Account, program: Path) -> str | None:
        return real(self, program) if not self.switched or programs in program.parents else None

    monkeypatch.setattr(Account, "version_of", version_of)
    monkeypatch.setattr("cli.embedded.places.PROGRAMS", programs)
    account = account_for()
    copied = places.postgres_programs(account)
    assert programs in copied.parents
    assert str(real(account, copied / "postgres")).startswith("postgres (PostgreSQL) 16.")
    assert (copied / "postgres").stat().st_uid == 0
    assert places.postgres_programs(account) == copied
    shutil.rmtree(programs)
