"""`WebSocket /stream`: what becomes of incidents, told as it happens to whoever may see it (ADR 69).

Feeds read which incidents have changed; the hub asks incidents how they stand now, and hands each to the listeners that
see it; a connection is a listener with a socket. `streams.py` puts them together.
"""
