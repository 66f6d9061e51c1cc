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
    not_,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on

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
_margin = literal_column("interval '1 day'", Interval)
"""By which the moments of one story may be out of order: clocks differ, and a page may have several messages."""
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
    return cast(func.date_part("epoch", later - earlier), Float)


def _part_of_day(at: Any, seconds: int, ahead: Any = _stretches.c.seconds) -> ColumnElement[int]:
    """The number of the hour, or of another such part, that a clock shows which is so many seconds ahead of UTC."""
    shown = cast(func.floor(func.date_part("epoch", at)), BigInteger) + ahead
    part, parts = literal_column(str(seconds), BigInteger), literal_column(str(86_400 // seconds), BigInteger)
    return cast(shown // part % parts, Integer)


def _shows(at: Any) -> ColumnElement[bool]:
    return and_(_stretches.c.begins <= at, at < _stretches.c.ends)


def _word(kind: str) -> ColumnElement[str]:
    return literal_column(f"'{kind}'", Text)


_SETTINGS: Final = {
    "work_mem": "32MB",
    "statement_timeout": "1500",
    **dict.fromkeys(("enable_hashjoin", "enable_mergejoin", "enable_seqscan"), "on"),
}
ROOM = select(*(func.set_config(_word(name), _word(value), true()) for name, value in _SETTINGS.items()))
"""For this transaction. What a service does goes along its indexes and joins row by row (`libs/chassis/store/log.py`):
what counts a year reads much at once, and is hashed in memory instead of being written to files over and over, as with
4 MB. What takes a second and a half is not given up after one, to be begun anew: its caller waits for two."""


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer)


def _is(*kinds: str) -> ColumnElement[bool]:
    return turns.c.kind.in_([_word(kind) for kind in kinds])


_of_period = (
    openings.c.created_at >= _from,
    openings.c.created_at < _to,
    or_(_everything, openings.c.team_id == any_(_teams)),
    or_(_only.is_(None), openings.c.team_id == _only),
)
_opened = select(openings).where(*_of_period).cte("opened")
# Each text is compared once a turn, and not once for each thing that is asked of it.
_KINDS: Final = (ACKNOWLEDGED, RESOLVED, PAGING, SNOOZED, REOPENED, SUPPRESSED)
_steps = (
    select(
        turns.c.incident_id,
        turns.c.version,
        turns.c.at,
        turns.c.priority,
        case(*((turns.c.kind == _word(kind), _number(n)) for n, kind in enumerate(_KINDS)), else_=null()).label("kind"),
        func.coalesce(_deliberate, false()).label("deliberate"),
    )
    .where(turns.c.at >= _from - _margin)
    .offset(literal_column("0"))  # or PostgreSQL would write each of these in each place again
    .subquery("steps")
)


def _was(*kinds: str) -> ColumnElement[bool]:
    return or_(*(_steps.c.kind == _number(_KINDS.index(kind)) for kind in kinds))


_told = (
    select(
        openings,
        func.min(_steps.c.at).filter(_was(PAGING)).label("asked_again_at"),
        func.min(_steps.c.at).filter(and_(_steps.c.deliberate, _was(*ANSWERS))).label("answered_at"),
        func.count(_steps.c.priority).label("priorities"),
        func.min(_steps.c.priority).label("changed_priority"),
        func.count().filter(_was(RESOLVED)).label("ends"),
        func.min(_steps.c.at).filter(_was(RESOLVED)).label("ended_at"),
        func.bool_and(_steps.c.deliberate).filter(_was(RESOLVED)).label("ended_by_somebody"),
        func.max(_steps.c.version).filter(_was(RESOLVED)).label("ended_in"),
        func.max(_steps.c.version).filter(_was(REOPENED)).label("reopened_in"),
        func.bool_or(_was(SNOOZED)).label("was_snoozed"),
        func.bool_or(_was(SUPPRESSED)).label("was_suppressed"),
    )
    .select_from(openings.outerjoin(_steps, _steps.c.incident_id == openings.c.incident_id))
    .where(*_of_period)
    .group_by(openings.c.incident_id)
    .cte("told")
)
"""What was opened, each with what became of it: read once, and put together in one pass."""


def _last(column: Any, *conditions: Any) -> Any:
    """Of several turns of an incident the last one's: asked of those few that have several."""
    last = select(column).where(turns.c.incident_id == _told.c.incident_id, *conditions)
    return last.order_by(turns.c.version.desc()).limit(1).scalar_subquery()


_is_over = and_(
    _told.c.ended_in.is_not(None), or_(_told.c.reopened_in.is_(None), _told.c.ended_in > _told.c.reopened_in)
)
_over = func.coalesce(_is_over, false())
# Most incidents end once, and keep their priority: what is the last of one needs no order, and sorting all turns of a
# year would take longer than all the rest.
_priority = case(
    (_told.c.priorities > 1, _last(turns.c.priority, turns.c.priority.is_not(None))),
    else_=func.coalesce(_told.c.changed_priority, _told.c.priority),
)
_ended_at = case((_told.c.ends > 1, _last(turns.c.at, _is(RESOLVED))), else_=_told.c.ended_at)
_by_somebody = case(
    (_told.c.ends > 1, _last(func.coalesce(_deliberate, false()), _is(RESOLVED))), else_=_told.c.ended_by_somebody
)
_asked_at = case((_told.c.suppressed, _told.c.asked_again_at), else_=_told.c.created_at)
_handled = select(
    _told.c.incident_id,
    _told.c.created_at,
    _told.c.integration_id,
    _told.c.dedup_key,
    _priority.label("priority"),
    case((_told.c.answered_at >= _asked_at, _seconds(_told.c.answered_at, _asked_at))).label("to_answer"),
    case((_is_over, _seconds(_ended_at, _told.c.created_at))).label("to_end"),
    and_(_over, not_(_by_somebody)).label("by_itself"),
    and_(_over, _told.c.answered_at.is_(None)).label("untouched"),
    _told.c.reopened_in.is_not(None).label("reopened"),
    func.coalesce(_told.c.was_snoozed, false()).label("snoozed"),
    or_(_told.c.suppressed, func.coalesce(_told.c.was_suppressed, false())).label("suppressed"),
).cte("handled")
_timed = (
    select(_handled, _part_of_day(_handled.c.created_at, 3600).label("hour"))
    .join(_stretches, _shows(_handled.c.created_at))
    .cte("timed")
)


def _how_many(condition: Any) -> ColumnElement[int]:
    return func.count().filter(condition)


_SUMS = (
    func.count().label("incidents"),
    func.count(_timed.c.to_answer).label("answered"),
    func.sum(_timed.c.to_answer).label("answer_seconds"),
    func.count(_timed.c.to_end).label("resolved"),
    func.sum(_timed.c.to_end).label("end_seconds"),
    _how_many(_timed.c.by_itself).label("resolved_automatically"),
    _how_many(_timed.c.reopened).label("reopened"),
    _how_many(_timed.c.snoozed).label("snoozed"),
    _how_many(_timed.c.suppressed).label("suppressed"),
)
_sets: tuple[Any, ...] = (literal_column("()"), _timed.c.priority, _timed.c.integration_id)
_by_both = func.grouping(_timed.c.priority, _timed.c.integration_id)
HANDLING = union_all(
    select(
        func.grouping(_timed.c.priority, _timed.c.integration_id, _timed.c.hour).label("of"),
        _timed.c.priority,
        _timed.c.integration_id,
        _timed.c.hour,
        *_SUMS,
        cast(null(), Float).label("median_answer"),
        cast(null(), Float).label("median_resolution"),
    ).group_by(func.grouping_sets(*_sets, _timed.c.hour)),
    # Sums need no order, and are counted in one pass: only for medians the rows are sorted.
    select(
        (_by_both * 2 + 1).label("of"),
        _timed.c.priority,
        _timed.c.integration_id,
        null(),
        *(null() for _ in _SUMS),
        func.percentile_cont(_HALF).within_group(_timed.c.to_answer),
        func.percentile_cont(_HALF).within_group(_timed.c.to_end),
    ).group_by(func.grouping_sets(*_sets)),
)
"""What became of the incidents of a period, as a whole and by each of three; `of` says by which. Each twice: its sums,
and then, without `incidents`, its medians."""
WHOLE, BY_PRIORITY, BY_INTEGRATION, BY_HOUR = 0b111, 0b011, 0b101, 0b110

_answers = (
    select(turns.c.incident_id, turns.c.run, turns.c.version, turns.c.at, turns.c.actor_kind, turns.c.actor_id)
    .join(_opened, _opened.c.incident_id == turns.c.incident_id)
    .where(_is(*ANSWERS), _deliberate, turns.c.at >= _from - _margin)
    .subquery("answers")
)
_first = (
    select(_answers)
    .ext(distinct_on(_answers.c.incident_id, _answers.c.run))
    .order_by(_answers.c.incident_id, _answers.c.run, _answers.c.version)
    .cte("first")
)
_levels = (
    select(fired_levels)
    .join(_opened, _opened.c.incident_id == fired_levels.c.incident_id)
    .where(fired_levels.c.at >= _from - _margin)
    .subquery("levels")
)
_before = and_(
    _levels.c.incident_id == _first.c.incident_id, _levels.c.run == _first.c.run, _levels.c.at <= _first.c.at
)
_paged = (
    select(
        _first.c.incident_id,
        _first.c.run,
        func.min(_first.c.at).label("at"),
        func.min(_first.c.actor_kind).label("actor_kind"),
        func.min(_first.c.actor_id).label("actor_id"),
        func.max(_levels.c.at).label("paged_at"),
        func.count(_levels.c.level).label("levels"),
        func.min(_levels.c.level).label("level"),
    )
    .select_from(_first.outerjoin(_levels, _before))
    .group_by(_first.c.incident_id, _first.c.run)
    .subquery("paged")
)
_last_level = (
    select(fired_levels.c.level)
    .where(
        fired_levels.c.incident_id == _paged.c.incident_id,
        fired_levels.c.run == _paged.c.run,
        fired_levels.c.at <= _paged.c.at,
    )
    .order_by(fired_levels.c.at.desc(), fired_levels.c.round.desc(), fired_levels.c.level.desc())
    .limit(1)
    .scalar_subquery()
)
_answered = select(
    case((_paged.c.levels > 1, _last_level), else_=_paged.c.level).label("level"),
    case((_paged.c.actor_kind == _word("user"), _paged.c.actor_id)).label("actor_id"),
    _seconds(_paged.c.at, _paged.c.paged_at).label("seconds"),
).cte("answered")
ANSWERED = select(
    func.grouping(_answered.c.level, _answered.c.actor_id).label("of"),
    _answered.c.level,
    _answered.c.actor_id,
    func.count().label("answered"),
    func.avg(_answered.c.seconds).label("mean"),
    func.percentile_cont(_HALF).within_group(_answered.c.seconds).label("median"),
    func.percentile_cont(_MOST).within_group(_answered.c.seconds).label("p95"),
).group_by(func.grouping_sets(_answered.c.level, _answered.c.actor_id))
"""The first answers of runs, by the level that was paged last before them (None: none was), and by who gave them (None:
not a person); `of` says by which."""
BY_LEVEL, BY_PERSON = 0b01, 0b10
FIRED = select(_levels.c.level, func.count().label("fired")).group_by(_levels.c.level)
RESPONDERS = (
    select(
        turns.c.actor_id,
        _how_many(_is(ACKNOWLEDGED, SNOOZED)).label("acknowledged"),
        _how_many(_is(RESOLVED)).label("resolved"),
    )
    .join(_opened, _opened.c.incident_id == turns.c.incident_id)
    .where(turns.c.actor_kind == _word("user"), _is(*ANSWERS), turns.c.at >= _from - _margin)
    .group_by(turns.c.actor_id)
    .order_by(func.count().desc(), turns.c.actor_id)
    .limit(_limit)
)
"""Who has answered incidents of a period."""

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
_lived = select(
    time_zones.c.user_id,
    time_zones.c.timezone,
    time_zones.c.since,
    func.lead(time_zones.c.since)
    .over(partition_by=time_zones.c.user_id, order_by=time_zones.c.since)
    .label("moved_at"),
).cte("lived")
_clocks = (
    select(_lived.c.user_id, _lived.c.since, _lived.c.moved_at, _stretches)
    .join(_stretches, _stretches.c.zone == _lived.c.timezone)
    .cte("clocks")
)
"""By whose clock what was shown from when to when: of few people, beside pages."""
_there = and_(
    _clocks.c.user_id == _pages.c.user_id,
    _clocks.c.since <= _pages.c.at,
    or_(_clocks.c.moved_at.is_(None), _pages.c.at < _clocks.c.moved_at),
    _clocks.c.begins <= _pages.c.at,
    _pages.c.at < _clocks.c.ends,
)
# Who has said nothing of where they live lives by UTC.
_paged_in = _part_of_day(_pages.c.at, 900, func.coalesce(_clocks.c.seconds, 0))
_each_once = select(_pages.c.user_id, _pages.c.incident_id).distinct().subquery("each_once")
PAGES = (
    select(
        _pages.c.user_id,
        _paged_in.label("quarter"),
        func.count().label("pages"),
    )
    .select_from(_pages.outerjoin(_clocks, _there))
    .group_by(_pages.c.user_id, _paged_in)
    .union_all(
        select(_each_once.c.user_id, null(), func.count()).group_by(_each_once.c.user_id),
    )
)
"""Pages by person and quarter of the day, by the clock of where they lived then; where `quarter` is None: how many
incidents they were paged for."""
ZONES = select(time_zones.c.timezone).distinct()

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
