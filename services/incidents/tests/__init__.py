"""Unit tests of incidents: no server needed."""
