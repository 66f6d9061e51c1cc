"""The queries on the notifier's tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    DateTime,
    Integer,
    Table,
    Text,
    Uuid,
    all_,
    and_,
    any_,
    bindparam,
    cast,
    column,
    func,
    or_,
    select,
    true,
    tuple_,
)

from libs.chassis.store.listing import Keyset, Listing
from libs.chassis.store.scanning import Scan
from libs.contracts.notifier import NotificationKind, NotificationState
from services.notifier.projections import (
    ATTEMPTS,
    DEVICES,
    INACTIVE,
    LAST_RECEIPTS,
    NOTIFICATIONS,
    OUTBOX,
    PAGING,
    RECEIPTS,
    RESPONDERS,
    RETIRED_TOKENS,
    STOPPED,
    UNREACHABLE,
)

STOPPABLE_STATES = frozenset({NotificationState.INTENDED, NotificationState.ACCEPTED, NotificationState.REPLACED})
TAKEN_STATES = frozenset({NotificationState.ACCEPTED, NotificationState.REPLACED})


def ids_parameter(name: str = "ids") -> Any:
    """A parameter that takes any number of ids."""
    return bindparam(name, type_=ARRAY(Uuid))


_MOMENT = DateTime(timezone=True)
_NOW = bindparam("moment", type_=_MOMENT)

ALIVE = or_(RETIRED_TOKENS.c.dead_at.is_(None), RETIRED_TOKENS.c.dead_at <= DEVICES.c.registered_at)
SAME_DEVICE = (RETIRED_TOKENS.c.user_id == DEVICES.c.user_id) & (RETIRED_TOKENS.c.device_id == DEVICES.c.device_id)

NEXT_DUE = (select(OUTBOX.c.due_at).where(OUTBOX.c.due_at > _NOW).order_by(OUTBOX.c.due_at)).limit(1)

_N, _D = NOTIFICATIONS.c, DEVICES.c
# A device whose kind has changed is another one: what its new kind takes is not what was intended.
_OF_DEVICE = (_D.user_id == _N.user_id) & (_D.device_id == _N.method_id) & (_D.kind == _N.method_kind)
_INTENT = (_N.incident_id, _N.user_id, _N.method_id, _N.run, _N.level, _N.paging_since)
_SAID = (_N.number, _N.title, _N.description, _N.priority, _N.further)

_WANTED = (
    func.unnest(
        bindparam("providers", type_=ARRAY(Text)),
        bindparam("lanes", type_=ARRAY(Text)),
        bindparam("rooms", type_=ARRAY(Integer)),
        bindparam("untils", type_=ARRAY(_MOMENT)),
        bindparam("overs", type_=ARRAY(Boolean)),
    )
    .table_valued(
        column("provider", Text),
        column("lane", Text),
        column("room", Integer),
        column("until", _MOMENT),
        column("over", Boolean),
    )
    .render_derived("wanted")
)
_DUE = (
    select(OUTBOX)
    .where(
        OUTBOX.c.due_at <= _WANTED.c.until,
        or_(OUTBOX.c.due_at <= _NOW, OUTBOX.c.attempt > 1),
        or_(~_WANTED.c.over, OUTBOX.c.deadline <= _NOW),
        OUTBOX.c.provider == _WANTED.c.provider,
        OUTBOX.c.lane == _WANTED.c.lane,
        OUTBOX.c.notification_id != all_(ids_parameter("busy")),
    )
    .order_by(OUTBOX.c.due_at)
    .limit(_WANTED.c.room)
    .lateral("due")
)
SENDABLE = (
    select(_DUE, *_INTENT, *_SAID, _D.push_token, _D.registered_at, func.coalesce(ALIVE, False).label("alive"))
    .select_from(
        _WANTED.join(_DUE, true())
        .join(NOTIFICATIONS, _N.id == _DUE.c.notification_id)
        .outerjoin(DEVICES, _OF_DEVICE)
        .outerjoin(RETIRED_TOKENS, SAME_DEVICE)
    )
    .order_by(_DUE.c.lane.desc(), _DUE.c.due_at)
)
"""What is due and not `busy`, urgent first, with the device's token as it is now.

