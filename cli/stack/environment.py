"""The environment that each child process gets: what it needs, and no secret of another."""

from collections.abc import Mapping
from typing import Final

from cli.embedded.credentials import STATEFUL_SERVICES
from cli.stack.secrets_file import Secrets
from libs.chassis.environment import OUR_PREFIXES

_OURS: Final = (
    *("DATABASE_URL", "NATS_URL", "PORT", "INSTANCE"),
    *("MASTER_KEY", "MASTER_KEY_PREVIOUS", "ADMIN_EMAIL", "ADMIN_PASSWORD"),
    *("SEALING_KEY", "SEALING_KEY_PREVIOUS"),
)
"""Settings that are decided here, by process: they are never passed on as they are."""

FCM: Final = ("PAGER_FCM_CREDENTIALS_FILE", "PAGER_FCM_URL", "PAGER_FCM_TOKEN_URL")
APNS: Final = (
    "PAGER_APNS_KEY_FILE",
    "PAGER_APNS_KEY_ID",
    "PAGER_APNS_TEAM_ID",
    "PAGER_APNS_TOPIC",
    "PAGER_APNS_URL",
    "PAGER_APNS_CA_FILE",
)
WEBPUSH: Final = ("PAGER_VAPID_KEY_FILE", "PAGER_VAPID_SUBJECT", "PAGER_WEB_PUSH_HOSTS")
_GATEWAYS_OWN: Final = ("PAGER_METRICS_TOKEN", "PAGER_METRICS_TOKEN_FILE")
LEDGER: Final = "PAGER_ERASURE_LEDGER_FILE"
_AUTHS_OWN: Final = (
    LEDGER,
    *("PAGER_SMTP_URL", "PAGER_SMTP_URL_FILE"),
    *("PAGER_OIDC_CLIENT_SECRET", "PAGER_OIDC_CLIENT_SECRET_FILE"),
)
_VENDORS: Final = {"fcm": FCM, "apns": APNS, "webpush": WEBPUSH}
SERVICES: Final = (*STATEFUL_SERVICES, "gateway")


_PASSED: Final = (
    *("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),  # which authorities this machine believes
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
)
_CHOSEN: Final = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}


def common(environment: Mapping[str, str]) -> dict[str, str]:
    """What every child gets: settings but for those that are decided by process, where things are, and nothing else.

    A shell's proxies (which would catch calls to this machine), PG*, PYTHONPATH and language are for other programs.
    """
    decided = {f"PAGER_{name}{suffix}" for name in _OURS for suffix in ("", "_FILE")}
    settings = {k: v for k, v in environment.items() if k.startswith(OUR_PREFIXES) and k not in decided}
    return settings | {name: environment[name] for name in _PASSED if name in environment} | _CHOSEN


def missing_push(environment: Mapping[str, str]) -> dict[str, bool]:
    """Whether the simulator must stand in, by provider: nothing at all is set for the real one.

    Half of it is a mistake, which the notifier refuses: whoever sets it means to reach real phones. For browsers, which
    nobody needs to be paged, it stands in only beside another: where all phones are real, nothing is simulated.
    """
    given = {name: any(environment.get(v) for v in variables) for name, variables in _VENDORS.items()}
    missing = {name: not known for name, known in given.items()}
    return missing | {"webpush": missing["webpush"] and (missing["fcm"] or missing["apns"])}


def of_simulated_push(environment: Mapping[str, str], simulated: Mapping[str, str]) -> dict[str, str]:
    """The part of the simulators' variables for the providers whose credentials are missing."""
    missing = missing_push(environment)
    return {name: simulated[name] for vendor, names in _VENDORS.items() if missing[vendor] for name in names}


def of_simulated_hosts(simulated: Mapping[str, str]) -> dict[str, str]:
    """What auth is told of them: whose subscriptions browsers may register."""
    return {name: value for name, value in simulated.items() if name == "PAGER_WEB_PUSH_HOSTS"}


def of_service(
    service: str,
    replica: int,
    inherited: Mapping[str, str],
    *,
    nats_url: str,
    database_url: str | None,
    secrets: Secrets,
    port: int,
    public_url: str,
) -> dict[str, str]:
    """The environment of one replica (counted from 1): its own database role and NATS user, and the admin for auth."""
    environment = dict(inherited) | {"PAGER_NATS_URL": nats_url, "PAGER_INSTANCE": f"{service}-{replica}"}
    if not (inherited.get("PAGER_PUBLIC_URL") or inherited.get("PAGER_PUBLIC_URL_FILE")):
        environment["PAGER_PUBLIC_URL"] = public_url
    if service != "auth":
        for name in _AUTHS_OWN:
            environment.pop(name, None)
    if service == "gateway":
        return environment | {"PAGER_PORT": str(port)}
    for name in _GATEWAYS_OWN:
        environment.pop(name, None)
    environment["PAGER_ADMIN_EMAIL"] = secrets.admin_email
    if database_url is not None:
        environment["PAGER_DATABASE_URL"] = database_url
    if service in secrets.sealing_keys:
        environment["PAGER_SEALING_KEY"] = secrets.sealing_keys[service]
        # An empty setting is none.
        environment["PAGER_SEALING_KEY_PREVIOUS"] = secrets.previous_sealing_keys.get(service, "")
    if service == "auth":
        environment["PAGER_ADMIN_PASSWORD"] = secrets.admin_password
        environment |= of_master_keys(secrets.master_key, secrets.previous_master_key)
    return environment


def of_master_keys(present: str, previous: str | None) -> dict[str, str]:
    """What auth alone is told of them; an empty setting is none."""
    return {"PAGER_MASTER_KEY": present, "PAGER_MASTER_KEY_PREVIOUS": previous or ""}


def process_name(service: str, replica: int) -> str:
    """Its name in `run.json`: `incidents`, then `incidents-2`."""
    return service if replica == 1 else f"{service}-{replica}"
