"""What of a folder is Pager's: `PAGER_HOME` may be one that was there before, with files of somebody else."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from cli.embedded.credentials import STATEFUL_SERVICES
from cli.embedded.errors import HOME_SETTING, StartError
from cli.embedded.files import write_private

STATE: Final = Path("/var/lib")
"""Where root's data go that the servers' account could not reach (`places`)."""
MARKER: Final = "pager-home.json"
LOCK: Final = "lock"
LEDGER: Final = "erasures"
"""Of auth, outside of PostgreSQL's folder: a backup of the one must not be one of the other."""
SERVER_FOLDERS: Final = ("postgres", "nats")
"""They may be links."""
LOGS: Final = "logs"
_FOLDERS: Final = (*SERVER_FOLDERS, LOGS, "simulators")
_PROCESSES: Final = (*SERVER_FOLDERS, *STATEFUL_SERVICES, "gateway", "simulator")
_LOG: Final = re.compile(rf"({'|'.join(_PROCESSES)})(-[2-9])?\.log(\.1)?")
"""In a folder of this name others may have logs, too."""
_FILES: Final = ("credentials.json", "secrets.json", "run.json", LEDGER)
_HALF_WRITTEN: Final = re.compile(rf"\.({'|'.join(map(re.escape, (*_FILES, MARKER)))})\.[a-z0-9_]{{8}}")
"""As `mkstemp` names them."""


def is_ours(home: Path) -> bool:
    """Whether Pager has been here: its marker, or what it left before there was one."""
    return (home / MARKER).exists() or all((home / name).exists() for name in (LOCK, "credentials.json"))


def take(home: Path, *, made: bool) -> None:
    """Mark a folder, so that what has our names in it is known to be ours. `made`: it was not there before.

    Raises:
        StartError: somebody else's things have names that we need.
    """
    if (home / MARKER).exists():
        return
    if not is_ours(home) and (taken := [name for name in (*_FOLDERS, *_FILES, LOCK) if _holds_something(home / name)]):
        raise StartError(
            HOME_SETTING,
            f"{home} holds {', '.join(taken)}, which Pager has not made",
            "move that away or name another folder",
        )
    status = home.stat()
    write_private(home / MARKER, json.dumps({"made": made}) + "\n", status.st_uid, status.st_gid)


def _holds_something(path: Path) -> bool:
    if path.is_dir():
        return next(path.iterdir(), None) is not None
    return path.exists() or path.is_symlink()


def erase(home: Path) -> list[str]:
    """Delete what is ours, also what was put elsewhere, and the folder if we have made it; the names that stay."""
    made = _made(home)
    for name in _FOLDERS:
        folder = home / name
        if folder.is_symlink():
            _erase_elsewhere(folder.resolve())
            folder.unlink()
        elif folder.is_dir() and name == LOGS:
            _erase_logs(folder)
        elif folder.is_dir():
            shutil.rmtree(folder)
    for file in (home / LOCK, *(home / name for name in _FILES), *_half_written(home), home / MARKER):
        file.unlink(missing_ok=True)
    if made:
        with suppress(OSError):  # somebody has put something in it
            home.rmdir()
            return []
    return sorted(path.name for path in home.iterdir())


def is_log(path: Path) -> bool:
    """Whether one of our processes writes it, or has written it before it was rotated."""
    return _LOG.fullmatch(path.name) is not None


def _erase_logs(folder: Path) -> None:
    for path in folder.iterdir():
        if is_log(path):
            path.unlink()
    with suppress(OSError):  # somebody has put something in it
        folder.rmdir()


def _made(home: Path) -> bool:
    try:
        return bool(json.loads((home / MARKER).read_text(encoding="utf-8"))["made"])
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _half_written(home: Path) -> Iterator[Path]:
    """What a crash has left of files that are replaced in one step."""
    return (path for path in home.iterdir() if _HALF_WRITTEN.fullmatch(path.name) and path.is_file())


def _erase_elsewhere(folder: Path) -> None:
    """Data behind a link; the place around it only where `places` has made it."""
    shutil.rmtree(folder, ignore_errors=True)
    temporary = Path(tempfile.gettempdir()).resolve()
    if folder.parent.parent in (STATE, temporary) and folder.parent.name.startswith("pager-"):
        with suppress(OSError):
            folder.parent.rmdir()
