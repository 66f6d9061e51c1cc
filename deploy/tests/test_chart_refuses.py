"""What the chart refuses, and that it says which value is at fault."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.check.chart import Refused, Values, over, render, rendered, values_of


def refusal(change: Values, base: str = "default") -> str:
    with pytest.raises(Refused) as refused:
        render(over(values_of(base), change))
    return str(refused.value)


def at(path: str, value: Any) -> Values:
    """`at("push.fcm.enabled", True)` → `{"push": {"fcm": {"enabled": True}}}`"""
    for name in reversed(path.split(".")):
        value = {name: value}
    made: Values = value
    return made


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("autoscaling.minReplicas", "three"),
        ("autoscaling.targetCPUUtilizationPercentage", 700),
        ("image.digest", "sha256:short"),
        ("nats.streamReplicas", 2),
        ("database.sslMode", "prefer"),
        ("push.fcm.enabled", "yes"),
        ("push.apns.keyId", "short"),
        ("push.apns.url", "https://127.0.0.1:3002"),
        ("services.auth.resources.requests.memory", 192),
        ("networkPolicy.natsPeers", [{}]),
        ("auth.accessTokenLife", "15"),
        ("extraEnv", [{"name": "PAGER_MASTER_KEY", "value": "x"}]),
        ("extraEnv", [{"name": "ENABLE_MAINTENANCE_MODE", "value": "true"}]),
        ("drainSeconds", 61),
        ("switches.features.bulk", 101),
        ("switches.features.bulk", "on"),
        ("switches.maintenanceMode", "yes"),
        ("ingress.host", "https://pager.example.com"),
        ("app.appleIds", ["com.example.pager"]),
        ("app.android", {"com.example.pager": ["AB:CD"]}),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(path: str, value: Any) -> None:
    told = refusal(at(path, value))
    assert path.replace(".", "/") in told.replace(".", "/"), told


@pytest.mark.parametrize(
    "path",
    ["pusch.fcm", "push.fcm.url", "services.incident.replicas", "services.auth.replica", "switches.features.bluk"],
)
def test_an_unknown_name_is_refused(path: str) -> None:
    assert path.rpartition(".")[2] in refusal(at(path, 1)) or path.partition(".")[0] in refusal(at(path, 1))


@pytest.mark.parametrize("base", ["default", "small", "production"])
@pytest.mark.parametrize(
    "missing", ["fcm.existingSecret", "apns.existingSecret", "apns.keyId", "apns.teamId", "apns.topic"]
)
def test_missing_push_credentials_are_refused_in_every_set_of_values(base: str, missing: str) -> None:
    told = refusal(at(f"push.{missing}", ""), base)
    assert f"push.{missing}: credentials are missing, and simulated pushes are refused" in told


@pytest.mark.parametrize("missing", ["existingSecret", "from"])
def test_a_mail_server_needs_its_secret_and_a_sender(missing: str) -> None:
    given = {"enabled": True, "existingSecret": "mail", "from": "pager@example.com"} | {missing: ""}
    assert f"smtp.{missing}" in refusal({"smtp": given})


@pytest.mark.parametrize("missing", ["issuer", "clientId", "redirectUris"])
def test_an_identity_provider_needs_all_that_it_is_reached_by(missing: str) -> None:
    given = {"enabled": True, "issuer": "https://id.example.com", "clientId": "pager", "redirectUris": ["a:/b"]}
    given |= {missing: [] if missing == "redirectUris" else ""}
    assert f"oidc.{missing}" in refusal({"oidc": given})


def test_a_vendor_that_nobody_needs_may_be_switched_off_but_not_both() -> None:
    without = render(over(values_of("default"), {"push": {"fcm": {"enabled": False, "existingSecret": ""}}}))
    notifier = without.named("Deployment", "pager-notifier")
    names = {one["name"] for one in notifier["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert "PAGER_APNS_KEY_FILE" in names
    assert "PAGER_FCM_CREDENTIALS_FILE" not in names
    none: dict[str, Any] = {name: {"enabled": False} for name in ("fcm", "apns", "webpush")}
    assert "nobody can be paged" in refusal({"push": none})
    browsers = {"enabled": True, "existingSecret": "vapid", "subject": "mailto:a@example.com"}
    alone = render(over(values_of("default"), {"push": none | {"webpush": browsers}}))
    assert alone.named("Deployment", "pager-notifier")


@pytest.mark.parametrize("missing", ["existingSecret", "subject"])
def test_browsers_need_a_key_and_somebody_to_write_to(missing: str) -> None:
    assert "push.webpush" in refusal({"push": {"webpush": {missing: ""}}})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (at("replicas", 3), "replicas: contradicts autoscaling.enabled=true"),
        (at("services.auth.replicas", 3), "services.auth.replicas: contradicts autoscaling.enabled=true"),
        (at("autoscaling.enabled", False), "replicas: say how many"),
        (
            {
                "replicas": 2,
                "autoscaling": {"enabled": False},
                "services": {"auth": {"autoscaling": {"maxReplicas": 2}}},
            },
            "services.auth.autoscaling: means nothing while autoscaling.enabled=false",
        ),
        (at("services.oncall.autoscaling.maxReplicas", 2), "services.oncall: minReplicas 3 is more than maxReplicas 2"),
        (at("database.maxConnections", 1000), "database.maxConnections: 1690 connections may be needed"),
    ],
)
def test_contradictions_about_replicas_are_refused(change: Values, told: str) -> None:
    assert told in refusal(change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (at("image.repository", ""), "image.repository: name"),
        (at("credentials.existingSecret", ""), "credentials.existingSecret: name"),
        (at("publicUrl", ""), "publicUrl: say"),
        (at("publicUrl", "https://elsewhere.example.com"), "is not on ingress.host pager.example.com"),
        (at("ingress.tls.existingSecret", ""), "never served without TLS"),
        (at("nats.tls.enabled", False), "nats.tls.ca.existingSecret: is for TLS"),
    ],
)
def test_what_only_the_installation_knows_is_demanded(change: Values, told: str) -> None:
    assert told in refusal(change)


def test_the_chart_alone_is_refused() -> None:
    with pytest.raises(Refused, match=r"image\.repository: name"):
        render({})


def test_notes_warn_of_what_is_less_safe_than_it_could_be() -> None:
    assert "WARNING" not in rendered("production").notes
    weak = {"nats": {"tls": {"enabled": False, "ca": {"existingSecret": ""}}}, "networkPolicy": {"enabled": False}}
    notes = render(over(values_of("default"), weak | {"database": {"sslMode": "require"}})).notes
    assert notes.count("WARNING") == 3
    assert "1690 connections" in notes
