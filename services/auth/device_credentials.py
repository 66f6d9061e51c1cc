"""Device credentials: whoever is on call acknowledges what has woken them, also when their session has ended long ago.

A credential is a token for three uses, each of which takes a fresh proof by the device's key. It is signed as all of
auth's tokens are, so that anybody sees what it is. What counts is the row of its hash: it lives longer than those keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from libs.chassis.clock import Clock
from libs.chassis.requests.callers import Caller, RolesAreOthers
from libs.chassis.store.changes import Gone, Row
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.auth import UserView
from libs.contracts.device_keys import ExchangeDevice, ScopedToken
from libs.contracts.permissions import Action
from libs.contracts.requests import Unauthenticated
from services.auth import proofs
from services.auth.pace import Pace
from services.auth.proofs import Jwk
from services.auth.queries import DEVICE_CREDENTIAL_LOCKED, DEVICE_CREDENTIAL_OF, DEVICE_CREDENTIALS_OF, USER
from services.auth.tables.sessions import device_credentials
from services.auth.tokens import AccessTokens
from services.auth.views import user_view

USES: Final = (Action.INCIDENTS_ACKNOWLEDGE, Action.NOTIFICATIONS_RECEIPT, Action.INCIDENTS_LIST)
UNUSED: Final = timedelta(days=90)
"""After that it ends."""
LONGEST: Final = timedelta(days=365)
"""So long it lasts at most: its proofs are remembered until then, since none is too old."""
LIFETIME: Final = timedelta(minutes=1)
"""Of what it is exchanged for, which stays between us."""
_PROOF_KEPT: Final = LONGEST + timedelta(days=1)
_ACKNOWLEDGE: Final = "/acknowledge"
_OFTEN: Final = "This phone was used many times within a minute without being signed in: wait a moment."


class NoCredential(Unauthenticated):
    """the device credential is not valid: sign in again"""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What a device is given at sign-in; only its hash is kept."""

    id: UUID
    text: str = field(repr=False)

    @property
    def hash(self) -> bytes:
        return hash_of(self.text)


def hash_of(credential: str) -> bytes:
    return sha256(credential.encode()).digest()


def give(work: Work, credential: NewCredential, user_id: UUID, device_id: str, key: Jwk) -> None:
    """In the place of any that the device had; the person's row is locked."""
    end(work, user_id, only=device_id)
    row = {"hash": credential.hash, "id": credential.id, "user_id": user_id, "device_id": device_id}
    times = {"made_at": work.now, "used_at": work.now, "ends_at": work.now + UNUSED}
    work.put(Row(device_credentials, row | {"device_key": dict(key)} | times))


def end(work: Work, user_id: UUID, *, only: str | None = None, but: str | None = None) -> bool:
    """Those of a person: of one device, of all but one, or of all; whether there were any."""
    rows = work.fetch(DEVICE_CREDENTIALS_OF, user_id=user_id)
    ended = [row for row in rows if only in (None, row["device_id"]) and row["device_id"] != but]
    for row in ended:
        work.put(Gone(device_credentials, {"hash": row["hash"]}))
    return bool(ended)


def _pace() -> Pace:
    return Pace(60, timedelta(minutes=1), _OFTEN)


@dataclass
class DeviceCredentials:
    """Exchanges them, with a proof, for what services know."""

    store: Store
    access: AccessTokens
    clock: Clock
    pace: Pace = field(default_factory=_pace)
    acknowledging: Pace = field(default_factory=_pace)
    """By itself: an app that looks at its list in a loop holds up nobody who has woken up."""

    async def exchange(self, body: ExchangeDevice) -> ScopedToken:
        """An access token of a minute for the three uses.

        Raises:
            NoCredential: it is none, or has ended.
            BadProof: the proof is none for this, or was used before.
            TooOften: it was used many times within a minute.
        """
        row, user = (await self.store.transact(lambda work: self._use(work, body))).result
        self._pace_of(body).passed(row["id"], self.clock.now())
        now = self.clock.now()
        token = await self.access.issue(user, row["id"], row["device_id"], now, until=now + LIFETIME, scopes=USES)
        return ScopedToken(access_token=token)

    async def check(self, caller: Caller) -> Caller:
        """As `callers.Sessions` says, of a phone that is not signed in. Raises NoCredential or RolesAreOthers."""
        asked = {"id": caller.session_id, "user_id": caller.user_id}
        rows = await self.store.read(lambda work: work.fetch(DEVICE_CREDENTIAL_OF, **asked))
        if not rows:
            raise NoCredential
        if caller.version < rows[0]["roles_version"]:
            raise RolesAreOthers
        return caller

    def _pace_of(self, body: ExchangeDevice) -> Pace:
        return self.acknowledging if body.path.endswith(_ACKNOWLEDGE) else self.pace

    def _use(self, work: Work, body: ExchangeDevice) -> tuple[dict[str, Any], UserView]:
        hashed = hash_of(body.credential)
        rows = work.fetch(DEVICE_CREDENTIAL_LOCKED, hash=hashed)
        if not rows or rows[0]["ends_at"] <= work.now:
            raise NoCredential
        row = rows[0]
        people = work.fetch(USER, id=row["user_id"])
        if not people or not people[0]["is_active"]:
            raise NoCredential
        shown = proofs.read(body.proof, row["device_key"], body.credential, method=body.method, path=body.path)
        self._pace_of(body).check(row["id"], work.now)
        proofs.spend(work, shown, work.now + _PROOF_KEPT)
        ends_at = min(work.now + UNUSED, row["made_at"] + LONGEST)
        work.put(Row(device_credentials, row | {"used_at": work.now, "ends_at": ends_at}))
        return row, user_view(people[0])
