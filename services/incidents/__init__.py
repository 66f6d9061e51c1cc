"""Owns integrations, alerts, incidents and their timeline.

Consumes ALERTS, ESCALATION, NOTIFIER and AUTH (who there is).
Publishes IntegrationCreated, -Changed, -Deleted, -KeyAdded, -KeyRevoked;
IncidentCreated, AlertsGrouped, IncidentAcknowledged, -Escalated, -Resolved, -Closed, -Reopened, -Reassigned, -Snoozed,
-Suppressed, -Edited, NoteAdded, RespondersAdded, and PagingRequested, which alone begins a further run of paging.
"""
