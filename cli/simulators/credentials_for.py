"""`python -m cli.simulators.credentials_for -- PROGRAM …`: runs the notifier with the simulators' credentials.

In containers the simulators make their keys at their first start, in a volume; whoever starts beside them learns ids
and files only then. The program replaces this process, so signals reach it.
"""

import argparse
import os
import sys
from pathlib import Path

from cli.simulators.config import SimulatorEnvironment


def main(arguments: list[str] | None = None) -> int:
    """Replace this process; returns only when that is not possible: one line on stderr and exit code 1 or 2."""
    parser = argparse.ArgumentParser(prog="python -m cli.simulators.credentials_for", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of simulator.json")
    parser.add_argument("program", nargs="+", help="and its arguments, after --")
    chosen = parser.parse_args(arguments)
    try:
        variables = SimulatorEnvironment.read(chosen.home).variables()
        os.execvpe(chosen.program[0], chosen.program, os.environ | variables)  # noqa: S606 - what we were told to run
    except FileNotFoundError as error:
        sys.stderr.write(f"pager: {error.filename or chosen.program[0]} does not exist: have the simulators started?\n")
    except OSError as error:
        sys.stderr.write(f"pager: cannot start {chosen.program[0]}: {error.strerror}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
