"""Tests of oncall that need no server."""
