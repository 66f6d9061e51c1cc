"""The HTTP API as the command line uses it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout

from cli.console.failure import Failure
from libs.contracts.clients import DECLARED, Client

TIMEOUT = 15.0


class Refused(Failure):
    """The API answered with an error; `status` is its HTTP status, `code` the one in its envelope."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code


@dataclass
class Api:
    """`async with Api(url) as api`; `token` makes it speak for the person who signed in."""

    url: str
    token: str | None = field(default=None, repr=False)
    _session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = ClientSession(timeout=ClientTimeout(total=TIMEOUT))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def of(self, token: str) -> "Api":
        """The same door for another person, on the same connections."""
        return Api(self.url, token, self._session)

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The `data` of an answer. Raises `Refused`, or `Failure` when nothing answers."""
        if self._session is None:
            raise RuntimeError("use `async with Api(url)`")
        headers = {DECLARED: str(Client.CLI)}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            async with self._session.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers) as answer:
                document = await answer.json()
        except (ClientError, TimeoutError, ValueError) as error:
            raise Failure(f"{self.url} does not answer {method} {path}: {str(error) or type(error).__name__}") from None
        if not document.get("success"):
            told = document.get("error") or {}
            raise Refused(answer.status, str(told.get("code", answer.status)), str(told.get("message", "no reason")))
        return dict(document.get("data") or {})

    async def sign_in(self, email: str, password: str, device_id: str, **device: str) -> dict[str, Any]:
        """`{"user", "tokens"}` of a sign-in; `deviceName` and `pushToken` register a phone."""
        return await self.call(
            "POST", "/auth/login", {"email": email, "password": password, "deviceId": device_id} | device
        )

    async def every(self, path: str, name: str) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            data = await self.call("GET", f"{path}?limit=100{cursor}")
            found += data[name]
            if data.get("nextCursor") is None:
                return found
            cursor = f"&cursor={data['nextCursor']}"
