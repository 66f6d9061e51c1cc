"""`run.json`: what runs, where, and under which process ids."""

import os
from collections.abc import Mapping

from cli.embedded.home import Home


class RunFile:
    """Nothing is written before `begin`, so that a reader who sees the file sees a stack that has been started."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._where: dict[str, str] | None = None

    def begin(self, **where: str | None) -> None:
        """URLs by name, without credentials; None for what does not run."""
        self._where = {name: url for name, url in where.items() if url is not None}

    def write(self, pids: Mapping[str, int]) -> None:
        """Replace the file in one step; our own id is in it as `pager`."""
        if self._where is None:
            return
        processes = {name: {"pid": pid} for name, pid in (pids | {"pager": os.getpid()}).items()}  # type: ignore[operator]
        self._home.write_run({**self._where, "processes": processes})
