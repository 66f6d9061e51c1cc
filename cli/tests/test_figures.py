"""A report shows what senders and people have written as text, on a terminal and in a page that needs nothing else."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from rich.cells import cell_len

from cli.commands.report import _asked
from cli.console.failure import Failure
from cli.figures import terminal
from cli.figures.page import page
from cli.figures.parts import lasted, scaled
from libs.contracts.analytics import (
    HourHandling,
    HourLoad,
    IntegrationHandling,
    LevelResponse,
    Load,
    Noise,
    NoisyKey,
    PersonLoad,
    PriorityHandling,
    Report,
    Responder,
    Response,
    Summary,
)
from libs.contracts.model import Priority

AT, ANA = datetime(2026, 11, 1, tzinfo=UTC), UUID(int=3)
PERIOD: dict[str, Any] = {"from_": AT, "to": datetime(2026, 12, 1, tzinfo=UTC)}
HOSTILE = "<script>alert(1)</script>\x1b]0;owned\x07[bold]=1+1\u202e\"'&"


def _report(text: str = "db", incidents: int = 3) -> Report:
    handled: dict[str, Any] = {"incidents": incidents, "answered": 2, "mtta": 252.0, "resolved": 1, "mttr": 3780.0}
    people = (PersonLoad(user_id=ANA, pages=5, night_pages=2, incidents=3),)
    return Report(
        summary=Summary(
            **PERIOD,
            **handled,
            by_priority=(PriorityHandling(priority=Priority.HIGH, **handled),),
            by_integration=(IntegrationHandling(integration_id=UUID(int=9), name=text, **handled),),
            by_hour=tuple(HourHandling(hour=hour, incidents=hour % 3) for hour in range(24)),
            people=people,
        ),
        response=Response(
            **PERIOD,
            levels=(LevelResponse(level=1, fired=3, answered=2, mean_seconds=60, median_seconds=61, p95_seconds=62),),
            responders=(Responder(user_id=ANA, acknowledged=2, resolved=1, first=2, mean_seconds=60),),
        ),
        load=Load(
            **PERIOD,
            night="22:00-07:00",
            pages=5,
            night_pages=2,
            by_hour=tuple(HourLoad(hour=hour, pages=hour, is_night=hour < 7) for hour in range(24)),
            people=people,
        ),
        noise=Noise(**PERIOD, keys=(NoisyKey(dedup_key=text, title=text, incidents=3, alerts=40, untouched=1),)),
    )


class _Tags(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_page_needs_nothing_else_and_runs_nothing() -> None:
    html = page(_report(), {ANA: "Ana Ek"}, "now")
    read = _Tags(html)
    names = {tag for tag, _ in read.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "form", "a", "base"}
    used = {name for _, attributes in read.tags for name in attributes}
    assert not used & {"style", "src", "href", "srcset"}, "a policy that allows no style of an element"
    assert not any(name.startswith("on") for name in used)
    assert "url(" not in html
    assert "@import" not in html
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    allowed = b64encode(sha256(style[1].encode()).digest()).decode()
    policy = next(a["content"] for tag, a in read.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert f"style-src 'sha256-{allowed}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "Ana Ek" in read.texts


def test_whatever_somebody_has_written_is_text_in_a_page() -> None:
    html = page(_report(HOSTILE), {ANA: HOSTILE}, "now")
    read = _Tags(html)
    assert "script" not in {tag for tag, _ in read.tags}
    assert any("<script>alert(1)</script>" in text for text in read.texts), "it is shown as it was written"
    assert "\x1b" not in html
    assert "\u202e" not in html, "nothing turns the line around"


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_terminal_gets_lines_that_fit_and_no_commands(columns: int, encoding: str) -> None:
    from cli.console import output

    written = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace", newline="")
    make = output.console

    def at_a_terminal() -> Any:
        environment = patch.dict("os.environ", {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"})
        with environment, patch("sys.stdout", written), patch.object(written, "isatty", lambda: True, create=True):
            made = make()
        made.file = written
        return made

    with patch.object(terminal, "console", at_a_terminal):
        terminal.show(_report(HOSTILE), {ANA: HOSTILE})
    written.flush()
    shown = written.buffer.getvalue().decode(encoding)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "\x1b" not in plain
    assert "\x07" not in plain
    assert "[bold]" in plain, "markup is text"
    assert max(map(cell_len, plain.splitlines())) <= columns
    assert "4 min 12 s" in plain
    for first in ("high", "answered by somebody", "23:00", "bold"):
        assert re.search(rf"^[^│]*{first}", plain, re.MULTILINE), "the first column has room"
    assert ("#" if encoding == "ascii" else "█") in plain


def test_a_time_without_incidents_says_so() -> None:
    nothing = Report(
        summary=Summary(**PERIOD), response=Response(**PERIOD), load=Load(**PERIOD, night="22:00-07:00"),
        noise=Noise(**PERIOD),
    )  # fmt: skip
    assert "Nothing was opened" in page(nothing, {}, "now")


def test_bars_are_drawn_to_the_longest() -> None:
    assert scaled([0, 5, 10], 40) == [0, 20, 40]
    assert scaled([0, 0], 40) == [0, 0]
    assert scaled([], 40) == []
    assert [lasted(one) for one in (None, 0, 59, 90_000)] == ["–", "0 s", "59 s", "1 d 1 h"]  # noqa: RUF001


def test_a_month_is_one_of_the_zone_that_is_named() -> None:
    asked = _asked("2026-12", None, None, None, "Europe/Berlin")
    assert (asked["from"], asked["to"]) == ("2026-11-30T23:00:00+00:00", "2026-12-31T23:00:00+00:00")
    march = _asked("2026-03", None, None, None, "Europe/Berlin")
    assert march["to"] == "2026-03-31T22:00:00+00:00", "summer time has begun"
    days = _asked(None, "2026-11-01", "2026-11-08T12:00:00Z", str(ANA), "UTC")
    assert (days["from"], days["to"]) == ("2026-11-01T00:00:00+00:00", "2026-11-08T12:00:00+00:00")
    assert days["teamId"] == str(ANA)


@pytest.mark.parametrize(
    ("month", "since", "team", "timezone"),
    [
        ("2026-13", None, None, "UTC"),
        ("9999-12", None, None, "UTC"),
        ("26-1", None, None, "UTC"),
        ("2026-11", "2026-11-01", None, "UTC"),
        (None, "yesterday", None, "UTC"),
        (None, "0001-01-01", None, "Asia/Tokyo"),
        (None, None, "core", "UTC"),
        (None, None, None, "Mars/Olympus"),
    ],
)
def test_what_is_no_time_is_refused(month: str | None, since: str | None, team: str | None, timezone: str) -> None:
    with pytest.raises(Failure):
        _asked(month, since, None, team, timezone)
