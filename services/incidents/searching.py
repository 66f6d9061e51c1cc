"""Which incidents a list has, in the order that was asked for.

The newest, or the oldest, of what is filtered by are stretches of an index (`stretches.py`). For words and labels, and
in other orders, there are three ways (docs/adr/0068), and what is guessed of sizes only chooses between them; the last
of them is also taken where it is shorter than to begin a stretch for each team, status and priority:

- what the filters leave is little: all of it is looked at;
- what the words leave is little: the index of words finds it, and all of it is looked at;
- both are much: then a page is soon full where one walks the order and looks at each row.
"""

from __future__ import annotations

from enum import Enum
from functools import cache, cached_property
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Text, bindparam, cast, func, literal_column, select, true
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import TSQUERY

from libs.chassis.store.estimates import Total
from libs.chassis.store.listing import Explain, Keyset, Page, Start, paged, planned_rows
from libs.chassis.store.work import Work
from libs.contracts.incident_lists import Language, SearchIncidents, Sort
from libs.contracts.model import Priority
from libs.contracts.requests import EXACT, Invalid
from services.incidents.projections import incidents
from services.incidents.searchable import label, of_integration, of_team, searchable
from services.incidents.stretches import Asked, Filters, Shown, conditions, in_time, others

_LOOKED_AT: Final = 2_000
"""Rows at once, at most, where nothing else is known to be less."""
_FAR_AT_LEAST: Final = 10_000
"""Rows that are walked past before another way is taken, where a page was expected sooner."""
_SURELY: Final = 10 * EXACT
"""Rows: who plans so many is never so wrong that there would be few."""
_TO_BEGIN: Final = 10
"""To begin a stretch takes about as long as to walk past so many rows."""
_TEAMS_AS_WORDS: Final = 8
"""Of so many teams the index of words is asked at once; each more is looked up for each row that has the words."""
_NO_TEAM: Final = UUID(int=2**128 - 1)
_BY_PRIORITY: Final = {
    Sort.MOST_URGENT: (Priority.CRITICAL, Priority.HIGH, Priority.MEDIUM, Priority.LOW),
    Sort.LEAST_URGENT: (Priority.LOW, Priority.MEDIUM, Priority.HIGH, Priority.CRITICAL),
}
# What the index of them says, word for word: RFC 3339 in UTC, which without its Z stands in the order of time.
_UPDATED = literal_column("rtrim(incidents.incidents.view ->> 'updatedAt', 'Z') COLLATE \"C\"", Text).label("updated")
_WORDS, _WORDS_OF_TEAMS = (cast(bindparam(name, type_=Text), TSQUERY) for name in ("words", "words_of_teams"))
_LIMIT, _OFFSET, _FAR = (bindparam(name, type_=Integer) for name in ("limit_", "offset_", "far_"))
# Words that its language leaves out, and rows that were written in another one, are found as they stand.
_READ = sql(
    "SELECT CAST(w AS text) AS words, querytree(w) AS tree FROM (SELECT CASE WHEN plain = stemmed THEN plain"
    " ELSE plain || stemmed END AS w FROM (SELECT websearch_to_tsquery('simple', :q) AS plain,"
    " websearch_to_tsquery(CAST(:language AS regconfig), :q) AS stemmed) AS both_ways) AS read"
)
_ALL = Explain(select(incidents.c.id))
_SAYING = Explain(select(searchable.c.id).where(searchable.c.search.op("@@")(_WORDS)))
_SAYING_OF_TEAMS = Explain(select(searchable.c.id).where(searchable.c.search.op("@@")(_WORDS_OF_TEAMS)))


class _Way(Enum):
    """Where rows are found that are then all looked at."""

    BY_FILTERS = "filters"
    BY_WORDS = "words"


class _Shape(NamedTuple):
    """What a query's statements are made of."""

    by: Filters
    words: bool
    sort: Sort
    of_teams: bool = False
    """Whether the words say whose it is."""
    behind: bool = False
    """Whether they begin behind a place."""


