"""Owns integrations, alerts, incidents and their timeline.

Consumes ALERTS, ESCALATION, NOTIFIER and AUTH (who there is).
Publishes IntegrationCreated, -Changed, -Deleted, -KeyAdded, -KeyRevoked;
IncidentCreated, AlertsGrouped, IncidentAcknowledged, -Escalated, -Resolved, -Closed.
"""
