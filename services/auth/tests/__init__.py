"""Tests of auth that need no server."""
