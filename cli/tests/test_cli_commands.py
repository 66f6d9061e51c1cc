"""How commands are called, what they answer, and that every error is one line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from cli import main as entry
from cli.commands.alert import pairs_of
from cli.commands.tail import event_of, subject_of
from cli.console.event_line import head_of, words_of
from cli.console.failure import Failure
from cli.embedded import Home
from cli.reach.alerts import AlertToSend
from cli.reach.parked import parse_id
from cli.reach.urls import with_user, without_user
from cli.settings import Settings, port_of, value_of
from cli.stack.environment import common, missing_push, of_service, of_simulated_hosts, of_simulated_push
from cli.stack.examination import Finding, Level, judge_clock, judge_others, judge_processes, judge_service
from cli.stack.log_rotation import rotate
from cli.stack.process import last_words
from cli.stack.reload import concerned
from cli.stack.secrets_file import Secrets
from libs.chassis.environment import merged, read_env_file
from libs.chassis.monitor.verdict import Found, judge
from libs.contracts.alerts import read_alert
from libs.contracts.health import Effect, Health, Trouble
from libs.contracts.model import Priority
from libs.contracts.subjects import SERVICES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home() -> Iterator[Home]:
    with Home.temporary() as place:
        yield place


def run(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`pager` as a process of its own."""
    return run_in(ROOT, home, *arguments, **environment)


