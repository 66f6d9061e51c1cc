"""Checking APNs provider tokens (Apple, "Establishing a token-based connection to APNs")."""

from collections import OrderedDict
from collections.abc import Callable

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

MAX_AGE = 3600.0  # s; older is ExpiredProviderToken
UPDATE_WINDOW = 1200.0  # s; Apple asks for at most one new token in 20 minutes
CLOCK_SKEW = 60.0  # s
_REMEMBERED = 1000


class ProviderTokens:
    """Verifies each distinct token once and counts how many appear within 20 minutes.

    `max_updates` is the number of distinct tokens allowed in that window. Apple does not publish its
    tolerance; the default lets a service restart now and then and catches one that mints per push.
    """

    def __init__(
        self, key: ECKey, key_id: str, team_id: str, clock: Callable[[], float], max_updates: int = 30
    ) -> None:
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._clock = clock
        self._max_updates = max_updates
        self._issued: OrderedDict[str, float] = OrderedDict()
        self._first_seen: OrderedDict[str, float] = OrderedDict()

    def fault(self, authorization: str | None) -> str | None:
        """The reason to refuse an `authorization` header, or None for a good one."""
        scheme, _, token = (authorization or "").partition(" ")
        if not token or scheme.lower() != "bearer":
            return "MissingProviderToken"
        now = self._clock()
        issued = self._issued.get(token)
        if issued is None:
            issued = self._verified(token)
            if issued is None or issued > now + CLOCK_SKEW:
                return "InvalidProviderToken"
            if now - issued <= MAX_AGE and self._is_one_too_many(token, now):
                return "TooManyProviderTokenUpdates"
            self._issued[token] = issued
            if len(self._issued) > _REMEMBERED:
                self._issued.popitem(last=False)
        return "ExpiredProviderToken" if now - issued > MAX_AGE else None

    def _verified(self, text: str) -> float | None:
        """The `iat` of a token that our key signed for our team, else None."""
        try:
            token = jwt.decode(text, self._key, algorithms=["ES256"])
        except (JoseError, ValueError):
            return None
        issued = token.claims.get("iat")
        if token.header.get("kid") != self._key_id or token.claims.get("iss") != self._team_id:
            return None
        if isinstance(issued, bool) or not isinstance(issued, int | float):
            return None
        return float(issued)

    def _is_one_too_many(self, token: str, now: float) -> bool:
        while self._first_seen and next(iter(self._first_seen.values())) < now - UPDATE_WINDOW:
            self._first_seen.popitem(last=False)
        if len(self._first_seen) >= self._max_updates:
            return True
        self._first_seen[token] = now
        return False
