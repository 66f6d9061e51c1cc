"""Which master key seals: the one that has sealed auth's own secrets, in whatever replica one looks.

The active replica seals those anew, with all else, once every replica opens what the present one seals (`sealed.py`).
Until then those with the new one seal by the one before.
"""

from __future__ import annotations

from typing import Any, Final

from libs.chassis.store.keyring import OtherSecret
from libs.chassis.store.work import Work
from services.auth.queries import SEALED_SECRETS
from services.auth.sealing import Seal

_ROWS: Final = {False: SEALED_SECRETS.with_for_update(read=True), True: SEALED_SECRETS.with_for_update()}


def sealing(work: Work, seal: Seal) -> str:
    """The name of the key that seals, until this transaction ends.

    Raises:
        OtherSecret: this replica does not have it.
    """
    name = present(own_secrets(work), seal)
    if not seal.knows(name):
        raise OtherSecret
    return name


def is_left_behind(work: Work, seal: Seal) -> bool:
    """Whether everything is sealed by a key that this replica does not have."""
    return not seal.knows(present(work.fetch(SEALED_SECRETS), seal))


def own_secrets(work: Work, *, changing: bool = False) -> list[dict[str, Any]]:
    """Auth's own secrets as they are sealed, until this transaction ends; `changing`: they are sealed anew."""
    return work.fetch(_ROWS[changing])


def present(rows: list[dict[str, Any]], seal: Seal) -> str:
    """The name of the key that has sealed these; before there are any it is our present one."""
    return next((row["sealed_by"] for row in rows if row["sealed_by"] is not None), seal.name)
