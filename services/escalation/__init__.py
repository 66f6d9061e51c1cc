"""Owns policies, running escalations and their timers.

Consumes INCIDENTS (what to page about, and integrations), ONCALL (who is on call), AUTH (people, their roles, teams and
devices) and NOTIFIER (who cannot be reached).
Publishes PolicyCreated, -Changed, -Deleted, EscalationStarted, EscalationDue, EscalationExhausted, EscalationCancelled,
ResponderUnreachable and PagingSuppressed.
"""
