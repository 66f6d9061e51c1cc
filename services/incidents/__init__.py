"""Owns integrations, alerts, incidents, their timeline and reviews, and the numbers of how they fared.

Consumes ALERTS, ESCALATION, NOTIFIER and AUTH (who there is); for the numbers its own log.
Publishes IntegrationCreated, -Changed, -Deleted, -KeyAdded, -KeyRevoked;
IncidentCreated, AlertsGrouped, IncidentAcknowledged, -Escalated, -Resolved, -Closed, -Reopened, -Reassigned, -Snoozed,
-Suppressed, -Edited, NoteAdded, RespondersAdded and so on (docs/events.md); and PagingRequested, which alone begins a
further run of paging.
"""
