"""Resume tokens: where a replay stopped and what it was asked, in a line that holds no secret."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from cli.console.failure import USAGE, Failure

_VERSION: Final = 1


@dataclass(frozen=True)
class Token:
    """Either `key` (a merge stopped there) or `after` (a following one, by service); `left`: what is still to come.

    `asked` repeats the selection, so that nobody has to give it again, and nobody can mix two.
    """

    asked: dict[str, str | None]
    key: tuple[int, int, int] | None = None
    after: dict[str, int] = field(default_factory=dict)
    left: tuple[tuple[int, int], ...] = ()
    """(rank of the service, position)"""

    def __str__(self) -> str:
        text = json.dumps({"v": _VERSION, **asdict(self)}, separators=(",", ":"))
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Raises `Failure` for anything else than what we wrote."""
        try:
            document: dict[str, Any] = json.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
            if document.pop("v") != _VERSION:
                raise ValueError("another version")
            key = document["key"]
            return cls(
                asked={str(k): None if v is None else str(v) for k, v in document["asked"].items()},
                key=None if key is None else (int(key[0]), int(key[1]), int(key[2])),
                after={str(k): int(v) for k, v in document["after"].items()},
                left=tuple((int(rank), int(position)) for rank, position in document["left"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise Failure("--resume: this is no resume token of this version of Pager", USAGE) from None