def found(work: Work, query: SearchIncidents, shown: Shown, language: Language) -> Page:
    """A page of keys.

    Raises:
        Invalid: there is no such page, or nothing in `q` to look for.
    """
    words = _words(work, query, language)
    if query.sort in _BY_PRIORITY:
        return _by_priority(work, query, shown, words)
    wanted = _Wanted(work, query, shown, words)
    rows = wanted.rows(Start.of(query, wanted.keyset), query.limit + 1)
    return paged(wanted.keyset, query.limit, rows, wanted.total)


def _words(work: Work, query: SearchIncidents, language: Language) -> str | None:
    """What has to be in a row's lexemes, as PostgreSQL writes it; None: nothing is asked for."""
    labels = [label(key, value) for key, value in query.metadata.items()]
    if query.integration_id is not None:
        labels.append(of_integration(query.integration_id))
    parts = [_quoted(one) for one in labels]
    if query.q is not None:
        read = work.fetch(_READ, q=query.q, language=language)[0]
        if not read["words"]:
            raise Invalid("must have a word to look for", field="q")
        if read["tree"] == "T" and not parts:
            raise Invalid("must say as well what is to be found, and not only what is not", field="q")
        parts.append(f"({read['words']})")
    return " & ".join(parts) or None


def _quoted(lexeme: str) -> str:
    doubled = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"


class _Wanted:
    """One query, in one order of time: what is known of it is asked once."""

    def __init__(self, work: Work, query: SearchIncidents, shown: Shown, words: str | None) -> None:
        asked = Asked.of(query, shown)
        self._work, self._listing = work, asked.listing
        of_teams = shown.teams is not None and len(shown.teams) <= _TEAMS_AS_WORDS
        self._shape = _Shape(asked.filters, words is not None, query.sort, of_teams)
        self._given = asked.parameters
        self.keyset = _keyset(query.sort)
        if words is not None:
            self._given |= {"words": words, "words_of_teams": words}
            if of_teams:
                teams = " | ".join(_quoted(of_team(team)) for team in (*(shown.teams or ()), _NO_TEAM))
                self._given["words_of_teams"] = f"{words} & ({teams})"
        self._counted: Total | None = None

    @cached_property
    def _filtered(self) -> Total:
        """What the filters alone leave. What is said to be many times more than is counted is not counted so far."""
        planned = planned_rows(self._work, _planned(self._shape.by), **self._given)
        if planned > _SURELY:
            return Total(planned, True)
        counted = self._listing.total(self._work, **self._given)
        return Total(max(counted.rows, planned), True) if counted.is_estimate else counted

    @cached_property
    def _saying(self) -> int:
        """How many the index of words finds, about."""
        return planned_rows(self._work, _SAYING_OF_TEAMS, **self._given)

    @cached_property
    def _guess(self) -> int:
        """How many there are, about: the filters know nothing of the words."""
        if not self._shape.words:
            return self._filtered.rows
        share = planned_rows(self._work, _SAYING, **self._given) / self._all
        return int(share * self._filtered.rows)

    @cached_property
    def _all(self) -> int:
        return max(planned_rows(self._work, _ALL), 1)

    @cached_property
    def _around(self) -> int:
        """How many rows there are to walk past, about."""
        by = self._shape.by
        if not (by.since or by.until):
            return self._all
        return max(planned_rows(self._work, _all_of(by.since, by.until), **self._given), 1)

    @property
    def total(self) -> Total:
        """Exact where it is little, or soon counted."""
        if not self._shape.words:
            return self._filtered
        if self._counted is None:
            # Of many teams, each row that has the words is looked up: ten thousand are a page of a tenth of a second.
            most = min(EXACT, _LOOKED_AT) if self._shape.by.teams and not self._shape.of_teams else EXACT
            if (way := self._little(most)) is None:
                # The planner may think of words that never stand together as of any others.
                return Total(min(max(self._guess, most + 1), self._filtered.rows), True)
            self._counted = self._count(way)
        return self._counted

    def exactly(self) -> int:
        """How many there are, so far as numbered pages reach, whatever that costs."""
        if not self.total.is_estimate:
            return self.total.rows
        if not self._shape.words:
            return self._listing.counted(self._work, **self._given)
        return self._count(_Way.BY_WORDS).rows

    def _count(self, way: _Way) -> Total:
        return Total(int(self._work.fetch(_count(self._shape, way), **self._given)[0]["total"]))

    def rows(self, start: Start, limit: int) -> list[dict[str, Any]]:
        """So many from there on, or fewer where there are no more."""
        by, stretches = self._shape.by, not self._shape.words and self._shape.sort in (Sort.NEWEST, Sort.OLDEST)
        if stretches and (by.assignee or not by.teams):
            return self._listing.rows(self._work, start, limit, **self._given)
        shape = self._shape._replace(behind=start.place is not None)
        given = self._given | (start.place or {}) | {"limit_": limit, "offset_": start.offset}
        way = None if stretches else self._little(_LOOKED_AT)
        if way is None:
            far = self._far(start.offset + limit, stretches=stretches)
            rows = self._work.fetch(_walked(shape), **given, far_=far) if far else []
            if len(rows) == limit or (far and self._work.fetch(_ahead(shape), **given, far_=far)[0]["rows"] < far):
                return rows
            if stretches:
                return self._listing.rows(self._work, start, limit, **self._given)
            way = _Way.BY_WORDS if self._shape.words else _Way.BY_FILTERS
        rows = self._work.fetch(_looked_at(shape, way), **given)
        if self._shape.words and (rows or start == Start()):
            self._counted = Total(int(rows[0]["total"]) if rows else 0)
        return rows

    def _little(self, most: int) -> _Way | None:
        """How all of it is found at little cost, if at all."""
        if self._shape.words and self._saying <= most:
            return _Way.BY_WORDS
        return _Way.BY_FILTERS if self._filtered.rows <= most else None

    def _far(self, rows: int, *, stretches: bool) -> int:
        """How far one walks for so many rows; 0: another way is shorter."""
        expected = rows * self._around // max(self._guess, 1)
        if stretches:
            many = len(self._given["teams"]) * len(self._given["statuses"]) * len(self._given["priorities"])
            otherwise = _TO_BEGIN * many + min(many * rows, self._filtered.rows)
        else:
            otherwise = 2 * (self._saying if self._shape.words else self._filtered.rows)
        return 0 if expected > otherwise else min(max(4 * expected, _FAR_AT_LEAST), self._all)


