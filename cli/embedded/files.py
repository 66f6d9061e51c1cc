"""Files that others must not read, that must never be seen half written, or that grow."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PRIVATE_FILE: Final = 0o600
LOG_LIMIT: Final = 8 * 1024 * 1024


def write_private(path: Path, text: str, uid: int, gid: int) -> None:
    """Replace `path` by a file (mode 0600, owned by uid:gid) in one step that survives a power cut.

    The temporary file has a random name and is created exclusively, so that a link which somebody planted in
    a folder of theirs is never followed when root writes there.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), PRIVATE_FILE)
            give(file.fileno(), uid, gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _keep_names(path.parent)


def _keep_names(folder: Path) -> None:
    """Have the folder itself on disk: a new name in it is as good as the old one only then."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until nobody else is in here: for whoever reads a file of the folder, and writes it anew by that."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def give(target: int | Path, uid: int, gid: int) -> None:
    """Hand a file over to its owner; only root can, and for everybody else it is theirs already."""
    if os.geteuid() == 0:
        os.chown(target, uid, gid, follow_symlinks=isinstance(target, int))


def give_tree(folder: Path, uid: int, gid: int) -> None:
    """Hand over a folder and all that is in it; links are handed over, never followed."""
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            give(Path(parent, name), uid, gid)
    give(folder, uid, gid)


def open_log(path: Path, uid: int, gid: int) -> int:
    """Open a log for appending and return its descriptor; past 8 MiB the old one is kept as `<name>.1`."""
    if path.is_file() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_name(f"{path.name}.1"))
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, PRIVATE_FILE)
    give(descriptor, uid, gid)
    return descriptor
