"""What a replay was asked for: a stretch of time, an incident, types of events."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from cli.console.failure import USAGE, Failure
from cli.replay.token import Token

_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment_of(text: str, option: str, now: datetime) -> datetime:
    """RFC 3339 (`2026-03-01T09:00:00Z`; a day alone begins at midnight UTC), or how long ago (`90m`, `2h`, `7d`).

    Raises `Failure` naming the option.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f"{option}: {text!r} is no moment; write 2026-03-01T09:00:00Z or 2h", USAGE) from None
    if at.tzinfo is None and len(text) > len("2026-03-01"):
        raise Failure(f"{option}: {text!r} lacks its zone; add Z for UTC", USAGE)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


@dataclass
class Asked:
    """`since` is included, `until` is not; `type_glob` fits the whole type or its name (`Incident*`)."""

    since: datetime | None = None
    until: datetime | None = None
    incident: str | None = None
    """Its whole id."""
    type_glob: str | None = None
    _fits: dict[str, bool] = field(default_factory=dict)

    def fits(self, type_name: str) -> bool:
        """Whether events of this type are wanted."""
        if self.type_glob is None:
            return True
        known = self._fits.get(type_name)
        if known is None:
            name = type_name.split(".")[2] if type_name.count(".") == 3 else type_name
            known = fnmatchcase(type_name, self.type_glob) or fnmatchcase(name, self.type_glob)
            self._fits[type_name] = known
        return known

    def written(self) -> dict[str, str | None]:
        """For a resume token."""
        return {
            "from": self.since.isoformat() if self.since else None,
            "to": self.until.isoformat() if self.until else None,
            "incident": self.incident,
            "type": self.type_glob,
        }

    @classmethod
    def resumed(cls, token: Token) -> "Asked":
        """What the interrupted replay was asked."""
        told = token.asked
        since, until = told.get("from"), told.get("to")
        return cls(
            since=datetime.fromisoformat(since) if since else None,
            until=datetime.fromisoformat(until) if until else None,
            incident=told.get("incident"),
            type_glob=told.get("type"),
        )
