"""NATS is restarted when it cannot store and there is room for it: not for a moment's word, and ever more seldom."""

import errno
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli.stack import cure
from cli.stack.cure import Cure, complaint, missing_room

_BROKEN = "JetStream stream 'PAGER > ALERTS' write error: no space left on device"


class _Disk(NamedTuple):
    total: int
    used: int
    free: int


@dataclass
class _Bench:
    """A server that says what it is told to, on a disk of our making, with a clock that we move."""

    said: str | None = None
    seconds: float = 0.0
    restarts: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cure = Cure(
            Path(tempfile.gettempdir()), self._ask, self._restart, self._report, clock=lambda: self.seconds
        )

    async def _ask(self) -> str | None:
        return self.said

    async def _restart(self, why: str) -> None:
        self.restarts.append(self.seconds)
        self.reasons.append(why)

    def _report(self, kind: str, text: str, **details: Any) -> None:
        self.told.append(text)

    async def look(self, seconds: int) -> None:
        """One look a second, for so long."""
        for _ in range(seconds):
            await self.cure.look()
            self.seconds += 1


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> _Bench:
    _disk(monkeypatch, free=10**10)
    return _Bench()


def _disk(monkeypatch: pytest.MonkeyPatch, *, free: int, total: int = 10**11) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: _Disk(total, total - free, free))


async def test_a_server_that_is_well_or_recovers_is_left_alone(bench: _Bench) -> None:
    await bench.look(10)
    bench.said = "JetStream is not ready"
    await bench.look(cure.PATIENCE - 1)
    bench.said = None
    await bench.look(10)
    assert (bench.restarts, bench.told) == ([], [])


async def test_one_that_cannot_store_is_restarted_and_says_why(bench: _Bench) -> None:
    bench.said = _BROKEN
    await bench.look(cure.PATIENCE)
    assert bench.reasons == [f"could not store ({_BROKEN})"]


async def test_one_that_no_restart_cures_is_restarted_ever_more_seldom(bench: _Bench) -> None:
    bench.said = _BROKEN
    await bench.look(2000)
    pauses = [later - earlier for earlier, later in zip(bench.restarts, bench.restarts[1:], strict=False)]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300]
    bench.said = None
    await bench.look(1000)
    bench.said = _BROKEN
    await bench.look(20)
    assert len(bench.restarts) == 12 + 3, "it was well for long: the pauses begin anew"


async def test_nothing_is_restarted_while_the_disk_is_full_and_that_is_said_once(
    bench: _Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _disk(monkeypatch, free=10 * 1024**2)
    bench.said = _BROKEN
    await bench.look(600)
    assert bench.restarts == []
    (told,) = bench.told
    assert "its disk is full (10 of 95367 MiB free)" in told
    _disk(monkeypatch, free=10**9)
    await bench.look(1)
    assert len(bench.restarts) == 1


def test_a_small_disk_has_room_with_a_twentieth_and_one_that_is_gone_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _disk(monkeypatch, total=32 * 1024**2, free=2 * 1024**2)
    assert missing_room(tmp_path) is None
    _disk(monkeypatch, total=32 * 1024**2, free=1024**2)
    assert missing_room(tmp_path) == "1 of 32 MiB free"
    monkeypatch.undo()
    assert missing_room(tmp_path / "gone") == "No such file or directory"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, None),
        ((200, {"status": "ok"}), None),
        ((500, {"status": "error", "error": "failed to be ready for connections after 1ms: server"}), None),
        ((503, {"status": "unavailable", "error": "JetStream stream 'P > ALERTS': write error: no space left"}), True),
    ],
)
def test_a_server_that_recovers_is_not_taken_for_one_that_a_restart_cures(answer: Any, said: bool | None) -> None:
    assert (complaint(answer) is not None) is bool(said)


def test_a_disk_that_takes_no_file_is_full_whatever_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cli.stack.cure.tempfile.TemporaryFile", refused)
    assert missing_room(tmp_path) == "No space left on device"
