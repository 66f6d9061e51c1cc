"""Which alerts belong together: ids that are derived, so that a repeat finds what the first one made (promise 7)."""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from json.encoder import encode_basestring as spell
from uuid import UUID

from uuid_utils.compat import uuid5

from libs.contracts.defaults import PAGER

_OURS = "pager:"
_ALONE = "pager:alone:"
_TEAMS = "pager:team:"
_NAMED = "named:"
_HASHED = "sha256:"
_KEY = re.compile(rb'("routing(?:Key|_key)"\s*:\s*)"((?:[^"\\]|\\.)*)(?:"|\\?\Z)', re.DOTALL)
"""Also in a body that is not JSON: what we cannot read is what we keep."""
_json = json.JSONEncoder(ensure_ascii=False).encode


def _derived(kind: str, *parts: str | int) -> UUID:
    # JSON, because plain concatenation ("c1"+"1" = "c"+"11") would fold fresh alerts into old incidents (promise 7).
    return uuid5(PAGER, _json([kind, *parts]))


@lru_cache(maxsize=1024)
def incident_id(integration_id: UUID, dedup_key: str, generation: int) -> UUID:
    """An alert after the resolve is a new generation, never a reopening."""
    # Spelt by hand as `_derived` would spell it: it is made for every alert.
    return uuid5(PAGER, f'["incident", "{integration_id}", {spell(dedup_key)}, {generation}]')


@lru_cache(maxsize=1024)
def alert_id(incident_id: UUID, fingerprint: str | None) -> UUID:
    """Of one alert of an incident. The one whose sender names no fingerprint, for most the only one, has the id of its
    incident: there is nothing else to tell it by.
    """
    return incident_id if fingerprint is None else _derived("alert", str(incident_id), fingerprint)


def event_identity(integration_id: UUID, source: str, event_id: str, body_digest: str) -> UUID:
    """What makes an alert a repeat: `source` and `id`, which together are unique (CloudEvents 1.0, section 3.1).

    And its body, because they are not: a sender that starts again counts from 1 again.
    """
    return _derived("event", str(integration_id), source, event_id, body_digest)


def sequence_key(incarnation: str, sequence: int, stored_at: str) -> str:
    """The key of an alert that names none: its place in the stream, which a recreated stream would use again."""
    spelt = f'["sequence", {spell(incarnation)}, {sequence}, {spell(stored_at)}]'  # as `_digest` would spell it
    return _ALONE + hashlib.sha256(spelt.encode()).hexdigest()


def stands_alone(dedup_key: str) -> bool:
    """No other alert can have this key: there is nothing to remember for the next one."""
    return dedup_key.startswith(_ALONE)


def named_key(dedup_key: str, team_id: UUID | None = None) -> str:
    """A sender's own key, which never stands alone and is no team's, whatever its name.

    `team_id`: of the team whose incident a person opens: what somebody else groups by the same words is not theirs.
    """
    if team_id is not None:
        return f"{_TEAMS}{team_id}:{dedup_key}"
    return f"{_NAMED}{dedup_key}" if dedup_key.startswith((_ALONE, _TEAMS)) else dedup_key


def shown_key(dedup_key: str | None, team_id: UUID | None) -> str | None:
    """As whoever named it wrote it, where it is a team's."""
    return None if dedup_key is None else dedup_key.removeprefix(f"{_TEAMS}{team_id}:")


def event_key(source: str, event_id: str, body_digest: str) -> str:
    """The dedup key of an alert that has an id and names none."""
    return _OURS + _digest("event", source, event_id, body_digest)


def bytes_key(source: str, raw: bytes) -> str:
    """What cannot be told apart by anything that it says: the same bytes from one source are one incident."""
    return _OURS + _digest("bytes", source, hashlib.sha256(raw).hexdigest())


def _digest(*parts: str | int) -> str:
    # No sender can guess its way into one of these: they hash what only we see or what is the sender's own.
    return hashlib.sha256(_json(parts).encode()).hexdigest()


def key_hash(routing_key: str) -> str:
    """Keys are hashed at rest (promise 13). They are 32 random characters, so a plain hash is enough."""
    return hashlib.sha256(routing_key.encode()).hexdigest()


def key_id(key_hash: str) -> UUID:
    """How people call a key that nobody can read any more."""
    return _derived("key", key_hash)


def without_keys(raw: bytes) -> bytes:
    """An alert with the hash of its routing key in the key's place: its bytes may be parked and shown (promise 13)."""
    return _KEY.sub(_hashed, raw) if b'"routing' in raw else raw


def _hashed(found: re.Match[bytes]) -> bytes:
    try:
        key = str(json.loads(b'"' + found[2] + b'"'))
    except ValueError:
        key = found[2].decode("utf-8", "replace")
    return found[1] + f'"{_HASHED}{key_hash(key)}"'.encode()


def routing_hash(routing_key: str, raw: bytes) -> str:
    """The hash of the key of an alert that went through `without_keys`.

    Whoever knows only a hash cannot pass it off as a key: spelled plainly it was hashed once more, and in a spelling
    that was missed it is not what stands in `raw`.
    """
    if routing_key.startswith(_HASHED) and any(found[2] == routing_key.encode() for found in _KEY.finditer(raw)):
        return routing_key.removeprefix(_HASHED)
    return key_hash(routing_key)


def key_hash_in(raw: bytes) -> str | None:
    """The hash of the first routing key in what cannot be read otherwise; None: there is none."""
    found = _KEY.search(raw)
    return None if found is None else routing_hash(found[2].decode("utf-8", "replace"), raw)
