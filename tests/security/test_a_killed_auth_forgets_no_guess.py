"""Whoever has auth killed in the middle of a guess gets no guess for nothing, and keeps nobody out elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats.errors import Error as NatsError
from sqlalchemy import select

from libs.chassis.clock import SystemClock
from libs.chassis.requests.peers import Peer
from libs.chassis.store.store import Store
from libs.contracts.requests import Reply
from libs.contracts.subjects import rpc_subject
from services.auth.domain.lockout import MOST
from services.auth.projections import project
from services.auth.tables.passwords import guesses
from tests.old_code import ROOT, OldWorld
from tests.phone import PASSWORD
from tests.servers import Servers

_STRANGER, _HOME = Peer("198.51.100.0/24", False, ("198.51.100.7",)), Peer("203.0.113.0/24", False, ("203.0.113.9",))


class _World(OldWorld):
    """Auth is a process of its own, which hashes for a while."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        super().__init__(servers, "auth", folder)
        self._folder = folder
        self.rounds = 4

    async def start(self, name: str) -> None:
        if name != "auth":
            await super().start(name)
            return
        with (self._folder / "auth.log").open("ab") as log:
            self.auth = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.auth.main", cwd=ROOT, env=self._environment(name), stderr=log
            )

        async def ready() -> bool:
            assert self.auth.returncode is None, (self._folder / "auth.log").read_text()
            try:
                # The bus may not have noticed yet that the one before is dead, and have it answer.
                raw = await self.operator.request(rpc_subject("auth", "health"), b"{}", timeout=1)
            except NatsError:
                return False
            return bool(Reply.model_validate_json(raw.data).data["ready"])

        await self.eventually(ready, bool, "auth")

    async def kill(self) -> None:
        if self.auth.returncode is None:
            self.auth.kill()
        await self.auth.wait()

    async def attempt(self, email: str, password: str, peer: Peer) -> Reply:
        """As the gateway asks; it would hold most of these itself."""
        body = {"email": email, "password": password, "deviceId": "x"}
        raw = await self.operator.request(
            rpc_subject("auth", "login"), json.dumps(body).encode(), timeout=20, headers=dict(peer.headers)
        )
        return Reply.model_validate_json(raw.data)

    def values_of(self, name: str) -> dict[str, Any]:
        values = super().values_of(name)
        return values | {"bcrypt_rounds": self.rounds} if name == "auth" else values

    def _environment(self, name: str) -> dict[str, str]:
        return super()._environment(name) | {"PYTHONPATH": str(ROOT), "HOME": os.environ.get("HOME", "/")}


@pytest.fixture
async def world(servers: Servers, tmp_path: Path) -> AsyncIterator[_World]:
    made = _World(servers, tmp_path)
    try:
        async with made:
            yield made
    finally:
        await made.kill()


async def test_guesses_under_way_when_auth_is_killed_count_and_a_lockout_outlives_it(world: _World) -> None:
    email = (await world.person("ana")).email
    await world.kill()
    world.rounds = 15  # two seconds: it is killed in the middle of the first
    await world.start("auth")
    store = Store(
        world.servers.database_url("auth", world.database),
        "auth",
        clock=SystemClock(),
        projector=project,
        instance="test",
        role="test",
        connections=1,
    )

    async def counted() -> int:
        rows = await store.read(lambda work: work.fetch(select(guesses)))
        return max((row["under_way"] for row in rows), default=0)

    under_way = [asyncio.create_task(world.attempt("nobody@pager.test", f"guess {n}", _STRANGER)) for n in range(MOST)]
    lost = await world.eventually(counted, lambda n: n > 0, "guesses that are counted")
    await world.kill()
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    world.rounds = 4
    await world.start("auth")
    said = []
    for number in range(MOST + 1):
        reply = await world.attempt("nobody@pager.test", f"guess {number}", _STRANGER)
        assert reply.error is not None
        said.append(str(reply.error.kind))
    assert said.count("unauthenticated") <= MOST - lost
    assert said[-1] == "rate_limited"

    for number in range(MOST):
        wrong = await world.attempt(email, f"guess {number}", _STRANGER)
        assert wrong.error is not None
        assert str(wrong.error.kind) == "unauthenticated"
    await world.kill()
    await world.start("auth")
    refused = await world.attempt(email, PASSWORD, _STRANGER)
    assert refused.error is not None
    assert str(refused.error.kind) == "rate_limited"
    assert (await world.attempt(email, PASSWORD, _HOME)).ok
    store.close()
