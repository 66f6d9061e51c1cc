"""How the demo is watched: live on a terminal, as lines without one, as JSON for programs."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli.console.output import json_line


class DemoView(ABC):
    """Steps with the seconds since the demo began; `clock` is injected for tests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return self._clock() - self._began

    @abstractmethod
    def begins(self, text: str) -> None:
        """Something is under way."""

    @abstractmethod
    def happened(self, text: str, **details: Any) -> None:
        """Something happened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()

    def _finish(self) -> None:  # noqa: B027 - lines need no end
        """End what is shown live."""


class PlainView(DemoView):
    """A line for each thing."""

    def begins(self, text: str) -> None:
        self._line("…", text)

    def happened(self, text: str, **details: Any) -> None:
        self._line("✓", text)

    def _line(self, mark: str, text: str) -> None:
        line = f"{self.seconds:6.2f} s  {mark} {text}\n"
        encoding = sys.stdout.encoding or "ascii"
        # A log without UTF-8 is no reason to fail.
        sys.stdout.write(line.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()


class JsonView(DemoView):
    """A JSON line for each thing that happened: `{"at": seconds, "step": text, …}`."""

    def begins(self, text: str) -> None:
        """Only what happened is told."""

    def happened(self, text: str, **details: Any) -> None:
        json_line({"at": round(self.seconds, 3), "step": text} | details)


class RichView(DemoView):
    """A list that grows, with what is under way at its end."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._lines: list[tuple[Text, str]] = []
        self._now: Spinner | None = None
        self._live = Live(console=console, refresh_per_second=12, get_renderable=self._render)

    def begins(self, text: str) -> None:
        self._now = Spinner("dots", Text(text, "dim"))

    def happened(self, text: str, **details: Any) -> None:
        self._lines.append((Text(f"{self.seconds:6.2f} s  ", "cyan").append("✓ ", "bold green"), text))
        self._now = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def _finish(self) -> None:
        self._now = None
        self._live.stop()

    def _render(self) -> Panel:
        lines = Table.grid()
        lines.add_column(no_wrap=True)
        lines.add_column()
        for begin, text in self._lines:
            lines.add_row(begin, Text(text))
        return Panel(
            Group(lines, *([self._now] if self._now else [])), title="Pager", title_align="left", border_style="blue"
        )
