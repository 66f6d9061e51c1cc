"""Entity tags: a command is carried out only if nobody has changed its thing since its sender read it (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from libs.contracts.requests import ErrorKind, Invalid, Rejected

IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"
MOST_TAGS = 100
"""In one If-Match: nobody has read more versions than that of what they now change."""
_TAG = r'(W/)?"([\x21\x23-\x7e\x80-\xff]*+)"'
"""RFC 9110, section 8.8.3. Nothing here is read twice, so that no header takes long."""
_LIST = re.compile(rf"[ \t,]*+{_TAG}(?:[ \t]*+,[ \t]*+(?:{_TAG})?)*+[ \t]*+")
_OURS = re.compile(r'"([0-9]{1,19})(?:\.[0-9a-f]{16})?"')
_ANY = "*"


def etag(version: int, looks: str | None = None) -> str:
    """The strong tag of a version, such as `"7"`; with the `digest` of an answer that of what was seen of it.

    What a command is meant for is the version alone. What somebody has seen is more than that: names of others, and
    what is due next, change beside it.
    """
    return f'"{version}"' if looks is None else f'"{version}.{looks}"'


def digest(body: bytes) -> str:
    """Of an answer: the same bytes have the same one."""
    return blake2b(body, digest_size=8).hexdigest()


def is_seen(header: str, tag: str) -> bool:
    """Whether `If-None-Match` names a tag (RFC 9110, section 13.1.2: compared weakly).

    What cannot be read names nothing: it is answered with what there is.
    """
    if header.strip(" \t") == _ANY:
        return True
    return bool(_LIST.fullmatch(header)) and tag.removeprefix("W/") in _tags(header)


def _version_in(tag: str) -> str:
    """The tag of a version without how it looked; what is none of ours stays as it is."""
    ours = _OURS.fullmatch(tag)
    return tag if ours is None else f'"{ours[1]}"'


def _tags(header: str) -> Iterator[str]:
    return (f'"{tag}"' for _, tag in re.findall(_TAG, header))


class PreconditionFailed(Rejected):
    """It has changed since you read it: read it again, and decide then."""

    kind = ErrorKind.PRECONDITION_FAILED

    def __init__(self, version: int | None) -> None:
        """`version`: the present one; None: the thing has no versions."""
        now = None if version is None else etag(version)
        message = "it has no ETag" if now is None else f"it has changed: its ETag is {now} now"
        super().__init__(message, field=IF_MATCH, details=None if now is None else {"etag": now})


@dataclass(frozen=True, slots=True)
class Match:
    """What `If-Match` asks for: one of these tags, or with None anything that exists."""

    tags: frozenset[str] | None

    @classmethod
    def read(cls, header: str) -> Self:
        """`*`, or a list of tags; a weak one is read and never matches (section 13.1.1).

        Raises:
            Invalid: it is neither, or names more than `MOST_TAGS`.
        """
        if header.strip(" \t") == _ANY:
            return cls(None)
        if not _LIST.fullmatch(header):
            raise Invalid('expected * or ETags in their quotes, such as "7"', field=IF_MATCH)
        found = re.findall(_TAG, header)
        if len(found) > MOST_TAGS:
            raise Invalid(f"expected at most {MOST_TAGS} ETags", field=IF_MATCH)
        return cls(frozenset(_version_in(f'"{tag}"') for weak, tag in found if not weak))

    @property
    def header(self) -> str:
        """As it travels on the bus: versions that could be ours; `""`, which none is, where nothing could."""
        if self.tags is None:
            return _ANY
        return ", ".join(sorted(filter(_OURS.fullmatch, self.tags))) or '""'

    def check(self, version: int | None) -> None:
        """Raises PreconditionFailed unless it matches the present version; None: the thing has no versions."""
        if self.tags is not None and (version is None or etag(version) not in self.tags):
            raise PreconditionFailed(version)
