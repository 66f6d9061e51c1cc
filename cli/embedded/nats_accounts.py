"""Who may say and hear what on NATS: a table of permissions, and the server configuration rendered from it.

Promise 13 (docs/promises.md). Anonymous senders have an account of their own because a reply subject is a write: in
ours, a PubAck that is sent to `pager.events.incidents.X` is stored in INCIDENTS (seen with nats-server 2.15.1).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cli.embedded.credentials import STATEFUL_SERVICES
from cli.embedded.ports import LOOPBACK
from libs.contracts.subjects import (
    ALERTS_PROBE,
    OWN_ALERT_SUBJECTS,
    QUESTIONS,
    READS,
    REVOCATIONS,
    REVOKED,
    SPARSE,
    SPENT,
    UPSTREAMS,
    fact_filter,
    lane_filter,
    lanes_of,
    public_filter,
    reads_all,
    rpc_subject,
)

EVENT_STREAMS: Final = tuple(service.upper() for service in STATEFUL_SERVICES)
ALERTS: Final = "pager.alerts.>"
ANONYMOUS: Final = "anonymous"
SENDER: Final = "sender"
MAX_PAYLOAD: Final = 1024 * 1024
MAX_CONNECTIONS: Final = 1000
# Whoever opens connections without a password must leave room for the services and the signed-in.
MAX_ANONYMOUS_CONNECTIONS: Final = 500
MAX_ANONYMOUS_SUBSCRIPTIONS: Final = 5000
# Consumers keep their state in memory; streams are on disk.
MAX_MEMORY_STORE: Final = 64 * 1024 * 1024
# Six streams of up to 10 GiB are reserved when they are declared. The server's default, 75 % of what is free on the
# disk, would refuse to declare them on a small disk although they stay nearly empty.
MAX_FILE_STORE: Final = 100 * 1024**3


@dataclass(frozen=True)
class Permissions:
    """Subjects that a user may publish on and subscribe to; `responds` allows one answer to each request it got.

    `denied`: what it may not publish although it lies under `publish`.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    responds: bool = False
    denied: tuple[str, ...] = ()

    def to_config(self) -> dict[str, object]:
        """The `permissions` block; an empty list would mean "everything", so there is none."""
        if not self.publish or not self.subscribe:
            raise ValueError("a user without subjects would be allowed all")
        config: dict[str, object] = {
            "publish": {"allow": list(self.publish)},
            "subscribe": {"allow": list(self.subscribe)},
        }
        if self.denied:
            config["publish"] = {"allow": list(self.publish), "deny": list(self.denied)}
        if self.responds:
            config["allow_responses"] = True
        return config


def inbox_prefix(user: str) -> str:
    """The prefix under which a user gets answers; its own, else everybody could read everybody's."""
    return f"_INBOX_{user}" if user != ANONYMOUS else "_INBOX"


def read_api(stream: str) -> tuple[str, ...]:
    """JetStream API subjects for reading one stream whole, with pull consumers that acknowledge nothing."""
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.>",
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.INFO.{stream}.>",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.>",
        f"$JS.API.CONSUMER.DELETE.{stream}.>",
    )


def filtered_api(stream: str, *filters: str, unbound: bool = False) -> tuple[str, ...]:
    """For reading of a stream what is on these subjects alone; `unbound`: whatever its consumers ask for as well.

    The name of a consumer's filter is part of the subject on which it is made, and the server holds it against what
    the request says. A message by its number could be anything: there is none.
    """
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        *(f"$JS.API.CONSUMER.CREATE.{stream}.*.{filter_}" for filter_ in filters),
        *((f"$JS.API.CONSUMER.CREATE.{stream}.*",) if unbound else ()),
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.>",
        f"$JS.API.CONSUMER.DELETE.{stream}.>",
    )


def filters_of(reader: str, upstream: str) -> tuple[str, ...]:
    """On which subjects of an upstream it reads: whole lanes, or its facts where these are few."""
    if (reader, upstream) in SPARSE:
        types = (f"pager.{upstream}.{fact}.v1" for fact in READS[reader][upstream])
        return tuple(fact_filter(type_name, lane) for type_name in types for lane in lanes_of(upstream))
    whole = lane_filter if reads_all(reader, upstream) else public_filter
    return tuple(whole(upstream, lane) for lane in lanes_of(upstream))


def _is_unbound(reader: str, upstream: str) -> bool:
    """Of a consumer with several filters none is in its subject: who reads so is kept from nothing of that stream.

    With one, as the release before may have asked, it goes on being made: accounts are renewed before the processes.
    """
    return (reader, upstream) in SPARSE and len(READS[reader][upstream]) > 1


def _following(reader: str) -> tuple[str, ...]:
    """What it reads of others' streams, and of auth's which tokens are revoked. Its own it reads whole."""
    filters = {upstream: filters_of(reader, upstream) for upstream in READS[reader]}
    if reader != "auth":
        filters["auth"] = (*filters.get("auth", ()), *REVOCATIONS)
    return tuple(
        subject
        for upstream, some in filters.items()
        for subject in filtered_api(upstream.upper(), *some, unbound=_is_unbound(reader, upstream))
    )


def _reading(*streams: str) -> tuple[str, ...]:
    return ("$JS.API.INFO", *(subject for stream in streams for subject in read_api(stream)))


def _acknowledging(*streams: str) -> tuple[str, ...]:
    """Where acknowledgements of these streams' messages go, though none is ever sent.

    Each message of a stream names such a reply subject. Of a user that may answer requests, and not publish there, the
    server keeps every one for two minutes as an answer that it owes: a tenth of its processor time in a storm.
    """
    return tuple(f"$JS.ACK.{stream}.>" for stream in streams)


