"""Keeps the logs of running processes small."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final

from cli.embedded.belongings import is_log
from cli.embedded.files import LOG_LIMIT, PRIVATE_FILE

CHECK_SECONDS: Final = 10.0


def rotate(folder: Path, limit: int = LOG_LIMIT) -> list[str]:
    """Copy each log past `limit` bytes to `<name>.1` and empty it; returns the names.

    Copied and emptied rather than renamed, because its process holds it open (for appending, so that it goes on at
    the new end); what is written between the two steps is lost, which a log may bear.
    """
    done = []
    for path in filter(is_log, folder.glob("*.log")):
        status = path.stat()
        if status.st_size <= limit:
            continue
        old = path.with_name(f"{path.name}.1")
        shutil.copyfile(path, old)
        old.chmod(PRIVATE_FILE)
        if os.geteuid() == 0:
            os.chown(old, status.st_uid, status.st_gid)
        os.truncate(path, 0)
        done.append(path.name)
    return done


async def keep_small(folder: Path) -> None:
    """Rotate for ever."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        rotate(folder)
