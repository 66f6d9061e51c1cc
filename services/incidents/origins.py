"""Where the tables of incidents come from."""

from __future__ import annotations

from libs.chassis.rebuild.origins import STATELESS, Origins, Replica, folding
from libs.chassis.store.person_keys import person_keys
from libs.contracts.audit import IncidentsActedFrom
from libs.contracts.escalation import EscalationDue, EscalationExhausted
from libs.contracts.incident_alerts import AlertAdded, AlertResolved, AlertsOverflowed
from libs.contracts.incidents import (
    AcknowledgementLimited,
    AcknowledgementTimedOut,
    AlertsGrouped,
    EscalationRequested,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEdited,
    IncidentEscalated,
    IncidentReassigned,
    IncidentReopened,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    NoteAdded,
    PagingRequested,
    PriorityLowered,
    PriorityRaised,
    ResolutionPlanned,
    RespondersAdded,
    SnoozeEnded,
    SuppressionEnded,
)
from libs.contracts.integrations import (
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
    IntegrationKeyAdded,
    IntegrationKeyRevoked,
)
from libs.contracts.reviews import ReviewChanged, ReviewDeleted, ReviewDrafted, ReviewPublished, ReviewWithdrawn
from services.incidents.alerts.kept import kept_answers
from services.incidents.alerts.outcomes import late_outcomes
from services.incidents.alerts.taken import taken_alerts
from services.incidents.analytics import facts
from services.incidents.application import INCIDENT
from services.incidents.integrations import INTEGRATION
from services.incidents.projections import (
    SCHEMA,
    alert_repeats,
    alerts,
    audit,
    dedup_keys,
    incidents,
    integration_keys,
    integrations,
    repeats,
    responders,
    reviews,
    running,
    seen_alerts,
    timeline,
)
from services.incidents.references import (
    FROM_PEOPLE,
    FROM_POLICIES,
    FROM_TEAMS,
    people,
    policies,
    replicate_reference,
    teams,
)
from services.incidents.replicas import FROM_ESCALATION, FROM_NOTIFIER, replicate
from services.incidents.reviews import REVIEW
from services.incidents.searchable import projecting, searchable
from services.incidents.settings import search_language

ORIGINS = Origins(
    SCHEMA,
    projecting(search_language()),
    streams={
        (
            IncidentCreated,
            AlertsGrouped,
            AlertAdded,
            AlertResolved,
            AlertsOverflowed,
            IncidentAcknowledged,
            IncidentEscalated,
            IncidentResolved,
            IncidentClosed,
            IncidentReopened,
            IncidentSnoozed,
            SnoozeEnded,
            SuppressionEnded,
            AcknowledgementTimedOut,
            PriorityRaised,
            PriorityLowered,
            IncidentEdited,
            IncidentReassigned,
            EscalationRequested,
            RespondersAdded,
            NoteAdded,
            IncidentSuppressed,
            AcknowledgementLimited,
            ResolutionPlanned,
            PagingRequested,
        ): folding(INCIDENT),
        (
            IntegrationCreated,
            IntegrationChanged,
            IntegrationKeyAdded,
            IntegrationKeyRevoked,
            IntegrationDeleted,
        ): folding(INTEGRATION),
        (ReviewDrafted, ReviewChanged, ReviewPublished, ReviewWithdrawn, ReviewDeleted): folding(REVIEW),
        (IncidentsActedFrom,): STATELESS,
    },
    projections=(dedup_keys, integrations, reviews, audit, alerts, searchable, facts.openings, facts.turns),
    replicas=(
        Replica(incidents, {"escalation": (EscalationDue, EscalationExhausted)}, replicate, own=True),
        Replica(people, {"auth": FROM_PEOPLE}, replicate_reference),
        Replica(policies, {"escalation": FROM_POLICIES}, replicate_reference),
        Replica(teams, {"auth": FROM_TEAMS}, replicate_reference),
        Replica(responders, {"escalation": (EscalationDue, EscalationExhausted)}, replicate, own=True),
        Replica(running, {"escalation": FROM_ESCALATION}, replicate),
        Replica(timeline, {"escalation": FROM_ESCALATION, "notifier": FROM_NOTIFIER}, replicate, own=True),
        Replica(facts.fired_levels, {"escalation": facts.LEVELS}, replicate),
        Replica(facts.sent_pages, {"notifier": facts.MESSAGES}, replicate),
        Replica(facts.time_zones, {"auth": facts.ZONES}, facts.measured),
    ),
    rows={
        person_keys(SCHEMA): "keys of persons, which auth gives and which are in no event",
        repeats: "how often alerts came again: most repeats are in no event",
        alert_repeats: "how often each of several alerts came again: most repeats are in no event",
        integration_keys: "hashes of keys, which are in no event",
        kept_answers: "answers of senders that wait until both lanes of ALERTS have passed their place",
        taken_alerts: "what was taken from ALERTS, by sequence and time, which no event holds",
        late_outcomes: "what became of answers of senders that had waited, which no event of theirs holds",
        seen_alerts: "which alerts have been taken, by ids that senders gave them and no event holds",
    },
)
