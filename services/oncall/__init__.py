"""Owns schedules, overrides and the shifts planned from them.

Consumes AUTH: people, who of them has a device, and the first admin, for whom it makes the schedule "Primary On-Call".
Consumes ESCALATION: which policies page a schedule.
Publishes ScheduleCreated, ScheduleChanged, ScheduleDeleted, OverrideAdded, OverrideCancelled and ShiftsPlanned.
"""
