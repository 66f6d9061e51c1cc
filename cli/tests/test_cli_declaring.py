"""What is declared again, and when: only what two looks in a row have missed."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cli.stack.declaring import Declaring


@dataclass
class _Bench:
    looks: Iterable[frozenset[str]]
    declared: int = 0
    _left: list[frozenset[str]] = field(default_factory=list)

    async def run(self) -> int:
        self._left = list(self.looks)
        declaring = Declaring(self._ask, self._declare)
        while self._left:
            await declaring.look()
        return self.declared

    async def _ask(self) -> frozenset[str]:
        return self._left.pop(0)

    async def _declare(self) -> None:
        self.declared += 1


NONE, AUTH, ALERTS = frozenset[str](), frozenset({"AUTH"}), frozenset({"ALERTS"})


async def test_a_stream_that_is_put_back_at_once_is_left_to_whoever_does_so() -> None:
    assert await _Bench((NONE, AUTH, NONE, ALERTS, AUTH, NONE)).run() == 0


async def test_a_stream_that_stays_away_is_declared_and_again_when_it_goes_again() -> None:
    assert await _Bench((AUTH, AUTH | ALERTS, NONE, ALERTS, ALERTS, ALERTS, ALERTS)).run() == 3
