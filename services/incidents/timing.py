"""What becomes of incidents whose time has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from libs.chassis.store.work import Cause, Work
from libs.chassis.timers import Timer
from libs.contracts.envelope import Fact
from libs.contracts.incidents import ResolutionPlanned
from services.incidents import waiting
from services.incidents.application import INCIDENT, SERVICE, change, repeats_of
from services.incidents.domain.commands import EndSnooze, LiftSuppression, ResolveQuiet, Time, TimeOutAcknowledgement
from services.incidents.domain.incident import Incident
from services.incidents.inputs import Inputs, StoredInputs
from services.incidents.waiting import SETS, due
from services.incidents.words import span

NO_TIME: Final = timedelta(0)


def fire(work: Work, timers: Sequence[Timer], inputs: Inputs | None = None, quiet_for: timedelta = NO_TIME) -> None:
    """End what is to end; the state says what that is, since a timer may have been put off, or be an earlier one's.

    `quiet_for`: after so long an acknowledged incident of which nothing more is heard is resolved, where its policy
    does not say how long; 0: never.
    """
    inputs = inputs or StoredInputs(work)
    work.load(INCIDENT, (timer.entity for timer in timers))
    setters = [fact.__name__ for fact in (*SETS.values(), ResolutionPlanned)]
    causes = inputs.newest({timer.entity for timer in timers}, setters)
    last = _last_heard(work, timers, inputs)
    for timer in timers:
        state = work.state(INCIDENT, timer.entity)
        ends, command = _ended(timer.name, state, work.now, quiet_for, last.get(timer.entity))
        if ends is not None and ends > work.now:
            work.put(due(timer.entity, timer.name, ends))  # it has been put off since, or the clock was set back
        elif command is not None:
            set_by = _set_by(timer.name, state).__name__
            cause = Cause(SERVICE, work.new_id(), causes.get((timer.entity, set_by)))
            change(work, timer.entity, command, cause, inputs)


def _ended(
    name: str, state: Incident, now: datetime, quiet_for: timedelta, last_alert: datetime | None
) -> tuple[datetime | None, Time | None]:
    """When that ends which the timer of this name is for, if there is any, and what is to be decided then."""
    if not state.is_open:
        return None, None
    match name:
        case waiting.SNOOZE if state.snoozed_until is not None:
            return state.snoozed_until, EndSnooze(state.snoozed_until, now)
        case waiting.SUPPRESSION if state.suppression is not None and state.suppression.until is not None:
            return state.suppression.until, LiftSuppression(now, state.suppression.until)
        case waiting.ACKNOWLEDGEMENT if state.acknowledged_until is not None:
            return state.acknowledged_until, TimeOutAcknowledgement(state.acknowledged_until, now)
        case waiting.QUIET if state.resolves_at is not None and (quiet := state.quiet or quiet_for) > NO_TIME:
            heard = max(filter(None, (state.updated_at, last_alert)), default=state.resolves_at)
            words = f"nothing has been heard of it for {span(quiet)}"
            by_policy = ", after which its policy resolves what somebody has" if state.quiet else ""
            return max(state.resolves_at, heard + quiet), ResolveQuiet(SERVICE, now, words + by_policy)
    return None, None


def _set_by(name: str, state: Incident) -> type[Fact]:
    return ResolutionPlanned if name == waiting.QUIET and state.quiet is not None else SETS[name]


def _last_heard(work: Work, timers: Sequence[Timer], inputs: Inputs) -> dict[UUID, datetime | None]:
    quiet = [timer.entity for timer in timers if timer.name == waiting.QUIET]
    return {i: again.last_at for i, again in repeats_of(work, quiet, inputs).items()} if quiet else {}
