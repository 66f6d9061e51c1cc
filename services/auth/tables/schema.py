"""Which tables a rebuild makes anew, and which it leaves alone."""

from __future__ import annotations

from sqlalchemy import MetaData

metadata = MetaData(schema="auth")
"""Projections of the log: a rebuild may empty and refill them."""

kept = MetaData(schema="auth")
"""Secrets and their hashes, which are in no event (promise 2): a rebuild must leave them alone."""
