"""What the shell around a process says to the libraries in it, behind the back of our settings."""

from __future__ import annotations

import os


def forget_libpq() -> None:
    """libpq takes what a URL leaves out from `PGSSLMODE`, `PGSERVICE`, `PGOPTIONS` and some forty more: those are meant
    for somebody's psql, and one of them is enough for nothing to start. Our URLs say all that there is to say.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
