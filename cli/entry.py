"""The first lines of the `pager` command: a Ctrl-C while the rest is imported ends it without a traceback."""

import signal


def main() -> None:
    """Import the command and run it."""
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cli.main import main as run

    signal.signal(signal.SIGINT, handler)
    run()
