"""URLs of servers with other credentials, or with none, as they may be shown."""

from urllib.parse import quote, urlsplit


def with_user(url: str, user: str, password: str) -> str:
    """A URL with other credentials."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}").geturl()


def without_user(url: str) -> str:
    """A URL as it may be shown."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
