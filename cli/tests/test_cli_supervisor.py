"""The supervisor with processes of no service: restarts, back-off, the truth of `run.json`, and an orderly end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from cli.commands.up import tell_admin
from cli.console.failure import BadSettings, Failure
from cli.console.report import silent_report
from cli.demo.team import seed_passwords
from cli.embedded import EmbeddedNats, Home, StartError
from cli.settings import Settings
from cli.stack.process import Process
from cli.stack.secrets_file import load_or_make, remember_password
from cli.stack.stack import Stack
from cli.stack.supervisor import Supervisor
from libs.chassis.testing.deadline import DEADLINE

SLEEPER = "import time; print('serving', flush=True); time.sleep(600)"
# Writes what it was given and stays, as a service does.
TELLER = (
    "import json, os, sys, time; "
    "open(os.environ['PAGER_TELL'] + '/' + os.environ['PAGER_INSTANCE'], 'a').write("
    "json.dumps({k: v for k, v in os.environ.items() if k.startswith('PAGER_')}) + '\\n'); time.sleep(600)"
)


async def eventually(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Poll until the condition holds; fails after 15 s."""
    deadline = time.monotonic() + DEADLINE
    while True:
        held = condition()
        if await held if isinstance(held, Awaitable) else held:
            return
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


@pytest.fixture
def home() -> Iterator[Home]:
    with Home.temporary() as place:
        place.prepare()
        yield place


