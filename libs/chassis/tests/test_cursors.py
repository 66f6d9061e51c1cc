"""A cursor is only what this service has made for this operation."""

from __future__ import annotations

import pytest

from libs.chassis.requests.cursors import Cursors, ForeignCursor
from libs.contracts.requests import ListPage, ListView

_SECRET = "of all replicas of one service, and of nobody else"
_INSIDE = "WyJpbmNpZGVudHMiLDFd"
OURS = Cursors.of("incidents", _SECRET)


def _shown(cursors: Cursors, operation: str = "list") -> str:
    cursor: str = cursors.close(operation, ListView(total=1, next_cursor=_INSIDE)).next_cursor
    return cursor


def test_a_cursor_comes_back_as_it_was_in_every_replica_and_says_nothing() -> None:
    shown = _shown(OURS)
    assert Cursors.of("incidents", _SECRET).open("list", ListPage(cursor=shown)).cursor == _INSIDE
    assert shown == _shown(OURS), "the same page is the same answer"
    assert _INSIDE not in shown


def test_what_has_no_cursor_stays_as_it_is() -> None:
    page, view = ListPage(), ListView(total=1)
    assert OURS.open("list", page) is page
    assert OURS.close("list", view) is view


@pytest.mark.parametrize(
    "foreign",
    [
        _shown(OURS, "timeline"),
        _shown(Cursors.of("oncall", _SECRET)),
        _shown(Cursors.of("incidents", _SECRET + "!")),
        _shown(Cursors()),
        _INSIDE,
        _shown(OURS) + "=",
        _shown(OURS) + "!",
        _shown(OURS)[:-1],
        "",
        "é",
        "x" * 4096,
    ],
    ids=range(11),
)
def test_what_was_not_made_for_this_list_is_refused_and_named(foreign: str) -> None:
    with pytest.raises(ForeignCursor) as refused:
        OURS.open("list", ListPage(cursor=foreign))
    assert refused.value.field == "cursor"


def test_no_other_spelling_of_a_cursor_is_taken_for_it() -> None:
    shown = _shown(OURS)
    for place, sign in enumerate(shown):
        for other in "AB-_":
            if other != sign:
                with pytest.raises(ForeignCursor):
                    OURS.open("list", ListPage(cursor=shown[:place] + other + shown[place + 1 :]))
