"""Who listens, by what they see: a text is made once for all who see the same, however many they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol, TypeVar
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.contracts.permissions import Action, Sight
from services.gateway.streaming.states import State

K = TypeVar("K")


class Listener(Protocol):
    """Takes frames; never waits."""

    @property
    def person(self) -> UUID | None:
        """Who it is, where that makes them see more than their rights say."""
        ...

    @property
    def rights(self) -> Rights: ...

    def put(self, frame: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody sees, as `GET /incidents` has it, beside what has paged them; `name`: a hash of it."""

    sight: Sight
    name: str

    @classmethod
    def of(cls, caller: Caller) -> Rights:
        sight = caller.sight(Action.INCIDENTS_LIST)
        said = [str(sight.everything), str(sight.organisation), *sorted(str(team) for team in sight.teams)]
        return cls(sight, blake2b(",".join(said).encode(), digest_size=4).hexdigest())

    def see(self, team_id: UUID | None) -> bool:
        """What is of this team; None: of the organisation."""
        sight = self.sight
        return sight.everything or (sight.organisation if team_id is None else team_id in sight.teams)

    def show(self, state: State, person: UUID | None) -> bool:
        return self.see(state.team_id) or (person is not None and person in state.people)


@dataclass
class Audience:
    """All listeners, by their rights and by person."""

    _filed: dict[Listener, tuple[Rights, UUID | None]] = field(default_factory=dict)
    _by_rights: dict[Rights, dict[Listener, None]] = field(default_factory=dict)
    _by_person: dict[UUID, dict[Listener, None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._filed)

    def __iter__(self) -> Iterator[Listener]:
        yield from list(self._filed)

    def add(self, listener: Listener) -> None:
        """From now on it hears what it sees now."""
        self.remove(listener)
        self._filed[listener] = listener.rights, listener.person
        self._by_rights.setdefault(listener.rights, {})[listener] = None
        if listener.person is not None:
            self._by_person.setdefault(listener.person, {})[listener] = None

    def remove(self, listener: Listener) -> None:
        """Nothing, where it is not there."""
        rights, person = self._filed.pop(listener, (None, None))
        if rights is not None:
            _take_out(self._by_rights, rights, listener)
        if person is not None:
            _take_out(self._by_person, person, listener)

    def rights_of(self, listener: Listener) -> Rights | None:
        """What it sees as it was added; None: it is not there."""
        return self._filed.get(listener, (None, None))[0]

    def of(self, state: State) -> Iterator[tuple[Rights, list[Listener]]]:
        """Who sees it, by what they see."""
        for rights, some in list(self._by_rights.items()):
            if rights.see(state.team_id):
                yield rights, list(some)
        for person in state.people:
            for listener in list(self._by_person.get(person, ())):
                if not listener.rights.see(state.team_id):
                    yield listener.rights, [listener]


def _take_out(groups: dict[K, dict[Listener, None]], key: K, listener: Listener) -> None:
    group = groups.get(key, {})
    group.pop(listener, None)
    if not group:
        groups.pop(key, None)
