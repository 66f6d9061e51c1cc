"""From which country somebody signs in, as a local file says; a new one is told of, and keeps nobody out.

The file is in MaxMind's format, which others write too (`country` → `iso_code`). It is opened once: a newer one counts
from the next start on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self
from uuid import UUID, uuid4

import maxminddb
from maxminddb.errors import InvalidDatabaseError

from libs.chassis.store.changes import Row
from libs.chassis.store.work import Cause, Work
from libs.contracts.audit import SignedInFromNewCountry
from services.auth.domain.sessions import Where
from services.auth.geoip import open_countries
from services.auth.notices import Kind, Notices
from services.auth.queries import COUNTRIES_OF
from services.auth.refusals import TELLING
from services.auth.tables.watch import countries

REMEMBERED: Final = timedelta(days=365)


@dataclass(frozen=True)
class Countries:
    """`reader`: None where no file is given, and then nothing is told."""

    notices: Notices
    reader: maxminddb.Reader | None = field(repr=False)

    @classmethod
    def of(cls, path: str | None, notices: Notices) -> Self:
        return cls(notices, None if path is None else open_countries(path))

    def of_address(self, address: str | None) -> str | None:
        """Two letters; None: the file does not know it, or says something else there."""
        if self.reader is None or address is None:
            return None
        try:
            found = self.reader.get(address)
            country = found.get("country") if isinstance(found, dict) else None
            code = country.get("iso_code") if isinstance(country, dict) else None
        except (InvalidDatabaseError, ValueError):  # it is broken there, or has IPv4 alone
            return None
        is_code = isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha()
        return code.upper() if is_code and isinstance(code, str) else None

    def signed_in(self, work: Work, user_id: UUID, session_id: UUID, where: Where, cause: Cause) -> None:
        """Remember it, and tell of it where they have been elsewhere alone; the person's row is locked."""
        country = self.of_address(where.address)
        if country is None:
            return
        known = {row["country"] for row in work.fetch(COUNTRIES_OF, user_id=user_id, since=work.now - REMEMBERED)}
        work.put(Row(countries, {"user_id": user_id, "country": country, "last_at": work.now}))
        if known and country not in known:
            fact = SignedInFromNewCountry(user_id=user_id, session_id=session_id, country=country, **where.fields)
            work.decide(TELLING, uuid4(), fact, cause)
            self.notices.of(work, Kind.COUNTRY, user_id)
