"""What is shown is only shown: markup, emoji names, control characters and odd terminals change nothing."""

from __future__ import annotations

import io
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.main import get_command

from cli import main as entry
from cli.commands.replay import lines_of
from cli.console.event_line import head_of, print_event, words_of
from cli.console.failure import Failure
from cli.console.naming import ids_in, with_names
from cli.console.output import console, for_any_terminal, json_line, labelled, table
from cli.console.report import text_report
from cli.demo.ending import Ended, show
from cli.demo.story import Told
from cli.demo.view import RichView

ROOT = Path(__file__).resolve().parents[2]
EVIL = "[red]:fire:[/] \x1b[2J\u202egpj"
SHOWN = r"[red]:fire:[/] \x1b[2J\u202egpj"
ANA = "b2dfabdc-406d-46ad-88e7-fbe7b7adbcee"


def event(**data: object) -> dict[str, object]:
    return {
        "type": "pager.incidents.IncidentCreated.v1",
        "time": "2026-03-01T09:00:00.123Z",
        "entity": ANA,
        "data": data,
    }


def test_tables_lines_titles_and_events_only_show(capsys: pytest.CaptureFixture[str]) -> None:
    out = console()
    out.print(table(EVIL, ("what",), [(EVIL,), ([EVIL, "second line"],)]))
    out.print(EVIL, style="bold")
    print_event(out, head_of(event()), words_of(event(title=EVIL)))
    text_report("died", EVIL)
    shown = capsys.readouterr()
    assert shown.out.count(SHOWN) == 5
    assert "\x1b" not in shown.out
    assert shown.err == SHOWN + "\n"


def test_the_demo_ends_with_where_the_app_is(capsys: pytest.CaptureFixture[str]) -> None:
    show(Ended([], [], Told("i", 1, 52.0, 6100.0, 16.0, 59.0), {}))
    assert capsys.readouterr().out.rstrip().endswith("http://127.0.0.1:3000/app")


def shown_at(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)


def lines_on(terminal: Console) -> list[str]:
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue().splitlines()


WORDS = "Query latency of the reporting database has been over nine hundred milliseconds for ten minutes"


@pytest.mark.parametrize("width", [80, 120, 300])
def test_an_event_breaks_between_words_and_its_time_says_its_zone(width: int) -> None:
    terminal = shown_at(width)
    print_event(terminal, head_of(event(), "%Y-%m-%d %H:%M:%S"), words_of(event(title=WORDS, name="latency")))
    lines = lines_on(terminal)
    assert lines[0].startswith("2026-03-01 09:00:00.123Z  incidents  IncidentCreated")
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()).endswith(f"title={WORDS} name=latency")
    assert (len(lines) == 1) == (width == 300)


def test_the_title_of_a_narrow_table_stands_in_one_line_and_labelled_texts_beneath_themselves() -> None:
    terminal = shown_at(60)
    terminal.print(table("how the tables in force differed", ("rows",), [(1,)]))
    terminal.print(labelled([("reason", "no such key"), ("sent", WORDS)]))
    lines = lines_on(terminal)
    assert lines[0] == "how the tables in force differed"
    sent = [line.rstrip() for line in lines[-2:]]
    assert [line[:10] for line in sent] == ["  sent    ", " " * 10]
    assert " ".join(line[10:] for line in sent) == WORDS


def test_a_running_stack_tells_in_lines_that_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    text_report("url", f"  Logs      /home/{'x' * 70}/logs")
    text_report("started", f"{WORDS}\n  Password   secret")
    *logs, first, second, password = terminal.getvalue().splitlines()
    assert [line.strip() for line in logs] == ["Logs", f"/home/{'x' * 70}/logs"]
    assert f"{first} {second.strip()}" == WORDS
    assert password == "  Password   secret"


def test_the_story_of_the_demo_breaks_beneath_its_words() -> None:
    terminal = shown_at(60)
    view = RichView(terminal, clock=lambda: 1.0)
    view.happened(WORDS)
    terminal.print(view._render())
    _, first, second, *_ = lines_on(terminal)
    assert f"✓ {WORDS[:20]}" in first
    assert second.index(second.strip("│ ")) == first.index(WORDS[:20])


