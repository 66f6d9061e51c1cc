"""What a command reports to the person at the keyboard: one line and an exit code, never a traceback."""

from typing import Final

TROUBLE: Final = 1
"""Something is wrong, or did not work."""
USAGE: Final = 2
"""A setting or an argument is wrong: nothing was tried."""
STOPPED: Final = 130
"""The shells' exit code of a command that Ctrl-C ended."""


class Failure(Exception):
    """A command ends with `exit_code`; `str(error)` is one line that says what is wrong and what cures it."""

    def __init__(self, message: str, exit_code: int = TROUBLE) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code


class BadSettings(Failure):
    """Nothing was started: each of `faults` is a line that names a setting."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults), USAGE)
        self.faults = tuple(" ".join(fault.split()) for fault in faults)
