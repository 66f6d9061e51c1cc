"""A question before something is lost: asked of the person at the terminal, and of nobody else."""

import sys

import typer

from cli.console.failure import USAGE, Failure


def agree(question: str, *, yes: bool, as_json: bool, otherwise: str) -> None:
    """Return once it is agreed to, by `--yes` or at the terminal. Not inside a loop: Ctrl-C must end the question.

    `otherwise`: how things stay, such as "nothing was erased". Raises `Failure`: no, or nobody is there to ask.
    """
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise Failure(f"{otherwise}; {'--json' if as_json else 'without a terminal this'} needs --yes", USAGE)
    if not typer.confirm(question, err=True):
        raise Failure(otherwise, USAGE)
