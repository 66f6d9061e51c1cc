"""Policies and running escalations: what escalation publishes and answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import ConfigDict, Field

from libs.contracts.envelope import Actor, Fact
from libs.contracts.incidents import IncidentBrief
from libs.contracts.model import Contract, Moment, Priority, Role, Run, RunAnswered, StrictContract, TeamRole
from libs.contracts.requests import ListPage, ListView
from libs.contracts.texts import ONE_LINE

Minutes = Annotated[float, Field(ge=0.05, le=10_080)]
"""Of a time-out, from three seconds to a week."""
AutoResolveMinutes = Annotated[float, Field(ge=0.05, le=525_600)]
"""Of a quiet that ends an incident, from three seconds to a year."""


RESPONDER: Final = "responder"
"""`via` of somebody whom somebody else asked for help."""


class TargetType(StrEnum):
    SCHEDULE = "schedule"
    USER = "user"
    ROLE = "role"
    TEAM = "team"


class Target(StrictContract):
    """Whom a level pages: becomes people when the level fires. `id` for all but `role`.

    Of a team everybody who is in it, or with `role: "manager"` its managers alone.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"type": "role", "role": "lead"}],
            "oneOf": [
                {
                    "properties": {
                        "type": {"const": "role"},
                        "role": {"enum": ["user", "lead", "admin"]},
                        "id": {"type": "null"},
                    },
                    "required": ["role"],
                },
                {
                    "properties": {
                        "type": {"enum": ["schedule", "user"]},
                        "id": {"type": "string"},
                        "role": {"type": "null"},
                    },
                    "required": ["id"],
                },
                {
                    "properties": {
                        "type": {"const": "team"},
                        "id": {"type": "string"},
                        "role": {"enum": ["member", "manager", None]},
                    },
                    "required": ["id"],
                },
            ],
        }
    )

    type: TargetType
    id: UUID | None = None
    role: Role | TeamRole | None = None


class Level(StrictContract):
    timeout_minutes: Minutes
    timeout_minutes_by_priority: dict[Priority, Minutes] = {}
    targets: tuple[Target, ...] = Field(min_length=1, max_length=100)


class PolicyCreated(Fact, type="pager.escalation.PolicyCreated.v1"):
    policy_id: UUID
    name: str
    priority_filter: tuple[Priority, ...] = ()
    """The priorities that start it; empty: all."""
    repeat: int
    levels: tuple[Level, ...]
    is_default: bool = False
    acknowledgement_timeout_minutes: Minutes | None = None
    """What whoever acknowledges has until paging starts again; None: for ever."""
    auto_resolve_minutes: AutoResolveMinutes | None = None
    """An acknowledged incident of which nothing is heard for so long is resolved; None: as the installation says."""
    team_id: UUID | None = None
    """Whose it is; None: the whole organisation's."""
    created_by: str
    created_at: Moment


class PolicyChanged(Fact, type="pager.escalation.PolicyChanged.v1"):
    """The whole policy after the change; running escalations keep the version that they started with."""

    policy_id: UUID
    name: str
    priority_filter: tuple[Priority, ...] = ()
    repeat: int
    levels: tuple[Level, ...]
    acknowledgement_timeout_minutes: Minutes | None = None
    auto_resolve_minutes: AutoResolveMinutes | None = None
    team_id: UUID | None = None


class PolicyDeleted(Fact, type="pager.escalation.PolicyDeleted.v1"):
    """It can be asked for no more; an escalation that runs it all the same goes on with it."""

    policy_id: UUID


class Paged(Contract):
    """One person and why: `via` is the target or fallback that led to them, e.g. `schedule:<id>`, `admins`."""

    user_id: UUID
    via: str


class PlannedLevel(Contract):
    """Whom a level would have reached when the escalation started, without those whom an earlier one reaches."""

    level: int
    people: tuple[Paged, ...]


class EscalationStarted(Fact, type="pager.escalation.EscalationStarted.v1"):
    """`planned` is for explanations (who was on the policy, and not paged?); a level resolves its people when it fires.

    It names at most 500 people. A later run starts on top of whatever the one before it was doing.
    """

    incident_id: UUID
    run: Run = 1
    policy_id: UUID
    policy_version: int
    brief: IncidentBrief
    first_timeout_minutes: float | None = None
    assigned_to: UUID | None = None
    """Whom level 1 pages beside its targets."""
    acknowledgement_timeout_minutes: float | None = None
    """How long an acknowledgement may stand; None: for ever."""
    auto_resolve_minutes: float | None = None
    """After how long a quiet it is resolved once it is acknowledged; None: as the installation says."""
    planned: tuple[PlannedLevel, ...] = ()


class PagingSuppressed(Fact, type="pager.escalation.PagingSuppressed.v1"):
    """Nobody is paged for an incident that was opened suppressed; `planned` says who would have been, by which policy.

    A later request to page begins its first run.
    """

    incident_id: UUID
    policy_id: UUID
    policy_version: int
    planned: tuple[PlannedLevel, ...] = ()
    brief: IncidentBrief


