"""Keys of persons, for the services that must read what is sealed while auth is away (docs/adr/0058)."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import Field

from libs.contracts.model import Contract, StrictContract

AT_ONCE: Final = 500
"""Keys of one answer."""


class PersonKeysOf(StrictContract):
    """`pager.rpc.auth.person_keys`, for the services that the bus lets ask."""

    user_ids: tuple[UUID, ...] = Field(max_length=AT_ONCE)


class PersonKeys(Contract):
    """The keys that there are, in base64 by the person's id; of whoever is not in it there is none (any more)."""

    keys: dict[UUID, str] = Field(repr=False)