def test_a_state_is_told_in_words() -> None:
    assert lines_of(None) == lines_of({}) == lines_of([]) == ["none"]
    assert lines_of(15.0) == ["15"]
    assert lines_of({"level": 1, "nextAt": None, "exhausted": False}) == ["level: 1", "nextAt: none", "exhausted: no"]
    assert lines_of([{"at": "now", "to": ["ana", "bo"]}]) == ["at now, to ana, bo"]


def test_json_is_data_and_only_shows(capsys: pytest.CaptureFixture[str]) -> None:
    json_line({"title": EVIL, "é": "\x9b"})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"title": EVIL, "é": "\x9b"}
    assert not set("\x1b\u202e\x9b") & set(shown)
    assert "é" in shown


def test_a_terminal_that_is_not_utf_8_gets_replacements_and_json_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1", write_through=True))
    for_any_terminal()
    console().print("Größe 日本 ✓")
    json_line({"title": "日本"})
    line, document = raw.getvalue().decode("latin-1").splitlines()
    assert line == "Größe ?? ?"
    assert json.loads(document) == {"title": "日本"}


def test_people_are_named_in_texts() -> None:
    names = {next(iter(ids_in([ANA]))): "Ana Alvarez"}
    other = ANA.replace("b2", "c3")
    assert with_names(f"level 2 (user:{ANA}), {other}", names.get) == f"level 2 (user:Ana Alvarez), {other}"


def test_errors_are_json_where_json_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise Failure(f"no {EVIL}", 2)

    monkeypatch.setattr(sys, "argv", ["pager", "doctor", "--json"])
    assert entry.exit_code_of(fail) == 2
    assert json.loads(capsys.readouterr().err) == {"error": {"message": f"no {SHOWN}", "exitCode": 2}}


def interrupted() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.exit_code_of(interrupted) == 130
    assert capsys.readouterr().err == "pager: stopped\n"


def test_ctrl_c_while_the_command_is_imported_is_quiet() -> None:
    code = (
        "import os, signal, sys; import cli.entry as entry;"
        "sys.meta_path.insert(0, type('', (), {'find_spec':"
        " lambda self, name, *_: os.kill(os.getpid(), signal.SIGINT) if name == 'cli.main' else None})());"
        "entry.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize(
    "arguments",
    [("replay",), ("replay", "--at", "1h", "--policy", ANA), ("rebuild", "auth", "--check"), ("migrate", "status")],
)
def test_a_mistyped_home_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PAGER_HOME", str(tmp_path / "mistyped"))
    for name in ("PAGER_DATABASE_URL", "PAGER_NATS_URL"):
        monkeypatch.delenv(name, raising=False)
    assert entry.exit_code_of(lambda: entry.app(list(arguments), standalone_mode=False)) == 2
    assert "nothing here: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_version_and_short_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.exit_code_of(lambda: entry.app(["--version"], standalone_mode=False)) == 0
    assert capsys.readouterr().out.startswith("pager 0.")
    assert entry.exit_code_of(lambda: entry.app(["explain", "-h"], standalone_mode=False)) == 0
    assert "Why each person was paged" in capsys.readouterr().out


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Each command that does something, with its path."""
    for name, below in getattr(command, "commands", {}).items():
        yield from leaves(below, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


COMMANDS = dict(leaves(get_command(entry.app), ("pager",)))


@pytest.mark.parametrize("path", COMMANDS)
def test_each_command_says_what_it_does_and_shows_how_it_is_called(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[path]
    monkeypatch.setenv("COLUMNS", "80")
    told, _, examples = command.help.partition("For example: ")
    assert told.strip()
    for example in examples.split(", or "):
        words = shlex.split(example)
        assert " ".join(words).startswith(path)
        called = words[len(path.split()) :]
        command.make_context(path, called[: called.index(">")] if ">" in called else called).close()
    assert all(option.help for option in command.params)
    monkeypatch.setattr(sys, "argv", ["pager"])
    assert entry.exit_code_of(lambda: entry.app([*path.split()[1:], "-h"], standalone_mode=False)) == 0
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) <= 80
