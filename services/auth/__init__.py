"""Owns people, their roles, devices and sessions, and the keys that sign access tokens.

Consumes nothing. Publishes pager.events.auth.routine.>: UserRegistered, DeviceRegistered, SignedIn and so on.
"""
