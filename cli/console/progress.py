"""A progress bar on standard error, for a person who looks: nothing where nobody does."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[..., None]
"""`progress(done)`, or `progress(done, total)` where the total grows."""


@contextmanager
def progress_on_stderr(what: str, total: int) -> Iterator[Progress]:
    """Shown when standard error is a terminal and standard output is not: they would be mixed up."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda done, total=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=max(total, 1))
        yield lambda done, total=None: bar.update(task, completed=done, total=total)
