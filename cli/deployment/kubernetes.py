"""What a cluster needs before the chart: two Secrets, and the roles for PostgreSQL."""

from typing import Any, Final

from cli.deployment.bus import server_environment
from cli.deployment.installation import Installation, to_json
from cli.deployment.roles import roles_sql

CREDENTIALS: Final = "pager-credentials"
BUS_PASSWORDS: Final = "pager-nats-passwords"


def files(installation: Installation, namespace: str) -> dict[str, str]:
    """Content by name. `secrets.json` is a List of both Secrets, for `kubectl apply`; JSON needs no quoting."""
    senders = {"sender-nats-url": installation.nats_url("sender")}
    documents = [
        _secret(CREDENTIALS, namespace, installation.secret_values()),
        _secret(BUS_PASSWORDS, namespace, server_environment(dict(installation.credentials.nats))),
        _secret("pager-sender", namespace, senders),
    ]
    return {
        "kubernetes-secrets.json": to_json({"apiVersion": "v1", "kind": "List", "items": documents}),
        "roles.sql": roles_sql(installation.credentials.postgres),
    }


def _secret(name: str, namespace: str, values: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "stringData": values,
    }
