"""Promises of escalation, kept without a server."""
