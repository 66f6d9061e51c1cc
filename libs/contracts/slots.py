"""Slots: which of 256 shares of the work an event belongs to, for ever, so that consumption can be divided later."""

from __future__ import annotations

from functools import lru_cache
from json.encoder import encode_basestring as spell
from typing import Final
from uuid import UUID
from zlib import crc32

from uuid_utils.compat import uuid5

from libs.contracts.defaults import PAGER

SLOTS: Final = 256
NO_INCIDENT: Final = 0
"""The slot of what belongs to no incident: people, schedules, policies, integrations."""


@lru_cache(maxsize=4096)  # asked for several times in a batch: by keys, rows and slots
def thread_of(integration_id: UUID, dedup_key: str) -> UUID:
    """What the alerts of one problem share, and all generations of its incident."""
    # JSON, because plain concatenation ("c1"+"1" = "c"+"11") would fold fresh alerts into old incidents (promise 7).
    # It is spelt by hand, since it is made for every alert, and all of JSON costs more than twice as much.
    return uuid5(PAGER, f'["dedup", "{integration_id}", {spell(dedup_key)}]')


def slot_of(thread: UUID) -> int:
    """`crc32(thread) % 256`, over the thread's 16 bytes.

    A thread is what the alerts of one problem share: the id of (integration, dedup key), else the incident's own id.
    All generations of a key have one slot, and an incident's escalation and notifications have its slot, so that
    whoever takes a share of the slots sees everything of an incident in order.
    """
    return crc32(thread.bytes) % SLOTS
