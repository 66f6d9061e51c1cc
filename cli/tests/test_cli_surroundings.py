"""Whatever the shell around it says, and whatever its home is called, Pager starts and pages."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cli.console.failure import Failure
from cli.embedded import EmbeddedPostgres, Home
from cli.entry import leave_out_pythonpath
from cli.reach import outside
from cli.stack.environment import common
from libs.chassis.store.connections import session
from libs.chassis.surroundings import forget_libpq
from libs.chassis.testing.deadline import DEADLINE

PAGER = Path(sys.executable).with_name("pager")
ODD = {
    "PGSSLMODE": "verify-full",
    "PGHOSTADDR": "192.0.2.1",
    "PGSERVICE": "nobody",
    "PGOPTIONS": "-c nonsense=1",
    "PGTARGETSESSIONATTRS": "read-only",
    "PGCLIENTENCODING": "LATIN1",
    "LC_ALL": "de_DE.ISO-8859-1",
    "LANG": "tlh_QO",
    "TZ": "Nowhere/Land",
    **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), "http://192.0.2.1:9"),
}


@dataclass
class Shell:
    """Commands in one folder, with one environment and umask."""

    folder: Path
    environment: dict[str, str]
    umask: int

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PAGER, *arguments],
            cwd=self.folder,
            env=self.environment,
            umask=self.umask,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def call(self, *arguments: str) -> Any:
        """A command's answer as JSON."""
        out, err = self.start(*arguments, "--json").communicate(timeout=2 * DEADLINE)
        assert out, err
        return json.loads(out)


@pytest.fixture(params=[0o000, 0o077], ids=["umask 000", "umask 077"])
def shell(request: pytest.FixtureRequest) -> Iterator[Shell]:
    """A working folder with a module of our name, PYTHONPATH with one of a library's, a home of more than 107 bytes."""
    with Home.temporary() as place:
        place.path.mkdir(exist_ok=True)
        folder, wrong = place.path / "elsewhere", place.path / "wrong"
        for module in (folder / "services" / "__init__.py", wrong / "psycopg.py"):
            module.parent.mkdir(parents=True, exist_ok=True)
            module.write_text("raise SystemExit('the wrong one')")
        home = place.path / f"hömè mit Leerzeichen {'x' * 100}"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PAGER_", "COV"))}
        ours = {"PAGER_HOME": str(home), "PAGER_PORT": "0", "PAGER_SIMULATOR_PORT": "0", "PYTHONPATH": str(wrong)}
        shell = Shell(folder, clean | ODD | ours, request.param)
        try:
            yield shell
        finally:
            Home(home).erase()


def test_an_alert_with_an_emoji_is_paged_from_the_oddest_shell(shell: Shell) -> None:
    up = shell.start("up", "--json")
    try:
        assert up.stdout is not None
        told = []
        for line in up.stdout:
            told.append(json.loads(line))
            if told[-1]["event"] == "ready":
                break
        assert told, up.stderr.read() if up.stderr else ""
        assert told[-1]["event"] == "ready", told
        assert told[-1]["app"] == f"{told[-1]['url']}/app"
        assert told[-1]["app"] in told[-1]["text"]
        simulator = next(one["url"] for one in told if one.get("name") == "Push simulators")
        _eventually(lambda: shell.start("seed", "--minutes", "5", "--json").wait() == 0)  # a busy machine may refuse
        shell.call("alert", "send", "Köln 🔥 brennt", "--priority", "critical")
        assert "Köln 🔥 brennt" in _pushed(simulator)
        assert shell.call("parked", "list")["parked"] == []
    finally:
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=2 * DEADLINE)
    assert up.returncode == 0
    home = Path(shell.environment["PAGER_HOME"])
    readable = [p for p in (home, *home.rglob("*")) if p.stat().st_mode & 0o066]
    assert readable == [], "nothing that others may read or write, whatever the umask"


def _pushed(simulator: str) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def look() -> Any:
        with direct.open(simulator, timeout=DEADLINE) as answer:
            return json.load(answer)

    return json.dumps(_eventually(look), ensure_ascii=False)


def _eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE
    while not (seen := look()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)
    return seen


def test_libpq_reads_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ODD.items():
        monkeypatch.setenv(name, value)
    forget_libpq()
    assert [name for name in os.environ if name.startswith("PG")] == []
    assert os.environ["LANG"] == ODD["LANG"]


def test_a_child_gets_an_environment_that_we_chose() -> None:
    given = ODD | {
        "PATH": "/bin",
        "PAGER_PAGES_PER_MINUTE": "9",
        "ENABLE_MAINTENANCE_MODE": "true",
        "FEATURE_BULK_PERCENTAGE": "20",
        "PYTHONPATH": "/x",
        "SSL_CERT_FILE": "/ca",
        "EDITOR": "vi",
    }
    chosen = common(given)
    assert (chosen["LC_ALL"], chosen["TZ"], chosen["PYTHONUTF8"]) == ("C.UTF-8", "UTC", "1")
    passed = {name for name, value in given.items() if chosen.get(name) == value}
    ours = {"PAGER_PAGES_PER_MINUTE", "ENABLE_MAINTENANCE_MODE", "FEATURE_BULK_PERCENTAGE"}
    assert passed == {"PATH", "SSL_CERT_FILE"} | ours


def test_a_session_says_its_encoding_and_keeps_what_its_url_brings() -> None:
    kept = session("postgresql://h/d?options=-c%20role%3Dpager_owner", "pager/x", "timezone=UTC")
    assert (kept["client_encoding"], kept["options"]) == ("UTF8", "-c role=pager_owner -c timezone=UTC")


def test_modules_of_pythonpath_are_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), "", str(ours))))
    search = [str(tmp_path), str(ours), "/usr/lib/python3"]
    leave_out_pythonpath(search)
    assert search == [str(ours), "/usr/lib/python3"]


async def test_a_database_that_cannot_hold_all_letters_is_refused() -> None:
    with Home.temporary() as home:
        async with EmbeddedPostgres(home) as postgres:
            url = postgres.url("superuser")
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(
                    "CREATE DATABASE western ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
                )
                connection.execute("GRANT ALL ON DATABASE western TO pager_owner")
            western = postgres.url("owner").removesuffix("/pager") + "/western"
            with pytest.raises(Failure, match="the database is LATIN1, which cannot hold"):
                await outside.prepare(western, {})
