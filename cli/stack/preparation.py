"""`python -m cli.stack.preparation`: checks the settings, migrates the schemas and declares the streams, then ends.

A process of its own, because Pydantic, Alembic and SQLAlchemy take a second to import and 40 MiB to keep, and the
supervisor stays small. It is told in lines of JSON, so that no password is on a command line, and answers each:

- `{"environment": {variable: value}, "ports": {variable: number}}` → `{"faults": [line], "hints": [line]}`;
- `{"databaseUrl": the owner's or null, "natsUrl": URL}` → what was done; or a line on stderr and an exit code.

While the servers start it imports what the second one takes.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from cli.console.failure import TROUBLE, Failure
from cli.stack.checking import check


def main() -> int:
    """Do both; a failure is one line on stderr and exit code 1."""
    asked = _line()
    if asked is None:  # the supervisor has given up
        return TROUBLE
    checked = check(asked["environment"], asked["ports"])
    _answer(asdict(checked))
    from cli.reach import streams
    from cli.stack.schemas import migrate_all, new_epochs

    order = _line()
    if order is None:
        return TROUBLE
    try:
        migrated = migrate_all(order["databaseUrl"]) if order["databaseUrl"] else {}
        epochs = new_epochs(order["databaseUrl"]) if order["databaseUrl"] else {}
        declared = asyncio.run(streams.declare_at(order["natsUrl"]))
    except Failure as failure:
        sys.stderr.write(f"{failure}\n")
        return failure.exit_code
    _answer({"migrated": migrated, "streams": declared, "epochs": epochs})
    return 0


def _line() -> Any:
    return json.loads(sys.stdin.readline() or "null")


def _answer(document: Any) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