Of each provider of `providers` and its lane of `lanes` at most as many as it has in `rooms`: of repeats those as
well that are due before `untils`, and where `overs` says so those alone whose deadline has passed.
"""

IS_TEST = _N.id == _N.incident_id
"""It is about no incident."""

NOTIFICATIONS_OF = Listing(
    Keyset("notifications", (NOTIFICATIONS.c.created_at, NOTIFICATIONS.c.id)),
    select(NOTIFICATIONS).where(NOTIFICATIONS.c.incident_id == bindparam("incident_id", type_=Uuid), ~IS_TEST),
)
NOTIFICATION_OF = select(NOTIFICATIONS).where(NOTIFICATIONS.c.id == bindparam("id", type_=Uuid))

_IS_THEIRS = (RESPONDERS.c.user_id == bindparam("person", type_=Uuid)).label("is_theirs")
TEAM_OF = (
    select(RESPONDERS.c.team_id, _IS_THEIRS)
    .where(RESPONDERS.c.incident_id == bindparam("incident_id", type_=Uuid))
    .order_by(_IS_THEIRS.desc().nulls_last())
    .limit(1)
)
"""The team of an incident that has one, and whether `person` was paged for it or has taken it."""

PAGES_OF = Scan(
    Keyset("pages", (NOTIFICATIONS.c.id,)),
    select(NOTIFICATIONS),
    NOTIFICATIONS.c.user_id == bindparam("person", type_=Uuid),
)
"""What `person` was told of, whatever incident it was about."""

ATTEMPTS_OF = (
    select(ATTEMPTS)
    .where(ATTEMPTS.c.notification_id == any_(ids_parameter()))
    .order_by(ATTEMPTS.c.notification_id, ATTEMPTS.c.attempt)
)

RECEIPTS_OF = select(RECEIPTS).where(RECEIPTS.c.notification_id == any_(ids_parameter()))

LAST_RECEIPTS_OF = (
    select(LAST_RECEIPTS.c.device_id, LAST_RECEIPTS.c.at.label("last_receipt_at"))
    .where(LAST_RECEIPTS.c.user_id == bindparam("user_id", type_=Uuid))
    .order_by(LAST_RECEIPTS.c.at.desc())
    .limit(100)
)
"""Devices come and go: of somebody who has had more than so many, those that were heard of last."""

DEVICE = select(DEVICES.c.kind).where(
    DEVICES.c.user_id == bindparam("user_id", type_=Uuid), DEVICES.c.device_id == bindparam("device_id", type_=Text)
)

_IS_INACTIVE = select(INACTIVE).where(INACTIVE.c.user_id == DEVICES.c.user_id).exists()
DEVICES_OF = (
    select(DEVICES.c.user_id, DEVICES.c.device_id, DEVICES.c.kind, cast(DEVICES.c.push_token, Text).label("token"))
    .select_from(DEVICES.outerjoin(RETIRED_TOKENS, SAME_DEVICE))
    .where(DEVICES.c.user_id == any_(ids_parameter()), ALIVE)
    .where(or_(~_IS_INACTIVE, DEVICES.c.user_id == any_(ids_parameter("back"))))
    .order_by(DEVICES.c.user_id, DEVICES.c.registered_at.desc(), DEVICES.c.device_id)
)
"""Living devices of the people `ids` who are active, or are so again (`back`), the newest of each first.

