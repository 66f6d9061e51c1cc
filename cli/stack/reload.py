"""`pager up --reload`: which processes a changed source file concerns."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final

from cli.stack.ready import modified

ROOT: Final = Path(__file__).resolve().parents[2]
LOOK_SECONDS: Final = 0.5


def snapshot(root: Path = ROOT) -> dict[Path, int]:
    """Modification times (ns) of the sources of services and libraries; tests are left out."""
    files = (path for folder in ("services", "libs") for path in (root / folder).rglob("*.py"))
    return {path: at for path in files if "tests" not in path.parts and (at := modified(path)) is not None}


def concerned(changed: Collection[Path], running: Collection[str], root: Path = ROOT) -> list[str]:
    """The processes to start again: a service's own for its files, all services for the libraries'."""
    parts = [path.relative_to(root).parts for path in changed]
    owners = {part[1] for part in parts if part[0] == "services" and len(part) > 2}
    everything = any(part[0] == "libs" or len(part) <= 2 for part in parts)
    return [name for name in running if everything or name.split("-")[0] in owners]


async def watch_sources(running: Callable[[], Collection[str]], renew: Callable[[str], Awaitable[None]]) -> None:
    """Renew what changes, for ever."""
    known = await asyncio.to_thread(snapshot)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        found = await asyncio.to_thread(snapshot)
        changed = {path for path in known.keys() | found.keys() if known.get(path) != found.get(path)}
        known = found
        await asyncio.gather(*(renew(name) for name in concerned(changed, running())))
