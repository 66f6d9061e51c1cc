"""A local file that says in which country an address is."""

from __future__ import annotations

import maxminddb
from maxminddb.errors import InvalidDatabaseError


def open_countries(path: str) -> maxminddb.Reader:
    """Raises ValueError for what is no such file, or is not there."""
    try:
        # Into memory: a file that is overwritten while it is mapped would end the process.
        reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY)
        if not any(word in reader.metadata().database_type for word in ("Country", "City", "Enterprise")):
            raise ValueError(f"is a database of {reader.metadata().database_type[:50]}, not of countries")
        reader.get("192.0.2.1")
    except OSError:
        raise ValueError("is not there, or cannot be read") from None
    except (InvalidDatabaseError, UnicodeDecodeError, MemoryError):
        raise ValueError("is no database of countries in MaxMind's format (.mmdb)") from None
    return reader
