"""Which secrets the replicas of a service open with, so that nothing is sealed by one that a replica lacks.

While a secret is replaced its replicas are started anew one after the other, each with the new one and with the one
before. Whoever starts says which it opens; whoever seals asks what all can open that are connected to the database.
So the new one seals from when the last replica has it, however long that takes (docs/adr/0065).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, Text, bindparam, column, func, select, table

from libs.chassis.store.changes import Gone, Patch, Row
from libs.chassis.store.store import Store, passes
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work

GONE: Final = timedelta(minutes=1)
"""So long a replica has no session before it counts as stopped: a database that starts again ends all of them."""
_sessions = table("pg_stat_activity", column("datname", Text), column("application_name", Text))
_PART: Final = func.split_part


@dataclass(frozen=True)
class RollCall:
    """`opens`: the names of the secrets that this replica is given, the one that is to seal first."""

    schema: str
    instance: str
    opens: Sequence[str]

    def answer(self, work: Work) -> None:
        """Before anything is served, in the transaction that finds that it opens what is sealed."""
        row = {"instance": self.instance, "opens": list(self.opens), "missed_at": None}
        work.put(Row(chassis_tables(self.schema).replicas, row))

    async def leave(self, store: Store) -> None:
        """After the last answer. Where it cannot be said, it shows after `GONE`."""
        key = {"instance": self.instance}
        try:
            await store.transact(lambda work: work.put(Gone(chassis_tables(self.schema).replicas, key)))
        except Exception as error:
            if not passes(error):
                raise

    def sealing(self, work: Work) -> str:
        """The first of ours that every replica opens; the first of all where there is none.

        A replica that has not answered is of a release from before: it opens what has sealed until now.
        """
        if len(self.opens) == 1:
            return self.opens[0]
        self._look(work)
        others = [set(opens) for opens in self._others(work).values()]
        return next((name for name in self.opens if all(name in opens for opens in others)), self.opens[0])

    def without(self, work: Work) -> tuple[str, ...]:
        """The replicas that do not open what is to seal."""
        return tuple(sorted(one for one, opens in self._others(work).items() if self.opens[0] not in opens))

    def _look(self, work: Work) -> None:
        """Who has been away for long is forgotten."""
        replicas, present = chassis_tables(self.schema).replicas, self._present(work)
        for row in work.fetch(select(replicas)):
            missed_at, key = row["missed_at"], {"instance": row["instance"]}
            if row["instance"] in present:
                if missed_at is not None:
                    work.put(Patch(replicas, key | {"missed_at": None}))
            elif missed_at is None or missed_at > work.now:
                work.put(Patch(replicas, key | {"missed_at": work.now}))
            elif work.now - missed_at > GONE:
                work.put(Gone(replicas, key))

    def _others(self, work: Work) -> dict[str, Sequence[str]]:
        """What each of the others opens, until it is forgotten."""
        found: dict[str, Sequence[str]] = dict.fromkeys(self._present(work), self.opens[-1:])
        found |= {row["instance"]: row["opens"] for row in work.fetch(select(chassis_tables(self.schema).replicas))}
        found.pop(self.instance, None)
        return found

    def _present(self, work: Work) -> set[str]:
        return {row["instance"] for row in work.fetch(_present(self.schema))}


@cache
def _present(schema: str) -> Select[Any]:
    """Who has a session in this database: `pager/<service>/<instance>/<role>` is its name (`connections.py`)."""
    c = _sessions.c
    name = f"pager/{schema}/%/%"
    return (
        select(_PART(c.application_name, "/", 3).label("instance"))
        .distinct()
        .where(c.datname == func.current_database(), c.application_name.like(bindparam(None, name, type_=Text)))
    )
