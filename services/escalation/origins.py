"""Where escalation's tables come from."""

from __future__ import annotations

from libs.chassis.rebuild.origins import STATELESS, Origins, Replica, folding
from libs.chassis.store.person_keys import person_keys
from libs.contracts.audit import EscalationActedFrom
from libs.contracts.erasure import PersonErased
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    PagingSuppressed,
    PolicyChanged,
    PolicyCreated,
    PolicyDeleted,
    ResponderUnreachable,
)
from libs.contracts.model import Lane
from libs.contracts.notifier import PushTokenRetired
from libs.contracts.teams import TeamMembershipChanged
from services.escalation.deciders import ESCALATION, POLICY
from services.escalation.projections import (
    SCHEMA,
    audit,
    devices,
    escalations,
    integrations,
    memberships,
    people,
    policies,
    project,
    retired_tokens,
    schedules,
    shifts,
    teams,
)
from services.escalation.replicas import (
    FROM_DEVICES,
    FROM_INTEGRATIONS,
    FROM_ONCALL,
    FROM_PEOPLE,
    FROM_TEAMS,
    replicate,
)

ORIGINS = Origins(
    SCHEMA,
    project,
    streams={
        (PolicyCreated, PolicyChanged, PolicyDeleted): folding(POLICY),
        (EscalationActedFrom,): STATELESS,
        # The lanes differ in nothing that folds.
        (
            EscalationStarted,
            PagingSuppressed,
            EscalationDue,
            ResponderUnreachable,
            EscalationExhausted,
            EscalationCancelled,
        ): folding(ESCALATION[Lane.ROUTINE]),
    },
    projections=(policies, escalations, audit),
    replicas=(
        Replica(people, {"auth": FROM_PEOPLE}, replicate),
        Replica(teams, {"auth": FROM_TEAMS}, replicate),
        Replica(memberships, {"auth": (TeamMembershipChanged,)}, replicate),
        Replica(devices, {"auth": (*FROM_DEVICES, PersonErased)}, replicate),
        Replica(retired_tokens, {"notifier": (PushTokenRetired,)}, replicate),
        Replica(schedules, {"oncall": FROM_ONCALL}, replicate),
        Replica(integrations, {"incidents": FROM_INTEGRATIONS}, replicate),
    ),
    rows={person_keys(SCHEMA): "keys of persons, which auth gives and which are in no event"},
    refused={
        shifts: "what was kept of past shifts depends on when their plans were read;"
        " a schedule that is switched off and on again (PATCH, isActive) tells its whole plan anew",
    },
)
