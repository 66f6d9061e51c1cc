"""Names of people, from auth's log."""

import json
from collections.abc import Sequence
from uuid import UUID

from cli.replay.logs import open_logs


def names_of(url: str, people: Sequence[UUID]) -> dict[UUID, str]:
    """First and last name by id, of those whom the log knows. Raises `Failure`."""
    (auth,) = open_logs(url, ("auth",))
    found: dict[UUID, str] = {}
    with auth.connection:
        for person in people:
            for row in auth.entity(person)[:1]:
                data = json.loads(row.raw)["data"]
                found[person] = f"{data.get('firstName', '')} {data.get('lastName', '')}".strip()
    return found
