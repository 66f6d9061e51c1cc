"""Everything that `pager up` runs: servers, simulators and services, in the order in which they need each other."""

import asyncio
import importlib
import os
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Self

from cli.console.failure import BadSettings, Failure
from cli.console.report import Report
from cli.embedded.credentials import STATEFUL_SERVICES
from cli.embedded.errors import StartError
from cli.embedded.nats import EmbeddedNats
from cli.embedded.ports import free_port
from cli.embedded.postgres import EmbeddedPostgres
from cli.reach import outside
from cli.reach.urls import with_user, without_user
from cli.settings import PORT_SETTING, SIMULATOR_PORT_SETTING, Settings
from cli.stack import environment, secrets_file
from cli.stack.answering import until_answers
from cli.stack.cure import Cure, unwell
from cli.stack.declaring import Declaring, missing
from cli.stack.environment import process_name
from cli.stack.log_rotation import keep_small
from cli.stack.preparing import Preparing
from cli.stack.process import PYTHON, Process, last_words
from cli.stack.ready import port_is_free, until_ready
from cli.stack.renewing import Renewing
from cli.stack.run_file import RunFile
from cli.stack.secrets_file import Secrets
from cli.stack.simulator import Simulator
from cli.stack.supervisor import Supervisor

READY_SECONDS: Final = 60.0
STREAM_SECONDS: Final = 15.0

Commands = Mapping[str, tuple[str, ...]]
"""How each service is started."""

COMMANDS: Final[Commands] = {service: (*PYTHON, "-m", f"services.{service}.main") for service in environment.SERVICES}

NICENESS: Final[Mapping[str, int]] = {"notifier": -5}
"""The last hop goes first: on a full machine pages that are nearly out do not wait for alerts that come in (ADR 23)."""


