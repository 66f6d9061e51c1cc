"""Owns policies, running escalations and their timers.

Consumes INCIDENTS (what to page about), ONCALL (who is on call) and AUTH (people and their roles).
Publishes PolicyCreated, PolicyChanged, EscalationStarted, EscalationDue, EscalationExhausted, EscalationCancelled.
"""
