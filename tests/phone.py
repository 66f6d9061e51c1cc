"""A person with a phone, as the world's tests meet them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cli.simulators.records import Push
from libs.chassis.testing.deadline import DEADLINE

if TYPE_CHECKING:
    from tests.world import World

PASSWORD = "Correct-Horse-7-Battery"


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def data(self) -> Any:
        assert self.body["success"] is True, self.body
        return self.body["data"]


@dataclass
class Phone:
    """Somebody's phone: what its push service has delivered, and a person who can answer."""

    world: World
    email: str
    token: str
    provider: str
    user_id: UUID
    device_id: str
    seen: int = 0
    session: dict[str, Any] = field(default_factory=dict)

    async def expect_push(
        self,
        words: str = "",
    ) -> dict[str, Any]:
        """The next push, whose text must contain `words`; fails when none comes by a deadline."""
        found = await self.world.simulators.log.wait(DEADLINE, self.seen, device_token=self.token)
        assert found, f"no push for {self.email} in time"
        self.seen = found[0].id
        push = described(found[0])
        assert words in json.dumps(push["payload"], ensure_ascii=False), push
        return push

    async def expect_no_push(self) -> None:
        """Nothing more has come once everything has come to rest."""
        await self.world.settle()
        found = [described(p) for p in self.world.simulators.log.read(self.seen, device_token=self.token)]
        assert not found, f"unexpected pushes for {self.email}: {found}"

    async def acknowledge(self, incident_id: str, notes: str | None = None) -> Answer:
        return await self.call("POST", f"/incidents/{incident_id}/acknowledge", {"notes": notes} if notes else {})

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A request as this person, signed in from this phone; signs in again when the session has expired."""
        answer = await self.world.http(method, path, body, self.session.get("accessToken"), **headers)
        if answer.status == 401:
            await self.sign_in()
            answer = await self.world.http(method, path, body, self.session["accessToken"], **headers)
        return answer

    async def sign_in(self) -> None:
        body = {"email": self.email, "password": PASSWORD, "deviceId": self.device_id, "deviceName": "a phone"}
        if self.token:
            body["pushToken"] = self.token
        answer = await self.world.http("POST", "/auth/login", body)
        assert answer.status == 200, answer.body
        self.session = answer.data["tokens"]
        self.user_id = UUID(answer.data["user"]["id"])


def described(push: Push) -> dict[str, Any]:
    return dict(json.loads(push.to_json()))


def notification_id(push: dict[str, Any]) -> str:
    """The intent's id as the phone sees it."""
    if push["provider"] == "apns":
        return str(push["headers"]["apns-id"])
    return str(push["payload"]["message"]["data"]["notificationId"])
