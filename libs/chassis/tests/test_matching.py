"""A command that names the version it was meant for is carried out on that version or not at all."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.matching import MOST_TAGS, Match, PreconditionFailed, etag, is_seen
from libs.chassis.requests.server import Requests, RequestServer
from libs.chassis.store.work import Decider, Work
from libs.chassis.tests.ledger import COUNT, SCHEMA, Ledger, add
from libs.contracts.incidents import AlertsGrouped
from libs.contracts.model import Contract, Role
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, ErrorKind, Invalid, NotFound, Rejected, Reply
from libs.contracts.subjects import Header


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ("*", True),
        (" * ", True),
        ('"7"', True),
        ('"6", "7"', True),
        (', ,"6",,"7" ,', True),
        ('"6,7", "7"', True),
        ('"7.0123456789abcdef"', True),
        ('"8.0123456789abcdef"', False),
        ('"7.0123"', False),
        ('"8"', False),
        ('W/"7"', False),
        ('W/"7", W/"8"', False),
        ('"07"', False),
        ('""', False),
        ('"a,\\b\xff"', False),
    ],
)
def test_a_header_matches_the_version_whose_strong_tag_it_names(header: str, matches: bool) -> None:
    for match in (Match.read(header), Match.read(Match.read(header).header)):
        if matches:
            match.check(7)
        else:
            with pytest.raises(PreconditionFailed) as failure:
                match.check(7)
            assert failure.value.details == {"etag": '"7"'}


@pytest.mark.parametrize(
    "header",
    ["", ",", "7", '"7', '7"', '"7" "8"', '"7""8"', '"7", *', "*, *", 'w/"7"', '"\x00"', '"\x7f"', '"7"\n', "'7'"],
)
def test_what_is_no_list_of_tags_is_refused(header: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Match.read(header)
    assert refusal.value.field == "If-Match"


_TAGS = st.text(st.sampled_from("\x21\x23.7abc\xff"), max_size=20).map(lambda text: f'"{text}"')
_WRITTEN = st.tuples(st.sampled_from(["", "W/"]), _TAGS).map("".join)


@given(st.lists(_WRITTEN, min_size=1, max_size=8), _TAGS, st.sampled_from([", ", ",", " ,\t", ",,"]))
def test_a_tag_is_seen_where_a_list_names_it_weakly_or_strongly(named: list[str], tag: str, between: str) -> None:
    header = between.join(named)
    there = tag in {one.removeprefix("W/") for one in named}
    assert is_seen(header, tag) is is_seen(header, f"W/{tag}") is there
    assert is_seen("*", tag)


@given(st.text(st.characters(max_codepoint=0xFF), max_size=300), st.integers(0, 10**18))
def test_whatever_is_sent_is_read_or_refused(header: str, version: int) -> None:
    assert is_seen(header, etag(version, "0" * 16)) in (True, False)
    try:
        assert Match.read(Match.read(header).header).header == Match.read(header).header
    except Invalid as refusal:
        assert refusal.field == "If-Match"  # noqa: PT017 - either is right


def test_a_header_of_many_tags_or_of_nonsense_takes_no_time() -> None:
    Match.read(", ".join(['"1"'] * MOST_TAGS))
    for header in (", ".join(['"1"'] * (MOST_TAGS + 1)), '"1"' + " , " * 20_000 + "x", '"' * 20_001):
        with pytest.raises(Invalid):
            Match.read(header)


def test_only_what_could_be_a_tag_of_ours_travels_on_the_bus() -> None:
    assert Match.read('"8", W/"7", "x\xff", "7"').header == '"7", "8"'
    assert Match.read('"x"').header == '""'


class _View(Contract):
    version: int


_HALVES: Decider[int, AlertsGrouped] = Decider(COUNT.initial, COUNT.evolve, COUNT.decide, version=lambda n: n // 2)


_ASIDE: list[UUID] = []
"""What was done outside of any transaction."""


def _requests() -> Requests:
    requests = Requests(SCHEMA)

    def change(operation: str, versioned: Decider[int, AlertsGrouped] | None) -> None:
        @requests.handle(operation, ById, action=Action.ME, versioned=versioned)
        def handle(work: Work, body: ById, _caller: Caller) -> _View:
            if not work.state(COUNT, body.id):
                raise NotFound
            add(work, body.id)
            if work.state(COUNT, body.id) > 5:
                raise Rejected("that is enough")
            return _View(version=work.version(body.id))

    change("change", COUNT)
    change("halve", _HALVES)
    change("other", None)

    @requests.handle("aside", ById, action=Action.ME)
    async def aside(body: ById, _caller: Caller) -> _View:
        _ASIDE.append(body.id)
        return _View(version=1)

    return requests


@pytest.fixture
def server(ledger: Ledger) -> RequestServer:
    ana = Caller(UUID(int=1), frozenset({Role.USER}), uuid4(), "phone", ledger.clock.now())

    class Anybody:
        async def verify(self, _token: str | None) -> Caller:
            return ana

    verifier: Any = Anybody()
    return RequestServer(_requests(), ledger.store, ledger.queries(), verifier)


async def _ask(server: RequestServer, entity: UUID, match: str | None, operation: str = "change", **more: str) -> Reply:
    headers = ({} if match is None else {Header.IF_MATCH: match}) | more
    return await server.answer(operation, ById(id=entity).to_json(), headers)


def _failed(reply: Reply, etag: str | None) -> None:
    assert reply.error is not None, reply
    assert (reply.error.kind, reply.error.field) == (ErrorKind.PRECONDITION_FAILED, "If-Match")
    assert reply.error.details == (None if etag is None else {"etag": etag})


async def test_of_commands_that_name_one_version_exactly_one_is_carried_out(
    server: RequestServer, ledger: Ledger
) -> None:
    entity = uuid4()
    await ledger.add(entity=entity)
    for version in (1, 2, 3):
        replies = await asyncio.gather(*(_ask(server, entity, f'"{version}"') for _ in range(8)))
        assert [r.data for r in replies if r.ok] == [_View(version=version + 1)]
        for reply in replies:
            if not reply.ok:
                _failed(reply, f'"{version + 1}"')
    assert len(await ledger.events()) == 4


async def test_any_and_none_match_what_is_there(server: RequestServer, ledger: Ledger) -> None:
    entity = uuid4()
    await ledger.add(entity=entity)
    assert (await _ask(server, entity, "*")).ok
    assert (await _ask(server, entity, None)).ok
    _failed(await _ask(server, entity, 'W/"3"'), '"3"')
    malformed = await _ask(server, entity, "3")
    assert malformed.error is not None
    assert (malformed.error.kind, malformed.error.field) == (ErrorKind.VALIDATION, "If-Match")
    assert len(await ledger.events()) == 3


async def test_what_would_be_refused_anyhow_is_refused_for_that(server: RequestServer, ledger: Ledger) -> None:
    nowhere, entity = await _ask(server, uuid4(), '"1"'), uuid4()
    assert nowhere.error is not None
    assert nowhere.error.kind is ErrorKind.NOT_FOUND
    await ledger.add(count=5, entity=entity)
    refused = await _ask(server, entity, '"9"')
    assert refused.error is not None
    assert refused.error.kind is ErrorKind.CONFLICT


async def test_the_version_is_the_one_that_views_show_and_where_there_is_none_no_tag_matches(
    server: RequestServer, ledger: Ledger
) -> None:
    entity = uuid4()
    await ledger.add(count=3, entity=entity)
    _failed(await _ask(server, entity, '"3"', "halve"), '"1"')
    assert (await _ask(server, entity, '"1"', "halve")).ok
    _failed(await _ask(server, entity, '"2"', "other"), None)
    assert (await _ask(server, entity, "*", "other")).ok
    assert len(await ledger.events()) == 3


async def test_what_has_no_transaction_is_not_begun_where_no_tag_can_match(server: RequestServer) -> None:
    refused, done, plain = uuid4(), uuid4(), uuid4()
    _failed(await _ask(server, refused, '"1"', "aside"), None)
    assert (await _ask(server, done, "*", "aside")).ok
    assert (await _ask(server, plain, None, "aside")).ok
    assert [one for one in _ASIDE if one in (refused, done, plain)] == [done, plain]


async def test_a_repeated_key_gets_its_answer_although_its_own_command_has_changed_the_version(
    server: RequestServer, ledger: Ledger
) -> None:
    entity, key = uuid4(), {Header.IDEMPOTENCY_KEY: "tap"}
    await ledger.add(entity=entity)
    first = await _ask(server, entity, '"1"', **key)
    again = await _ask(server, entity, '"1"', **key)
    assert (first.ok, again.ok) == (True, True)
    assert Reply.model_validate_json(again.to_json()).data == {"version": 2}
    _failed(await _ask(server, entity, '"1"', **{Header.IDEMPOTENCY_KEY: "another"}), '"2"')
    assert (await _ask(server, entity, '"2"', **{Header.IDEMPOTENCY_KEY: "another"})).ok, "a refusal is not kept"
    assert len(await ledger.events()) == 3
