"""`pager up`: everything in the foreground, until Ctrl-C."""

import asyncio
from dataclasses import dataclass

from cli.console.report import Report, json_report, text_report
from cli.settings import Settings
from cli.stack import environment
from cli.stack.interrupt import run_until_signal
from cli.stack.reload import watch_sources
from cli.stack.stack import Stack, first_of


@dataclass(frozen=True)
class Up:
    """`reload` starts services again when their source changes."""

    settings: Settings
    report: Report
    reload: bool = False

    async def run(self) -> None:
        """Start, say where everything is, and stay; raises `Failure` or `StartError`."""
        report = self.report
        report("starting", f"Pager starts in {self.settings.home.path}")
        async with Stack(self.settings, report) as stack:
            await stack.ready()
            self._tell(stack)
            tasks: list[asyncio.Task[None]] = [asyncio.create_task(stack.supervisor.failed())]
            if self.reload:
                tasks.append(asyncio.create_task(watch_sources(stack.supervisor.pids, stack.supervisor.renew)))
            try:
                await first_of(*tasks)
            except asyncio.CancelledError:
                report("stopping", "stopping")
                raise
        report("stopped", "stopped")

    def _tell(self, stack: Stack) -> None:
        where = {
            "API": f"{stack.url}/api/v1",
            "API documentation": f"{stack.url}/api/docs",
            "NATS (publish on pager.alerts.<source>)": stack.nats_url,
            "PostgreSQL": stack.postgres.public_url if stack.postgres else "outside",
            "Push simulators": f"{stack.simulator.url}/pushes" if stack.simulator else None,
            "Logs": str(stack.settings.home.logs),
        }
        for name, url in where.items():
            if url is not None:
                self.report("url", f"  {name:<42}{url}", name=name, url=url)
        if stack.simulator is not None:
            vendors = " and ".join(n.upper() for n, gone in self._simulated().items() if gone)
            self.report(
                "warning", f"Pushes for {vendors} go to the simulators: no credentials are set.", push="simulated"
            )
        secrets = stack.secrets
        if secrets.first:
            self.report(
                "admin",
                f"  Admin (shown once)   {secrets.admin_email}   {secrets.admin_password}",
                email=secrets.admin_email,
                password=secrets.admin_password,
            )
        self.report("ready", "Pager is ready; Ctrl-C stops it.", url=stack.url)

    def _simulated(self) -> dict[str, bool]:
        return environment.missing_push(self.settings.environment)


def up(settings: Settings, *, reload: bool, as_json: bool) -> None:
    """Run until a signal; raises `Failure` or `StartError`."""
    report = json_report if as_json else text_report
    if run_until_signal(Up(settings, report, reload).run()):
        report("stopped", "stopped")
