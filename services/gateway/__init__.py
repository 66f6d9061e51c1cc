"""Owns nothing: the only HTTP front door.

Consumes AUTH (which tokens are revoked), INCIDENTS and ESCALATION (what streams tell); every request is forwarded to
the service that owns its resource (`pager.rpc.>`).
Publishes nothing yet: alerts of HTTP senders come with the intake.
"""