class Reported:
    """A report that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, kind: str, text: str, **details: Any) -> None:
        self.lines.append(text)


def process(home: Home, code: str, name: str = "sleeper") -> Process:
    return Process(name, lambda: (sys.executable, "-c", code), dict(os.environ), home)


def commands(code: str, *names: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names, (sys.executable, "-c", code))


def settings(home: Home, nats_url: str, environment: dict[str, str] | None = None, replicas: int = 1) -> Settings:
    """A stack without servers of its own: only what the supervisor does is looked at."""
    return Settings(
        home=home,
        environment=dict(os.environ) | (environment or {}),
        port=0,
        simulator_port=0,
        database_url="postgresql://nobody@127.0.0.1:1/none",
        nats_url=nats_url,
        replicas=replicas,
        simulators=False,
    )


class OwnStack(Stack):
    """Asks no database: the processes of these tests have none."""

    async def _database_urls(self) -> Any:
        from cli.reach.outside import DatabaseUrls

        return DatabaseUrls("postgresql://nobody@127.0.0.1:1/none", {})


def processes_of(home: Home) -> dict[str, int]:
    run = home.read_run()
    assert run is not None
    entries = run["processes"]
    assert isinstance(entries, dict)
    return {name: entry["pid"] for name, entry in entries.items()}


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def test_a_killed_child_is_started_again_and_said_so(home: Home) -> None:
    report, child = Reported(), process(home, SLEEPER)
    supervisor = Supervisor(report, lambda: None)
    await child.start()
    supervisor.watch("sleeper", child)
    first = child.pid
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: len(report.lines) == 1)
    assert report.lines == [f"sleeper died (signal 9), restarted in 0.0 s, pid {child.pid}"]
    assert child.pid != first
    assert alive(child.pid)
    await supervisor.release()
    assert not alive(child.pid)


@pytest.mark.parametrize("more", [0, 3])
async def test_a_child_runs_with_the_niceness_that_was_asked_for_also_after_a_restart(home: Home, more: int) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    expected = min(own + more, 19)  # less would need a privilege
    niceness = expected if more else 0  # which asks for nothing: it has what its parent has
    child = Process("nice", lambda: (sys.executable, "-c", SLEEPER), dict(os.environ), home, niceness=niceness)
    await child.start()
    try:
        assert psutil.Process(child.pid).nice() == expected
        await child.restart()
        assert psutil.Process(child.pid).nice() == expected
    finally:
        await child.stop()


async def test_a_niceness_that_the_system_refuses_keeps_nobody_from_starting(home: Home) -> None:
    """Below 0 needs a privilege; who has it gets it, everybody else what they had."""
    child = Process("eager", lambda: (sys.executable, "-c", SLEEPER), dict(os.environ), home, niceness=-5)
    await child.start()
    try:
        assert psutil.Process(child.pid).nice() == (-5 if may_lower_niceness() else os.getpriority(os.PRIO_PROCESS, 0))
    finally:
        await child.stop()


def may_lower_niceness() -> bool:
    """Whether a process like this one is allowed to, asked of one."""
    code = "import os; os.setpriority(os.PRIO_PROCESS, 0, -5)"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False).returncode == 0


async def test_a_child_that_keeps_dying_is_waited_for_longer_each_time(home: Home) -> None:
    report, waits = Reported(), list[float]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 5:
            await asyncio.Event().wait()

    child = process(home, "raise SystemExit('no luck')")
    supervisor = Supervisor(report, lambda: None, sleep=sleep)
    await child.start()
    supervisor.watch("sleeper", child)
    await eventually(lambda: len(waits) == 5)
    assert waits == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8])
    assert "sleeper died (exit code 1: no luck), restarted in 0.1 s" in report.lines[1]
    await supervisor.release()


async def test_bad_settings_stop_everything_with_the_line_of_the_service(home: Home) -> None:
    child = process(home, "import sys; sys.stderr.write('pager: PAGER_X: is wrong\\n'); sys.exit(2)")
    supervisor = Supervisor(silent_report, lambda: None)
    await child.start()
    supervisor.watch("sleeper", child)
    with pytest.raises(Failure, match="sleeper cannot start: pager: PAGER_X: is wrong") as failure:
        await asyncio.wait_for(supervisor.failed(), DEADLINE)
    assert failure.value.exit_code == 2
    await supervisor.release()


async def test_a_renewed_child_comes_back_without_being_called_dead(home: Home) -> None:
    report, child = Reported(), process(home, SLEEPER)
    supervisor = Supervisor(report, lambda: None)
    await child.start()
    supervisor.watch("sleeper", child)
    await supervisor.renew("sleeper")
    await eventually(lambda: bool(report.lines))
    assert report.lines[0].startswith("sleeper was reloaded")
    await supervisor.release()


async def test_run_json_tells_the_truth_before_during_and_after(home: Home) -> None:
    names = ("incidents", "gateway")
    stack = OwnStack(
        settings(home, "nats://127.0.0.1:1", replicas=2), silent_report, commands(SLEEPER, *names), prepared=False
    )
    async with stack:
        before = processes_of(home)
        assert set(before) == {"incidents", "incidents-2", "gateway", "pager"}
        assert before["pager"] == os.getpid()
        assert all(alive(pid) for pid in before.values())
        os.kill(before["incidents-2"], signal.SIGKILL)
        await eventually(lambda: processes_of(home)["incidents-2"] != before["incidents-2"])
        after = processes_of(home)
        assert {name for name in after if after[name] != before[name]} == {"incidents-2"}
        assert alive(after["incidents-2"])
        document = home.read_run()
        assert document is not None
        assert document["gateway"] == stack.url
        assert document["nats"] == "nats://127.0.0.1:1"
    assert home.read_run() is None
    assert not any(alive(pid) for name, pid in after.items() if name != "pager")


async def test_a_restarted_service_gets_the_same_environment(home: Home, tmp_path: Path) -> None:
    given = settings(
        home, "nats://u:p@127.0.0.1:1", {"PAGER_TELL": str(tmp_path), "PAGER_ADMIN_PASSWORD": "Secret-123456"}
    )
    stack = OwnStack(given, silent_report, commands(TELLER, "auth", "incidents", "gateway"), prepared=False)

    def told(instance: str) -> list[dict[str, str]]:
        with suppress(FileNotFoundError):
            return [json.loads(line) for line in (tmp_path / instance).read_text().splitlines()]
        return []

    async with stack:
        await eventually(lambda: all(told(f"{name}-1") for name in ("auth", "incidents", "gateway")))
        os.kill(processes_of(home)["gateway"], signal.SIGKILL)
        await eventually(lambda: len(told("gateway-1")) == 2)
    first, second = told("gateway-1")
    assert first == second
    assert first["PAGER_PORT"] == str(stack.settings.port)
    assert "PAGER_MASTER_KEY" not in first
    assert told("auth-1")[0]["PAGER_ADMIN_PASSWORD"] == "Secret-123456"
    assert "PAGER_ADMIN_PASSWORD" not in told("incidents-1")[0]
    assert told("auth-1")[0]["PAGER_MASTER_KEY"] == stack.secrets.master_key
    assert "PAGER_MASTER_KEY" not in told("incidents-1")[0], "it opens nothing there"


async def test_a_second_stack_in_the_same_home_fails_and_names_the_holder(home: Home) -> None:
    first = settings(home, "nats://127.0.0.1:1")
    async with OwnStack(first, silent_report, commands(SLEEPER, "gateway"), prepared=False):
        other = settings(Home(home.path), "nats://127.0.0.1:1")
        with pytest.raises(StartError, match=f"PAGER_HOME: .* is in use by process {os.getpid()}"):
            async with OwnStack(other, silent_report, commands(SLEEPER, "gateway"), prepared=False):
                pass
        assert "gateway" in processes_of(home)


async def test_a_taken_port_names_its_setting_and_leaves_nothing_running(home: Home) -> None:
    async with EmbeddedNats(home) as nats:
        taken = Settings(home=home, environment={}, port=nats.port, simulators=False)
        with pytest.raises(BadSettings, match=f"PAGER_PORT: port {nats.port} .* choose another"):
            async with Stack(taken, silent_report):
                pass
    assert home.read_run() is None


def test_secrets_are_made_once_and_the_environment_wins(home: Home) -> None:
    first, second = load_or_make(home, {}), load_or_make(home, {})
    assert (first.first, second.first) == (True, False)
    assert first.master_key == second.master_key
    assert first.admin_password == second.admin_password
    given = load_or_make(home, {"PAGER_ADMIN_PASSWORD": "From-outside-1"})
    assert given.admin_password == "From-outside-1"
    assert "From-outside-1" not in (home.path / "secrets.json").read_text()
    assert (home.path / "secrets.json").stat().st_mode & 0o077 == 0
    assert first.master_key not in repr(first)


def test_the_admins_password_is_shown_until_a_start_has_come_to_its_end(home: Home) -> None:
    told: list[str] = []

    def start(environment: dict[str, str]) -> Any:
        return SimpleNamespace(secrets=load_or_make(home, environment), settings=SimpleNamespace(home=home))

    def report(kind: str, text: str, **details: Any) -> None:
        told.append(f"{kind} {details.get('password', '')}")
        assert str(home.path / "secrets.json") in text

    password = start({}).secrets.admin_password  # and it is interrupted
    for _ in range(3):
        tell_admin(start({}), report)
    assert told == [f"admin {password}", "account ", "account "]
    tell_admin(start({"PAGER_ADMIN_PASSWORD": "From-outside-1"}), report)
    assert len(told) == 3, "whoever has set it knows it"


def test_a_reset_password_takes_the_place_of_the_one_that_was_kept(home: Home) -> None:
    load_or_make(home, {})
    remember_password(home, "admin@pager.local", "New-Password-1", is_admin=True)
    remember_password(home, "eva@pager.local", "Never-Kept-1", is_admin=False)
    assert load_or_make(home, {}).admin_password == "New-Password-1"
    assert "Never-Kept-1" not in (home.path / "secrets.json").read_text()


def test_a_seeded_password_is_kept_however_its_address_was_typed_when_it_was_reset(home: Home) -> None:
    settings = Settings.from_environment({"PAGER_HOME": str(home.path)})
    seed_passwords(settings)
    remember_password(home, " ANA@Pager.local", "New-Password-1", is_admin=False)
    assert seed_passwords(settings)["ana@pager.local"] == "New-Password-1"


SUPERVISED: Sequence[str] = (
    sys.executable,
    "-c",
    "import asyncio, os, sys\n"
    "from cli.embedded import Home\n"
    "from cli.stack.process import Process\n"
    "async def main():\n"
    "    home = Home(sys.argv[1])\n"
    "    child = Process('c', lambda: (sys.executable, '-c', 'import time; time.sleep(600)'), dict(os.environ), home)\n"
    "    await child.start()\n"
    "    print(child.pid, flush=True)\n"
    "    await child.wait()\n"
    "asyncio.run(main())\n",
)


async def test_a_killed_supervisor_leaves_no_child_behind(home: Home) -> None:
    supervisor = await asyncio.create_subprocess_exec(
        *SUPERVISED, str(home.path), stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert supervisor.stdout is not None
    child = int(await asyncio.wait_for(supervisor.stdout.readline(), DEADLINE))
    assert alive(child)
    supervisor.kill()
    await supervisor.wait()
    await eventually(lambda: not alive(child))
