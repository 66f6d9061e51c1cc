"""The questions that numbers come from, each one statement over a period: it counts where the rows are."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Float,
    Integer,
    Interval,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on
from sqlalchemy.types import TypeEngine

from services.incidents.analytics.facts import (
    ACKNOWLEDGED,
    ANSWERS,
    PAGING,
    REOPENED,
    RESOLVED,
    SNOOZED,
    SUPPRESSED,
    fired_levels,
    openings,
    sent_pages,
    time_zones,
    turns,
)
from services.incidents.projections import incidents, integrations, repeats

_MOMENT: Final = DateTime(timezone=True)
_from, _to = bindparam("since", type_=_MOMENT), bindparam("until", type_=_MOMENT)
_teams = bindparam("teams", type_=ARRAY(Uuid))
_everything = bindparam("everything", type_=Integer) == 1
_person, _only = bindparam("person", type_=Uuid), bindparam("only", type_=Uuid)
_limit = bindparam("limit", type_=Integer)
_HALF, _MOST = literal_column("0.5", Float), literal_column("0.95", Float)
_stretches = (
    func.unnest(
        bindparam("zones", type_=ARRAY(Text)),
        bindparam("begins", type_=ARRAY(_MOMENT)),
        bindparam("ends", type_=ARRAY(_MOMENT)),
        bindparam("ahead", type_=ARRAY(Integer)),
    )
    .table_valued(column("zone", Text), column("begins", _MOMENT), column("ends", _MOMENT), column("seconds", Integer))
    .render_derived("stretches")
)
"""Of clocks that are ahead of UTC by some seconds (`night.stretches`)."""
_deliberate = turns.c.actor_kind.in_([literal_column("'user'"), literal_column("'key'")])
"""Of people, and of machines that asked for it by name: not of a sender or of Pager itself."""


def _seconds(later: Any, earlier: Any) -> ColumnElement[float]:
    return cast(func.extract("epoch", later - earlier), Float)


def _part_of_day(at: Any, seconds: int) -> ColumnElement[int]:
    """The number of the hour, or of another such part, that a clock of a stretch shows."""
    shown = cast(func.floor(func.extract("epoch", at)), BigInteger) + _stretches.c.seconds
    part, parts = literal_column(str(seconds), BigInteger), literal_column(str(86_400 // seconds), BigInteger)
    return cast(shown // part % parts, Integer)


def _shows(at: Any) -> ColumnElement[bool]:
    return and_(_stretches.c.begins <= at, at < _stretches.c.ends)


def _word(kind: str) -> ColumnElement[str]:
    return literal_column(f"'{kind}'", Text)


def _is(*kinds: str) -> ColumnElement[bool]:
    return turns.c.kind.in_([_word(kind) for kind in kinds])


def _all(column: Any, condition: ColumnElement[bool]) -> ColumnElement[Any]:
    """Of the turns that it holds for, oldest first: `_last` of it is wanted, and that order is the table's own."""
    return func.array_agg(aggregate_order_by(column, turns.c.version)).filter(condition)


