"""The push simulators as a process that comes back on the same ports."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from cli.console.failure import Failure
from cli.embedded.home import Home
from cli.stack.process import PYTHON, Process
from cli.stack.ready import file_changed, modified

ENVIRONMENT_FILE: Final = "simulator.json"
READY_SECONDS: Final = 20.0


class Simulator(Process):
    """Ready when it has written `simulator.json`, which says where it is and with which credentials.

    That file is read here without `cli.simulators`, whose cryptography the supervisor need not keep in memory.
    """

    def __init__(self, home: Home, port: int, inherited: Mapping[str, str]) -> None:
        super().__init__("simulator", self._command, inherited, home)
        self._folder = home.path / "simulators"
        self._port = port
        self._apns_port = 0

    def variables(self) -> dict[str, str]:
        """The notifier's environment (`PAGER_FCM_*`, `PAGER_APNS_*`, `PAGER_VAPID_*`, `PAGER_WEB_PUSH_HOSTS`).

        Raises FileNotFoundError before the start.
        """
        return {f"PAGER_{name.upper()}": str(value) for name, value in self._document().items() if name != "url"}

    @property
    def url(self) -> str:
        """Of the doors for FCM, Web Push and control."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start, and return when it listens. Raises `Failure`."""
        file = self._folder / ENVIRONMENT_FILE
        before = modified(file)
        await super().start()
        appeared = asyncio.create_task(file_changed(file, before, READY_SECONDS))
        ended = asyncio.create_task(self.wait())
        try:
            await asyncio.wait((appeared, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (appeared, ended):
                task.cancel()
        if not appeared.done() or appeared.cancelled() or not appeared.result():
            raise Failure(f"the push simulators do not start: {self.last_words()}")
        # Services were told these ports: a restart must come back to them.
        self._apns_port = urlsplit(self._document()["apns_url"]).port or 0

    async def restart(self) -> None:
        """On the same ports; whether it listens is for the next look to tell."""
        await self.stop()
        await super().start()

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self._folder / ENVIRONMENT_FILE).read_text(encoding="utf-8"))
        return document

    def _command(self) -> Sequence[str]:
        ports = ("--port", str(self._port), "--apns-port", str(self._apns_port))
        return (*PYTHON, "-m", "cli.simulators", "--home", str(self._folder), *ports)
