"""The push simulators as a process: bounded record, stable ports and keys, private files, orderly stop."""

import asyncio
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from cli.simulators import SimulatorEnvironment, Simulators, SimulatorSettings
from cli.simulators.records import PushLog
from cli.tests.simulator_clients import Clock, Fcm
from libs.chassis.testing.deadline import DEADLINE

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simulators")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def simulators(home: Path, clock: Clock) -> AsyncIterator[Simulators]:
    async with Simulators(SimulatorSettings(home, seed=1), clock) as started:
        yield started


@pytest_asyncio.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def call(http: ClientSession, method: str, url: str, document: Any = None) -> tuple[int, Any]:
    async with http.request(method, url, json=document) as answer:
        return answer.status, await answer.json()


async def test_the_record_is_bounded_in_length_and_in_size() -> None:
    log = PushLog(capacity=3)
    for n in range(5):
        log.append("fcm", f"p{n}", [], b"{}", 200, 0.0)
    assert [push.device_token for push in log.read()] == ["p2", "p3", "p4"]
    small = PushLog(capacity=100, max_bytes=1600)
    for n in range(50):
        small.append("fcm", f"p{n}", [], b"x" * 200, 200, 0.0)
    assert [push.id for push in small.read()] == [48, 49, 50]


async def test_ports_keys_and_access_tokens_survive_a_restart(home: Path, clock: Clock, http: ClientSession) -> None:
    async with Simulators(SimulatorSettings(home), clock) as first:
        before = first.environment
        fcm = Fcm(http, first, clock)
        await fcm.authorize()
    async with Simulators(SimulatorSettings(home), clock) as second:
        assert second.environment == before == SimulatorEnvironment.read(home)
        assert (await fcm.send())[0] == 200
        async with Simulators(SimulatorSettings(home), clock) as third:
            assert third.environment.url != before.url


def open_to_others(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if stat.S_IMODE(path.stat().st_mode) != 0o600]


async def test_only_the_owner_can_read_the_secrets(simulators: Simulators, home: Path) -> None:
    variables = simulators.environment.variables()
    assert set(variables) == {
        "PAGER_APNS_CA_FILE",
        "PAGER_APNS_KEY_FILE",
        "PAGER_APNS_KEY_ID",
        "PAGER_APNS_TEAM_ID",
        "PAGER_APNS_TOPIC",
        "PAGER_APNS_URL",
        "PAGER_FCM_CREDENTIALS_FILE",
        "PAGER_FCM_TOKEN_URL",
        "PAGER_FCM_URL",
        "PAGER_VAPID_KEY_FILE",
        "PAGER_VAPID_SUBJECT",
        "PAGER_WEB_PUSH_HOSTS",
    }
    assert set(open_to_others(home)) <= {"apns-ca.pem"}  # by the umask


async def test_google_auth_gets_a_token(simulators: Simulators) -> None:
    requests = pytest.importorskip("google.auth.transport.requests")
    service_account = pytest.importorskip("google.oauth2.service_account")
    credentials = service_account.Credentials.from_service_account_file(
        simulators.environment.fcm_credentials_file,
        scopes=["https://www.googleapis.com/auth/firebase.messaging"],
    )
    await asyncio.to_thread(credentials.refresh, requests.Request())
    assert credentials.token.startswith("ya29.")


async def test_the_process_serves_until_it_is_told_to_stop(home: Path, http: ClientSession) -> None:
    command = [sys.executable, "-m", "cli.simulators", "--home", str(home), "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), DEADLINE)
        where = SimulatorEnvironment.read(home)
        assert where.url.encode() in line
        assert (await call(http, "GET", f"{where.url}/healthz"))[1]["apns"] == where.apns_url
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