def _catching_up(reader: str, upstream: str) -> tuple[str, ...]:
    """What it asks an owner for when the stream has lost something."""
    events = "events" if reads_all(reader, upstream) else "public_events"
    return rpc_subject(upstream, events), rpc_subject(upstream, "position")


def _service(service: str) -> Permissions:
    upstreams = UPSTREAMS[service]
    whole = (service.upper(), "ALERTS") if service == "incidents" else (service.upper(),)
    streams = dict.fromkeys((*whole, *(upstream.upper() for upstream in (*upstreams, "auth"))))
    own: tuple[str, ...] = ()
    if service == "incidents":
        # It reads alerts, so it alone knows which have been taken: nobody else of ours may purge, and it nothing else.
        own = ("$JS.API.STREAM.PURGE.ALERTS", ALERTS_PROBE)
    if service == "auth":
        own = (REVOKED,)
    heard = () if service == "auth" else (REVOKED,)
    catch_up = (subject for upstream in upstreams for subject in _catching_up(service, upstream))
    return Permissions(
        publish=(
            f"pager.events.{service}.>",
            f"pager.wake.{service}",
            *catch_up,
            "pager.rpc.auth.keys",
            *(rpc_subject(*question) for question in QUESTIONS.get(service, ())),
            OWN_ALERT_SUBJECTS[1],  # its alarms
            *own,
            *_reading(*whole),
            *_following(service),
            *_acknowledging(*streams),
        ),
        subscribe=(f"{inbox_prefix(service)}.>", f"pager.rpc.{service}.>", f"pager.wake.{service}", *heard),
        responds=True,
    )


def permissions(user: str) -> Permissions:
    """What a user of the account PAGER, or `anonymous`, may do. Raises `KeyError` for an unknown user."""
    if user in STATEFUL_SERVICES:
        return _service(user)
    inbox = f"{inbox_prefix(user)}.>"
    # An alarm of ours pages the admins under a policy of its own: whoever sends alerts for others cannot raise one.
    ours = OWN_ALERT_SUBJECTS
    # Logs, what was parked, and auth's keys are for services and operators; whoever stands at the door forwards nobody
    # there. What opens personal texts is for the services that show or use them, and for no operator.
    persons = "pager.rpc.*.person_keys"
    asked = ("events", "public_events", "parked", "replay", "signing_keys", "rotate_keys", "person_keys")
    inner = (*ours, *(f"pager.rpc.*.{one}" for one in asked))
    return {
        "gateway": Permissions(
            ("pager.rpc.>", ALERTS, SPENT, "$JS.API.INFO", *_following("gateway")),
            (inbox, REVOKED, SPENT),
            denied=inner,
        ),
        # Operators declare streams, replay and repair: the whole JetStream API, but no event and no alarm of their own.
        "operator": Permissions(
            ("pager.rpc.>", ALERTS, "$JS.API.>"), (inbox, "pager.events.>", ALERTS), denied=(*ours, persons)
        ),
        "auditor": Permissions(_reading(*EVENT_STREAMS), (inbox, "pager.events.>")),
        # Senders are other people's programs: their clients use the inbox prefix that every NATS client has.
        SENDER: Permissions((ALERTS,), (f"{inbox_prefix(ANONYMOUS)}.>", inbox), denied=ours),
        ANONYMOUS: Permissions((ALERTS,), (inbox,), denied=ours),
    }[user]


def accounts(passwords: Mapping[str, str], anonymous: bool) -> dict[str, object]:
    """The blocks `accounts` and, where senders need no password, `no_auth_user`."""

    def user(name: str) -> dict[str, object]:
        return {"user": name, "password": passwords[name], "permissions": permissions(name).to_config()}

    pager = {
        "jetstream": "enabled",
        "users": [user(name) for name in (*STATEFUL_SERVICES, "gateway", "operator", "auditor")],
        "exports": [{"service": ALERTS}],
    }
    senders = {
        "users": [user(name) for name in ((SENDER, ANONYMOUS) if anonymous else (SENDER,))],
        # Through an import the reply subject of a sender becomes one that the server made up: nobody can have
        # a PubAck written into a stream or sent to a service.
        "imports": [{"service": {"account": "PAGER", "subject": ALERTS}}],
        "limits": {
            "max_connections": MAX_ANONYMOUS_CONNECTIONS,
            "max_subscriptions": MAX_ANONYMOUS_SUBSCRIPTIONS,
        },
    }
    both: dict[str, object] = {"accounts": {"PAGER": pager, "SENDERS": senders}}
    return both | {"no_auth_user": ANONYMOUS} if anonymous else both


def server_config(
    *,
    name: str,
    port: int,
    folder: str,
    passwords: Mapping[str, str],
    anonymous: bool,
    monitoring_port: int | None = None,
    host: str = LOOPBACK,
) -> str:
    """The configuration file: JSON, which nats-server reads as a subset of its format and which needs no quoting.

    `folder` holds the streams (`jetstream/`) and the pid file. The text contains passwords.
    """
    config: dict[str, object] = {
        "server_name": name,
        "host": host,
        "port": port,
        "max_payload": MAX_PAYLOAD,
        "max_connections": MAX_CONNECTIONS,
        "pid_file": f"{folder}/nats.pid",
        "logtime_utc": True,
        "jetstream": {
            "store_dir": folder,
            # A PubAck must mean "on disk" (promise 7); event streams opt out with `persist_mode: async`.
            "sync_interval": "always",
            "max_memory_store": MAX_MEMORY_STORE,
            "max_file_store": MAX_FILE_STORE,
        },
        **accounts(passwords, anonymous),
    }
    if monitoring_port is not None:
        config["http"] = f"{LOOPBACK}:{monitoring_port}"
    # Its reader knows no \u escapes.
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"
