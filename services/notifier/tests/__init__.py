"""Unit tests of the notifier; no server is needed."""
