"""`pager up`: everything in the foreground, until Ctrl-C."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.commands.options import Json
from cli.console.report import Report, json_report, text_report
from cli.settings import DEFAULT_PORT, Settings
from cli.stack.environment import missing_push

if TYPE_CHECKING:
    from cli.stack.stack import Stack

_VENDORS: Final = {"fcm": "FCM", "apns": "APNs"}
"""Whose pushes go nowhere else then; what a real browser has subscribed is pushed to its service all the same."""


def up(
    replicas: Annotated[int, typer.Option(min=1, max=9, help="Processes per service (the gateway has one).")] = 1,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help=f"PAGER_PORT, by default {DEFAULT_PORT}.")] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start services again when their source changes.")] = False,
    no_simulators: Annotated[bool, typer.Option("--no-simulators", help="Without the push simulators.")] = False,
    as_json: Json = False,
) -> None:
    """Run everything in the foreground; Ctrl-C stops it.

    PAGER_DATABASE_URL (a superuser's or the owner's) and PAGER_NATS_URL name
    servers elsewhere, which then are not embedded.

    For example: pager up --port 8080
    """
    from cli.stack.interrupt import run_until_signal

    settings = replace(Settings.read(), replicas=replicas, simulators=not no_simulators)
    if port is not None:
        settings = replace(settings, port=port)
    report = json_report if as_json else text_report
    if run_until_signal(_run(settings, report, reload=reload)):
        report("stopped", "stopped")


async def _run(settings: Settings, report: Report, *, reload: bool) -> None:
    """Start, say where everything is, and stay; raises `Failure` or `StartError`."""
    import asyncio

    from cli.stack.ready import all_told
    from cli.stack.reload import watch_sources
    from cli.stack.stack import Stack, first_of

    report("starting", f"Pager starts in {settings.home.path}")
    async with Stack(settings, report) as stack:
        await stack.ready()
        _tell(stack, report)
        for trouble in await all_told(stack.settings.port):
            report("warning", f"{trouble['culprit']} {trouble['problem']}", **trouble)
        report("ready", f"Pager is ready: {stack.app}; Ctrl-C stops it.", url=stack.url, app=stack.app)
        tasks: list[asyncio.Task[None]] = [asyncio.create_task(stack.supervisor.failed())]
        if reload:
            tasks.append(asyncio.create_task(watch_sources(stack.supervisor.pids, stack.supervisor.renew)))
        try:
            await first_of(*tasks)
        except asyncio.CancelledError:
            report("stopping", "stopping")
            raise
    report("stopped", "stopped")


def _tell(stack: "Stack", report: Report) -> None:
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
            report("url", f"  {name:<42}{url}", name=name, url=url)
    if stack.simulator is not None:
        missing = missing_push(stack.settings.environment)
        vendors = " and ".join(vendor for name, vendor in _VENDORS.items() if missing[name])
        report("warning", f"Pushes for {vendors} go to the simulators: no credentials are set.", push="simulated")
    tell_admin(stack, report)


def tell_admin(stack: "Stack", report: Report) -> None:
    """The password that was made here once, when everything is up; after that, where it is kept."""
    from cli.stack import secrets_file

    secrets, home = stack.secrets, stack.settings.home
    if not secrets.made_here:
        return
    file = str(home.path / secrets_file.FILE_NAME)
    if secrets.shown:
        report(
            "account",
            f"  Admin {secrets.admin_email}: the password is in {file}",
            email=secrets.admin_email,
            file=file,
        )
        return
    report(
        "admin",
        f"  {'Admin':<42}{secrets.admin_email}\n  {'Password (shown once)':<42}{secrets.admin_password}\n"
        f"  {'is kept in':<42}{file}",
        email=secrets.admin_email,
        password=secrets.admin_password,
        file=file,
    )
    secrets_file.remember_shown(home)