class EscalationDue(Fact, type="pager.escalation.EscalationDue.v1"):
    """A level fires. `people` is never empty unless nobody at all can be found; `reason` says why it fell back.

    (run, round, level) only grows; whoever reads a lower one after a higher one drops it. Level 0 stands before the
    policy's: whom somebody has asked for by name, or the leads. Without `nextDueAt` nobody is paged after it.

    Three more levels stand after the policy's: admins, whoever is on call, anybody, as far as they have a device; each
    is paged where nobody of the one before could be reached.
    """

    incident_id: UUID
    run: Run = 1
    level: int
    round: int
    people: tuple[Paged, ...]
    next_due_at: Moment | None
    reason: str | None = None
    schedule_versions: dict[str, int] = {}
    """Schedule id → version of the plan that was read."""
    passed: tuple[UUID, ...] = ()
    """Who would have been paged, and was passed over because they are deactivated."""
    brief: IncidentBrief


class ResponderUnreachable(Fact, type="pager.escalation.ResponderUnreachable.v1"):
    """This person of the level that was paged last cannot be reached, is deactivated, or has left the team that was
    paged. Nobody else is paged yet.

    Remembered so that the next level is paged as soon as nobody of this one is left. Where that happens, the next
    level's `EscalationDue` says so, and its cause is the notifier's report, or auth's.
    """

    incident_id: UUID
    run: Run = 1
    level: int
    round: int
    user_id: UUID


class EscalationExhausted(Fact, type="pager.escalation.EscalationExhausted.v1"):
    """Every level and repeat has fired: admins are paged, then the last level again until acknowledged."""

    incident_id: UUID
    run: Run = 1
    level: int
    round: int
    people: tuple[Paged, ...]
    next_due_at: Moment
    brief: IncidentBrief


class EscalationCancelled(Fact, type="pager.escalation.EscalationCancelled.v1"):
    """An answer has stopped every run up to `run`."""

    incident_id: UUID
    run: RunAnswered = 1
    by: Actor
    at: Moment
    cause: str
    """`acknowledged`, `resolved`, `closed`, `snoozed` or `suppressed`."""
    acknowledgement_timeout_minutes: float | None = None
    """Of an acknowledgement: how long its policy lets it stand; None: for ever."""
    auto_resolve_minutes: float | None = None
    """Of an acknowledgement: after how long a quiet its policy resolves it; None: as the installation says."""


class CreatePolicy(StrictContract):
    name: str = Field(min_length=1, max_length=255, pattern=ONE_LINE)
    priority_filter: tuple[Priority, ...] = ()
    repeat: int = Field(default=3, ge=0, le=100)
    levels: tuple[Level, ...] = Field(min_length=1, max_length=20)
    acknowledgement_timeout_minutes: Minutes | None = None
    """Whoever acknowledges has so long to resolve it: then paging starts again. None: for ever."""
    auto_resolve_minutes: AutoResolveMinutes | None = None
    """An acknowledged incident of which nothing is heard for so long is resolved; what nobody has acknowledged never
    is. Shorter than `acknowledgementTimeoutMinutes`. None: as `PAGER_RESOLVE_QUIET_HOURS` says."""
    team_id: UUID | None = None
    """Whose it is: incidents of the team that name no policy, and came by no integration with one, run the oldest of
    the team's that takes their priority. None: the whole organisation's."""


class PolicyChange(StrictContract):
    """Fields not given stay; `levels` is replaced as a whole.

    A `teamId` of null makes it the whole organisation's; without `acknowledgementTimeoutMinutes` (null) an
    acknowledgement stands for ever, and without `autoResolveMinutes` the installation says when quiet ends an incident.
    """

    name: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    priority_filter: tuple[Priority, ...] | None = None
    repeat: int | None = Field(default=None, ge=0, le=100)
    levels: tuple[Level, ...] | None = Field(default=None, min_length=1, max_length=20)
    acknowledgement_timeout_minutes: Minutes | None = None
    auto_resolve_minutes: AutoResolveMinutes | None = None
    team_id: UUID | None = None


class ChangePolicy(PolicyChange):
    id: UUID


class PoliciesQuery(ListPage):
    team_id: UUID | None = None
    """Those of this team; None: all that the caller sees."""


class PolicyView(Contract):
    id: UUID
    name: str
    priority_filter: tuple[Priority, ...]
    repeat: int
    levels: tuple[Level, ...]
    acknowledgement_timeout_minutes: float | None = None
    auto_resolve_minutes: float | None = None
    inactive: tuple[UUID, ...] = ()
    """Who of the people among the targets is deactivated: levels pass them over."""
    erased: tuple[UUID, ...] = ()
    """Who of those was erased: put somebody else in their place."""
    is_default: bool
    team_id: UUID | None = None
    version: int
    created_by: str
    created_at: Moment
    updated_at: Moment


class PolicyList(ListView):
    """By name."""

    policies: tuple[PolicyView, ...]
