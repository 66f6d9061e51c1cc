"""Where a client stands, what it may see, what it is told and in which order: without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.chassis.requests.callers import Caller
from libs.chassis.testing.deadline import in_time
from libs.contracts.envelope import FACTS
from libs.contracts.events import declare_events
from libs.contracts.model import Role, TeamRole
from libs.contracts.streaming import Authenticate, Close, Ping
from libs.contracts.subjects import READS
from services.gateway.envelope import Problem
from services.gateway.streaming import hub as hubs
from services.gateway.streaming.audience import Audience, Rights
from services.gateway.streaming.crowd import OF_ONE, OF_ONE_NETWORK, Crowd
from services.gateway.streaming.feeds import LANES, Change
from services.gateway.streaming.frames import LIMIT, Ended, read_frame
from services.gateway.streaming.hub import Hub
from services.gateway.streaming.positions import Place, Places, Standing, position, read_position, text_of
from services.gateway.streaming.recent import Recent
from services.gateway.streaming.states import Found, State

SHOP, BANK = uuid4(), uuid4()
NOBODY = Caller(uuid4(), frozenset({Role.USER}), uuid4(), "phone", datetime(2026, 3, 2, tzinfo=UTC))
_PLACES = st.lists(st.builds(Place, st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1)), min_size=4, max_size=4)


def caller(*roles: Role, teams: Sequence[UUID] = (), user: UUID | None = None) -> Caller:
    known = dict.fromkeys(teams, TeamRole.MEMBER)
    return replace(NOBODY, roles=frozenset(roles or (Role.USER,)), teams=known, user_id=user or uuid4())


@dataclass(eq=False)
class Ear:
    """A listener that keeps what it hears."""

    caller: Caller
    heard: list[str] = field(default_factory=list)

    @property
    def person(self) -> UUID | None:
        return self.caller.person

    @property
    def rights(self) -> Rights:
        return Rights.of(self.caller)

    def put(self, frame: str) -> None:
        self.heard.append(frame)

    @property
    def told(self) -> list[tuple[str, str | None]]:
        frames = [json.loads(frame) for frame in self.heard]
        return [(frame["type"], frame.get("incident", {}).get("id")) for frame in frames]


@dataclass
class Stand:
    """Incidents, by hand: where they stand, what has no effect yet, and whether anybody answers."""

    states: dict[UUID, State] = field(default_factory=dict)
    early: set[Change] = field(default_factory=set)
    away: bool = False
    asked: int = 0

    def forget(self, ids: object) -> None: ...

    async def of(self, changes: Sequence[Change]) -> Found:
        self.asked += 1
        if self.away:
            raise Problem("UNAVAILABLE", "incidents is away")
        return Found(self.states, frozenset(self.early & set(changes)))

    def put(self, incident: UUID, team: UUID | None = None, *people: UUID) -> UUID:
        self.states[incident] = State(json.dumps({"id": str(incident)}), team, frozenset(people))
        return incident


def change(lane: int, at: int, incident: UUID | None, name: str = "IncidentEdited", epoch: int = 1) -> Change:
    return Change(lane, Place(epoch, at), name, incident, 0.0)


@asynccontextmanager
async def telling(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Hub, Stand]]:
    monkeypatch.setattr(hubs, "_PAUSE", 0.0)
    monkeypatch.setattr(hubs, "_AGAIN", 0.0)
    stand = Stand()
    hub = Hub(stand, lambda _seconds: None)  # type: ignore[arg-type]
    for lane in range(len(LANES)):
        hub.begin(lane, Place(1, 0))
    task = asyncio.create_task(hub.run())
    yield hub, stand
    task.cancel()


async def heard(ear: Ear, many: int) -> None:
    async with in_time():
        while len(ear.heard) < many:
            await asyncio.sleep(0)


# --- Positions -------------------------------------------------------------------------------------------------------


@given(_PLACES, st.from_regex(r"[0-9a-f]{8}", fullmatch=True))
def test_a_position_is_read_as_it_was_written(places: Places, rights: str) -> None:
    assert read_position(position(text_of(places), rights)) == Standing(tuple(places), rights)


@given(st.text(max_size=250))
def test_whatever_else_is_said_of_a_position_is_none(text: str) -> None:
    found = read_position(text)
    assert found is None or position(text_of(found.places), found.rights).split("~")[1] == text.split("~")[1]


def test_what_was_told_lately_is_known_and_what_is_older_is_not() -> None:
    recent = Recent(most=3)
    for lane in range(len(LANES)):
        recent.begin(lane, Place(2, 10))
    start = list(recent.told)
    made = [change(0, 11, uuid4(), epoch=2), change(1, 12, uuid4(), epoch=2), change(0, 13, uuid4(), epoch=2)]
    for one in made:
        recent.add(one)
    assert recent.since(start) == made
    assert recent.since(recent.told) == []
    assert recent.since([Place(2, 11), *start[1:]]) == made[1:]
    recent.add(change(0, 14, uuid4(), epoch=2))
    assert recent.since(start) == "too_old"
    assert recent.since([Place(1, 11), *start[1:]]) == "another_epoch"
    assert recent.since([Place(2, 15), *start[1:]]) == "unknown_position"
    assert recent.is_ahead([Place(2, 15), *start[1:]])
    assert recent.since(start[1:]) == "unknown_position"
    recent.begin(0, Place(3, 14))
    assert recent.since(start) == "another_epoch"


def test_what_is_said_to_be_read_of_incidents_is_all_that_is_about_one() -> None:
    declare_events()
    about = {
        fact.type.split(".")[2]
        for fact in FACTS.values()
        if fact.type.startswith("pager.incidents.") and "incident_id" in fact.model_fields
    }
    assert about == set(READS["gateway"]["incidents"])


# --- Who hears what --------------------------------------------------------------------------------------------------


def test_an_incident_is_heard_by_those_who_would_list_it() -> None:
    ana, bo = uuid4(), uuid4()
    ears = {
        "admin": Ear(caller(Role.ADMIN)),
        "of the shop": Ear(caller(teams=[SHOP])),
        "too": Ear(caller(teams=[SHOP])),
        "of both": Ear(caller(teams=[SHOP, BANK])),
        "paged": Ear(caller(user=ana)),
        "paged, of the shop": Ear(caller(teams=[SHOP], user=bo)),
        "else": Ear(caller()),
        "a key of who was paged": Ear(replace(caller(Role.USER, user=ana), key_id=uuid4())),
        "a key of the shop": Ear(replace(caller(teams=[SHOP, BANK]), key_id=uuid4(), bound=SHOP)),
        "a key that lists nothing": Ear(replace(caller(Role.ADMIN), scopes=frozenset({"schedules.read"}))),
    }
    audience = Audience()
    for ear in ears.values():
        audience.add(ear)

    def hear(state: State) -> list[str]:
        found = [listener for _, some in audience.of(state) for listener in some]
        assert len(found) == len(set(found)), "nobody hears it twice"
        return sorted(name for name, ear in ears.items() if ear in found)

    shop = State("{}", SHOP, frozenset({ana, bo}))
    assert hear(shop) == [
        "a key of the shop", "admin", "of both", "of the shop", "paged", "paged, of the shop", "too",
    ]  # fmt: skip
    everybodys = hear(State("{}", None, frozenset()))
    assert set(ears) - set(everybodys) == {"a key of the shop", "a key that lists nothing"}
    for ear in ears.values():
        audience.remove(ear)
        audience.remove(ear)
    assert hear(shop) == []
    assert len(audience) == 0


async def test_each_event_is_told_once_and_in_order_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async with telling(monkeypatch) as (hub, stand):
        ear = Ear(caller(Role.ADMIN))
        hub.join(ear, None)
        one, two, three = (stand.put(uuid4()) for _ in range(3))
        due = change(2, 1, one, "EscalationDue")
        stand.early.add(due)
        hub.take([due, change(2, 3, three, "EscalationDue")], past=False)
        hub.take([change(0, 1, one), change(0, 2, two)], past=False)
        await heard(ear, 2)
        assert ear.told == [("IncidentEdited", str(one)), ("IncidentEdited", str(two))]
        assert hub.recent.told[2] == Place(1, 0), "who comes back from here is told of it"
        stand.early.clear()
        await heard(ear, 4)
        assert ear.told[2:] == [("EscalationDue", str(one)), ("EscalationDue", str(three))]
        assert hub.recent.told[2] == Place(1, 3)
        positions = [json.loads(frame)["position"] for frame in ear.heard]
        assert len(set(positions)) == 4


async def test_while_incidents_is_away_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async with telling(monkeypatch) as (hub, stand):
        ear = Ear(caller(Role.ADMIN))
        hub.join(ear, None)
        stand.away = True
        ids = [stand.put(uuid4()) for _ in range(120)]
        hub.take([change(0, at, one) for at, one in enumerate(ids, 1)], past=False)
        async with in_time():
            while stand.asked < 3:
                await asyncio.sleep(0)
        assert ear.heard == []
        monkeypatch.setattr(hubs, "_STALLED", -1.0)
        assert hub.stalled
        stand.away = False
        await heard(ear, 120)
        assert [one for _, one in ear.told] == [str(one) for one in ids]
        assert not hub.stalled


async def test_of_more_than_can_be_told_the_newest_of_each_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "_MANY", 20)
    async with telling(monkeypatch) as (hub, stand):
        ear = Ear(caller(Role.ADMIN))
        hub.join(ear, None)
        one, two = stand.put(uuid4()), stand.put(uuid4())
        hub.take([change(0, at, one if at % 2 else two) for at in range(1, 101)], past=False)
        await heard(ear, 2)
        async with in_time():
            while hub.recent.told[0] != Place(1, 100):
                await asyncio.sleep(0)
        assert len(ear.heard) == 2


async def test_what_leaves_somebodys_sight_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with telling(monkeypatch) as (hub, stand):
        shop, bank, both = Ear(caller(teams=[SHOP])), Ear(caller(teams=[BANK])), Ear(caller(teams=[SHOP, BANK]))
        for ear in (shop, bank, both):
            hub.join(ear, None)
        one = stand.put(uuid4(), SHOP)
        hub.take([change(0, 1, one)], past=False)
        await heard(shop, 1)
        stand.put(one, BANK)
        hub.take([change(0, 2, one)], past=False)
        await heard(bank, 1)
        assert shop.told == [("IncidentEdited", str(one)), ("gone", str(one))]
        assert bank.told == [("IncidentEdited", str(one))]
        assert both.told == [("IncidentEdited", str(one))] * 2
        del stand.states[one]
        hub.take([change(0, 3, one)], past=False)
        await heard(bank, 2)
        assert bank.told[1] == both.told[2] == ("gone", str(one))


async def test_what_was_missed_says_everybody_to_list_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with telling(monkeypatch) as (hub, stand):
        ear = Ear(caller(Role.ADMIN))
        hub.join(ear, None)
        hub.lose(0, Place(1, 7))
        hub.lose(0, Place(2, 7))
        assert [json.loads(frame)["reason"] for frame in ear.heard] == ["too_old", "another_epoch"]
        one = stand.put(uuid4())
        hub.take([change(0, 8, one, epoch=2)], past=False)
        await heard(ear, 3)
        assert json.loads(ear.heard[-1])["position"].startswith("2-8.")


async def test_a_text_is_made_once_for_all_who_see_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async with telling(monkeypatch) as (hub, stand):
        ears = [Ear(caller(teams=[SHOP])) for _ in range(50)]
        for ear in ears:
            hub.join(ear, None)
        hub.take([change(0, 1, stand.put(uuid4(), SHOP))], past=False)
        await heard(ears[-1], 1)
        assert len({id(ear.heard[0]) for ear in ears}) == 1
        assert stand.asked == 1


# --- What clients say ------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_NEARLY = st.fixed_dictionaries(
    {"type": st.sampled_from(["authenticate", "ping", "ready", ""]) | _JSON},
    optional={"token": st.text(max_size=40) | _JSON, "after": _JSON, "id": _JSON, "more": _JSON},
)


@given(st.text(max_size=300) | _JSON.map(json.dumps) | _NEARLY.map(json.dumps) | st.none())
def test_a_frame_is_one_of_ours_or_ends_the_stream(text: str | None) -> None:
    ended: Ended | None = None
    try:
        assert isinstance(read_frame(text), Authenticate | Ping)
    except Ended as error:
        ended = error
    assert ended is None or (ended.code is Close.MALFORMED and len(ended.reason.encode()) <= 120)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "NaN", '{"type":"ping"', '{"type":"ping","type":"ping"}', '{"type":"ping","id":7}',
        '{"type":"ping","x":1}', '{"type":"authenticate"}', '{"type":"authenticate","token":""}',
        '{"type":"authenticate","token":"a\\u0000"}', '{"type":"authenticate","token":"\\ud800"}',
        '{"type":"ping","id":"\ud800"}', "[" * 10_000, '{"a":' * 3_000, " " * (LIMIT + 1),
        '{"type":"authenticate","token":"' + "x" * 9_000 + '"}', '{"TYPE":"ping"}', '{"type":"ping"} {}',
    ],
)  # fmt: skip
def test_what_is_no_frame_ends_the_stream(text: str) -> None:
    with pytest.raises(Ended) as ended:
        read_frame(text)
    assert ended.value.code is Close.MALFORMED


def test_what_a_client_said_is_not_repeated() -> None:
    with pytest.raises(Ended) as ended:
        read_frame('{"type":"authenticate","token":["eyJsecret"]}')
    assert "eyJsecret" not in ended.value.reason


# --- How many --------------------------------------------------------------------------------------------------------


def test_strangers_and_people_have_so_many_streams() -> None:
    crowd, ana = Crowd(), uuid4()
    places = [crowd.enter("192.0.2.1") for _ in range(OF_ONE_NETWORK)]
    with pytest.raises(Problem) as refused:
        crowd.enter("192.0.2.1")
    assert refused.value.code == "RATE_LIMITED"
    crowd.leave(crowd.enter("192.0.2.2"))
    for place in places[:OF_ONE]:
        crowd.know(place, ana)
    with pytest.raises(Ended) as ended:
        crowd.know(places[OF_ONE], ana)
    assert ended.value.code is Close.TOO_MANY
    crowd.enter("192.0.2.1")
    for place in places:
        crowd.leave(place)
    crowd.know(crowd.enter("192.0.2.1"), ana)
