"""The table of NATS permissions: nobody may say or hear more than is promised (promise 13)."""

import json
from pathlib import Path

import pytest

from cli.deployment.bus import accounts_by_reference
from cli.embedded.credentials import NATS_USERS, STATEFUL_SERVICES
from cli.embedded.nats_accounts import accounts, permissions, server_config
from libs.contracts.model import Lane
from libs.contracts.subjects import (
    OWN_ALERT_SUBJECTS,
    QUESTIONS,
    READS,
    SPARSE,
    UPSTREAMS,
    fact_filter,
    has_private,
    lane_filter,
    lanes_of,
    reads_all,
    rpc_subject,
)

PASSWORDS = {user: f"secret-{user}" for user in NATS_USERS}


@pytest.mark.parametrize("service", STATEFUL_SERVICES)
def test_a_service_publishes_events_and_wakes_of_itself_only(service: str) -> None:
    publish = permissions(service).publish
    assert [subject for subject in publish if subject.startswith("pager.events.")] == [f"pager.events.{service}.>"]
    assert [subject for subject in publish if subject.startswith("pager.wake.")] == [f"pager.wake.{service}"]
    assert [subject for subject in publish if subject.startswith("pager.alerts.")] == ["pager.alerts.pager.>"]


@pytest.mark.parametrize("service", STATEFUL_SERVICES)
def test_a_service_asks_only_its_upstreams_for_events_and_auth_for_keys(service: str) -> None:
    asked = {subject for subject in permissions(service).publish if subject.startswith("pager.rpc.")}
    wanted = {f"pager.rpc.{upstream}.position" for upstream in UPSTREAMS[service]}
    wanted |= {
        f"pager.rpc.{upstream}.{'events' if reads_all(service, upstream) else 'public_events'}"
        for upstream in UPSTREAMS[service]
    }
    wanted |= {rpc_subject(*question) for question in QUESTIONS.get(service, ())}
    assert asked == wanted | {"pager.rpc.auth.keys"}


@pytest.mark.parametrize("service", STATEFUL_SERVICES)
def test_a_service_reads_its_own_stream_and_those_upstream(service: str) -> None:
    publish = permissions(service).publish
    read = {subject.rsplit(".", 1)[1] for subject in publish if subject.startswith("$JS.API.STREAM.INFO.")}
    extra = {"AUTH"} | ({"ALERTS"} if service == "incidents" else set())
    assert read == {service.upper(), *map(str.upper, UPSTREAMS[service])} | extra


@pytest.mark.parametrize("reader", [*STATEFUL_SERVICES, "gateway"])
def test_of_others_streams_only_what_is_read_can_be_had(reader: str) -> None:
    whole = {reader.upper(), *(("ALERTS",) if reader == "incidents" else ())}
    for subject in permissions(reader).publish:
        for asked in ("MSG.GET.", "DIRECT.GET.", "CONSUMER.INFO."):
            # A message by its number may be any of the stream.
            assert asked not in subject or subject.split(asked)[1].split(".")[0] in whole, subject
        made = subject.partition("$JS.API.CONSUMER.CREATE.")[2].split(".")
        several = (reader, made[0].lower()) in SPARSE and len(READS[reader][made[0].lower()]) > 1
        assert made[0] in ("", *whole) or len(made) > 3 or several, f"{subject} lets its filter be anything"
        assert not (several and has_private(made[0].lower()))
    private = {f"$JS.API.CONSUMER.CREATE.AUTH.*.{lane_filter('auth', Lane.ROUTINE)}", "$JS.API.CONSUMER.CREATE.AUTH.>"}
    may = bool(private & set(permissions(reader).publish))
    assert may == (reader in ("auth", "notifier")), "push tokens are the notifier's alone"


@pytest.mark.parametrize(("reader", "upstream"), sorted(SPARSE))
def test_whoever_takes_several_facts_may_still_ask_for_one_of_them(reader: str, upstream: str) -> None:
    """Its release before, which took one, reads on while its accounts are renewed before it is."""
    for fact in READS[reader][upstream]:
        filters = [fact_filter(f"pager.{upstream}.{fact}.v1", lane) for lane in lanes_of(upstream)]
        made = {f"$JS.API.CONSUMER.CREATE.{upstream.upper()}.*.{subject}" for subject in filters}
        assert made <= set(permissions(reader).publish)


def test_the_charts_accounts_are_those_of_the_table() -> None:
    chart = Path(__file__).resolve().parents[2] / "deploy/helm/pager/files/nats-accounts.conf"
    told = "pager deploy-config nats-accounts > deploy/helm/pager/files/nats-accounts.conf"
    assert chart.read_text(encoding="utf-8") == accounts_by_reference(), told


@pytest.mark.parametrize("user", NATS_USERS)
def test_only_the_operator_may_change_a_stream_and_incidents_purge_alerts(user: str) -> None:
    changing = ("STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.DELETE")
    publish = permissions(user).publish
    may = [subject for subject in publish if any(f"$JS.API.{call}" in subject for call in changing)]
    assert user == "operator" or may == (["$JS.API.STREAM.PURGE.ALERTS"] if user == "incidents" else [])
    assert ("$JS.API.>" in publish) == (user == "operator")


@pytest.mark.parametrize("user", NATS_USERS)
def test_only_services_may_raise_an_alarm_of_ours(user: str) -> None:
    table = permissions(user).to_config()["publish"]
    assert isinstance(table, dict)
    may_alert = "pager.alerts.>" in table["allow"]
    assert may_alert == (user in ("gateway", "operator", "sender", "anonymous"))
    denied = {subject for subject in table.get("deny", ()) if subject.startswith("pager.alerts.")}
    assert denied == (set(OWN_ALERT_SUBJECTS) if may_alert else set())


@pytest.mark.parametrize("user", NATS_USERS)
def test_nobody_hears_the_answers_of_another(user: str) -> None:
    inboxes = [subject for subject in permissions(user).subscribe if subject.startswith("_INBOX")]
    senders = {"anonymous": ["_INBOX.>"], "sender": ["_INBOX.>", "_INBOX_sender.>"]}
    assert inboxes == senders.get(user, [f"_INBOX_{user}.>"])


@pytest.mark.parametrize("anonymous", [True, False])
def test_senders_have_an_account_of_their_own_with_and_without_a_password(anonymous: bool) -> None:
    made = accounts(PASSWORDS, anonymous)["accounts"]
    assert isinstance(made, dict)
    assert [user["user"] for user in made["SENDERS"]["users"]] == ["sender", *(["anonymous"] if anonymous else [])]
    assert "jetstream" not in made["SENDERS"]
    assert not {"sender", "anonymous"} & {user["user"] for user in made["PAGER"]["users"]}


def test_an_unknown_user_has_no_permissions() -> None:
    with pytest.raises(KeyError):
        permissions("somebody")


def test_without_anonymous_senders_no_connection_lacks_a_password() -> None:
    closed = accounts(PASSWORDS, anonymous=False)
    assert "no_auth_user" not in closed
    assert "anonymous" not in json.dumps(closed)
    assert accounts(PASSWORDS, anonymous=True)["no_auth_user"] == "anonymous"


def test_the_configuration_listens_on_loopback_and_syncs_always() -> None:
    text = server_config(
        name="n", port=4222, folder="/data/nats", passwords=PASSWORDS, anonymous=True, monitoring_port=8222
    )
    config = json.loads(text)
    assert config["host"] == "127.0.0.1"
    assert config["http"] == "127.0.0.1:8222"
    assert config["jetstream"]["sync_interval"] == "always"
    assert set(config["accounts"]) == {"PAGER", "SENDERS"}