def run_in(folder: Path, home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """And where it is called."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PAGER_")}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=folder,
        env=clean | {"PAGER_HOME": str(home), "PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nonsense"], 2, "No such command"),
        (["alert", "send"], 2, "Missing argument"),
        (["alert", "send", "x", "--priority", "awful"], 2, "awful"),
        (["up", "--replicas", "0"], 2, "--replicas"),
        (["migrate", "down"], 2, "Missing argument"),
        (["migrate", "status", "kitchen"], 2, "'kitchen' is none of"),
        (["migrate", "up", "--to", "0001"], 2, "--to belongs to one service"),
        (["seed", "--minutes", "0"], 2, "--minutes"),
        (["tail", "--service", "kitchen"], 2, "'kitchen' is none of"),
        (["tail", "--type", "IncidentCreate"], 2, "'IncidentCreate' is no event, such as IncidentCreated"),
        (["tail", "--service", "auth", "--type", "IncidentCreated"], 2, "is no event of auth"),
        (["tail", "--incidents", "--type", "IncidentCreated"], 2, "--incidents: not together with"),
        (["tail", "--after", "p1"], 2, "--after: only with --incidents"),
        (["tail", "--incidents"], 1, "nothing runs in"),
        (["review", "show", "17"], 1, "nothing runs in"),
        (["review", "change", "17"], 2, "nothing to change"),
        (["review", "change", "17", "--text", "nothing.md"], 2, "--text: [Errno 2]"),
        (["parked", "replay", "12"], 2, "is no parked id"),
        (["replay", "--from", "yesterday"], 2, "--from: 'yesterday' is no moment"),
        (["replay", "--to", "2026-03-01T09:00:00"], 2, "lacks its zone"),
        (["replay", "--from", "1h", "--to", "2h"], 2, "--from must be before --to"),
        (["replay", "--follow", "--to", "1h"], 2, "--follow"),
        (["replay", "--resume", "nonsense"], 2, "no resume token"),
        (["replay", "--format", "xml"], 2, "xml"),
        (["replay", "--schedule", "x"], 2, "belong to --at"),
        (["replay", "--at", "1h"], 2, "name one --incident, --schedule or --policy"),
        (["replay", "--at", "1h", "--follow"], 2, "--at prints a state"),
        (["explain", "17", "--user", "ana"], 2, "'ana' is no id"),
        (["explain", "17", "--source", "service"], 1, "nothing runs in"),
        (["rebuild", "kitchen"], 2, "'kitchen' is none of"),
        (["doctor"], 1, "stack"),
        (["seed"], 1, "nothing runs in"),
        (["alert", "send", "x"], 1, "nothing runs in"),
    ],
)
def test_every_error_is_one_line_and_a_code(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.setenv("PAGER_HOME", str(home.path))
    assert entry.exit_code_of(lambda: entry.app(arguments, standalone_mode=False)) == code
    error = capsys.readouterr().err
    assert error.startswith("pager: ")
    assert error.count("\n") == 1
    assert says in error


def test_no_command_is_imported_with_what_only_its_body_needs() -> None:
    heavy = ("httpx", "nats", "pager_client", "rich", "services", "sqlalchemy", "cli.stack.stack")
    code = f"import sys, cli.main; print(*(name for name in {heavy} if name in sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split() == []


def test_a_bad_port_names_its_setting(home: Home) -> None:
    done = run(home.path, "reset", PAGER_PORT="many")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pager: PAGER_PORT: 'many' is not a port")


def test_doctor_answers_as_json_also_when_nothing_runs(home: Home) -> None:
    done = run(home.path, "doctor", "--json")
    assert done.returncode == 1
    findings = json.loads(done.stdout)["findings"]
    assert {finding["what"]: finding["verdict"] for finding in findings} == {
        "settings": "ok",
        "home": "ok",
        "stack": "trouble",
    }


def test_reset_asks_and_refuses_what_is_not_a_home_or_is_in_use(home: Home, tmp_path: Path) -> None:
    assert "is not a folder that Pager made" in run(tmp_path, "reset", "--yes").stderr
    assert tmp_path.is_dir()
    with home.hold():
        assert f"in use by process {os.getpid()}" in run(home.path, "reset", "--yes").stderr
    refused = run(home.path, "reset", "--json")
    assert refused.returncode == 2
    assert home.path.is_dir()
    done = run(home.path, "reset", "--yes", "--json")
    assert json.loads(done.stdout) == {"home": str(home.path), "erased": True, "left": []}
    assert list(home.path.iterdir()) == [], "the folder was there before"


def test_settings_come_from_the_environment_over_the_env_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PAGER_PORT=4000\nPAGER_NATS_PORT=4001\n")
    given = merged({"PAGER_PORT": "5000", "PAGER_HOME": str(tmp_path)}, read_env_file(file)[0])
    found = Settings.from_environment(given)
    assert (found.port, found.nats_port, found.simulator_port) == (5000, 4001, 3001)
    assert found.home.path == tmp_path


def test_a_secret_may_be_in_a_file_but_not_in_both(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hidden\n")
    assert value_of({"PAGER_MASTER_KEY_FILE": str(file)}, "PAGER_MASTER_KEY") == "hidden"
    with pytest.raises(Failure, match="PAGER_MASTER_KEY and PAGER_MASTER_KEY_FILE are both set: keep one"):
        value_of({"PAGER_MASTER_KEY_FILE": str(file), "PAGER_MASTER_KEY": "other"}, "PAGER_MASTER_KEY")
    with pytest.raises(Failure, match="PAGER_MASTER_KEY_FILE: No such file"):
        value_of({"PAGER_MASTER_KEY_FILE": str(tmp_path / "none")}, "PAGER_MASTER_KEY")
    assert port_of({}, "PAGER_PORT", 3000) == 3000


def test_a_child_inherits_no_secret_of_another() -> None:
    environment = {"PATH": "/bin", "PAGER_MASTER_KEY_FILE": "/x", "PAGER_DATABASE_URL": "u", "OTEL_X": "1"}
    passed = common(environment)
    assert {name: passed.get(name) for name in environment} == dict.fromkeys(environment) | {
        "PATH": "/bin",
        "OTEL_X": "1",
    }
    secrets = Secrets("key", "admin@x", "word")
    given: dict[str, Any] = {"nats_url": "nats://n", "database_url": "postgresql://d", "secrets": secrets}
    token = {"PAGER_METRICS_TOKEN": "for-the-gateway-alone"}
    gateway = of_service("gateway", 1, token, port=1, public_url="http://p", **(given | {"database_url": None}))
    assert "PAGER_DATABASE_URL" not in gateway
    assert "PAGER_MASTER_KEY" not in gateway
    assert gateway["PAGER_METRICS_TOKEN"] == "for-the-gateway-alone"
    told = token | {"PAGER_PUBLIC_URL": "https://p"}
    second = of_service("incidents", 2, told, port=1, public_url="http://p", **given)
    assert "PAGER_METRICS_TOKEN" not in second
    assert second["PAGER_INSTANCE"] == "incidents-2"
    assert second["PAGER_PUBLIC_URL"] == "https://p"
    assert second["PAGER_DATABASE_URL"] == "postgresql://d"


def test_the_simulator_stands_in_only_where_credentials_are_missing() -> None:
    real_fcm = {"PAGER_FCM_CREDENTIALS_FILE": "/real.json"}
    assert missing_push(real_fcm) == {"fcm": False, "apns": True, "webpush": True}
    simulated = {f"PAGER_{name}": "simulated" for name in ("FCM_URL", "FCM_TOKEN_URL", "FCM_CREDENTIALS_FILE")}
    names = ("APNS_KEY_FILE", "APNS_KEY_ID", "APNS_TEAM_ID", "APNS_TOPIC", "APNS_URL", "APNS_CA_FILE")
    apns = {f"PAGER_{name}": "simulated" for name in names}
    web = {f"PAGER_{name}": "simulated" for name in ("VAPID_KEY_FILE", "VAPID_SUBJECT", "WEB_PUSH_HOSTS")}
    told = of_simulated_push(real_fcm, simulated | apns | web)
    assert told == apns | web
    assert of_simulated_hosts(told) == {"PAGER_WEB_PUSH_HOSTS": "simulated"}
    assert not any(missing_push(real_fcm | {"PAGER_APNS_TOPIC": "a.b"}).values()), "beside real phones nothing is"
    with_key = missing_push({"PAGER_VAPID_SUBJECT": "mailto:a@b.c"})
    assert with_key == {"fcm": True, "apns": True, "webpush": False}


def test_urls_are_shown_without_credentials_and_quoted_with_them() -> None:
    assert without_user("postgresql://owner:se%40cret@db:5432/pager?sslmode=require") == "postgresql://db:5432/pager"
    assert with_user("nats://127.0.0.1:4222", "op", "a/b@c") == "nats://op:a%2Fb%40c@127.0.0.1:4222"


def test_an_alert_is_published_in_the_form_that_intake_reads() -> None:
    alert = AlertToSend("disk full", "db-eu", Priority.CRITICAL, "k1", "more", metadata={"a": "b"}, cloud_event=True)
    assert alert.subject == "pager.alerts.db-eu.critical"
    read = read_alert(alert.subject, alert.headers(), json.dumps(alert.body()).encode())
    assert (read.title, read.priority, read.source, read.dedup_key) == ("disk full", Priority.CRITICAL, "db-eu", "k1")
    assert read.event_source == "/db-eu"
    assert AlertToSend("x").body() == {"summary": "x"}
    for source in ("a b", "", "a.b", "*", "a.>"):
        with pytest.raises(Failure, match="--source"):
            _ = AlertToSend("x", source).subject


def test_metadata_is_key_equals_value() -> None:
    assert pairs_of("--metadata", ["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(Failure, match="'nothing' is not key=value"):
        pairs_of("--metadata", ["nothing"])


def test_tail_subscribes_to_what_was_asked_for() -> None:
    assert subject_of(None, None) == "pager.events.*.*.*.*"
    assert subject_of("incidents", None) == "pager.events.incidents.*.*.*"
    assert subject_of(None, "pager.incidents.IncidentCreated.v1") == "pager.events.incidents.*.IncidentCreated.*"
    with pytest.raises(Failure, match="--type"):
        subject_of(None, "a.b >")


def test_tail_shows_an_event_in_a_line() -> None:
    event: dict[str, Any] = {
        "type": "pager.incidents.IncidentCreated.v1",
        "time": "2026-11-22T22:00:01.250000Z",
        "entity": "0b6e9c0e-0000-4000-8000-000000000000",
        "data": {"title": "db [down]", "priority": "critical"},
    }
    message = Msg(Client(), "pager.events.x", data=json.dumps(event).encode(), headers={"Pager-Position": "7"})
    read = event_of(message)
    assert read["position"] == 7
    assert head_of(read).plain.startswith("22:00:01.250Z  incidents  IncidentCreated")
    shown = words_of(read).plain
    assert "title=db [down]" in shown
    assert "priority=critical" in shown


def test_parked_ids_name_their_service() -> None:
    assert parse_id("incidents/12") == ("incidents", 12)
    for wrong in ("12", "kitchen/1", "incidents/x", "incidents/-1"):
        with pytest.raises(Failure, match="is no parked id"):
            parse_id(wrong)


def test_doctor_says_that_mails_are_off_and_who_hands_links_over() -> None:
    for mail, told in (("off", [Level.NOTE]), ("on", [])):
        found = [finding for finding in judged(extra={"mail": mail}) if finding.what == "mail"]
        assert [finding.verdict for finding in found] == told
        assert all("admins" in finding.detail for finding in found)


def judged(**said: Any) -> list[Finding]:
    """What doctor says of incidents, and after it of whatever is no service, when all others are well."""
    words = {name: Health(service=name, instance=f"{name}-1", active=True, ready=True) for name in SERVICES}
    verdict = judge(Found(bus=True, words=words | {"incidents": words["incidents"].model_copy(update=said)}))
    return [*judge_service("incidents", verdict), *judge_others(verdict)]


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.what: str(finding.verdict) for finding in findings if finding.verdict is not Level.GOOD}


def test_doctor_tells_trouble_from_what_is_merely_worth_a_note() -> None:
    assert levels(judged()) == {}
    assert levels(judged(parked={"input": 2})) == {"parked by incidents": "note"}
    failed = judged(parked={"failure": 1}, ready=False, stopped=("auth: no",))
    assert levels(failed) == {"service incidents": "trouble", "parked by incidents": "trouble"}
    assert "auth: no" in failed[0].detail
    behind = judged(lag={"auth.routine": 5000})
    assert levels(behind) == {"service incidents": "trouble", "lag of incidents": "trouble"}
    unstored = judged(ready=False, unstored=("bus: ALERTS does not store",))
    assert levels(unstored) == {"service incidents": "note", "NATS": "trouble"}
    assert unstored[0].detail == "bus: ALERTS does not store"
    assert levels(judged(ready=False, database=False)) == {"PostgreSQL": "trouble"}
    nobody = Trouble(culprit="policy Default", problem="reaches nobody", effect=Effect.WARNING)
    assert levels(judged(troubles=(nobody,))) == {"policy Default": "note"}
    room = {"place": "/data", "free": 2 * 1024**3, "size": 40 * 1024**3, "low": True}
    nearly_full = judged(extra={"rooms": [room]})
    assert levels(nearly_full) == {"storage": "trouble"}
    assert nearly_full[2].detail == "2.0 of 40.0 GiB free in /data"
    hanging = judged(extra={"rooms": [room | {"low": False, "known": False}]})
    assert hanging[2].detail == "/data: not known: it does not answer"


def test_doctor_checks_the_clock_and_every_process() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert judge_clock(noon, noon.timestamp() + 0.5).verdict is Level.GOOD
    assert judge_clock(noon, noon.timestamp() + 90).verdict is Level.BAD
    states = {1: "sleeping", 2: None, 3: "stopped"}
    run = {"processes": {"auth": {"pid": 1}, "nats": {"pid": 2}, "postgres": {"pid": 3}}}
    found = judge_processes(run, lambda pid: states[pid])
    assert [(finding.what, finding.verdict, finding.detail) for finding in found[:3]] == [
        ("process auth", Level.GOOD, "pid 1"),
        ("process nats", Level.BAD, "pid 2 is gone"),
        ("process postgres", Level.BAD, "pid 3 is stopped: kill -CONT 3"),
    ]
    assert "process gateway" in {finding.what for finding in found if finding.verdict is Level.BAD}


def test_logs_past_the_limit_are_kept_once_and_emptied_in_place(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    with log.open("a") as writer:
        writer.write("x" * 100)
        writer.flush()
        (tmp_path / "theirs.log").write_text("x" * 100)
        assert rotate(tmp_path, limit=50) == ["auth.log"]
        writer.write("after")
    assert log.read_text() == "after"
    assert (tmp_path / "auth.log.1").read_text() == "x" * 100
    assert rotate(tmp_path, limit=50) == []


def test_the_last_words_of_a_service_are_the_error_and_not_the_frame_around_it(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    trace = "Traceback:\n  | KeyError: 'x'\n  +------------------------------------"
    log.write_text("starting\n" + json.dumps({"event": "service failed", "exception": trace}) + "\n")
    assert last_words(log) == "KeyError: 'x'"
    log.write_text(json.dumps({"event": "serving"}) + "\n")
    assert last_words(log) == "serving"
    assert last_words(tmp_path / "none.log") == ""


def test_reload_concerns_a_service_for_its_files_and_all_for_the_libraries() -> None:
    running = ["auth", "incidents", "incidents-2", "gateway"]
    assert concerned({ROOT / "services/incidents/api.py"}, running, ROOT) == ["incidents", "incidents-2"]
    assert concerned({ROOT / "libs/chassis/store/store.py"}, running, ROOT) == running
    assert concerned(set(), running, ROOT) == []
