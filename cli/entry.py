"""The first lines of the `pager` command: what must be so before anything else is imported."""

import signal
import sys


def main() -> None:
    """Import the command and run it; a Ctrl-C meanwhile ends it without a traceback."""
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    leave_out_pythonpath(sys.path)
    from cli.main import main as run

    signal.signal(signal.SIGINT, handler)
    run()


def leave_out_pythonpath(search: list[str]) -> None:
    """What a shell's PYTHONPATH holds is for other programs: a module there would be taken for one of ours.

    But for the folder that we ourselves come from.
    """
    import os
    from pathlib import Path

    ours = Path(__file__).resolve().parents[1]
    for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if entry and Path(entry).resolve() != ours:
            search[:] = [place for place in search if Path(place) != Path(entry).absolute()]
