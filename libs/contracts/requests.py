"""Requests over NATS: what the gateway asks of a service, and how it is answered (promise 12)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from pydantic import Field

from libs.contracts.model import Contract, Lane, Moment, StrictContract


class ErrorKind(StrEnum):
    """Why a request was refused; the gateway maps each to one status."""

    VALIDATION = "validation"
    UNAUTHENTICATED = "unauthenticated"
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    CAPTCHA_REQUIRED = "captcha_required"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    PRECONDITION_FAILED = "precondition_failed"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class Refusal(Contract):
    """Why not. `field` is the dotted path of the field at fault in the request, in camelCase."""

    kind: ErrorKind
    message: str
    field: str | None = None
    retry_after: float | None = None
    """Seconds."""
    clock: str | None = None
    """It seemed to come too late, and nothing was done: whoever still waits repeats it at once with this
    (`libs/chassis/requests/deadlines.py`)."""
    details: dict[str, Any] | None = None
    """What there is to choose from, in camelCase."""
    hidden: bool = False
    """It is there, and not for whoever has asked: they are not told, and the audit is."""


class Rejected(Exception):
    """A command that the rules do not allow. Subclasses: the docstring is the message.

    Raised by `decide`, answered by the request edge as a `Refusal`.
    """

    kind: ErrorKind = ErrorKind.CONFLICT
    hidden: bool = False

    def __init__(
        self,
        message: str | None = None,
        *,
        field: str | None = None,
        kind: ErrorKind | None = None,
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])
        self.field = field
        self.details = details
        self.retry_after = retry_after
        if kind is not None:
            self.kind = kind

    def refusal(self) -> Refusal:
        return Refusal(
            kind=self.kind,
            message=str(self),
            field=self.field,
            details=self.details,
            retry_after=self.retry_after,
            hidden=self.hidden,
        )


class NotFound(Rejected):
    """There is no such thing."""

    kind = ErrorKind.NOT_FOUND

    def hides(self) -> Self:
        """There is, and whoever has asked does not see it: audited as what they may not do is."""
        self.hidden = True
        return self


class Forbidden(Rejected):
    """You may not do this."""

    kind = ErrorKind.FORBIDDEN


class Unauthenticated(Rejected):
    """A valid access token is needed."""

    kind = ErrorKind.UNAUTHENTICATED


class Invalid(Rejected):
    """The request is not valid."""

    kind = ErrorKind.VALIDATION


class NoTeamToListBy(NotFound):
    """There is no such team."""

    def __init__(self) -> None:
        super().__init__(field="teamId")


class NoSuchTeam(Invalid):
    """There is no such team."""


class Reply(Contract):
    """The answer to every request: data or a refusal, and the position of the log after a command."""

    ok: bool
    data: Any = None
    error: Refusal | None = None
    position: int | None = None


class EventsQuery(Contract):
    """`pager.rpc.<service>.events`: a stretch of one lane of the log, in order."""

    epoch: int
    lane: Lane
    after: int
    limit: int = 500
    """Events, at most 1000; an answer also stops at about 512 KiB."""


class StoredEventView(Contract):
    """One event of a log, as published: `raw` is the envelope's JSON."""

    position: int
    previous: int
    type: str
    raw: str


class EventsPage(Contract):
    """`epoch` is the log's current one, begun after position `epoch_after`; `last` is the lane's newest position.

    When the asked epoch is not the current one, `events` is empty and `epoch_after` says up to where the asked one is
    the log's history all the same: the caller goes on from there.
    """

    epoch: int
    epoch_after: int
    last: int
    events: tuple[StoredEventView, ...] = ()


class PositionView(Contract):
    """`pager.rpc.<service>.position`: the newest position of each lane, and where the current epoch began."""

    epoch: int
    epoch_after: int = 0
    lanes: dict[Lane, int]


class SnapshotQuery(Contract):
    """`pager.rpc.<service>.snapshot.<name>`; with `id` and `page` a further page of one that was begun."""

    id: str = ""
    page: int = 0


class Snapshot(Contract):
    """All that an owner knows of something at one moment: whoever follows its events from there on misses none.

    `lanes`: the position with which each lane of its log ended at that moment, in `epoch`. `data`: rows, in an order of
    the owner's. What is too large for one answer comes in `pages`; all but the first are asked for by `id` on
    `pager.rpc.<service>.<more>`, which only the replica answers that has made them, for a minute.
    """

    epoch: int
    lanes: dict[Lane, int]
    data: tuple[Any, ...]
    pages: int = 1
    id: str = ""
    more: str = ""


class MetricsView(Contract):
    """`pager.rpc.<service>.metrics`, which every replica answers: Prometheus' text format."""

    instance: str
    text: str


class ParkedView(Contract):
    """An input that was set aside, with its reason (promise 8)."""

    id: int
    upstream: str
    lane: Lane
    position: int
    entity: str
    type: str
    reason: str
    kind: str
    """`failure` (a handler failed on it), `waiting` (its entity has one before it) or `input` (unreadable)."""
    parked_at: Moment
    raw: str


class ParkedQuery(Contract):
    limit: int = 100
    after: int = 0


class ReplayParked(Contract):
    """Try parked inputs again: one, or all of the service when `id` is not given."""

    id: int | None = None


class ReplayResult(Contract):
    replayed: int
    still_parked: int


class ById(Contract):
    id: UUID


class Nothing(Contract):
    """An answer without data: the request was carried out."""


EXACT: Final = 10_000
"""So far a total is exact, and so far pages are numbered: beyond it a cursor goes on."""


class ListPage(StrictContract):
    """Which part of a list: page number `page`, or what stands behind `cursor`; neither: the first page."""

    page: int | None = Field(default=None, ge=1)
    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=4096)
    """`nextCursor` of the page before."""

    def offset(self) -> int:
        """How many rows stand before a numbered page. Raises Invalid: pages do not reach so far."""
        page = self.page or 1
        if page * self.limit > EXACT:
            last = f"the last page of {self.limit} rows is {EXACT // self.limit}"
            raise Invalid(f"{last}: go on from there with its nextCursor as cursor", field="page")
        return (page - 1) * self.limit


class ListView(Contract):
    """What a list's answer says beside its rows."""

    total: int
    """Exact to `EXACT`, then an estimate."""
    total_is_estimate: bool = False
    next_cursor: str | None = None
    """Where the next page begins; None: this was the last one."""
