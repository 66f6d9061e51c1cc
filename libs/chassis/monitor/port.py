"""The monitor port of a process: `GET /live`, `GET /ready` and `GET /metrics`, for probes and Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal

import structlog

from libs.chassis.measure.metrics import CONTENT_TYPE
from libs.contracts.model import Contract

if TYPE_CHECKING:
    from libs.chassis.settings import ServiceSettings

_log = structlog.get_logger()
_JSON = "application/json"
_IDLE = 75
"""Seconds that a connection is kept for the next question; Prometheus asks every 15 to 60."""
_AT_ONCE = 32
"""Connections; more get 503."""

Answer = tuple[int, str, bytes]


class Readiness(Contract):
    """`reasons` is empty exactly when the status is `ok`."""

    status: Literal["ok", "unavailable"]
    service: str
    instance: str
    reasons: tuple[str, ...] = ()


class Live(Contract):
    """The process runs and its event loop turns."""

    status: Literal["ok"] = "ok"


class Monitor:
    """Nobody is asked for a password here: it listens on loopback unless `PAGER_MONITOR_HOST` says otherwise."""

    def __init__(
        self,
        settings: ServiceSettings,
        ready: Callable[[], Awaitable[Readiness]],
        metrics: Callable[[], Awaitable[bytes]],
    ) -> None:
        self._settings = settings
        self._ready = ready
        self._metrics = metrics
        self.url: str | None = None
        """Where it listens; None where no port was asked for."""

    async def start(self) -> None:
        """Return when it answers; does nothing without `PAGER_MONITOR_PORT`.

        Raises:
            SettingsError: the port is taken.
        """
        if self._settings.monitor_port is None:
            return
        # Imported here: a process without the port has no use for a server.
        import uvicorn

        from libs.chassis.monitor.listening import Listening

        self._listening = Listening(
            self._settings.monitor_host, self._settings.monitor_port, variable="PAGER_MONITOR_PORT"
        )
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_AT_ONCE,
            timeout_keep_alive=_IDLE,
            timeout_graceful_shutdown=1,
        )
        await self._listening.serve(config, "monitor")
        self.url = self._listening.url
        _log.info("monitor port", url=self.url)

    async def stop(self) -> None:
        if self.url is not None:
            await self._listening.stop()

    async def _serve(self, scope: Any, _receive: Any, send: Any) -> None:
        status, kind, body = await self._answer(scope["method"], scope["path"])
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, method: str, path: str) -> Answer:
        if path not in ("/live", "/ready", "/metrics"):
            return 404, _JSON, b'{"error": "try /live, /ready or /metrics"}'
        if method not in ("GET", "HEAD"):
            return 405, _JSON, b'{"error": "only GET is possible here"}'
        if path == "/live":
            return 200, _JSON, Live().to_json()
        if path == "/metrics":
            return 200, CONTENT_TYPE, await self._metrics()
        readiness = await self._ready()
        return 200 if readiness.status == "ok" else 503, _JSON, readiness.to_json()
