"""What `pager replay` prints: the run of a replay from the database's door to its last line."""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event as Flag

import psycopg

from cli.console.failure import STOPPED, TROUBLE, Failure
from cli.console.progress import Progress, progress_on_stderr
from cli.reach.doors import database_door
from cli.replay import lines
from cli.replay.asked import Asked
from cli.replay.forms import FormName
from cli.replay.incident import Belonging, belonging, earliest, find_incident
from cli.replay.logs import LogSource, open_logs, refused
from cli.replay.merge import Hole, Merge
from cli.replay.names import Names
from cli.replay.people import lines_for_people
from cli.replay.run import Replay, log_sources, merge_of, tell_unknown
from cli.replay.token import Token
from cli.settings import Settings
from libs.chassis.printable import printable_json
from libs.chassis.rebuild.history import History, ends
from libs.contracts.subjects import SERVICES


@dataclass
class Printout:
    """`form` of the lines; `bus` compares the bus with the logs; `follow` goes on until a signal."""

    settings: Settings
    asked: Asked
    token: Token | None = None
    form: FormName = FormName.JSONL
    bus: bool = False
    follow: bool = False
    _stop: Flag = field(default_factory=Flag)

    async def run(self) -> int:
        """The exit code: 130 when it was interrupted. Raises `Failure`.

        In a thread, so that Ctrl-C ends it between two batches and never inside one.
        """
        loop = asyncio.get_running_loop()
        async with database_door(self.settings, "auditor") as url:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._stop.set)
            try:
                return await asyncio.to_thread(self._print, url)
            except psycopg.Error as error:
                raise refused(error) from None
            except Hole as hole:
                raise Failure(f"stopped: {hole}", TROUBLE) from None

    def _print(self, url: str) -> int:
        histories = open_logs(url)
        try:
            belongs = _belonging(histories, self.asked)
            form = self._form(histories)
            if self.form is FormName.CSV and self.token is None:
                sys.stdout.buffer.write(lines.header())
            run = Replay(self.asked, form(SERVICES), sys.stdout.buffer, self._stop, belongs)
            if self.bus:
                from cli.replay.bus import replay_bus  # NATS, which the logs do not need

                return replay_bus(run, form, self.settings, histories)
            return _from_logs(run, histories, self.token, follow=self.follow)
        finally:
            for history in histories:
                history.connection.close()

    def _form(self, histories: Sequence[History]) -> Callable[[Sequence[str]], lines.Lines]:
        if self.form is FormName.TEXT:
            return partial(lines_for_people, name_of=Names(histories))
        made = lines.csv_lines if self.form is FormName.CSV else lines.jsonl
        # Whoever asks for data and looks at them: what a sender wrote still only shows.
        return (lambda services: _shown(made(services))) if sys.stdout.isatty() else made


def _shown(made: lines.Lines) -> lines.Lines:
    return lambda entries: printable_json(made(entries).decode()).encode()


def _belonging(histories: Sequence[History], asked: Asked) -> Belonging | None:
    if asked.incident is None:
        return None
    incidents = next(h for h in histories if h.service == "incidents")
    asked.incident = find_incident(incidents, asked.incident)
    found, first = belonging(incidents, asked.incident)
    since = earliest(first)
    asked.since = since if asked.since is None else max(asked.since, since)
    return found


def _from_logs(run: Replay, histories: Sequence[History], token: Token | None, *, follow: bool) -> int:
    sources = log_sources(histories, run.asked, run.belonging, token)
    merge = merge_of(sources, token)
    with progress_on_stderr("replay", sum(s.upto - s.begun for s in sources)) as progress:
        complete = run.run(merge, lambda: _show(progress, sources))
    if complete and follow:
        run.follow(merge, sources, lambda: ends(histories[0].connection, [h.service for h in histories]))
        complete = False
    _tell(run, merge)
    if complete:
        return 0
    if run.token is not None:
        sys.stderr.write(f"pager: stopped; go on with: pager replay --resume {run.token}\n")
    return STOPPED


def _show(progress: Progress, sources: Sequence[LogSource]) -> None:
    progress(sum(s.after - s.begun for s in sources))


def _tell(run: Replay, merge: Merge) -> None:
    tell_unknown(run.unknown.items())
    if merge.squeezed:
        sys.stderr.write("pager: too much happened at once to look 5 s ahead: causes were looked for in less\n")