Their tokens are as they are stored: whom to page is decided without opening one.
"""

REACHABLE = (
    select(DEVICES.c.user_id)
    .distinct()
    .select_from(DEVICES.outerjoin(RETIRED_TOKENS, SAME_DEVICE))
    .where(DEVICES.c.user_id == any_(ids_parameter()), ALIVE, ~_IS_INACTIVE)
)
"""Who of the people `ids` has one."""

INACTIVE_OF = select(INACTIVE).where(INACTIVE.c.user_id == any_(ids_parameter()))
"""Who of the people `ids` is deactivated."""

_ASKED = func.unnest(ids_parameter()).table_valued(column("id", Uuid)).render_derived("asked")
HEARD_OF = (
    select(
        _ASKED.c.id.label("incident_id"),
        STOPPED.c.reason,
        STOPPED.c.run.label("answered_run"),
        PAGING.c.run,
        PAGING.c.round,
        PAGING.c.level,
    )
    .select_from(
        _ASKED.outerjoin(STOPPED, STOPPED.c.incident_id == _ASKED.c.id).outerjoin(
            PAGING, PAGING.c.incident_id == _ASKED.c.id
        )
    )
    .where(or_(STOPPED.c.incident_id.is_not(None), PAGING.c.incident_id.is_not(None)))
)
"""The last answer and the highest place of each of the incidents `ids` that has either."""

TOLD = select(
    _N.id,
    _N.incident_id,
    func.coalesce(_N.thread, _N.incident_id).label("matter"),
    _N.user_id,
    _N.run,
    _N.round,
    _N.level,
    func.coalesce(_N.not_before, _N.created_at).label("begins_at"),
    _N.further,
).where(
    or_(_N.incident_id == any_(ids_parameter()), _N.thread == any_(ids_parameter())),
    _N.created_at > bindparam("since", type_=_MOMENT),
    or_(*(_N.state == str(state) for state in sorted(STOPPABLE_STATES))),
)
"""What was intended about the matters `ids` after `since`, and neither withdrawn nor given up.

A matter is an incident, or a thread of them.
"""

STOPPABLE = select(NOTIFICATIONS.c.id, NOTIFICATIONS.c.incident_id).where(
    NOTIFICATIONS.c.incident_id == any_(ids_parameter()),
    or_(*(NOTIFICATIONS.c.state == str(state) for state in sorted(STOPPABLE_STATES))),
)

_ONE = NOTIFICATIONS.alias("one")
_SAME_PLACE = ("incident_id", "user_id", "run", "round", "level")
BESIDE = (
    select(_ONE.c.id.label("one"), NOTIFICATIONS.c.id, NOTIFICATIONS.c.state)
    .select_from(_ONE)
    .where(
        _ONE.c.id == any_(ids_parameter()),
        *(_ONE.c[name] == NOTIFICATIONS.c[name] for name in _SAME_PLACE),
        ~select(STOPPED).where(STOPPED.c.incident_id == _ONE.c.incident_id, STOPPED.c.run >= _ONE.c.run).exists(),
    )
)


def _is_open(table: Table) -> Any:
    """Of a page: nobody has answered, paging has not gone on, and no vendor has taken it for this person there."""
    c, other = table.c, NOTIFICATIONS.alias("other")
    here = tuple_(c.run, c.round, c.level)
    there = tuple_(PAGING.c.run, PAGING.c.round, PAGING.c.level)
    taken = or_(*(other.c.state == str(state) for state in sorted(TAKEN_STATES)))
    return and_(
        ~select(STOPPED).where(STOPPED.c.incident_id == c.incident_id, STOPPED.c.run >= c.run).exists(),
        ~select(PAGING).where(PAGING.c.incident_id == c.incident_id, there > here).exists(),
        ~select(other).where(*(other.c[name] == c[name] for name in _SAME_PLACE), taken).exists(),
    )


UNSENT = (
    select(_N.id, _N.user_id, _N.run, _N.round, _N.level, OUTBOX.c.lane)
    .select_from(OUTBOX.join(NOTIFICATIONS, _N.id == OUTBOX.c.notification_id))
    .where(OUTBOX.c.kind == str(NotificationKind.PAGE), _N.user_id == any_(ids_parameter()))
    .where(_is_open(NOTIFICATIONS), ~IS_TEST)
    .order_by(_N.id)
)
"""Pages about incidents to the people `ids` that are still to be sent."""

PENDING = (
    select(_N.id, _N.user_id)
    .select_from(OUTBOX.join(NOTIFICATIONS, _N.id == OUTBOX.c.notification_id))
    .where(OUTBOX.c.kind == str(NotificationKind.PAGE), _N.user_id == any_(ids_parameter()))
    .order_by(_N.id)
)
"""The same, also where paging has gone on since, and tests."""

UNTOLD = (
    select(UNREACHABLE)
    .where(UNREACHABLE.c.user_id == any_(ids_parameter()), _is_open(UNREACHABLE))
    .order_by(UNREACHABLE.c.incident_id)
)
"""Where the people `ids` could not be reached and are still needed."""