def _last(column: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    return literal_column(f"told.{column}[cardinality(told.{column})]", kind)


_opened = (
    select(openings)
    .where(
        openings.c.created_at >= _from,
        openings.c.created_at < _to,
        or_(_everything, openings.c.team_id == any_(_teams)),
        or_(_only.is_(None), openings.c.team_id == _only),
    )
    .cte("opened")
)
_told = (
    select(
        turns.c.incident_id,
        func.min(turns.c.at).filter(_is(PAGING)).label("asked_again_at"),
        func.min(turns.c.at).filter(and_(_is(*ANSWERS), _deliberate)).label("answered_at"),
        _all(turns.c.priority, turns.c.priority.is_not(None)).label("priorities"),
        _all(turns.c.at, _is(RESOLVED)).label("ends"),
        _all(turns.c.actor_kind, _is(RESOLVED)).label("enders"),
        func.max(turns.c.version).filter(_is(RESOLVED)).label("ended_in"),
        func.max(turns.c.version).filter(_is(REOPENED)).label("reopened_in"),
        func.bool_or(_is(SNOOZED)).label("snoozed"),
        func.bool_or(_is(SUPPRESSED)).label("suppressed"),
    )
    .join(_opened, _opened.c.incident_id == turns.c.incident_id)
    .group_by(turns.c.incident_id)
    .cte("told")
)
_is_over = and_(
    _told.c.ended_in.is_not(None), or_(_told.c.reopened_in.is_(None), _told.c.ended_in > _told.c.reopened_in)
)
_over = func.coalesce(_is_over, false())
_asked_at = case((_opened.c.suppressed, _told.c.asked_again_at), else_=_opened.c.created_at)
_handled = (
    select(
        _opened.c.incident_id,
        _opened.c.created_at,
        _opened.c.integration_id,
        _opened.c.dedup_key,
        func.coalesce(_last("priorities", Text()), _opened.c.priority).label("priority"),
        case((_told.c.answered_at >= _asked_at, _seconds(_told.c.answered_at, _asked_at))).label("to_answer"),
        case((_is_over, _seconds(_last("ends", _MOMENT), _opened.c.created_at))).label("to_end"),
        and_(
            _over,
            _last("enders", Text()).not_in([_word("user"), _word("key")]),
        ).label("by_itself"),
        and_(_over, _told.c.answered_at.is_(None)).label("untouched"),
        _told.c.reopened_in.is_not(None).label("reopened"),
        func.coalesce(_told.c.snoozed, false()).label("snoozed"),
        or_(_opened.c.suppressed, func.coalesce(_told.c.suppressed, false())).label("suppressed"),
    )
    .outerjoin(_told, _told.c.incident_id == _opened.c.incident_id)
    .cte("handled")
)
_timed = (
    select(_handled, _part_of_day(_handled.c.created_at, 3600).label("hour"))
    .join(_stretches, _shows(_handled.c.created_at))
    .cte("timed")
)


def _how_many(condition: Any) -> ColumnElement[int]:
    return func.count().filter(condition)


HANDLING = select(
    func.grouping(_timed.c.priority, _timed.c.integration_id, _timed.c.hour).label("of"),
    _timed.c.priority,
    _timed.c.integration_id,
    _timed.c.hour,
    func.count().label("incidents"),
    func.count(_timed.c.to_answer).label("answered"),
    func.sum(_timed.c.to_answer).label("answer_seconds"),
    func.percentile_cont(_HALF).within_group(_timed.c.to_answer).label("median_answer"),
    func.count(_timed.c.to_end).label("resolved"),
    func.sum(_timed.c.to_end).label("end_seconds"),
    func.percentile_cont(_HALF).within_group(_timed.c.to_end).label("median_resolution"),
    _how_many(_timed.c.by_itself).label("resolved_automatically"),
    _how_many(_timed.c.reopened).label("reopened"),
    _how_many(_timed.c.snoozed).label("snoozed"),
    _how_many(_timed.c.suppressed).label("suppressed"),
).group_by(func.grouping_sets(literal_column("()"), _timed.c.priority, _timed.c.integration_id, _timed.c.hour))
"""What became of the incidents of a period, as a whole and by each of three; `of` says by which."""
WHOLE, BY_PRIORITY, BY_INTEGRATION, BY_HOUR = 0b111, 0b011, 0b101, 0b110

_first = (
    select(turns.c.incident_id, turns.c.run, turns.c.at, turns.c.actor_kind, turns.c.actor_id)
    .ext(distinct_on(turns.c.incident_id, turns.c.run))
    .join(_opened, _opened.c.incident_id == turns.c.incident_id)
    .where(_is(*ANSWERS), _deliberate)
    .order_by(turns.c.incident_id, turns.c.run, turns.c.version)
    .cte("first")
)
_paged = (
    select(fired_levels.c.level, fired_levels.c.at)
    .where(
        fired_levels.c.incident_id == _first.c.incident_id,
        fired_levels.c.run == _first.c.run,
        fired_levels.c.at <= _first.c.at,
    )
    .order_by(fired_levels.c.at.desc(), fired_levels.c.round.desc(), fired_levels.c.level.desc())
    .limit(1)
    .lateral("paged")
)
_answer_seconds = _seconds(_first.c.at, _paged.c.at)
ANSWERED_BY_LEVEL = (
    select(
        _paged.c.level,
        func.count().label("answered"),
        func.avg(_answer_seconds).label("mean"),
        func.percentile_cont(_HALF).within_group(_answer_seconds).label("median"),
        func.percentile_cont(_MOST).within_group(_answer_seconds).label("p95"),
    )
    .select_from(_first.outerjoin(_paged, true()))
    .group_by(_paged.c.level)
)
"""The first answers of runs by the level that was paged last before them; None: none was."""
FIRED = (
    select(fired_levels.c.level, func.count().label("fired"))
    .join(_opened, _opened.c.incident_id == fired_levels.c.incident_id)
    .group_by(fired_levels.c.level)
)
_by_person = turns.c.actor_kind == _word("user")
_acts = (
    select(
        turns.c.actor_id,
        _how_many(_is(ACKNOWLEDGED, SNOOZED)).label("acknowledged"),
        _how_many(_is(RESOLVED)).label("resolved"),
    )
    .join(_opened, _opened.c.incident_id == turns.c.incident_id)
    .where(_by_person, _is(*ANSWERS))
    .group_by(turns.c.actor_id)
    .cte("acts")
)
_firsts = (
    select(_first.c.actor_id, func.count().label("first"), func.avg(_answer_seconds).label("mean"))
    .select_from(_first.outerjoin(_paged, true()))
    .where(_first.c.actor_kind == _word("user"))
    .group_by(_first.c.actor_id)
    .cte("firsts")
)
RESPONDERS = (
    select(_acts, func.coalesce(_firsts.c.first, 0).label("first"), _firsts.c.mean)
    .outerjoin(_firsts, _firsts.c.actor_id == _acts.c.actor_id)
    .order_by((_acts.c.acknowledged + _acts.c.resolved).desc(), _acts.c.actor_id)
    .limit(_limit)
)
"""Who has answered incidents of a period."""

_margin = literal_column("interval '1 day'", Interval)
_pages = (
    select(
        sent_pages.c.user_id,
        sent_pages.c.incident_id,
        func.min(sent_pages.c.accepted_at).label("at"),
    )
    # A page of several messages is of when its first was taken: one that went on into the period is looked at, too.
    .where(
        sent_pages.c.accepted_at >= _from - _margin,
        sent_pages.c.accepted_at < _to,
        or_(_everything, sent_pages.c.team_id == any_(_teams), sent_pages.c.user_id == _person),
        or_(_only.is_(None), sent_pages.c.team_id == _only),
    )
    .group_by(sent_pages.c.user_id, sent_pages.c.incident_id, sent_pages.c.run, sent_pages.c.round, sent_pages.c.level)
    .having(func.min(sent_pages.c.accepted_at) >= _from)
    .cte("pages")
)
_zone = (
    select(time_zones.c.timezone)
    .where(time_zones.c.user_id == _pages.c.user_id, time_zones.c.since <= _pages.c.at)
    .order_by(time_zones.c.since.desc())
    .limit(1)
    .lateral("zone")
)
_lived_in = func.coalesce(_zone.c.timezone, literal_column("'UTC'", Text))
_there = and_(_stretches.c.zone == _lived_in, _shows(_pages.c.at))
_paged_in = _part_of_day(_pages.c.at, 900)
PAGES = (
    select(_pages.c.user_id, _paged_in.label("quarter"), func.count().label("pages"))
    .select_from(_pages.outerjoin(_zone, true()).join(_stretches, _there))
    .group_by(_pages.c.user_id, _paged_in)
)
"""Pages by person and quarter of the day, by the clock of where they lived then."""
ZONES = select(time_zones.c.timezone).distinct()
PAGED_FOR = select(_pages.c.user_id, func.count(_pages.c.incident_id.distinct()).label("incidents")).group_by(
    _pages.c.user_id
)

_alerts = 1 + func.coalesce(repeats.c.count, 0)
_counts = (
    func.count().label("incidents"),
    cast(func.sum(_alerts), BigInteger).label("alerts"),
    _how_many(_handled.c.untouched).label("untouched"),
)
_heard = _handled.outerjoin(repeats, repeats.c.incident_id == _handled.c.incident_id)
_noisy = (
    select(
        _handled.c.integration_id,
        _handled.c.dedup_key,
        *_counts,
        func.array_agg(aggregate_order_by(_handled.c.incident_id, _handled.c.created_at.desc())).label("ids"),
    )
    .select_from(_heard)
    .where(_handled.c.dedup_key.is_not(None))
    .group_by(_handled.c.integration_id, _handled.c.dedup_key)
    .order_by(literal_column("alerts").desc(), literal_column("incidents").desc(), _handled.c.dedup_key)
    .limit(_limit)
    .cte("noisy")
)
NOISY_KEYS = (
    select(
        _noisy.c.integration_id,
        _noisy.c.dedup_key,
        _noisy.c.incidents,
        _noisy.c.alerts,
        _noisy.c.untouched,
        func.coalesce(incidents.c.view["title"].astext, "").label("title"),
    )
    .select_from(_noisy.outerjoin(incidents, incidents.c.id == literal_column("noisy.ids[1]", Uuid)))
    .order_by(_noisy.c.alerts.desc(), _noisy.c.incidents.desc(), _noisy.c.dedup_key)
)
NOISY_INTEGRATIONS = (
    select(_handled.c.integration_id, *_counts)
    .select_from(_heard)
    .group_by(_handled.c.integration_id)
    .order_by(literal_column("alerts").desc(), _handled.c.integration_id)
    .limit(_limit)
)
NAMES = select(integrations.c.id, integrations.c.name).where(
    integrations.c.id == any_(bindparam("ids", type_=ARRAY(Uuid)))
)
