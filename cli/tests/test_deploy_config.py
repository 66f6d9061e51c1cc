"""`pager deploy-config` and `pager prepare`: what a deployment is given, on real servers."""

import asyncio
import json
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from cli.commands.deploy_config import for_compose, for_kubernetes
from cli.commands.prepare import schemas, streams
from cli.console.failure import USAGE, Failure
from cli.deployment.installation import Addresses, Installation
from cli.deployment.roles import roles_sql
from cli.embedded import EmbeddedNats, EmbeddedPostgres, Home
from cli.embedded.credentials import NATS_USERS, STATEFUL_SERVICES, SUPERUSER
from cli.settings import Settings
from cli.stack.secrets_file import (
    forget_previous_master_key,
    forget_previous_sealing_keys,
    replace_master_key,
    replace_sealing_keys,
)
from libs.chassis.store.log import Datastore

ADDRESSES = Addresses(postgres_host="db.example.com", nats="tls://nats.example.com:4222")


@pytest.fixture
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    with Home.temporary() as home:
        async with EmbeddedPostgres(home) as server:
            yield server


def compose_files(folder: Path) -> dict[str, str]:
    for_compose(folder, vendors=False, public_url="http://localhost:3000", as_json=True)
    return {path.name: path.read_text() for path in (folder / "secrets").iterdir() if path.is_file()}


def test_the_secrets_of_compose_are_behind_a_folder_that_only_its_owner_enters(tmp_path: Path) -> None:
    compose_files(tmp_path)
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o644, "containers run as another account"


def test_a_master_key_that_is_replaced_stands_beside_the_one_before_until_that_is_forgotten(tmp_path: Path) -> None:
    before = compose_files(tmp_path)
    home = Home(tmp_path / "secrets" / "state")
    assert before["master-key-previous"] == "", "compose mounts it in any case"
    assert "PREVIOUS" not in (tmp_path / ".env").read_text()
    assert replace_master_key(home)
    both = compose_files(tmp_path)
    assert both["master-key-previous"].strip() == before["master-key"].strip() != both["master-key"].strip()
    assert "PAGER_MASTER_KEY_PREVIOUS_FILE=/run/secrets/master-key-previous\n" in (tmp_path / ".env").read_text()
    cluster = tmp_path / "cluster"
    shutil.copytree(tmp_path / "secrets" / "state", cluster / "state")
    cluster.chmod(0o700)
    for_kubernetes(cluster, ADDRESSES, "paging", as_json=True)
    secret = json.loads((cluster / "kubernetes-secrets.json").read_text())["items"][0]["stringData"]
    assert (secret["master-key"], secret["master-key-previous"]) == (both["master-key"], before["master-key"])
    forget_previous_master_key(home)
    after = compose_files(tmp_path)
    assert (after["master-key"], after["master-key-previous"]) == (both["master-key"], "")
    assert "PREVIOUS" not in (tmp_path / ".env").read_text()


def test_sealing_keys_that_are_replaced_stand_beside_those_before_until_they_are_forgotten(tmp_path: Path) -> None:
    def secret() -> dict[str, str]:
        for_kubernetes(tmp_path, ADDRESSES, "paging", as_json=True)
        document = json.loads((tmp_path / "kubernetes-secrets.json").read_text())["items"][0]["stringData"]
        return {name: key for name, key in document.items() if "sealing" in name}

    before = secret()
    home = Home(tmp_path / "state")
    assert replace_sealing_keys(home)
    assert not replace_sealing_keys(home), "those before may still be needed"
    both = secret()
    assert {name: both[f"{name}-previous"] for name in before} == before
    assert not before.items() & both.items()
    assert forget_previous_sealing_keys(home)
    assert not forget_previous_sealing_keys(home)
    assert secret() == {name: both[name] for name in before}


def test_the_file_that_is_said_to_hold_the_admins_password_holds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for_compose(tmp_path / "compose", vendors=False, public_url="http://localhost:3000", as_json=False)
    for_kubernetes(tmp_path / "cluster", ADDRESSES, "paging", as_json=False)
    told = "".join(capsys.readouterr().out.split())
    compose, cluster = re.findall(r"thepasswordisin(/.+?)\(madejustnow\)", told)
    password = json.loads((tmp_path / "compose" / "secrets" / "state" / "secrets.json").read_text())["adminPassword"]
    assert Path(compose).read_text().strip() == password
    assert json.loads(Path(cluster).read_text())["adminPassword"]


def test_a_second_call_keeps_every_password(tmp_path: Path) -> None:
    first, second = compose_files(tmp_path), compose_files(tmp_path)
    # Each writing of a verifier has a salt of its own.
    first.pop("roles.sql"), second.pop("roles.sql")
    assert first == second


def test_what_the_environment_says_is_kept_for_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER_ADMIN_EMAIL", "ops@example.com")
    assert compose_files(tmp_path)["admin-email"] == "ops@example.com"
    monkeypatch.delenv("PAGER_ADMIN_EMAIL")
    assert compose_files(tmp_path)["admin-email"] == "ops@example.com"


def test_the_environment_of_compose_names_the_notifier_and_no_secret(tmp_path: Path) -> None:
    files = compose_files(tmp_path)
    text = (tmp_path / ".env").read_text()
    assert "COMPOSE_PROFILES=simulated\n" in text
    assert not [name for name, secret in files.items() if name != "admin-email" and secret and secret in text]
    for_compose(tmp_path, vendors=True, public_url="https://pager.example.com", as_json=True)
    text = (tmp_path / ".env").read_text()
    assert "COMPOSE_PROFILES=vendors\n" in text
    assert "PAGER_PUBLIC_URL=https://pager.example.com\n" in text


