"""Snapshots: all that a service knows of something at one moment, with its log's ends then, for a fold elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4

from pydantic_core import to_json, to_jsonable_python
from sqlalchemy import select

from libs.chassis.requests.server import Requests
from libs.chassis.store.store import Store
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.contracts.model import Lane
from libs.contracts.requests import ErrorKind, NotFound, Rejected, Snapshot, SnapshotQuery
from libs.contracts.subjects import lanes_of

_PAGE_BYTES = 512 * 1024
"""An answer must stay below the server's limit of 1 MiB a message."""
_ROW_BYTES = 900 * 1024
_KEPT = 60.0
"""Seconds for which further pages are kept."""
_AT_ONCE = 8
"""Snapshots whose pages are kept; beyond them the oldest is let go, and whoever reads it begins again."""

ReadRows = Callable[[Work], Sequence[Any]]


class SnapshotTooLarge(Rejected):
    """A single row of this snapshot does not fit into an answer."""

    kind = ErrorKind.INTERNAL


class _Moment(NamedTuple):
    """What was read in one transaction."""

    epoch: int
    lanes: dict[Lane, int]
    rows: Sequence[Any]


@dataclass
class _Pages:
    """Of snapshots that are larger than one answer, by their ids."""

    kept: dict[str, list[list[Any]]] = field(default_factory=dict)

    def keep(self, pages: list[list[Any]]) -> str:
        while len(self.kept) >= _AT_ONCE:
            self.kept.pop(next(iter(self.kept)))
        made = uuid4().hex
        self.kept[made] = pages
        asyncio.get_running_loop().call_later(_KEPT, self.kept.pop, made, None)
        return made

    def page(self, query: SnapshotQuery) -> list[Any]:
        pages = self.kept.get(query.id, [])
        if not 0 <= query.page < len(pages):
            raise NotFound("this page is not kept any more: begin again", field="id")
        return pages[query.page]


def add_snapshot(requests: Requests, store: Store, name: str, read: ReadRows) -> None:
    """Answer `pager.rpc.<service>.snapshot.<name>` with all rows of `read(work)`; call it once a service and name.

    They are contracts, or what JSON can say. All is read in one transaction, so that they are what the log's events up
    to those ends have made. As `events`, it asks for no access token: the bus says who may ask.
    """
    # Further pages are in this process only: they have a subject that no other replica answers.
    more, pages = f"snapshot.{name}.{uuid4().hex}", _Pages()

    @requests.handle(f"snapshot.{name}", SnapshotQuery, public=True)
    async def snapshot(_query: SnapshotQuery, _caller: None) -> Snapshot:
        moment = await store.consistent(lambda work: _moment(work, requests.service, read))
        cut = await asyncio.to_thread(_cut, moment.rows)
        begun = Snapshot(epoch=moment.epoch, lanes=moment.lanes, data=tuple(cut[0]))
        if len(cut) == 1:
            return begun
        return begun.model_copy(update={"pages": len(cut), "id": pages.keep(cut), "more": more})

    @requests.handle(more, SnapshotQuery, public=True)
    async def further(query: SnapshotQuery, _caller: None) -> Snapshot:
        return Snapshot(epoch=0, lanes={}, data=tuple(pages.page(query)), id=query.id)


def _moment(work: Work, service: str, read: ReadRows) -> _Moment:
    table = chassis_tables(service).epochs
    newest = work.fetch(select(table.c.epoch).order_by(table.c.epoch.desc()).limit(1))[0]["epoch"]
    ends = {lane: work.log.last_position(work.cursor, lane) for lane in lanes_of(service)}
    return _Moment(newest, ends, read(work))


def _cut(rows: Sequence[Any]) -> list[list[Any]]:
    """At least one page; not on the event loop, which a thousand rows would hold up."""
    pages: list[list[Any]] = [[]]
    size = 0
    for row in rows:
        plain = to_jsonable_python(row, by_alias=True)
        length = len(to_json(plain))
        if length > _ROW_BYTES:
            raise SnapshotTooLarge(f"a row of the snapshot has {length} bytes, an answer holds {_ROW_BYTES}")
        if pages[-1] and size + length > _PAGE_BYTES:
            pages.append([])
            size = 0
        pages[-1].append(plain)
        size += length
    return pages
