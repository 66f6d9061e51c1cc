"""What is said of a failure to others than operators: what kind it is, in a word, and never its text.

The text of somebody else's error may quote values, keys and tables; it belongs into logs, and into the database beside
the input that it is about (`pager parked list`). Incidents, pushes, answers and readiness are read by many.
"""

from __future__ import annotations

_NUMBERS = ("sqlstate", "err_code")
"""Where PostgreSQL's and JetStream's errors keep theirs: enough to look it up."""


def fault_of(error: BaseException) -> str:
    """`ZeroDivisionError`, `UniqueViolation 23505`, `NotFoundError 10059`; of a wrapped one what it wraps."""
    cause = error.__cause__
    if cause is not None and type(error).__module__.startswith("eventsourcing."):
        return fault_of(cause)
    numbers = [number for name in _NUMBERS if isinstance(number := getattr(error, name, None), int | str)]
    return " ".join((type(error).__name__, *(str(number) for number in numbers)))


def fault_in(reason: str) -> str:
    """The same of a reason that is kept for operators, `<kind>: <text>`."""
    return reason.partition(":")[0]
