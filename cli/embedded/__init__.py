"""Embedded PostgreSQL and NATS: servers from PyPI wheels, run as our own children inside `PAGER_HOME`."""

from cli.embedded.errors import StartError
from cli.embedded.home import Home
from cli.embedded.nats import EmbeddedNats
from cli.embedded.postgres import EmbeddedPostgres

__all__ = ["EmbeddedNats", "EmbeddedPostgres", "Home", "StartError"]
