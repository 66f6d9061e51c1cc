"""Links that can be used once: each holds a random token, of which we keep a hash (docs/adr/0055)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from libs.chassis.store.changes import Gone, Row
from libs.chassis.store.work import Work
from libs.contracts.invites import LinkView
from libs.contracts.requests import Invalid
from services.auth.queries import LINK_LOCKED, LINKS_OF
from services.auth.tables.passwords import links


class Purpose(StrEnum):
    """What a link is for; a token is good for nothing else."""

    INVITE = "invite"
    RESET = "reset"
    VERIFY = "verify"


LASTS: Final = {
    Purpose.INVITE: timedelta(days=7),
    Purpose.RESET: timedelta(minutes=15),
    Purpose.VERIFY: timedelta(days=1),
}
_APART: Final = timedelta(minutes=1)
"""How far the clocks of two replicas may be apart."""
_PAGES: Final = {Purpose.INVITE: "register", Purpose.RESET: "reset", Purpose.VERIFY: "verify"}


class BadLink(Invalid):
    """this link was used, has expired, or was never made: ask for another one"""


@dataclass(frozen=True)
class Links:
    """`public_url`: where people reach us. Nothing that a request says of itself gets into a link."""

    public_url: str

    def make(self, work: Work, purpose: Purpose, subject: UUID, *, mailed: bool = False) -> LinkView:
        """Another link, beside those that there are; `mailed`: whoever shows its token reads mails of that address."""
        token = f"{purpose}_{secrets.token_urlsafe(32)}"
        expires_at = work.now + LASTS[purpose]
        row = {"hash": _hashed(token), "purpose": str(purpose), "subject": subject, "mailed": mailed}
        work.put(Row(links, row | {"expires_at": expires_at}))
        # Behind the #, which browsers keep to themselves: no log, proxy or Referer has it, and a GET uses up nothing.
        return LinkView(url=f"{self.public_url.rstrip('/')}/app/{_PAGES[purpose]}#{token}", expires_at=expires_at)


def shown(work: Work, purpose: Purpose, token: str, field: str) -> dict[str, Any]:
    """The row of the link whose token this is, locked. Raises BadLink, for whatever is wrong with it."""
    rows = work.fetch(LINK_LOCKED, hash=_hashed(token), purpose=str(purpose))
    # Whatever clock it was made by, it does not last longer than it should.
    if not rows or not work.now < rows[0]["expires_at"] <= work.now + LASTS[purpose] + _APART:
        raise BadLink(field=field)
    return rows[0]


def end_links(work: Work, purpose: Purpose, subject: UUID) -> None:
    """All of this kind are good no longer."""
    for row in work.fetch(LINKS_OF, subject=subject, purpose=str(purpose)):
        work.put(Gone(links, {"hash": bytes(row["hash"])}))


def _hashed(token: str) -> bytes:
    # 256 random bits need no salt and no slow hash.
    return sha256(token.encode()).digest()
