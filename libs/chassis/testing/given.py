"""Given these facts, when this command, then those facts: tests of a decider without any server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from libs.chassis.store.work import Decider
from libs.contracts.envelope import Fact
from libs.contracts.requests import Rejected

S = TypeVar("S")


@dataclass(frozen=True)
class Given(Generic[S]):
    """`Given(DECIDER, [fact, …]).when(command).then([fact, …])`"""

    decider: Decider[S, Any]
    facts: Sequence[Fact]

    def state(self) -> S:
        state = self.decider.initial()
        for fact in self.facts:
            state = self.decider.evolve(state, fact)
        return state

    def when(self, command: Any) -> Decision[S]:
        return Decision(self, command)


@dataclass(frozen=True)
class Decision(Generic[S]):
    given: Given[S]
    command: Any

    @property
    def facts(self) -> list[Fact]:
        return list(self.given.decider.decide(self.command, self.given.state()))

    def then(self, expected: Sequence[Fact]) -> Given[S]:
        """Exactly these facts; returns what holds after them, to go on from."""
        facts = self.facts
        assert facts == list(expected), f"decided {facts}\nexpected {list(expected)}"
        return Given(self.given.decider, [*self.given.facts, *facts])

    def then_nothing(self) -> Given[S]:
        return self.then([])

    def then_types(self, *types: type[Fact]) -> Given[S]:
        """Facts of these types, in this order; for decisions whose fields other tests pin down."""
        facts = self.facts
        assert [type(f) for f in facts] == list(types), f"decided {facts}"
        return Given(self.given.decider, [*self.given.facts, *facts])

    def then_rejected(self, rejection: type[Rejected] = Rejected) -> Rejected:
        try:
            facts = self.facts
        except rejection as error:
            return error
        raise AssertionError(f"not rejected, decided {facts}")
