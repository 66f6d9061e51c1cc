"""What can be read of an alert that is not as it should be: a page matters more than its form (docs/adr/0034)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from libs.contracts.labels import Link, labels_in, links_in
from libs.contracts.model import ReadMoment

DEPTH_LIMIT = 32
_TOO_DEEP = "[nested too deeply]"
_DIGITS = 1000
"""Of a whole number that is read as one. Python takes 4300 and pydantic one less behind a minus: an event with such a
number could be stored and never be read again."""
_QUOTED = 2000
"""Characters of what was sent that stand in for a summary."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
_MOMENT: TypeAdapter[Any] = TypeAdapter(ReadMoment)
_KEYED = re.compile(r"routing[-_ ]?key", re.IGNORECASE)
_WITHHELD = "[withheld: it names a routing key]"
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)

KEY_LIMIT = 1024
_ACTIONS = {
    "trigger": "trigger",
    "triggered": "trigger",
    "ack": "acknowledge",
    "acked": "acknowledge",
    "acknowledge": "acknowledge",
    "acknowledged": "acknowledge",
    "resolve": "resolve",
    "resolved": "resolve",
}
"""What is clearly meant, in any case."""


class _NoNumber(NamedTuple):
    """A number that JSON does not have, or that nothing here could hold: no text, so no field takes it for one."""

    written: str


def _finite(written: str) -> float:
    number = float(written)
    if math.isinf(number):
        raise ValueError(f"{written[:20]} is no number that can be held")
    return number


def _held(written: str) -> int:
    if len(written) > _DIGITS:
        raise ValueError(f"{written[:20]}… is a number too long to be held")
    return int(written)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON (RFC 8259, section 6)")


HELD_NUMBERS: Mapping[str, Any] = {"parse_constant": _no_constant, "parse_float": _finite, "parse_int": _held}
"""For a decoder of numbers that can be held; it raises ValueError for others."""

strictly: Callable[[str], Any] = json.JSONDecoder(**HELD_NUMBERS).decode
"""JSON as the RFC has it, of numbers that can be held; raises ValueError or RecursionError."""


def _float(written: str) -> float | _NoNumber:
    number = float(written)
    return _NoNumber(written) if math.isinf(number) else number


def _int(written: str) -> int | _NoNumber:
    return int(written) if len(written) <= _DIGITS else _NoNumber(written)


_leniently = json.JSONDecoder(parse_constant=_NoNumber, parse_float=_float, parse_int=_int, strict=False).decode


def read_json(body: bytes) -> tuple[Any, tuple[str, ...]]:
    """A body that is not quite JSON, and what had to be passed over.

    A byte order mark, bytes that are not UTF-8, control characters and line breaks inside texts, numbers that JSON does
    not have, and nesting without end leave all the rest readable.

    Raises:
        ValueError: it is not JSON even so; the text says why.
    """
    at: int | None = None
    wrong: tuple[str, ...] = ()
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start
        wrong = (f"bytes that are not UTF-8 (at byte {at})",)
        text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        try:
            return _leniently(text), wrong
        except RecursionError:
            return _leniently(_shallow(text)), wrong
    except ValueError as error:
        place = f" (character {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(
            f"the body is not JSON{place}" if at is None else f"the body is not valid UTF-8 at byte {at}"
        ) from error


def _shallow(text: str) -> str:
    """The same document without what is nested too deeply."""
    kept: list[str] = []
    depth, begun = 0, 0
    for token in _TOKENS.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == DEPTH_LIMIT + 1:
                kept.append(f'{text[begun : token.start()]}"{_TOO_DEEP}"')
        elif token[0] in "]}":
            if depth == DEPTH_LIMIT + 1:
                begun = token.end()
            depth -= 1
    return "".join(kept) + (text[begun:] if depth <= DEPTH_LIMIT else "")


def is_plain(body: bytes) -> bool:
    """Nothing in it needs `storable`: JSON spells NUL and lone surrogates as escapes, and every depth has a bracket."""
    return b"\\u" not in body and body.count(b"{") + body.count(b"[") <= DEPTH_LIMIT


