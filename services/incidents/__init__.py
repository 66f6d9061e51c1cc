"""Owns integrations, alerts, incidents and their timeline.

Consumes ALERTS, ESCALATION and NOTIFIER.
Publishes IntegrationCreated, IncidentCreated, AlertsGrouped, IncidentAcknowledged, -Escalated, -Resolved, -Closed.
"""
