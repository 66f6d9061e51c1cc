"""Names of people, from auth's log: ids in what is shown to an operator become names."""

import json
from collections.abc import Iterable, Mapping
from uuid import UUID

from cli.replay.logs import open_logs
from libs.chassis.rebuild.history import History


class Names:
    """Looked up when first asked for, and remembered."""

    def __init__(self, auth: History) -> None:
        self._auth = auth
        self._known: dict[UUID, str | None] = {}

    def __call__(self, person: UUID) -> str | None:
        """First and last name; None: auth's log knows no such person."""
        if person not in self._known:
            self._known[person] = self._read(person)
        return self._known[person]

    def _read(self, person: UUID) -> str | None:
        for row in self._auth.entity(person)[:1]:
            data = json.loads(row.raw)["data"]
            return f"{data.get('firstName', '')} {data.get('lastName', '')}".strip() or None
        return None


def names_of(url: str, ids: Iterable[UUID]) -> Mapping[UUID, str]:
    """Names of those ids that are people's. Raises `Failure`."""
    (auth,) = open_logs(url, ("auth",))
    with auth.connection:
        names = Names(auth)
        return {person: name for person in ids if (name := names(person)) is not None}
