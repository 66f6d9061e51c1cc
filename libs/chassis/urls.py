"""What is wrong with the URL of a server, before anybody has tried to reach it."""

from __future__ import annotations

from urllib.parse import urlsplit

_SEVERAL_HOSTS = ("postgresql", "postgres")


def url_fault(url: str, *schemes: str) -> str | None:
    """In words, without its password; None: nothing."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in schemes:
            return f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
        if " " in url or not url.isprintable():
            return "is no URL: it has spaces, or characters that nobody sees"
        hosts = parts.netloc.rpartition("@")[2]
        each = hosts.split(",") if parts.scheme in _SEVERAL_HOSTS else [hosts]
        # One by one: `urlsplit` reads the port after the last colon.
        found = [urlsplit(f"//{host}") for host in each]
        if not all(host.hostname for host in found):
            return "names no host"
        if any(host.port == 0 or "," in host.netloc for host in found):
            raise ValueError
    except ValueError:
        return "is no URL: special characters of a password are written as %xx, ports are numbers from 1 to 65535"
    return _libpq_fault(url) if parts.scheme in _SEVERAL_HOSTS else None


def _libpq_fault(url: str) -> str | None:
    from psycopg import ProgrammingError, conninfo  # who asks nothing of PostgreSQL does not load its library

    try:
        conninfo.conninfo_to_dict(url)
    except ProgrammingError:  # whose text quotes parts of passwords
        return "is no URL that PostgreSQL reads: special characters are written as %xx, and it knows its parameters"
    return None


def base_fault(url: str, *schemes: str) -> str | None:
    """Of a URL that others are made of, by what is added at its end."""
    if fault := url_fault(url, *schemes):
        return fault
    parts = urlsplit(url)
    if parts.username is not None:
        return "must not have a user name"
    return "must not have a ? or a #" if "?" in url or "#" in url else None
