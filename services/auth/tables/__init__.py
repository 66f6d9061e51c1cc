"""The tables of auth, by what they hold."""

from services.auth.tables import doors, keys, passwords, people, sessions, watch

__all__ = ["doors", "keys", "passwords", "people", "sessions", "watch"]
