"""No password, token or key, and nothing that belongs to a person, is in the clear in an event, a table, a log line, an
error or a metric.

Promises 2 and 13. The access log alone holds addresses of machines.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from libs.contracts.api_keys import new_key
from libs.contracts.subjects import SERVICES, STREAMS
from tests.phone import PASSWORD, Answer
from tests.scrape import scrape
from tests.world import World

_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_name <> 'alembic_version'"


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Every log line of this process as its processes write them, debug included."""
    caught: list[str] = []
    before = structlog.get_config()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root, level = logging.getLogger(), logging.getLogger().level

    def keep(_logger: Any, _method: str, event: Any) -> Any:
        caught.append(json.dumps(event, default=repr))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=False,
    )
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield caught
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        caught.append(stream.getvalue())
        structlog.configure(**before)
    handler.close()


async def _streams(world: World) -> dict[str, list[tuple[str, str]]]:
    """(subject and headers, body) of every event that the streams hold."""
    js, found = world.operator.jetstream(), dict[str, list[tuple[str, str]]]()
    for spec in STREAMS[1:]:
        info = await js.stream_info(spec.name)
        messages = [await js.get_msg(spec.name, s) for s in range(1, info.state.last_seq + 1)]
        found[spec.name] = [(f"{m.subject} {m.headers}", (m.data or b"").decode()) for m in messages]
    return found


async def _machines(world: World, once: dict[str, str]) -> dict[str, str]:
    """What API keys do, and what is done to them."""
    body = {"name": "Deploys", "scopes": ["incidents.list", "incidents.create"]}
    api_key = (await world.admin.call("POST", "/api-keys", body, **once)).data["apiKey"]
    second = await world.admin.call("POST", f"/api-keys/{api_key['id']}/secrets", **once)
    secrets = {"API key": api_key["key"], "API key's second": second.data["secret"]["key"]}
    for name in ("API key", "API key's second"):
        assert (await world.http("GET", "/incidents", token=secrets[name])).status == 200
        assert (await world.http("GET", "/users", token=secrets[name])).status == 403
        await world.http("GET", f"/incidents?key={secrets[name]}", token=secrets[name])
        await world.http("GET", f"/incidents/{secrets[name]}", token=secrets[name])
    secrets["a wrong API key"] = new_key()
    await world.http("GET", "/incidents", token=secrets["a wrong API key"])
    return secrets