@cache
def _planned(by: Filters) -> Explain:
    """Of one table, so that the planner knows how much each team has; what is somebody's of others is little."""
    return Explain(select(incidents.c.id).where(*conditions(incidents.c, by._replace(theirs=False))))


@cache
def _all_of(since: bool, until: bool) -> Explain:
    return Explain(select(incidents.c.id).where(*in_time(incidents.c.created_at, Filters(since=since, until=until))))


def _by_priority(work: Work, query: SearchIncidents, shown: Shown, words: str | None) -> Page:
    """One list after the other, each of one priority and the newest first."""
    keyset = _keyset(query.sort)
    start, rows = Start.of(query, keyset), list[dict[str, Any]]()
    groups = [p for p in _BY_PRIORITY[query.sort] if query.priority in (None, p)]
    if start.place is not None:
        of, *place = start.place.values()
        start = Start({f"place_{n}": value for n, value in enumerate(place)})
        groups = groups[groups.index(of) :] if of in groups else []
    newest = query.model_copy(update={"sort": Sort.NEWEST})
    for priority in groups:
        wanted = _Wanted(work, newest.model_copy(update={"priority": priority}), shown, words)
        here = wanted.rows(start, query.limit + 1 - len(rows))
        rows += [row | {"priority": str(priority)} for row in here]
        if len(rows) > query.limit:
            break
        passed = start.offset and not here
        start = Start(offset=max(start.offset - wanted.exactly(), 0)) if passed else Start()
    return paged(keyset, query.limit, rows, _Wanted(work, newest, shown, words).total)


def _keyset(sort: Sort, rows: Any = incidents) -> Keyset:
    """The order of the table's rows, or of those that have its columns."""
    c = rows.c
    match sort:
        case Sort.NEWEST:
            return Keyset("incidents", (c.created_at, c.id), descending=True)
        case Sort.OLDEST:
            return Keyset("incidents/oldest", (c.created_at, c.id))
        case Sort.MOST_URGENT | Sort.LEAST_URGENT:
            return Keyset(f"incidents/{sort}", (c.priority, c.created_at, c.id))
        case _:
            updated = _UPDATED if rows is incidents else c.updated
            return Keyset(f"incidents/{sort}", (updated, c.id), descending=sort is Sort.LATEST_CHANGED)


