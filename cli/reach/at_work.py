"""Who works on an installation now: nothing may be taken from under them."""

import asyncio
import time

import psycopg

from cli.console.failure import Failure
from cli.reach.running import run_of
from cli.settings import Settings
from libs.chassis.store.connections import session

_LEAVING = 2.0
"""Seconds that the session of a process which has just ended may take to end, too."""
# Commands that only look have names of two parts; migrations take turns by themselves.
_SESSIONS = """
    SELECT DISTINCT split_part(application_name, '/', 2) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND application_name LIKE 'pager/%/%' AND application_name NOT LIKE 'pager/%/migrate'
    ORDER BY 1
"""


async def require_nobody(settings: Settings, url: str) -> None:
    """Raises `Failure` while a stack runs in the home, or processes of Pager's are in the database of `url`."""
    try:
        run = run_of(settings)
    except Failure:
        pass
    else:
        raise Failure(f"Pager runs in {settings.home.path}, process {run['processes']['pager']['pid']}: stop it first")
    deadline = time.monotonic() + _LEAVING
    while found := await asyncio.to_thread(_sessions, url):
        if time.monotonic() > deadline:
            raise Failure(f"the database is in use by {', '.join(found)}: stop them first")
        await asyncio.sleep(0.1)


def _sessions(url: str) -> list[str]:
    with psycopg.connect(url, **session(url, "pager/command")) as connection:
        return [str(name) for (name,) in connection.execute(_SESSIONS)]