def storable(value: Any, depth: int = 0) -> Any:
    """JSON that PostgreSQL can hold: no NUL, no lone surrogate, not nested without end."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if depth >= DEPTH_LIMIT and isinstance(value, dict | list):
        return _TOO_DEEP
    if isinstance(value, dict):
        return {storable(k): storable(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [storable(v, depth + 1) for v in value]
    return value


def moment(text: Any) -> Any:
    """A time that a sender wrote (RFC 3339, with its offset), in UTC; None for anything else, a number among them."""
    if not isinstance(text, str) or not _TIME.match(text):
        return None
    try:
        return _MOMENT.validate_python(text)
    except ValidationError:
        return None


class Fields(NamedTuple):
    """The fields that could be read, by our names, and of the others each name as it is written with what is wrong."""

    read: dict[str, Any]
    unread: dict[str, str]


def read_fields(data: Mapping[str, Any]) -> Fields:
    """Field by field what `Body` of alerts.py reads at once; `data` went through `storable`.

    Nothing that a sender writes is quoted: names and faults are ours.
    """
    read: dict[str, Any] = {}
    unread: dict[str, str] = {}
    for name, written, spellings, understood in _FIELDS:
        for value in (data[s] for s in spellings if data.get(s) is not None):
            try:
                read[name] = understood(value)
            except _Fault as fault:
                unread[written] = str(fault)
            else:
                unread.pop(written, None)
                break
    if "summary" not in read:
        unread.setdefault("summary", "missing")
    # An action that nobody knows is taken for what it most likely is about.
    if read.get("action") is None and "action" in unread:
        unread["action"] += ", taken as trigger"
    if any(isinstance(value, _NoNumber) for value in _values(read.get("metadata"))):
        read["metadata"] = as_written(read["metadata"])
        unread["metadata"] = "a number that cannot be held, kept as text"
    if "links" in read and len(read["links"]) < len(data["links"]):
        unread["links"] = "some are not addresses that can be followed"
    return Fields(read, unread)


def quoted(data: Mapping[str, Any]) -> str:
    """What was sent, for whom no summary tells it; without its routing key (promise 13)."""
    text = ""
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(_shown(data)):
        text += part
        if len(text) > _QUOTED:
            return f"{text[:_QUOTED]}…"
    return text


def _shown(value: Any) -> Any:
    """At no depth a routing key, nor a text that names one: it may be a document with a key in it."""
    if isinstance(value, dict):
        return {k: _shown(v) for k, v in value.items() if not _KEYED.search(k)}
    if isinstance(value, list):
        return [_shown(v) for v in value]
    return _WITHHELD if isinstance(value, str) and _KEYED.search(value) else value


def as_written(value: Any) -> Any:
    """Numbers that cannot be held become the text that was written."""
    if isinstance(value, _NoNumber):
        return value.written
    if isinstance(value, dict):
        return {k: as_written(v) for k, v in value.items()}
    return [as_written(v) for v in value] if isinstance(value, list) else value


def _values(value: Any) -> Iterator[Any]:
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _values(inner)


class _Fault(Exception):
    """What is wrong with a field, in our words."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Fault("not text")
    return value


def _filled(value: Any) -> str:
    if not _text(value).strip():
        raise _Fault("empty")
    return str(value)


def _key(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # a whole number is clearly meant as the name that it is
    if len(_filled(value)) > KEY_LIMIT:
        raise _Fault(f"longer than {KEY_LIMIT} characters")
    return str(value)


def _action(value: Any) -> str:
    meant = _ACTIONS.get(_filled(value).strip().lower())
    if meant is None:
        raise _Fault("unknown")
    return meant


def _map(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Fault("not an object")
    return value


def _labels(value: Any) -> dict[str, str]:
    try:
        return labels_in(as_written(value))
    except ValueError as error:
        raise _Fault(str(error)) from error


def _links(value: Any) -> list[Link]:
    try:
        return links_in(value)
    except ValueError as error:
        raise _Fault(str(error)) from error


def _sent(value: Any) -> AwareDatetime:
    found = moment(value)
    if found is None:
        raise _Fault("not a time with an offset")
    return found  # type: ignore[no-any-return]


_FIELDS: tuple[tuple[str, str, tuple[str, ...], Callable[[Any], Any]], ...] = (
    ("summary", "summary", ("summary",), _filled),
    ("priority", "priority", ("priority",), _text),
    ("severity", "severity", ("severity",), _text),
    ("dedup_key", "dedupKey", ("dedupKey", "dedup_key"), _key),
    ("description", "description", ("description",), _text),
    ("routing_key", "routingKey", ("routingKey", "routing_key"), _filled),
    ("action", "action", ("action",), _action),
    ("metadata", "metadata", ("metadata",), _map),
    ("fingerprint", "fingerprint", ("fingerprint",), _key),
    ("labels", "labels", ("labels",), _labels),
    ("links", "links", ("links",), _links),
    ("occurred_at", "occurredAt", ("occurredAt", "occurred_at"), _sent),
)
