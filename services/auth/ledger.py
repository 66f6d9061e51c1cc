"""The ledger of erasures: who was erased, in a file that no backup of the database holds (docs/adr/0059).

A backup brings people back that were erased since. The ledger outlives it, says so by their ids alone, and only grows.
Its first line names it, each other one an erasure: when, who, and a digest over the line and all before it, so that a
line that was lost, changed or put in shows. What a crash has left of the last line is cut off: it was never said to be
written. Several processes may have it open: `flock` is good on a local disk, and on NFS 4.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

_NAMED: Final = "pager-erasures"
_DIGITS: Final = 32
_MODE: Final = 0o600


class LedgerFault(Exception):
    """The ledger is missing, cannot be used, or is not what was written; the text names the file."""


@dataclass(frozen=True, slots=True)
class Entries:
    """`id` tells one installation's ledger from another's."""

    id: UUID
    erased: Mapping[UUID, datetime]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The methods block: they wait for the disk. Each raises LedgerFault."""

    path: Path

    def read(self) -> Entries | None:
        """None: there is no such file, or nobody has written its first line yet."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._fault(error.strerror or "cannot be opened") from error
        with self._locked(handle, fcntl.LOCK_SH):
            return _read(self._text(handle)).entries

    def begin(self, ledger_id: UUID) -> Entries:
        """Make the file, unless somebody else has a moment ago: then it keeps the id that they gave it."""
        with self._writing(os.O_CREAT) as handle:
            found = _read(self._text(handle))
            if found.entries is not None:
                return found.entries
            self._write(handle, 0, f"{_NAMED} {ledger_id}\n")
            self._keep_name(handle)
            return Entries(ledger_id, {})

    def add(self, erased: Mapping[UUID, datetime]) -> None:
        """Returns when all of them stand there, on disk; who stands there already is not written again."""
        with self._writing() as handle:
            found = _read(self._text(handle))
            if found.entries is None:
                raise self._fault("is empty")
            missing = {who: at for who, at in erased.items() if who not in found.entries.erased}
            if missing:
                self._write(handle, found.length, "".join(_lines(found.digest, missing)))

    @contextmanager
    def _writing(self, more: int = 0) -> Iterator[int]:
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | more, _MODE)
        except OSError as error:
            raise self._fault(error.strerror or "cannot be opened") from error
        with self._locked(handle, fcntl.LOCK_EX):
            yield handle

    @contextmanager
    def _locked(self, handle: int, how: int) -> Iterator[None]:
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise self._fault("is no file")
            fcntl.flock(handle, how)
            yield
        except OSError as error:
            raise self._fault(error.strerror or "cannot be used") from error
        except ValueError as error:
            raise self._fault(f"is not what was written: {error}") from None
        finally:
            os.close(handle)

    def _text(self, handle: int) -> bytes:
        with os.fdopen(os.dup(handle), "rb") as file:
            file.seek(0)
            return file.read()

    def _write(self, handle: int, at: int, text: str) -> None:
        os.ftruncate(handle, at)  # what a crash has left of a line
        raw = text.encode("ascii")
        while raw:
            written = os.pwrite(handle, raw, at)
            raw, at = raw[written:], at + written
        os.fsync(handle)

    def _keep_name(self, handle: int) -> None:
        """A new name is on disk only when its folder is. What root makes in somebody's folder is theirs."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if os.geteuid() == 0:
                owner = os.fstat(folder)
                os.fchown(handle, owner.st_uid, owner.st_gid)
            os.fsync(folder)
        finally:
            os.close(folder)

    def _fault(self, what: str) -> LedgerFault:
        return LedgerFault(f"{self.path}: {what}")


@dataclass(frozen=True, slots=True)
class _Found:
    """`length`: bytes up to the end of the last whole line; `digest`: that line's."""

    entries: Entries | None
    length: int = 0
    digest: str = ""


def _read(raw: bytes) -> _Found:
    """Raises ValueError: it is none of ours, or was changed."""
    length = raw.rfind(b"\n") + 1
    lines = raw[:length].decode("ascii").splitlines()
    if not lines:
        # A crash may have left the beginning of the first line, and nothing else.
        if not f"{_NAMED} ".encode().startswith(raw[: len(_NAMED) + 1]):
            raise ValueError("it does not begin as a ledger does")
        return _Found(None)
    named, _, ledger_id = lines[0].partition(" ")
    if named != _NAMED:
        raise ValueError("it does not begin as a ledger does")
    erased: dict[UUID, datetime] = {}
    digest = lines[0]
    for number, line in enumerate(lines[1:], 2):
        said, _, told = line.rpartition(" ")
        if told != (digest := _digest(digest, said)):
            raise ValueError(f"line {number} does not follow from those before it")
        at, _, who = said.partition(" ")
        erased[UUID(who)] = datetime.fromisoformat(at)
    return _Found(Entries(UUID(ledger_id), erased), length, digest)


def _lines(digest: str, erased: Mapping[UUID, datetime]) -> Iterable[str]:
    for who, at in erased.items():
        said = f"{at.astimezone(UTC).isoformat()} {who}"
        digest = _digest(digest, said)
        yield f"{said} {digest}\n"


def _digest(before: str, said: str) -> str:
    return sha256(f"{before}\n{said}".encode()).hexdigest()[:_DIGITS]
