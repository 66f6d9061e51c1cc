"""Each rendered pod gives its service what the service's own Settings demand, and nothing of another's."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, cast

import pytest

from cli.commands.deploy_config import for_kubernetes
from cli.deployment.installation import Addresses
from cli.settings import Settings as CommandSettings
from cli.simulators.credentials import apns_identity, service_account, vapid_key
from deploy.check import settings
from deploy.check.chart import VALUE_SETS, Document, Values, over, render, rendered, values_of
from libs.chassis.settings import SealingSettings, SettingsError
from libs.contracts.model import Role, TeamRole
from services.auth.settings import Settings as AuthSettings
from services.gateway.settings import Settings as GatewaySettings
from services.notifier.settings import Settings as NotifierSettings


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Every Secret that an installation has: those of `pager deploy-config kubernetes`, and those of the examples."""
    folder = tmp_path_factory.mktemp("installation")
    addresses = Addresses(postgres_host="postgres.postgres", nats="tls://nats.nats:4222")
    for_kubernetes(folder, addresses, "pager", as_json=False)
    items = json.loads((folder / "kubernetes-secrets.json").read_text())["items"]
    made: dict[str, dict[str, str]] = {item["metadata"]["name"]: item["stringData"] for item in items}
    # An authority of the right form is what this machine believes.
    authority = Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    _, key = apns_identity(folder)
    _, account = service_account(folder, "https://oauth2.example/token")
    return made | {
        "pager-push": {
            "service-account.json": account.read_text(),
            "key.p8": key.read_text(),
            "vapid.pem": vapid_key(folder).read_text(),
        },
        "nats-ca": {"ca.crt": authority},
        "postgres-ca": {"ca.crt": authority},
    }


def mounted(pod: Document, secrets: dict[str, dict[str, str]], folder: Path) -> dict[str, Path]:
    """Path in the pod → a file here, for every mounted item of a Secret; a missing Secret or key is an error."""
    files: dict[str, Path] = {}
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    for mount in pod["spec"]["containers"][0]["volumeMounts"]:
        secret = volumes[mount["name"]].get("secret")
        for item in secret["items"] if secret else ():
            path = folder / f"{mount['name']}-{item['path']}"
            path.write_text(secrets[secret["secretName"]][item["key"]])
            files[f"{mount['mountPath']}/{item['path']}"] = path
    return files


