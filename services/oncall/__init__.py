"""Owns schedules, overrides and the shifts planned from them.

Consumes AUTH: people, and the first admin, for whom it makes the schedule "Primary On-Call".
Publishes ScheduleCreated, ScheduleChanged, OverrideAdded and ShiftsPlanned.
"""