def test_the_secrets_of_a_cluster_hold_a_url_for_every_user(tmp_path: Path) -> None:
    for_kubernetes(tmp_path, ADDRESSES, "paging", as_json=True)
    document = json.loads((tmp_path / "kubernetes-secrets.json").read_text())
    secrets = {item["metadata"]["name"]: item for item in document["items"]}
    assert {item["metadata"]["namespace"] for item in document["items"]} == {"paging"}
    credentials = secrets["pager-credentials"]["stringData"]
    for service in STATEFUL_SERVICES:
        assert credentials[f"{service}-nats-url"].startswith(f"tls://{service}:")
        assert credentials[f"{service}-database-url"].startswith(f"postgresql://pager_{service}:")
        assert credentials[f"{service}-database-url"].endswith("@db.example.com:5432/pager")
    assert credentials["operator-nats-url"].startswith("tls://operator:")
    assert "sender-nats-url" not in credentials, "no pod of ours publishes as a sender"
    servers = secrets["pager-nats-passwords"]["stringData"]
    assert len(servers) == len(NATS_USERS) - 1, "nobody is anonymous"
    assert all(value.startswith('"') and value.endswith('"') for value in servers.values())


@pytest.mark.parametrize("nats", ["nats.example.com:4222", "http://nats:4222", "nats://me:word@nats:4222", "nats://"])
def test_an_address_that_is_none_is_refused_with_its_option(nats: str) -> None:
    with pytest.raises(Failure, match="--nats-url") as refused:
        Addresses(postgres_host="db", nats=nats)
    assert refused.value.exit_code == USAGE


def test_the_command_writes_for_a_cluster_and_says_what_is_next(tmp_path: Path) -> None:
    address = ("--postgres-host", "db", "--nats-url", "tls://nats:4222", "--folder", str(tmp_path))
    done = _pager("deploy-config", "kubernetes", *address)
    assert done.returncode == 0, done.stderr
    assert f"Next: kubectl apply -f {tmp_path / 'kubernetes-secrets.json'}" in done.stdout
    password = json.loads((tmp_path / "state" / "secrets.json").read_text())["adminPassword"]
    assert password not in done.stdout
    assert _pager("deploy-config", "nats-accounts").stdout.count("$PAGER_NATS_PASSWORD_") == len(NATS_USERS) - 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _pager("deploy-config", "compose", "--folder", str(tmp_path / "file"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr


async def test_roles_sql_makes_roles_that_can_only_enter_their_own_schema(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    installation = Installation.at(tmp_path, Addresses("127.0.0.1", "nats://unused:1", postgres.port), {})
    script = roles_sql(installation.credentials.postgres)
    assert not any(password in script for password in installation.credentials.postgres.values())
    assert SUPERUSER not in script
    for _ in range(2):
        async with await psycopg.AsyncConnection.connect(postgres.url("superuser")) as connection:
            await connection.execute(script.encode())
    schemas(_settings(tmp_path, PAGER_DATABASE_URL=installation.database_url("owner")), as_json=True)
    async with await psycopg.AsyncConnection.connect(installation.database_url("auth")) as connection:
        await connection.execute("SELECT count(*) FROM auth.stored_events")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT count(*) FROM incidents.stored_events")


async def test_preparing_schemas_touches_neither_roles_nor_passwords(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    settings = _settings(tmp_path, PAGER_DATABASE_URL=postgres.url("owner"))
    schemas(settings, as_json=True)
    schemas(settings, as_json=True)
    async with await psycopg.AsyncConnection.connect(postgres.url("auth")) as connection:
        await connection.execute("SELECT 1")
    assert _is_empty(tmp_path), "a job in a container has nowhere to keep anything"


async def test_a_database_without_tls_is_refused_where_the_chart_demands_it(
    postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/ssl/certs/ca-certificates.crt")
    with pytest.raises(Failure, match="server does not support SSL"):
        schemas(_settings(tmp_path, PAGER_DATABASE_URL=postgres.url("owner")), as_json=True)
    # The services' own pool, which takes the URL apart.
    pool = Datastore(postgres.url("auth"), schema="auth", application_name="test", connections=1, check=False).pool
    assert isinstance(pool.kwargs, dict)
    with pytest.raises(psycopg.OperationalError, match="server does not support SSL"):
        psycopg.connect(**pool.kwargs)


async def test_preparing_streams_twice_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Home.temporary() as home:
        async with EmbeddedNats(home) as nats:
            password = home.credentials().nats["operator"]
            url = nats.url.replace("nats://", f"nats://operator:{password}@")
            outcomes = []
            for _ in range(2):
                # The command makes an event loop of its own, as in its process.
                await asyncio.to_thread(streams, _settings(tmp_path, PAGER_NATS_URL=url), 1, as_json=True)
                outcomes.append(set(json.loads(capsys.readouterr().out)["streams"].values()))
    assert outcomes == [{"created"}, {"unchanged"}]


def test_preparing_without_an_address_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="PAGER_DATABASE_URL"):
        schemas(_settings(tmp_path), as_json=True)
    with pytest.raises(Failure, match="PAGER_NATS_URL"):
        streams(_settings(tmp_path), 1, as_json=True)


def _settings(home: Path, **variables: str) -> Settings:
    return Settings.from_environment({"PAGER_HOME": str(home)} | variables)


def _is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


def _pager(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_folder_of_somebody_else_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(Failure, match=f"--folder: others may enter {tmp_path}: name a new one, or chmod 700 it"):
        for_kubernetes(tmp_path, ADDRESSES, "paging", as_json=True)
    assert (stat.S_IMODE(tmp_path.stat().st_mode), list(tmp_path.iterdir())) == (0o755, [])
