"""API keys, by which machines ask for what people ask for: what auth publishes, takes and answers."""

from __future__ import annotations

import secrets
import string
from hashlib import sha256
from typing import Annotated, ClassVar, Final
from uuid import UUID
from zlib import crc32

from pydantic import AfterValidator, Field

from libs.contracts.envelope import Fact
from libs.contracts.model import Contract, Moment, SentMoment, StrictContract
from libs.contracts.permissions import PERMISSIONS, Action
from libs.contracts.requests import ListView
from libs.contracts.texts import ONE_LINE

PREFIX: Final = "pgr_"
SHOWN: Final = len(PREFIX) + 8
"""Characters of a key by which people tell it from others. Those that nobody sees have 166 bits."""
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM: Final = 36
_CHECK: Final = 6
LENGTH: Final = len(PREFIX) + _RANDOM + _CHECK
MOST_SECRETS: Final = 2
"""Of one key: the present one, and the one that takes its place."""
MOST_MARKS: Final = 20_000
"""Of keys, those that were used last: 400 KB."""
MOST_KEYS: Final = 100
"""Of one person: whoever is deactivated takes them all along in one transaction. And of those that a team owns."""


def new_key() -> str:
    """A key that nobody guesses. Its end is a checksum of the rest, by which scanners tell it from other words."""
    begun = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return begun + _checksum(begun)


def is_key(text: str) -> bool:
    """Whether this may be a key of ours; whoever mistypes one, or makes one up, is mostly found out by this alone."""
    return (
        len(text) == LENGTH
        and text.startswith(PREFIX)
        and all(c in _ALPHABET for c in text[len(PREFIX) :])
        and text[-_CHECK:] == _checksum(text[:-_CHECK])
    )


def _checksum(begun: str) -> str:
    """CRC-32 in base 62."""
    number, digits = crc32(begun.encode()), ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


class ApiKeyCreated(Fact, type="pager.auth.ApiKeyCreated.v1"):
    """A machine may ask for what `scopes` name, as far as its maker may. What it shows is a row (hashed), in no event.

    `team_id`: it acts on what belongs to this team alone; None: on whatever its maker does.
    """

    key_id: UUID
    name: str
    scopes: tuple[str, ...]
    team_id: UUID | None = None
    made_by: UUID
    expires_at: Moment | None = None


class ApiKeyChanged(Fact, type="pager.auth.ApiKeyChanged.v1"):
    """The whole key after the change; its scopes never become more."""

    key_id: UUID
    name: str
    scopes: tuple[str, ...]
    expires_at: Moment | None = None


class ApiKeySecretAdded(Fact, type="pager.auth.ApiKeySecretAdded.v1"):
    """What a machine shows from now on, also the first one; nothing in here helps to guess it."""

    key_id: UUID
    secret_id: UUID
    prefix: str
    """Its first characters, by which people tell two apart."""


class ApiKeySecretRemoved(Fact, type="pager.auth.ApiKeySecretRemoved.v1"):
    """Whoever shows this one is refused from now on; the key's other one is as good as before."""

    key_id: UUID
    secret_id: UUID


class ApiKeyTakenOver(Fact, type="pager.auth.ApiKeyTakenOver.v1"):
    """It is its team's from now on and no longer its maker's: it may do what `scopes` name as a manager of the team."""

    key_id: UUID
    team_id: UUID


class ApiKeyRevoked(Fact, type="pager.auth.ApiKeyRevoked.v1"):
    """It is gone with all its secrets."""

    key_id: UUID


def _for_machines(action: Action) -> Action:
    if not PERMISSIONS[action].machines:
        raise ValueError(f"{action} is for people alone: no API key may have it")
    return action


def _once_each(scopes: tuple[Action, ...]) -> tuple[Action, ...]:
    return tuple(dict.fromkeys(scopes))


Scopes = Annotated[
    tuple[Annotated[Action, AfterValidator(_for_machines)], ...],
    Field(min_length=1, max_length=len(Action)),
    AfterValidator(_once_each),
]
"""Actions that a machine may be given."""


class CreateApiKey(StrictContract):
    """`POST /api-keys`: whoever makes it gives of what they may do themselves."""

    name: str = Field(min_length=1, max_length=255, pattern=ONE_LINE)
    scopes: Scopes = Field(examples=[["incidents.list", "incidents.acknowledge"]])
    team_id: UUID | None = None
    """It acts on this team's things alone; null: on all that its maker may act on."""
    expires_at: SentMoment | None = None
    """Null: never."""


class ApiKeyChange(StrictContract):
    """`PATCH /api-keys/{id}`: fields not given stay; `expiresAt` of null is never. Scopes can only be taken away."""

    name: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    scopes: Scopes | None = None
    expires_at: SentMoment | None = None


class ChangeApiKey(ApiKeyChange):
    id: UUID


class RemoveSecret(StrictContract):
    id: UUID
    """Of the key."""
    secret_id: UUID


class ExchangeKey(StrictContract):
    """`pager.rpc.auth.exchange_key`: what a machine has shown."""

    key: str = Field(min_length=LENGTH, max_length=LENGTH, repr=False)


class KeyToken(Contract):
    """An access token that a key is exchanged for."""

    access_token: str = Field(repr=False)


class KeyMarks(Contract):
    """`pager.rpc.auth.key_marks`, for the gateway: by which it sees that a key is one, without asking about it.

    None of them lets anybody in: a key that has one is asked about before those that have none.
    """

    marks: tuple[str, ...]


def mark_of(hashed: bytes) -> str:
    """`hashed`: what a key is kept as. Sixteen digits, from which it does not follow."""
    return sha256(b"mark " + hashed).hexdigest()[:16]


class SecretView(Contract):
    """Something that a machine may show for the key, without the whole of it."""

    id: UUID
    prefix: str
    """Its first twelve characters."""
    created_at: Moment
    last_used_at: Moment | None = None
    """To the minute; None: nobody has shown it."""


class CreatedSecretView(SecretView):
    shown_once: ClassVar[frozenset[str]] = frozenset({"key"})

    key: str | None = Field(default=None, repr=False)
    """To be put where the machine finds it: in the answer that made it and nowhere else."""


class ApiKeyView(Contract):
    shown_once: ClassVar[frozenset[str]] = frozenset({"key"})

    id: UUID
    version: int
    name: str
    scopes: tuple[str, ...]
    team_id: UUID | None = None
    made_by: UUID
    owner_id: UUID | None = None
    """Whose rights it has within its scopes, and with whom it ends: its maker. None: its team has taken it over."""
    prefix: str
    """The first twelve characters of its newest secret."""
    secrets: tuple[SecretView, ...]
    """Oldest first, at most two."""
    last_used_at: Moment | None = None
    """To the minute; None: never."""
    expires_at: Moment | None = None
    created_at: Moment
    updated_at: Moment
    key: str | None = Field(default=None, repr=False)
    """What the machine shows: in the answer that made it and nowhere else."""


class ApiKeysPage(ListView):
    """`pager.rpc.auth.api_keys`: a page of the keys that one may see, oldest first."""

    api_keys: tuple[ApiKeyView, ...]
