"""Settings are looked at together before anything starts: every fault is a line, in our words, without its secret."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cli.console.failure import Failure
from cli.embedded.ports import LOOPBACK, free_port
from cli.settings import Settings, read_environment
from cli.simulators.credentials import apns_identity, service_account, vapid_key
from cli.stack.answering import PATIENCE, until_answers
from cli.stack.checking import Checked, check
from cli.stack.environment import missing_push
from cli.tests.test_cli_commands import ROOT, run, run_in


def checked(environment: Mapping[str, str], **ports: int) -> Checked:
    return check({"PATH": "/bin"} | dict(environment), ports)


def test_a_shell_that_says_nothing_is_right() -> None:
    assert checked({}) == Checked((), ())


def test_an_empty_setting_is_none() -> None:
    empty = (
        "LOG_LEVEL",
        "PAGES_PER_MINUTE",
        "APNS_KEY_FILE",
        "APNS_TOPIC",
        "FCM_URL",
        "NATS_URL",
        "MONITOR_PORT",
        "HOST",
    )
    assert checked({f"PAGER_{name}": "" for name in empty}) == Checked((), ())


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("PAGER_LOG_LEVEL", "loud", "must be one of 'debug', 'info', 'warning', 'error' or 'critical'"),
        ("PAGER_LOG_FORMAT", "xml", "must be one of 'json' or 'text'"),
        ("PAGER_TRUSTED_PROXIES", "10.0.0.0/8, foo", "expected addresses or networks"),
        ("PAGER_CORS_ORIGINS", "*", "expected origins"),
        ("PAGER_APP_APPLE_IDS", "com.example.pager", "expected app ids such as ABCDE12345.com.example.pager"),
        ("PAGER_APP_ANDROID", "com.example.pager=AB:CD", "expected package=fingerprint"),
        ("PAGER_PUBLIC_URL", "pager.example", "must begin with http:// or https://"),
        ("PAGER_PUBLIC_URL", "https://[::1", "is no URL"),
        ("PAGER_PUBLIC_URL", "https://a:x", "is no URL"),
        ("PAGER_PUBLIC_URL", "https://a b", "is no URL"),
        ("PAGER_METRICS_TOKEN", "secret", "must have at least 16 characters"),
        ("PAGER_MASTER_KEY", "secret", "must have at least 32 characters"),
        ("PAGER_ADMIN_PASSWORD", "secret", "the password needs at least 12 characters"),
        ("PAGER_ADMIN_EMAIL", "secret", "must be a valid email address"),
        ("PAGER_ADMIN_EMAIL", "a@x..org", "must be a valid email address"),
        ("PAGER_MASTER_KEY_FILE", "/nowhere/secret", "No such file"),
        ("PAGER_PAGES_PER_MINUTE", "secret", "must be a whole number"),
        ("PAGER_PAGES_PER_MINUTE", "0", "must be at least 1"),
        ("PAGER_ALERTS_FLOOR_HOURS", "1000", "must be at most 168"),
        ("JWT_ACCESS_EXPIRES", "15", "expected a number and a unit"),
        ("PAGER_FCM_CREDENTIALS_FILE", "/nowhere/google.json", "No such file or directory: /nowhere/google.json"),
        ("PAGER_GEOIP_FILE", "/nowhere/countries.mmdb", "is not there, or cannot be read: /nowhere/countries.mmdb"),
        ("PAGER_GEOIP_FILE", __file__, "is no database of countries"),
        ("ENABLE_AUDIT_LOGGING", "perhaps", "must be true or false"),
        ("ENABLE_RATE_LIMITING", "perhaps", "must be true or false"),
        ("ENABLE_CIRCUIT_BREAKER", "perhaps", "must be true or false"),
        ("ENABLE_MAINTENANCE_MODE", "perhaps", "must be true or false"),
        ("FEATURE_BULK", "perhaps", "must be true or false"),
        ("FEATURE_BULK_PERCENTAGE", "101", "must be at most 100"),
        ("PAGER_NATS_URL", "http://u:secret@h", "must begin with nats:// or tls://"),
        ("PAGER_NATS_URL", "nats://u:secret@h:99999", "is no URL"),
        ("PAGER_DATABASE_URL", "mysql://u:secret@h/d", "must begin with postgresql:// or postgres://"),
        ("PAGER_HOST", "nonsense.invalid", "is no address of this machine"),
        ("PAGER_HOST", "127.0.0.2", "leaves out 127.0.0.1"),
        ("PAGER_MONITOR_PORT", "9464", "several processes would share it"),
        ("PAGER_HOME", __file__, "is no folder"),
        ("PAGER_MASTER_KEY", " " * 40, "is blank"),
        ("PAGER_METRICS_TOKEN", " " * 40, "is blank"),
        ("PAGER_METRICS_TOKEN", "secret of sixteen", "without spaces"),
        ("PAGER_ADMIN_PASSWORD", "\t", "is blank"),
        ("PAGER_APNS_KEY_ID", "secret", "must be ten letters and digits"),
        ("PAGER_APNS_TOPIC", "secret app", "must be a bundle id"),
        ("PAGER_APNS_URL", "http://secret", "must begin with https://"),
        ("PAGER_APNS_URL", "https://apple:x", "is no URL"),
        ("PAGER_FCM_URL", "fcm.example", "must begin with http:// or https://"),
        ("PAGER_FCM_URL", "https://u:secret@fcm.example", "must not have a user name"),
        ("PAGER_FCM_TOKEN_URL", "https://h?secret", "must not have a ? or a #"),
        ("PAGER_PUBLIC_URL", "https://:3000", "names no host"),
        ("PAGER_PUBLIC_URL", "https://h:0", "ports are numbers from 1"),
        ("PAGER_CORS_ORIGINS", "https://a:99999", "expected origins"),
        ("PAGER_NATS_URL", "nats://u:secret@h:1,nats://h:2", "is no URL"),
        ("PAGER_NATS_URL", "u:secret@h", "must begin with nats:// or tls://"),
        ("PAGER_DATABASE_URL", "postgresql://u:secret@h,g:99999/d", "ports are numbers from 1"),
        ("PAGER_DATABASE_URL", "postgresql://u:secret%zz@h/d", "is no URL that PostgreSQL reads"),
        ("PAGER_DATABASE_URL", "postgresql://u:secret@h/d?sslmod=secret", "is no URL that PostgreSQL reads"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "foo", "must begin with http:// or https://"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h:99999", "is no URL"),
        ("PAGER_HOME", "a\nb", "characters that are no text"),
        ("PAGER_HOME", "\udcff", "characters that are no text"),
    ],
)
def test_each_fault_is_a_line_that_names_its_setting(setting: str, value: str, says: str) -> None:
    faults = checked({setting: value}).faults
    assert len(faults) == 1, faults
    assert faults[0].startswith(f"{setting}: "), faults
    assert says in faults[0]
    assert "secret" not in faults[0].removesuffix("/nowhere/secret")


def test_what_contradicts_each_other_is_found_beside_what_is_wrong_by_itself() -> None:
    ids = {"PAGER_APNS_KEY_ID": "KEY1234567", "PAGER_APNS_TEAM_ID": "TEAM123456"}
    given = ids | {"PAGER_FCM_URL": "https://fcm.example"}
    assert checked(given | {"PAGER_PAGES_PER_MINUTE": "many"}).faults == (
        "PAGER_PAGES_PER_MINUTE: must be a whole number",
        "PAGER_APNS_KEY_FILE: is missing, APNs is half configured",
        "PAGER_APNS_TOPIC: is missing, APNs is half configured",
        "PAGER_FCM_CREDENTIALS_FILE: is missing, FCM is half configured",
    )
    assert missing_push(given) == {"fcm": False, "apns": False, "webpush": False}, (
        "no simulator stands in for half of a vendor"
    )
    assert len(checked({"JWT_ACCESS_EXPIRES": "2h", "JWT_REFRESH_EXPIRES": "1h"}).faults) == 2


def test_credentials_of_the_vendors_are_read_before_anything_starts(tmp_path: Path) -> None:
    account = {"type": "service_account", "project_id": "p1", "client_email": "a@b", "token_uri": "https://g"}
    apns = {f"PAGER_APNS_{name}": "KEY1234567" for name in ("KEY_ID", "TEAM_ID", "TOPIC")}
    key, google = tmp_path / "key.p8", tmp_path / "google.json"
    given = apns | {"PAGER_APNS_KEY_FILE": str(key), "PAGER_FCM_CREDENTIALS_FILE": str(google)}
    no_account, no_key = "is not the JSON of a service account", json.dumps(account | {"private_key": "secret"})
    for pem, document, says in (
        ("", "[]", no_account),
        ("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----", "secret", no_account),
        ("secret", json.dumps(account), "private_key is missing"),
        ("secret", no_key, "holds no private_key that can be read"),
        ("secret", no_key.replace("p1", "../secret"), "project_id is missing, or has another form"),
        ("secret", no_key.replace("https://g", "secret"), "its token_uri must begin with"),
    ):  # fmt: skip
        key.write_text(pem)
        google.write_text(document)
        faults = checked(given | {"PAGER_LOG_LEVEL": "loud"}).faults
        assert len(faults) == 3, faults
        assert f"PAGER_APNS_KEY_FILE: is not an unencrypted P-256 private key (.p8): {key}" in faults
        assert any(fault.startswith("PAGER_FCM_CREDENTIALS_FILE: ") and says in fault for fault in faults), faults
        assert "secret" not in "".join(faults)
    _, real = apns_identity(tmp_path)
    _, file = service_account(tmp_path, "https://google.example/token")
    right = {"PAGER_APNS_KEY_FILE": str(real), "PAGER_FCM_CREDENTIALS_FILE": str(file)}
    assert checked(given | right) == Checked((), ())


def test_what_browsers_are_pushed_to_with_is_read_before_anything_starts(tmp_path: Path) -> None:
    key = vapid_key(tmp_path)
    right = {"PAGER_VAPID_KEY_FILE": str(key), "PAGER_VAPID_SUBJECT": "mailto:ops@example.com"}
    assert checked(right | {"PAGER_WEB_PUSH_HOSTS": ".example.com, http://127.0.0.1:3001"}) == Checked((), ())
    assert checked({"PAGER_VAPID_KEY_FILE": str(key)}).faults == (
        "PAGER_VAPID_SUBJECT: is missing, Web Push is half configured",
    )
    assert checked({"PAGER_VAPID_SUBJECT": "https://a.b"}).faults == (
        "PAGER_VAPID_KEY_FILE: is missing, Web Push is half configured",
    )
    for subject in ("ops@example.com", "mailto:ops", "http://example.com", "mailto:a@b.c, mailto:d@e.f"):
        (fault,) = checked(right | {"PAGER_VAPID_SUBJECT": subject}).faults
        assert fault.startswith("PAGER_VAPID_SUBJECT: must be mailto:"), fault
    (fault,) = checked({"PAGER_WEB_PUSH_HOSTS": "https://a/b"}).faults
    assert fault.startswith("PAGER_WEB_PUSH_HOSTS: must be hosts"), fault
    other = tmp_path / "other.pem"
    other.write_text("secret")
    (fault,) = checked(right | {"PAGER_VAPID_KEY_FILE": str(other)}).faults
    assert fault == f"PAGER_VAPID_KEY_FILE: is not an unencrypted P-256 private key (PEM): {other}"


def test_a_file_that_a_setting_names_is_read_with_bounds(tmp_path: Path) -> None:
    pipe, large, binary, blank = (tmp_path / name for name in ("pipe", "large", "binary", "blank"))
    os.mkfifo(pipe)
    large.write_bytes(b"a" * 1_048_577)
    binary.write_bytes(b"\0\1")
    blank.write_bytes(b" \n")
    names = ("PAGER_MASTER_KEY_FILE", "PAGER_LOG_LEVEL_FILE", "PAGER_NATS_URL_FILE", "PAGER_PUBLIC_URL_FILE")
    for file, says in (
        (pipe, "is no file"),
        (large, "is larger than 1 MiB"),
        (binary, "is no text"),
        (blank, "is empty"),
        (tmp_path, "is no file"),
    ):
        faults = checked(dict.fromkeys(names, str(file))).faults
        assert sorted(faults) == sorted(f"{name}: {says}" for name in names)
        tls = {"PAGER_NATS_URL": "tls://h", "PAGER_NATS_CA_FILE": str(file)}
        assert [fault.split(":")[0] for fault in checked(tls).faults] == ["PAGER_NATS_CA_FILE"]
    assert checked(dict.fromkeys(names, "")) == Checked((), ()), "empty is none"


def test_what_opentelemetry_would_not_start_with_is_a_fault() -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert checked(given) == Checked((), ())
    assert len(checked(given | {"OTEL_BSP_MAX_QUEUE_SIZE": "0"}).faults) == 1
    assert checked(given | {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere"}).faults == (
        "OTEL_EXPORTER_OTLP_CERTIFICATE: No such file or directory: /nowhere",
    )


def test_two_ports_are_not_alike() -> None:
    assert checked({}, PAGER_PORT=3000, PAGER_NATS_PORT=3000, PAGER_POSTGRES_PORT=0, PAGER_SIMULATOR_PORT=0).faults == (
        "PAGER_NATS_PORT: 3000 is PAGER_PORT already; choose another, or 0 for any free one",
    )


def test_a_mistyped_setting_is_no_fault_and_its_neighbour_is_named() -> None:
    found = checked({"PAGER_LOG_LEVLE": "debug", "PAGER_SERVICE_HOST": "10.0.0.1", "PAGER_TEST_SERVERS": "containers"})
    assert checked(
        {"JWT_ACESS_EXPIRES": "1h", "PAGER_PORT_FILE": "/x", "JWT_SECRET": "x", "PAGER_JWT_ACCESS_EXPIRES": "1h"}
    ).hints == (
        "JWT_ACESS_EXPIRES is no setting: did you mean JWT_ACCESS_EXPIRES?",
        "PAGER_JWT_ACCESS_EXPIRES is no setting: did you mean JWT_ACCESS_EXPIRES?",
        "PAGER_PORT_FILE is no setting: did you mean PAGER_PORT?",
    )
    assert found == Checked(
        (), ("PAGER_LOG_LEVLE is no setting: did you mean PAGER_LOG_LEVEL?", "PAGER_SERVICE_HOST is no setting")
    )


def test_up_tells_all_faults_at_once_and_makes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    wrong = {
        "PAGER_PORT": "99999",
        "PAGER_NATS_PORT": "x",
        "PAGER_LOG_LEVEL": "loud",
        "PAGER_APNS_KEY_ID": "KEY1234567",
    }
    done = run(home, "up", **wrong)
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (2, 6), done.stderr
    assert [line.split(": ")[1] for line in lines[:2]] == ["PAGER_PORT", "PAGER_NATS_PORT"]
    assert all(line.startswith("pager: PAGER_") for line in lines)
    assert not home.exists()
    done = run(home, "up", "--json", **wrong)
    assert len(json.loads(done.stderr)["error"]["faults"]) == 6


def test_ports_that_are_taken_are_told_together(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    serve = f"import socket, sys; a = [socket.create_server(('{LOOPBACK}', p)) for p in ({first}, {second})]; input()"
    with subprocess.Popen([sys.executable, "-c", serve], stdin=subprocess.PIPE, cwd=ROOT) as other:
        try:
            done = run(tmp_path, "up", PAGER_PORT=str(first), PAGER_POSTGRES_PORT=str(second), PAGER_SIMULATOR_PORT="0")
        finally:
            other.communicate(b"\n")
    lines = done.stderr.splitlines()
    assert [line.split(" on ")[0] for line in lines] == [
        f"pager: PAGER_PORT: port {first}",
        f"pager: PAGER_POSTGRES_PORT: port {second}",
    ]


def test_an_environment_file_that_is_no_text_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_bytes(b"PAGER_PORT=\xff\xfe")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure, match=r"\.env: is no text"):
        Settings.from_environment()
    with pytest.raises(Failure, match=r"\.env: is no text"):
        read_environment()


def test_lines_of_an_environment_file_that_set_nothing_are_faults_among_the_others(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PAGER_LOG_LEVEL=info\n\nPAGER_MASTER_KEY secret\n# a word\nsecret\n")
    done = run_in(tmp_path, tmp_path / "home", "up", PAGER_PORT="99999", PAGER_PUBLIC_URL="secret")
    assert done.returncode == 2
    assert [line.split(" ", 1)[1].split(":")[0] for line in done.stderr.splitlines()] == [
        *(".env", ".env", "PAGER_PORT", "PAGER_PUBLIC_URL")
    ]
    assert "pager: .env: line 3 is no setting" in done.stderr
    assert "pager: .env: line 5 is no setting" in done.stderr
    assert "secret" not in done.stderr
    assert not (tmp_path / "home").exists()
    done = run_in(tmp_path, tmp_path / "home", "doctor", PAGER_PUBLIC_URL="secret", COLUMNS="120")
    assert done.returncode == 1
    assert all(text in done.stdout for text in (".env: line 3 is no setting", "PAGER_PUBLIC_URL: must begin"))


async def test_a_server_elsewhere_that_does_not_answer_is_named_again_and_again_and_given_up() -> None:
    told: list[str] = []
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def report(kind: str, text: str, **_details: object) -> None:
        told.append(f"{kind} {text}")

    url = f"nats://operator:secret@{LOOPBACK}:1"
    with pytest.raises(
        Failure, match=f"PAGER_NATS_URL: nats://{LOOPBACK}:1 does not answer .connection refused"
    ) as gone:
        await until_answers("PAGER_NATS_URL", url, report, lambda: now, sleep)
    assert len(told) == 6
    assert told[0] == f"waiting PAGER_NATS_URL: nats://{LOOPBACK}:1 does not answer (connection refused); waiting"
    assert "secret" not in str(gone.value) + "".join(told)
    assert now == PATIENCE
