"""Owns people, their roles, teams, devices and sessions, API keys, and the keys that sign access tokens.

Consumes nothing. Publishes pager.events.auth.>: UserRegistered, SignedIn and so on; DeviceRegistered to notifier only.
"""
