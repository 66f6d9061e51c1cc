"""The whole of Pager in one process: real servers, real push protocols, and a clock that only the test moves."""

from __future__ import annotations

import asyncio
import atexit
import importlib
import io
import json
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch
from uuid import UUID

import aiohttp
from google.auth.crypt import RSASigner
from nats.js.api import PubAck

from cli.simulators.behaviour import Rule
from cli.simulators.config import SimulatorSettings
from cli.simulators.server import Simulators
from libs.chassis.service import Service
from libs.chassis.stopping import places_of
from libs.chassis.store.log import LoggedEvent
from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import DEADLINE
from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from libs.contracts.envelope import Envelope
from libs.contracts.requests import Reply
from libs.contracts.subjects import SERVICES, Header, alert_subject, lanes_of, rpc_subject
from services.auth.tokens import SigningKey
from services.gateway.built import Built
from services.notifier.main import Sending
from tests.patience import LONG, be_patient
from tests.phone import PASSWORD, Answer, Phone
from tests.rest import restlessness
from tests.servers import Servers

ADMIN = "admin@pager.test"
be_patient()


@cache
def _simulators_home() -> Path:
    """One for all worlds of a process: making the keys of the simulators takes longer than starting them."""
    made = tempfile.mkdtemp(prefix="pager-simulators-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


_make_key = SigningKey.generate


@cache
def signing_key(number: int) -> SigningKey:
    """The same for all worlds of a process, since making one takes a twentieth of a world; their master keys differ."""
    return _make_key()


_opened_key = cache(SigningKey.from_pem)
_vendor_signer = cache(RSASigner.from_string)
"""Read once each for all worlds of a process: to check a private RSA key, as whoever reads it does, takes long."""
_built_app = cache(Built.read)
"""Likewise: each gateway would compress the whole app for itself, which takes a twentieth of a world, too."""


class World:
    """`async with World(servers) as world`: a fresh installation with an admin, ready to be paged.

    `settings`: what every process is told besides, e.g. `monitor_port=0`.
    """

    def __init__(self, servers: Servers, services: tuple[str, ...] = SERVICES, **settings: Any) -> None:
        self.servers = servers
        self.names = services
        self._told = settings
        self.clock = MovableClock(datetime.now(UTC).replace(microsecond=0))
        self.services: dict[str, Service] = {}
        self._ledger_folder = tempfile.TemporaryDirectory(prefix="pager-world-")
        self.ledger = Path(self._ledger_folder.name, "erasures")
        """Of auth: who was erased."""
        self.master_key = secrets.token_hex(32)
        self.sealing_keys: dict[str, str] = {}
        self._stack = AsyncExitStack()
        self._phones: dict[str, Phone] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            await self.__aexit__()  # what ran on would answer what the next world asks
            raise
        return self

    async def _begin(self) -> None:
        self._stack.enter_context(self._ledger_folder)
        self.database = await self._stack.enter_async_context(self.servers.fresh())
        numbers = count()
        self._stack.enter_context(patch.object(SigningKey, "generate", lambda: signing_key(next(numbers))))
        self._stack.enter_context(patch.object(SigningKey, "from_pem", _opened_key))
        self._stack.enter_context(patch.object(RSASigner, "from_string", _vendor_signer))
        self._stack.enter_context(patch.object(Built, "read", _built_app))
        self.simulators = Simulators(SimulatorSettings(_simulators_home()), lambda: self.clock.now().timestamp())
        self.environment = await self.simulators.start()
        self._stack.push_async_callback(self.simulators.stop)
        self.sender = await self.servers.connect()
        self._stack.push_async_callback(self.sender.close)
        self.operator = await self.servers.connect("operator")
        self._stack.push_async_callback(self.operator.close)
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        await self.start("auth")
        started = (self.start(name) for name in self.names if name != "auth")
        for failed in await asyncio.gather(*started, return_exceptions=True):
            if failed is not None:
                raise failed
        self.gateway = await self._stack.enter_async_context(self.another_gateway())
        self.admin = Phone(self, ADMIN, "", "", UUID(int=0), "admin-laptop")
        await self.admin.sign_in()
        await self.settle()

    async def __aexit__(self, *error: object) -> None:
        # Whatever one of them does, the others stop too: they would answer the next world's requests.
        async with self._stack, AsyncExitStack() as stopping:
            for name in self.services.copy():
                stopping.push_async_callback(self.stop, name)

    # --- Services ----------------------------------------------------------------------------------------------------

    async def start(self, name: str) -> None:
        service = self.twin(name, f"{name}-1")
        try:
            await service.start()
        except BaseException:
            with suppress(AttributeError):  # it may not have come to what it would stop
                await service.stop()
            raise
        self.services[name] = service
        if name == "notifier":
            self.vendors_answer_within(LONG)

    def vendors_answer_within(self, seconds: float, *providers: str) -> None:
        """An attempt at these vendors, or at all, ends then without an answer."""
        vendors = next(e for e in self.services["notifier"].parts.engines if isinstance(e, Sending)).vendors
        for name in providers or vendors:
            client: Any = vendors[name].client
            if client is not None:  # it is configured
                client._timeout = seconds

    def another_gateway(self) -> Any:
        """A replica of the gateway, not started yet."""
        settings = self._settings("gateway", port=0, enable_rate_limiting=False)
        return importlib.import_module("services.gateway.main").Gateway(settings, clock=self.clock)

    def twin(self, name: str, instance: str) -> Service:
        """Another replica of a service, not started yet."""
        service: Service = importlib.import_module(f"services.{name}.main").service(
            self._settings(name, instance=instance), self.clock
        )
        return service

    async def stop(self, name: str) -> None:
        """An orderly stop; the processes' deaths are the chaos tests' matter."""
        await self.services.pop(name).stop()

    def _settings(self, name: str, **more: Any) -> Any:
        values = self.values_of(name) | more
        return importlib.import_module(f"services.{name}.settings").Settings(**values)

    def values_of(self, name: str) -> dict[str, Any]:
        """A process's settings, by the names of their fields."""
        values: dict[str, Any] = {"nats_url": self.servers.nats_url(name), "instance": f"{name}-1"} | self._told
        if name != "gateway":
            values["database_url"] = self.servers.database_url(name, self.database)
        if name == "auth":
            values |= {
                "master_key": self.master_key,
                "admin_email": ADMIN,
                "admin_password": PASSWORD,
                "bcrypt_rounds": 4,
                "insecure_test_hashing": True,
                "erasure_ledger_file": str(self.ledger),
                "web_push_hosts": self.environment.web_push_hosts,
            }
        if name not in ("auth", "gateway"):
            values["sealing_key"] = self.sealing_keys.setdefault(name, secrets.token_hex(32))
        if name == "notifier":
            values |= {k.removeprefix("PAGER_").lower(): v for k, v in self.environment.variables().items()}
        return values

    # --- People and alerts -------------------------------------------------------------------------------------------

    async def person(self, name: str, platform: str = "android", roles: tuple[str, ...] = ("user",)) -> Phone:
        """Registers somebody with a phone and signs them in on it."""
        token = secrets.token_hex(32) if platform == "ios" else f"fcm-{name}-{secrets.token_urlsafe(24)}"
        body = {
            "email": f"{name}@pager.test",
            "password": PASSWORD,
            "firstName": name.capitalize(),
            "lastName": "Tester",
            "roles": list(roles),
        }
        answer = await self.admin.call("POST", "/users", body)
        assert answer.status == 201, answer.body
        provider = "apns" if platform == "ios" else "fcm"
        phone = Phone(self, body["email"], token, provider, UUID(answer.data["user"]["id"]), f"{name}-phone")  # type: ignore[arg-type]
        await phone.sign_in()
        self._phones[name] = phone
        return phone

    def phone(self, name: str) -> Phone:
        return self._phones[name]

    def known(self, name: str, phone: Phone) -> None:
        """Somebody who was not made by `person`."""
        self._phones[name] = phone

    async def on_call(self, *names: str) -> None:
        """These people share the Primary On-Call schedule, a week each, the first of them now."""
        start = (self.clock.now() - timedelta(hours=1)).replace(tzinfo=None, second=0)
        layer = {
            "rotationType": "weekly",
            "start": start.isoformat(timespec="minutes"),
            "participants": [str(self.phone(n).user_id) for n in names],
        }
        answer = await self.admin.call("PATCH", f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}", {"layers": [layer]})
        assert answer.status == 200, answer.body
        await self.settle()

    async def policy(self, *levels: tuple[float, str], repeat: int = 0) -> None:
        """The Default policy pages these people: (minutes, "on-call", "ana" or "ana+bo") a level."""

        def target(name: str) -> dict[str, str]:
            if name == "on-call":
                return {"type": "schedule", "id": str(DEFAULT_SCHEDULE_ID)}
            return {"type": "user", "id": str(self.phone(name).user_id)}

        body = {
            "repeat": repeat,
            "levels": [{"timeoutMinutes": m, "targets": [target(n) for n in names.split("+")]} for m, names in levels],
        }
        answer = await self.admin.call("PATCH", f"/escalation/policies/{DEFAULT_POLICY_ID}", body)
        assert answer.status == 200, answer.body
        await self.settle()

    async def two_responders(self) -> tuple[Phone, Phone]:
        """Ana on an iPhone is level 1, Bo on Android is level 2, five minutes each."""
        ana, bo = await self.person("ana", "ios"), await self.person("bo", "android")
        await self.on_call("ana")
        await self.policy((5, "on-call"), (5, "bo"))
        return ana, bo

    async def fire_alert(self, summary: str = "db down", source: str = "db", **fields: Any) -> PubAck:
        """Publishes as any sender does: anonymously, and with an acknowledgement from JetStream."""
        return await self.publish(json.dumps({"summary": summary} | fields).encode(), source)

    async def publish(self, body: bytes, source: str = "db", headers: dict[str, str] | None = None) -> PubAck:
        return await self.sender.jetstream().publish(alert_subject(source), body, headers=headers)

    async def simulate(self, provider: str, answer: str, phone: Phone | None = None, **more: Any) -> None:
        """From now on the vendor answers so."""
        token = phone.token if phone else None
        self.simulators.book.add(Rule(provider, answer, device_token=token, **more))  # type: ignore[arg-type]

    # --- Looking -----------------------------------------------------------------------------------------------------

    async def http(self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str) -> Answer:
        """A request to the gateway, under /api/v1."""
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.gateway.url}/api/v1{path}"
        kind: dict[str, Any] = {"data": io.BytesIO(body)} if isinstance(body, bytes) else {"json": body}
        async with self._http.request(method, url, headers=sent | headers, **kind) as response:
            raw = await response.read()
            return Answer(response.status, json.loads(raw) if raw else None, response.headers)

    async def page(self, path: str) -> tuple[int, str, Mapping[str, str]]:
        """What a browser gets from the gateway: status, text and headers."""
        async with self._http.get(f"{self.gateway.url}{path}") as response:
            return response.status, await response.text(), response.headers

    async def incidents(self, **filters: str) -> list[dict[str, Any]]:
        query = "&".join(f"{k}={v}" for k, v in ({"limit": "100"} | filters).items())
        answer = await self.admin.call("GET", f"/incidents?{query}")
        assert answer.status == 200, answer.body
        return list(answer.data["incidents"])

    async def incident(self, title: str | None = None) -> dict[str, Any]:
        """The only incident, or the only one with this title."""

        async def look() -> list[dict[str, Any]]:
            return [i for i in await self.incidents() if title in (None, i["title"])]

        found = await self.eventually(look, lambda i: len(i) > 0, f"an incident {title or ''}")
        assert len(found) == 1, found
        return dict(found[0])

    async def rpc(self, service: str, operation: str, body: Any = None, token: str | None = None) -> Reply:
        """A request on the bus, as an operator (or the gateway with somebody's token) makes it."""
        headers = {Header.TOKEN: token} if token else None
        subject, raw = rpc_subject(service, operation), json.dumps(body or {}).encode()
        return Reply.model_validate_json(
            (await self.operator.request(subject, raw, timeout=DEADLINE, headers=headers)).data
        )

    async def parked(self, service: str = "incidents") -> list[dict[str, Any]]:
        """What a service has set aside, oldest first."""
        return list((await self.rpc(service, "parked")).data["parked"])

    async def health(self, service: str) -> dict[str, Any]:
        """What a service says of itself."""
        return dict((await self.rpc(service, "health")).data)

    async def log(self, service: str, *names: str) -> list[Envelope[Any]]:
        """The events of a service's log in order of their positions, all or those of these names, as it reads them."""
        store, found = self.services[service].runtime.work, list[LoggedEvent]()
        for lane in lanes_of(service):
            found += await store.log_read(lambda log, cursor, lane=lane: log.read_lane(cursor, lane, 0, 10_000))  # type: ignore[misc]
        found.sort(key=lambda e: e.position)
        events = await store.read(lambda work: [work.codec.decode(e.type, e.raw) for e in found])
        return [e for e in events if not names or e.name in names]

    async def timeline(self, incident_id: str) -> list[dict[str, Any]]:
        """All of it, page by page."""
        entries: list[dict[str, Any]] = []
        query = ""
        while True:
            page = (await self.admin.call("GET", f"/incidents/{incident_id}/timeline{query}")).data
            entries += page["entries"]
            if page.get("nextCursor") is None:
                return entries
            query = f"?cursor={page['nextCursor']}"

    async def explained(self, incident_id: str) -> dict[str, dict[str, Any]]:
        """What became of each person whom an incident concerned, by their ids."""
        answer = await self.admin.call("GET", f"/incidents/{incident_id}/explain")
        return {person["userId"]: person for person in answer.data["people"]}

    async def notifications(self, incident_id: str) -> list[dict[str, Any]]:
        answer = await self.admin.call("GET", f"/notifications?incidentId={incident_id}")
        return list(answer.data["notifications"])

    async def eventually(self, look: Callable[[], Any], good: Callable[[Any], bool], what: str) -> Any:
        """Looks until it is so; fails after a deadline."""
        deadline = asyncio.get_running_loop().time() + DEADLINE
        while True:
            seen = await look()
            if good(seen):
                return seen
            assert asyncio.get_running_loop().time() < deadline, f"never saw {what}; last: {seen}"
            await asyncio.sleep(0.02)

    # --- Time --------------------------------------------------------------------------------------------------------

    async def advance(self, *, minutes: float = 0, seconds: float = 0) -> None:
        """Time passes; returns when everything due has come to rest."""
        await self.settle()
        self.clock.advance(minutes=minutes, seconds=seconds)
        await self.settle()

    async def settle(self) -> None:
        """Return when nothing moves any more: logs relayed and read to their ends, nothing due, nothing to send."""
        before: Any = None
        deadline = asyncio.get_running_loop().time() + 2 * DEADLINE
        quiet = 0
        while True:
            if asyncio.get_running_loop().time() >= deadline:
                waiting = sorted(" < ".join(places_of(task)[:4]) for task in asyncio.all_tasks())
                raise AssertionError("\n".join([f"never came to rest: {before}; what runs:", *waiting]))
            now = await restlessness(self)
            quiet = quiet + 1 if now == before and not now[1] else 0
            if quiet == 2:
                return
            before = now
            await asyncio.sleep(0.02)