def variables(pod: Document) -> dict[str, str]:
    return {one["name"]: one.get("value", "of-the-pod") for one in pod["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("service", settings.PROCESSES)
@pytest.mark.parametrize("values", VALUE_SETS)
def test_a_service_takes_the_variables_and_files_of_its_pod(
    service: str, values: str, secrets: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    pod = rendered(values).named("Deployment", f"pager-{service}")["spec"]["template"]
    loaded = settings.load(service, variables(pod), mounted(pod, secrets, tmp_path))
    assert loaded.nats_url.get_secret_value().startswith(f"tls://{service}:")
    assert loaded.nats_tls()["tls_handshake_first"]
    if service != "gateway":
        assert loaded.database_url.get_secret_value().startswith(f"postgresql://pager_{service}:")
    if isinstance(loaded, NotifierSettings):
        assert (loaded.push, loaded.has_fcm, loaded.has_apns, loaded.has_webpush) == ("healthy", True, True, True)
    if isinstance(loaded, NotifierSettings | AuthSettings):
        assert loaded.web_push_hosts == "push.example.com"


def test_auth_is_given_the_previous_master_key_while_it_is_replaced(
    secrets: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    values = over(values_of("default"), {"auth": {"previousMasterKey": True}})
    pod = render(values).named("Deployment", "pager-auth")["spec"]["template"]
    with pytest.raises(KeyError, match="master-key-previous"):
        mounted(pod, secrets, tmp_path)
    credentials = secrets["pager-credentials"] | {"master-key-previous": "p" * 40}
    loaded = settings.load("auth", variables(pod), mounted(pod, secrets | {"pager-credentials": credentials}, tmp_path))
    assert isinstance(loaded, AuthSettings)
    assert loaded.master_key_previous is not None
    assert loaded.master_key_previous.get_secret_value() == "p" * 40


def test_a_service_is_given_the_sealing_key_before_while_it_is_replaced(
    secrets: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    values = over(values_of("default"), {"previousSealingKeys": True})
    pod = render(values).named("Deployment", "pager-oncall")["spec"]["template"]
    credentials = secrets["pager-credentials"] | {"oncall-sealing-key-previous": "p" * 40}
    loaded = settings.load(
        "oncall", variables(pod), mounted(pod, secrets | {"pager-credentials": credentials}, tmp_path)
    )
    assert isinstance(loaded, SealingSettings)
    assert loaded.sealing_keys()[1:] == ("p" * 40,)


def test_auth_is_given_the_mail_server_where_there_is_one(secrets: dict[str, dict[str, str]], tmp_path: Path) -> None:
    assert not any(name.startswith("PAGER_SMTP") for name in variables(_auth({})))
    pod = _auth({"smtp": {"enabled": True, "existingSecret": "mail", "from": "pager@example.com"}})
    mail = {"mail": {"smtp-url": "smtp://u:p@mail.example:587"}}
    loaded = settings.load("auth", variables(pod), mounted(pod, secrets | mail, tmp_path))
    assert isinstance(loaded, AuthSettings)
    server = loaded.mail_server()
    assert server is not None
    assert (server.hostname, server.sender) == ("mail.example", "pager@example.com")


def test_auth_is_given_the_countries_of_addresses_where_there_is_a_volume() -> None:
    assert "PAGER_GEOIP_FILE" not in variables(_auth({}))
    spec = _auth({"auth": {"countries": {"existingClaim": "geo", "file": "c.mmdb"}}})["spec"]
    (volume,) = [one for one in spec["volumes"] if one["name"] == "countries"]
    assert volume["persistentVolumeClaim"] == {"claimName": "geo", "readOnly": True}
    (container,) = spec["containers"]
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "countries"]
    given = {one["name"]: one.get("value") for one in container["env"]}
    assert (given["PAGER_GEOIP_FILE"], mount["readOnly"]) == (f"{mount['mountPath']}/c.mmdb", True)


def test_auth_keeps_the_ledger_of_erasures_in_a_claim_of_its_own(
    secrets: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    assert "PAGER_ERASURE_LEDGER_FILE" not in variables(_auth({})), "without one nobody is erased"
    pod = _auth({"auth": {"erasureLedger": {"existingClaim": "erasures"}}})
    loaded = settings.load("auth", variables(pod), mounted(pod, secrets, tmp_path))
    assert isinstance(loaded, AuthSettings)
    (volume,) = (v for v in pod["spec"]["volumes"] if "persistentVolumeClaim" in v)
    assert volume["persistentVolumeClaim"] == {"claimName": "erasures"}
    (mount,) = (m for m in pod["spec"]["containers"][0]["volumeMounts"] if m["name"] == volume["name"])
    assert loaded.erasure_ledger_file == f"{mount['mountPath']}/erasures"
    assert not mount.get("readOnly")


def test_auth_is_given_the_identity_provider_where_there_is_one(
    secrets: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    assert not any(name.startswith("PAGER_OIDC") for name in variables(_auth({})))
    apps = ["com.example.pager:/signed-in", "https://pager.example.com/app/signed-in"]
    given = {
        "enabled": True,
        "issuer": "https://id.example.com/realms/one",
        "clientId": "pager",
        "existingSecret": "oidc",
        "redirectUris": apps,
        "groupRoles": {"pager-admins": "admin", "sre": ["user", "lead"], "db": {"team": "Databases"}},
    }
    pod = _auth({"oidc": given})
    known = {"oidc": {"client-secret": "a secret"}}
    loaded = settings.load("auth", variables(pod), mounted(pod, secrets | known, tmp_path))
    assert isinstance(loaded, AuthSettings)
    configuration = loaded.oidc()
    assert configuration is not None
    assert (configuration.secret, configuration.redirect_uris) == ("a secret", tuple(apps))
    assert configuration.given_by(["sre", "pager-admins"]).roles == {Role.USER, Role.LEAD, Role.ADMIN}
    assert configuration.given_by(["db"]).teams == {"databases": TeamRole.MEMBER}
    assert configuration.callback.startswith("https://")
    public = _auth({"oidc": given | {"existingSecret": ""}})
    assert "PAGER_OIDC_CLIENT_SECRET_FILE" not in variables(public)


def _auth(more: Values) -> Document:
    return cast(
        "Document", render(over(values_of("default"), more)).named("Deployment", "pager-auth")["spec"]["template"]
    )


def test_the_switches_and_the_drain_are_what_the_gateway_and_the_notifier_read(
    secrets: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    plain = rendered("default").named("Deployment", "pager-gateway")["spec"]["template"]
    gateway = settings.load("gateway", variables(plain), mounted(plain, secrets, tmp_path))
    assert isinstance(gateway, GatewaySettings)
    assert (gateway.enable_rate_limiting, gateway.enable_maintenance_mode, gateway.features) == (True, False, {})
    assert plain["spec"]["terminationGracePeriodSeconds"] == 30

    features = {"analytics": False, "bulk": 25, "reviews": 0, "stream": True}
    switches = {"rateLimiting": False, "maintenanceMode": True, "circuitBreaker": False, "features": features}
    chart = render(over(values_of("default"), {"switches": switches, "drainSeconds": 20}))
    pods = {name: chart.named("Deployment", f"pager-{name}")["spec"]["template"] for name in ("gateway", "notifier")}
    told = {name: settings.load(name, variables(pod), mounted(pod, secrets, tmp_path)) for name, pod in pods.items()}
    gateway, notifier = told["gateway"], told["notifier"]
    assert isinstance(gateway, GatewaySettings)
    assert isinstance(notifier, NotifierSettings)
    assert (gateway.enable_rate_limiting, gateway.enable_maintenance_mode, gateway.drain_seconds) == (False, True, 20)
    said = {name: (flag.enabled, flag.percentage) for name, flag in gateway.features.items()}
    assert said == {"analytics": (False, None), "bulk": (True, 25), "reviews": (True, 0), "stream": (True, None)}
    assert not notifier.enable_circuit_breaker
    grace = {name: pod["spec"]["terminationGracePeriodSeconds"] for name, pod in pods.items()}
    assert grace == {"gateway": 50, "notifier": 30}


def test_the_gateway_is_told_which_phone_apps_are_ours(secrets: dict[str, dict[str, str]], tmp_path: Path) -> None:
    def gateway(more: Values) -> Document:
        chart = render(over(values_of("default"), more))
        return cast("Document", chart.named("Deployment", "pager-gateway")["spec"]["template"])

    assert not any(name.startswith("PAGER_APP_") for name in variables(gateway({})))
    prints = [":".join([pair] * 32) for pair in ("AB", "0F")]
    android = {"com.example.pager": prints, "org.example.other": prints[:1]}
    pod = gateway({"app": {"appleIds": ["ABCDE12345.com.example.pager"], "android": android}})
    loaded = settings.load("gateway", variables(pod), mounted(pod, secrets, tmp_path))
    assert isinstance(loaded, GatewaySettings)
    assert loaded.apple_apps == ("ABCDE12345.com.example.pager",)
    assert {name: list(prints) for name, prints in loaded.android_apps.items()} == android


@pytest.mark.parametrize("missing", ["PAGER_NATS_URL_FILE", "PAGER_MASTER_KEY_FILE", "PAGER_ADMIN_PASSWORD_FILE"])
def test_a_variable_that_were_missing_would_be_noticed(
    missing: str, secrets: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    pod = rendered("default").named("Deployment", "pager-auth")["spec"]["template"]
    given = {name: value for name, value in variables(pod).items() if name != missing}
    with pytest.raises(SettingsError):
        settings.load("auth", given, mounted(pod, secrets, tmp_path))


@pytest.mark.parametrize("service", settings.PROCESSES)
def test_a_pod_is_given_no_secret_of_another(service: str) -> None:
    pod = rendered("production").named("Deployment", f"pager-{service}")["spec"]["template"]["spec"]
    keys = {
        item["key"]
        for volume in pod["volumes"]
        if volume.get("secret", {}).get("secretName") == "pager-credentials"
        for item in volume["secret"]["items"]
    }
    own = {f"{service}-nats-url", f"{service}-database-url"} if service != "gateway" else {"gateway-nats-url"}
    own |= {f"{service}-sealing-key"} if service not in ("auth", "gateway") else set()
    assert keys == own | ({"master-key", "admin-email", "admin-password"} if service == "auth" else set())


@pytest.mark.parametrize("service", settings.PROCESSES)
def test_a_pod_runs_the_module_of_its_service(service: str) -> None:
    pod = rendered("default").named("Deployment", f"pager-{service}")["spec"]["template"]["spec"]
    python, flag, module = pod["containers"][0]["command"]
    assert (python, flag) == ("python", "-m")
    assert module == f"services.{service}.main"
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize(("job", "role"), [("schemas", "pager_owner"), ("streams", "operator")])
def test_a_job_has_the_credentials_of_its_command(
    job: str, role: str, secrets: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    found = rendered("production").named("Job", f"pager-{job}")
    assert found["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = found["spec"]["template"]
    files = mounted(pod, secrets, tmp_path)
    given = {name: str(files.get(value, value)) for name, value in variables(pod).items()}
    read = CommandSettings.from_environment(given)
    url = read.database_url if job == "schemas" else read.nats_url
    assert url is not None
    assert f"://{role}:" in url
    assert pod["spec"]["containers"][0]["command"][:3] == ["pager", "prepare", job]


def test_streams_have_three_copies_on_a_cluster_and_one_in_a_trial() -> None:
    def replicas(values: str) -> str:
        pod = rendered(values).named("Job", "pager-streams")["spec"]["template"]["spec"]
        command: list[str] = pod["containers"][0]["command"]
        return command[command.index("--replicas") + 1]

    assert (replicas("production"), replicas("small")) == ("3", "1")


def test_every_service_scales_from_three_to_twenty_at_seventy_and_eighty_percent() -> None:
    scalers = rendered("default").of("HorizontalPodAutoscaler")
    assert {one["spec"]["scaleTargetRef"]["name"] for one in scalers} == {f"pager-{s}" for s in settings.PROCESSES}
    for scaler in scalers:
        spec = scaler["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 20)
        targets = {m["resource"]["name"]: m["resource"]["target"]["averageUtilization"] for m in spec["metrics"]}
        assert targets == {"cpu": 70, "memory": 80}
    for deployment in rendered("default").of("Deployment"):
        assert "replicas" not in deployment["spec"], "an upgrade would undo what the autoscaler decided"


@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_container_is_probed_limited_and_restricted(values: str) -> None:
    for owner, pod in rendered(values).pods():
        spec: dict[str, Any] = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, owner
        assert spec["securityContext"]["runAsNonRoot"] is True, owner
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        (container,) = spec["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True, owner
        assert security["allowPrivilegeEscalation"] is False, owner
        assert security["capabilities"] == {"drop": ["ALL"]}, owner
        assert {"requests", "limits"} <= set(container["resources"]), owner
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"], owner  # noqa: S108
        if spec.get("restartPolicy") != "Never":
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), owner
            ports = {port["name"] for port in container["ports"]}
            probes = [container[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
            assert {probe["port"] for probe in probes} <= ports, owner


def test_the_monitor_port_listens_where_probes_come_from() -> None:
    for service in settings.PROCESSES:
        pod = rendered("default").named("Deployment", f"pager-{service}")["spec"]["template"]
        given = variables(pod)
        (port,) = [one for one in pod["spec"]["containers"][0]["ports"] if one["name"] == "monitor"]
        assert (given["PAGER_MONITOR_HOST"], given["PAGER_MONITOR_PORT"]) == ("0.0.0.0", str(port["containerPort"]))  # noqa: S104


def test_a_budget_and_a_spread_hold_the_pods_of_their_service() -> None:
    made = rendered("production")
    for service in settings.PROCESSES:
        pod = made.named("Deployment", f"pager-{service}")["spec"]["template"]
        budget = made.named("PodDisruptionBudget", f"pager-{service}")
        wanted = [budget["spec"]["selector"], *(c["labelSelector"] for c in pod["spec"]["topologySpreadConstraints"])]
        for selector in wanted:
            assert selector["matchLabels"].items() <= pod["metadata"]["labels"].items()
            assert selector["matchLabels"]["app.kubernetes.io/component"] == service


def test_the_session_names_of_a_replica_fit_into_postgresql() -> None:
    pod = rendered("default").named("Deployment", "pager-escalation")["spec"]["template"]["spec"]
    instance = next(one for one in pod["containers"][0]["env"] if one["name"] == "PAGER_INSTANCE")
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.uid"}}
    uid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
    assert len(f"pager/escalation/{uid}/work") < 64