def _says(incident_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a row found otherwise has the words: asked of it alone, and never of all that have them."""
    return (
        select(searchable.c.search.op("@@", return_type=None)(_WORDS))
        .where(searchable.c.id == incident_id)
        .scalar_subquery()
    )


def _candidates(shape: _Shape, way: _Way) -> Any:
    """The ids of rows that are then looked at; each once."""
    if way is _Way.BY_FILTERS:
        keys = Asked(shape.by, {}).listing.keys.subquery("keys")
        filtered = select(keys.c.id)
        return filtered.where(_says(keys.c.id)) if shape.words else filtered
    saying = select(searchable.c.id).where(searchable.c.search.op("@@")(_WORDS_OF_TEAMS))
    if not (shape.by.theirs and shape.of_teams):
        return saying
    theirs = others().subquery("theirs")
    return saying.union_all(select(theirs.c.incident_id).where(_says(theirs.c.incident_id)))


def _found(shape: _Shape, way: _Way) -> Select[Any]:
    """Of the candidates those that fit: each is looked up by its id, whatever the planner thinks of their number."""
    candidates = _candidates(shape, way).subquery("candidates")
    columns = [incidents.c[name] for name in _SEEN]
    more = [_UPDATED] if _is_updated(shape) else []
    one = select(*columns, *more).where(incidents.c.id == candidates.c.id).limit(literal_column("1")).lateral("one")
    keys = [one.c[str(c.key)] for c in _keyset(shape.sort).columns]
    rows = select(*keys).select_from(candidates.join(one, true()))
    return rows.where(*conditions(one.c, shape.by)) if way is _Way.BY_WORDS else rows


_SEEN: Final = ("id", "created_at", "status", "priority", "assigned_to", "paged", "team_id")


def _is_updated(shape: _Shape) -> bool:
    return shape.sort in (Sort.LATEST_CHANGED, Sort.LONGEST_UNCHANGED)


@cache
def _looked_at(shape: _Shape, way: _Way) -> Select[Any]:
    rows = _found(shape._replace(behind=False), way).cte("found").prefix_with("MATERIALIZED")
    keyset = _keyset(shape.sort, rows)
    total = select(func.count()).select_from(rows).scalar_subquery().label("total")
    wanted = select(rows, total).where(*([keyset.after()] if shape.behind else []))
    return wanted.order_by(*keyset.order).limit(_LIMIT).offset(_OFFSET)


@cache
def _count(shape: _Shape, way: _Way) -> Select[Any]:
    by = shape.by
    # Where the words say whose it is, and nothing else is asked for, no row has to be looked up.
    more = (by.status, by.priority, by.assignee, by.since, by.until, by.teams and not shape.of_teams)
    unsaid = way is _Way.BY_WORDS and any(more)
    rows = _found(shape, way) if unsaid else _candidates(shape, way)
    return select(func.count().label("total")).select_from(rows.subquery("rows"))


def _near(shape: _Shape, *columns: Any) -> Select[Any]:
    """The next rows in the order, whatever they are."""
    keyset = _keyset(shape.sort)
    by_time = [] if _is_updated(shape) else in_time(incidents.c.created_at, shape.by)
    near = select(*columns).where(*by_time, *([keyset.after()] if shape.behind else []))
    return near.order_by(*keyset.order).limit(_FAR)


@cache
def _walked(shape: _Shape) -> Select[Any]:
    columns = [incidents.c[name] for name in _SEEN]
    near = _near(shape, *columns, *([_UPDATED] if _is_updated(shape) else [])).subquery("near")
    keyset = _keyset(shape.sort, near)
    fitting = [*conditions(near.c, shape.by), *([_says(near.c.id)] if shape.words else [])]
    return select(*keyset.columns).where(*fitting).order_by(*keyset.order).limit(_LIMIT).offset(_OFFSET)


@cache
def _ahead(shape: _Shape) -> Select[Any]:
    """How many rows there were to walk past, so far as one has walked."""
    return select(func.count().label("rows")).select_from(_near(shape, incidents.c.id).subquery("near"))
