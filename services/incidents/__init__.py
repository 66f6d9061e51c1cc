"""Owns integrations, alerts, incidents and their timeline.

Consumes ALERTS, ESCALATION, NOTIFIER and AUTH.
Publishes IntegrationCreated, IncidentCreated, AlertsGrouped, IncidentAcknowledged, -Escalated, -Resolved, -Closed.
"""