async def _busy(world: World) -> dict[str, str]:
    """Everything that handles a secret happens; the secrets by their names."""
    ana, bo = await world.two_responders()
    # Under a key that lets it be repeated: then the answer is kept, and what is kept of the body.
    once = {"Idempotency-Key": "an-idempotency-key-of-theirs"}
    made = [await world.admin.call("POST", "/integrations", {"name": "Shop"}, **once) for _ in range(2)]
    assert made[0].data == made[1].data, "it was kept"
    key = made[0].data["integration"]["key"]
    secrets = {"password": PASSWORD, "ana's token": ana.token, "bo's token": bo.token, "integration key": key}
    secrets |= {"idempotency key": once["Idempotency-Key"], "a new person's password": "A-Fresh-Pass-9"}
    secrets |= await _machines(world, once)
    secrets |= {"somebody's address": "zq-cem@pager.test", "a phone number": "+4570123456"}
    secrets |= {"a first name": "Zyxwena", "a last name": "Quorlbaum", "an invited address": "zq-invited@pager.test"}
    person = {"email": secrets["somebody's address"], "firstName": "Zyxwena", "lastName": "Quorlbaum"}
    person |= {"roles": ["user"], "phone": secrets["a phone number"]}
    person["password"] = secrets["a new person's password"]
    assert (await world.admin.call("POST", "/users", person, **once)).status == 201
    assert (await world.admin.call("POST", "/users", person)).status == 409
    invited = {"email": secrets["an invited address"]}
    assert (await world.admin.call("POST", "/invites", invited, **once)).status == 201
    secrets |= {"a name of a device": "Zyxwena's second", "a new first name": "Wenazyx"}
    login = {"email": person["email"], "password": person["password"], "deviceId": "cem-phone"}
    cem = await world.http("POST", "/auth/login", login | {"deviceName": secrets["a name of a device"]})
    token = cem.data["tokens"]["accessToken"]
    renamed = await world.http("PATCH", "/users/me", {"firstName": secrets["a new first name"]}, token, **once)
    assert renamed.status == 200
    await world.http("POST", "/auth/login", {"email": "zq-nobody@pager.test", "password": PASSWORD, "deviceId": "x"})
    secrets["nobody's address"] = "zq-nobody@pager.test"
    for path in ("/users", "/users?limit=1", "/auth/sessions", "/devices"):
        assert (await world.http("GET", path, token=token)).status == 200
    assert (await world.admin.call("GET", "/audit")).status == 200
    for name, phone in (("ana", ana), ("bo", bo), ("admin", world.admin)):
        secrets |= {
            f"{name}'s access": phone.session["accessToken"],
            f"{name}'s refresh": phone.session["refreshToken"],
        }
    renewed = await world.http("POST", "/auth/refresh", {"deviceId": "ana-phone"}, ana.session["refreshToken"])
    secrets["renewed refresh"] = renewed.data["tokens"]["refreshToken"]
    await world.http("POST", "/auth/refresh", {"deviceId": "ana-phone"}, ana.session["refreshToken"])
    await world.http("POST", "/auth/login", {"email": ana.email, "password": "A-Wrong-Pass-1", "deviceId": "x"})
    secrets["a wrong password"] = "A-Wrong-Pass-1"
    await world.http("POST", "/auth/login", {"email": ana.email, "password": PASSWORD})
    await world.http("POST", f"/users?token={PASSWORD}", {"password": PASSWORD}, ana.session["accessToken"])
    await bo.call(
        "POST", "/devices", {"deviceId": "second", "platform": "android", "pushToken": "fcm-second-secret"}, **once
    )
    secrets["second token"] = "fcm-second-secret"
    # Through the integration: well, with faults, and with faults that quote their input.
    await world.fire_alert("till broken", routingKey=key, dedupKey="till", priority="critical")
    await world.fire_alert("till broken", routingKey=key, dedupKey="till", action="acknowledge")
    await world.fire_alert("till broken", routingKey=key, metadata="wrong type")
    await world.publish(json.dumps({"routingKey": key}).encode(), "shop")
    await world.publish(f'{{"summary": "x", "routingKey": "{key}", "priority": }}'.encode(), "shop")
    await world.simulate("apns", "ServiceUnavailable", ana, times=1)
    await world.simulate("fcm", "UNREGISTERED", bo)
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push()
    for _step in range(3):
        await world.advance(minutes=2)
    return secrets


async def test_a_busy_day_leaves_no_secret_in_events_parked_entries_errors_metrics_or_logs(
    lines: list[str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, ask = list[str](), world.http

    async def heard(*asked: Any, **headers: str) -> Answer:
        answer = await ask(*asked, **headers)
        if answer.status >= 400:
            errors.append(json.dumps(answer.body) + str(answer.headers))
        return answer

    monkeypatch.setattr(world, "http", heard)
    secrets = await _busy(world)
    await world.settle()
    assert len(errors) > 5
    metrics = str((await scrape(world.gateway)).samples)
    for name, secret in secrets.items():
        assert secret not in metrics, f"{name} in a metric"
        assert secret not in "\n".join(errors), f"{name} in an error"
    streams = await _streams(world)
    assert all(streams.values()), "every stream has events to look at"
    for stream, messages in streams.items():
        for heading, body in messages:
            for name, secret in secrets.items():
                assert secret not in heading + body, f"{name} in {stream}: {heading}"
    parked = json.dumps([await world.parked(service) for service in SERVICES])
    assert "sha256:" in parked, "a faulty alert is there to look at, with the hash of its key"
    told = "\n".join(lines)
    assert "db down" in told or "request" in told
    for name, secret in secrets.items():
        assert secret not in parked, f"{name} in a parked entry"
        assert secret not in told, f"{name} in a log line"


async def test_secrets_are_hashed_or_sealed_at_rest(world: World) -> None:
    secrets = await _busy(world)
    await world.settle()
    for service in SERVICES:
        store = world.services[service].runtime.work

        def dump(_log: Any, cursor: Any, service: str = service) -> str:
            names = [row["table_name"] for row in cursor.execute(_TABLES, (service,)).fetchall()]
            queries = [f"SELECT t::text AS row FROM {service}.{name} t" for name in names]  # noqa: S608
            queries.append(f"SELECT convert_from(state, 'utf8') AS row FROM {service}.stored_events")  # noqa: S608
            return "\n".join(row["row"] for query in queries for row in cursor.execute(query).fetchall())

        held = await store.log_read(dump)
        for name, secret in secrets.items():
            assert secret not in held, f"{name} in the tables of {service}"
            assert secret.encode().hex() not in held, f"{name} in the tables of {service}, as bytes"
