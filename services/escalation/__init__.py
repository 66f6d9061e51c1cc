"""Owns policies, running escalations and their timers.

Consumes INCIDENTS (what to page about, and integrations), ONCALL (who is on call) and AUTH (people and their roles).
Publishes PolicyCreated, -Changed, -Deleted, EscalationStarted, EscalationDue, EscalationExhausted, EscalationCancelled,
PagingSuppressed.
"""
