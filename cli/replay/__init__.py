"""Replaying what happened: logs of all services merged by time, from PostgreSQL or from the bus."""
