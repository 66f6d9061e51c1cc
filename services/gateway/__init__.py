"""Owns nothing: the only HTTP front door.

Consumes AUTH (which tokens are revoked), INCIDENTS and ESCALATION (what streams tell); every request is forwarded to
the service that owns its resource (`pager.rpc.>`).
Publishes no event; its replicas tell each other what they have let in (`pager.gateway.spent`).
"""