@dataclass
class Stack:
    """`async with Stack(settings, report) as stack`: it runs, and is supervised, until the block ends.

    Raises `Failure` or `StartError` when it cannot start; then nothing is left running. `commands` is replaced in
    tests.
    """

    settings: Settings
    report: Report
    commands: Commands = field(default_factory=lambda: COMMANDS)
    prepared: bool = True
    """False leaves migrations and streams out (tests with commands of their own)."""
    secrets: Secrets = field(init=False)
    supervisor: Supervisor = field(init=False)
    postgres: EmbeddedPostgres | None = None
    nats: EmbeddedNats | None = None
    simulator: Simulator | None = None
    _held: AsyncExitStack = field(default_factory=AsyncExitStack)
    _background: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._held.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._held.aclose()

    @property
    def url(self) -> str:
        """The gateway's, as it listens."""
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def app(self) -> str:
        """Where browsers of this machine find the phone app."""
        return f"{self.url}/app"

    @property
    def nats_url(self) -> str:
        """Without credentials."""
        return self.nats.url if self.nats is not None else without_user(self.settings.nats_url or "")

    def nats_url_of(self, user: str) -> str:
        """With the credentials of a NATS user; a NATS elsewhere has one URL for all."""
        if self.nats is None:
            return self.settings.nats_url or ""
        return with_user(self.nats.url, *self.nats.credentials(user))

    def last_words(self, name: str) -> str:
        """The last line that a process wrote."""
        return last_words(self.settings.home.logs / f"{name}.log")

    async def ready(self, seconds: float = READY_SECONDS) -> None:
        """Return when the gateway and every service answer.

        Raises:
            Failure: not in time, or a service refused its settings.
        """
        waiting = asyncio.create_task(until_ready(self.settings.port, seconds, self.last_words))
        await first_of(waiting, asyncio.create_task(self.supervisor.failed()))

    async def _start(self) -> None:
        home = self.settings.home
        preparing = await self._held.enter_async_context(Preparing(self.settings)) if self.prepared else None
        if preparing is not None:
            for hint in await preparing.check():
                self.report("warning", hint)
            await self._servers_elsewhere()
        self._held.enter_context(home.hold())
        await self._choose_ports(crashed=home.run_file.exists())
        home.clear_run()  # of a run that was killed
        self.secrets = secrets_file.load_or_make(home, self.settings.environment)
        self.run_file = RunFile(home)
        self.supervisor = Supervisor(self.report, self._changed)
        self._held.callback(home.clear_run)
        self._held.push_async_callback(self._stop_servers)
        await self._start_servers()
        urls = await self._database_urls()
        if preparing is not None:
            done = await preparing.run(urls.owner, self.nats_url_of("operator"))
            self.report("prepared", _prepared(done), **done)
            for service, number in done["epochs"].items():
                self.report("warning", f"the log of {service} was made anew: epoch {number} has begun")
        self._held.push_async_callback(self._stop_services)
        await self._start_services(urls.services)
        self.run_file.begin(
            gateway=self.url,
            nats=self.nats_url,
            postgres=self.postgres.public_url if self.postgres else without_user(urls.owner),
            simulator=self.simulator.url if self.simulator else None,
        )
        self._changed()
        self._background.append(asyncio.create_task(keep_small(home.logs)))
        self._background.append(asyncio.create_task(self._renewing().run()))
        if self.nats is not None:
            self._background.append(asyncio.create_task(self._cure(self.nats).run()))
            if self.prepared:
                self._background.append(asyncio.create_task(self._declaring(self.nats).run()))

    def _changed(self) -> None:
        self.run_file.write(self.supervisor.pids())

    async def _servers_elsewhere(self) -> None:
        """Return when those that are not embedded answer. Raises `Failure`."""
        given = {"PAGER_DATABASE_URL": self.settings.database_url, "PAGER_NATS_URL": self.settings.nats_url}
        await asyncio.gather(*(until_answers(s, url, self.report) for s, url in given.items() if url is not None))

    async def _choose_ports(self, *, crashed: bool) -> None:
        """Look at all of them, and choose those that were left to us. Raises `BadSettings`.

        `crashed`: servers of an earlier run may still hold theirs, until they are ended.
        """
        ours = (PORT_SETTING, *((SIMULATOR_PORT_SETTING,) if self._simulates() else ()))
        faults = []
        for setting, number in self.settings.ports.items():
            if number and (setting in ours or not (crashed or setting == SIMULATOR_PORT_SETTING)):
                try:
                    await port_is_free(number, setting)
                except StartError as error:
                    faults.append(str(error))
        if faults:
            raise BadSettings(*faults)
        self.settings = replace(
            self.settings,
            port=self.settings.port or free_port(),
            simulator_port=self.settings.simulator_port or free_port(),
        )

    def _simulates(self) -> bool:
        return self.settings.simulators and any(environment.missing_push(self.settings.environment).values())

    async def _start_servers(self) -> None:
        """Side by side; whatever has started is watched at once."""
        starting: list[Coroutine[Any, Any, None]] = []
        if self.settings.database_url is None:
            self.postgres = EmbeddedPostgres(
                self.settings.home, self.settings.postgres_port, replicas=self.settings.replicas
            )
            starting.append(self._start_postgres(self.postgres))
        if self.settings.nats_url is None:
            self.nats = EmbeddedNats(self.settings.home, self.settings.nats_port, monitoring=True)
            starting.append(self._start_nats(self.nats))
        if self._simulates():
            inherited = environment.common(self.settings.environment)
            self.simulator = Simulator(self.settings.home, self.settings.simulator_port, inherited)
            starting.append(self._start_simulator(self.simulator))
        tasks = [asyncio.ensure_future(one) for one in starting]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            # The others must have come to their end before they are stopped.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _start_postgres(self, server: EmbeddedPostgres) -> None:
        await server.start()
        self.supervisor.watch("postgres", server)

    async def _start_nats(self, server: EmbeddedNats) -> None:
        await server.start()
        self.supervisor.watch("nats", server, self._declare_again if self.prepared else _no_streams)

    def _cure(self, server: EmbeddedNats) -> Cure:
        return Cure(
            server.folder,
            lambda: unwell(server.monitoring_port),
            lambda why: self.supervisor.renew("nats", why),
            self.report,
        )

    def _renewing(self) -> Renewing:
        return Renewing(
            self._master_keys,
            lambda: [name for name in self.supervisor.pids() if name.partition("-")[0] == "auth"],
            lambda name: self.supervisor.renew(name, "takes another master key"),
            self.ready,
            self.report,
        )

    def _declaring(self, server: EmbeddedNats) -> Declaring:
        return Declaring(lambda: missing(server.monitoring_port), self._declare_again)

    def _data_folders(self) -> list[str]:
        """Where the servers beside us keep what must not run out of room."""
        return [str(server.folder) for server in (self.postgres, self.nats) if server is not None]

    async def _start_simulator(self, simulator: Simulator) -> None:
        await simulator.start()
        self.supervisor.watch("simulator", simulator)

    async def _database_urls(self) -> outside.DatabaseUrls:
        if self.postgres is not None:
            urls = {service: self.postgres.url(service) for service in STATEFUL_SERVICES}
            return outside.DatabaseUrls(self.postgres.url("owner"), urls)
        passwords = self.settings.home.credentials().postgres
        return await outside.prepare(self.settings.database_url or "", passwords)

    async def _start_services(self, databases: Mapping[str, str]) -> None:
        inherited = environment.common(self.settings.environment)
        for service, command in self.commands.items():
            replicas = self.settings.replicas if service in STATEFUL_SERVICES else 1
            for replica in range(1, replicas + 1):
                variables = environment.of_service(
                    service,
                    replica,
                    inherited,
                    nats_url=self.nats_url_of(service),
                    database_url=databases.get(service),
                    secrets=self.secrets,
                    port=self.settings.port,
                    public_url=self.url,
                )
                if service == "incidents" and (folders := self._data_folders()):
                    variables.setdefault("PAGER_DATA_FOLDERS", os.pathsep.join(folders))
                if service == "auth":
                    variables.setdefault(environment.LEDGER, str(self.settings.home.ledger))
                if service == "gateway" and self.simulator is not None:
                    variables["PAGER_PUSH"] = "simulated"  # what health says
                if service in ("notifier", "auth") and self.simulator is not None:
                    simulated = self.simulator.variables()
                    told = environment.of_simulated_push(self.settings.environment, simulated)
                    variables |= told if service == "notifier" else environment.of_simulated_hosts(told)
                name = process_name(service, replica)
                process = Process(
                    name,
                    lambda command=command: command,  # type: ignore[misc]
                    variables,
                    self.settings.home,
                    niceness=NICENESS.get(service, 0),
                    told=self._master_keys if service == "auth" else dict,
                )
                await process.start()
                self.supervisor.watch(name, process)
                self.report("started", f"{name} started, pid {process.pid}", process=name, pid=process.pid)

    def _master_keys(self) -> dict[str, str]:
        """As they are now: `pager keys rotate-master` may have replaced one. A file that is broken changes nothing."""
        present, previous = self.secrets.master_key, self.secrets.previous_master_key
        with suppress(Failure):
            found, previous = secrets_file.master_keys(self.settings.home, self.settings.environment)
            present = found or present
            self.secrets = replace(self.secrets, master_key=present, previous_master_key=previous)
        return environment.of_master_keys(present, previous)

    async def _declare_again(self) -> None:
        """A NATS that came back without its files has no streams, nor has one that lost them to somebody's command."""
        # Not needed unless NATS dies: half a second to import, and 12 MiB to keep.
        streams = await asyncio.to_thread(importlib.import_module, "cli.reach.streams")
        deadline = asyncio.get_running_loop().time() + STREAM_SECONDS
        while True:
            try:
                declared = await streams.declare_at(self.nats_url_of("operator"))
                break
            except Failure as failure:
                if asyncio.get_running_loop().time() > deadline:
                    self.report("warning", f"streams are not declared: {failure}")
                    return
                await asyncio.sleep(0.2)
        made = [name for name, what in declared.items() if what != "unchanged"]
        if made:
            self.report("streams", f"streams declared again: {', '.join(made)}", streams=declared)

    async def _stop_services(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        servers = ("postgres", "nats", "simulator")
        await self.supervisor.release(*(name for name in self.supervisor.pids() if name not in servers))

    async def _stop_servers(self) -> None:
        await self.supervisor.release()
        # Harmless for what was stopped; needed for what was still starting.
        servers = [server for server in (self.simulator, self.postgres, self.nats) if server is not None]
        await asyncio.gather(*(server.stop() for server in servers))


async def _no_streams() -> None:
    return


async def first_of(*tasks: asyncio.Task[None]) -> None:
    """Wait for the first to end and pass on its failure; the others are cancelled."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _prepared(done: Mapping[str, Any]) -> str:
    migrated = [name for name, revisions in done["migrated"].items() if revisions]
    declared = [name for name, what in done["streams"].items() if what != "unchanged"]
    return (
        f"database: {'migrated ' + ', '.join(migrated) if migrated else 'up to date'}; "
        f"streams: {'declared ' + ', '.join(declared) if declared else 'up to date'}"
    )
