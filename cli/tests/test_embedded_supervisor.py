"""Whoever starts the servers may be an ordinary user, and may be killed: neither harms the data."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import psycopg
import pytest

from cli.embedded import EmbeddedNats, EmbeddedPostgres, Home
from cli.embedded.account import Account, account_for
from libs.chassis.testing.deadline import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(psutil.__file__).parents[1]

SUPERVISOR = """
import asyncio, json, os, sys
import cli.embedded.account
from cli.embedded import EmbeddedNats, EmbeddedPostgres, Home

if "orphans" in sys.argv:
    cli.embedded.account._LIBC = None  # as on a system that cannot tell a child of its parent's death

async def main():
    home = Home(sys.argv[1])
    async with EmbeddedPostgres(home) as postgres, EmbeddedNats(home) as nats:
        print(json.dumps({"postgres": postgres.pid, "nats": nats.pid, "uid": os.getuid()}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@pytest.fixture
def home() -> Iterator[Home]:
    with Home.temporary() as home:
        yield home


def supervise(
    home: Home, *options: str, python: str = sys.executable, account: Account | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, "-c", SUPERVISOR, home.path, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={"PYTHONPATH": f"{ROOT}:{PACKAGES}", "PATH": os.environ["PATH"]},
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def started(supervisor: subprocess.Popen[str]) -> Mapping[str, int]:
    assert supervisor.stdout is not None
    pids: dict[str, int] = json.loads(supervisor.stdout.readline())
    return pids


def end(supervisor: subprocess.Popen[str]) -> None:
    supervisor.kill()
    supervisor.communicate()


def ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell a child of its parent's death")
async def test_servers_end_when_their_supervisor_is_killed(home: Home) -> None:
    supervisor = supervise(home)
    pids = started(supervisor)
    end(supervisor)
    deadline = time.monotonic() + DEADLINE
    while not (ended(pids["postgres"]) and ended(pids["nats"])):
        assert time.monotonic() < deadline, "a server was left behind"
        await asyncio.sleep(0.01)


async def test_servers_that_were_left_behind_are_stopped_before_a_new_start(home: Home) -> None:
    supervisor = supervise(home, "orphans")
    left = started(supervisor)
    end(supervisor)
    assert not ended(left["postgres"])
    assert not ended(left["nats"])
    async with EmbeddedPostgres(home) as postgres, EmbeddedNats(home) as nats:
        assert ended(left["postgres"])
        assert ended(left["nats"])
        assert {postgres.pid, nats.pid}.isdisjoint(left.values())
        async with await psycopg.AsyncConnection.connect(postgres.url("auth")) as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


def python_for(account: Account) -> str:
    """A Python of this version that the account can run with our packages, else the test is skipped."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        done = account.version_of(Path(name)) and subprocess.run(
            [name, "-c", "import cli.embedded"],
            env={"PYTHONPATH": f"{ROOT}:{PACKAGES}", "PYTHONDONTWRITEBYTECODE": "1"},
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
        if done and done.returncode == 0:
            return name
    pytest.skip("an ordinary user cannot read this environment")


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user every other test shows it")
def test_an_ordinary_user_runs_everything_as_itself_and_root_may_take_over(home: Home) -> None:
    account = account_for()
    python = python_for(account)
    os.chown(home.path, account.uid, account.gid)
    home.path.chmod(0o700)
    supervisor = supervise(home, python=python, account=account)
    try:
        pids = started(supervisor)
        assert pids["uid"] == account.uid
        assert {psutil.Process(pids[name]).uids().real for name in ("postgres", "nats")} == {account.uid}
    finally:
        supervisor.communicate("stop\n", timeout=DEADLINE)
    assert supervisor.returncode == 0

    async def as_root() -> None:
        async with EmbeddedPostgres(home) as postgres:
            assert psutil.Process(postgres.pid).uids().real == account.uid

    with asyncio.Runner() as runner:
        runner.run(as_root())
    assert not home.postgres.is_symlink()
    assert {path.stat().st_uid for path in home.path.rglob("*")} == {account.uid}
    shutil.rmtree(home.path / "logs")
