"""What somebody shows to sign in, what was guessed, and the links by which they get another."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, LargeBinary, SmallInteger, Table, Text, Uuid

from services.auth.tables.schema import kept

passwords = Table(
    "passwords",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)

# Those before the present one, of which a new one must be none (`passwords.LAST`).
former_passwords = Table(
    "former_passwords",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("hash", Text, primary_key=True),
    Column("replaced_at", DateTime(timezone=True), nullable=False),
)

# Wrong passwords by account and place, both as HMACs; nobody's accounts too (`guesses.py`).
guesses = Table(
    "guesses",
    kept,
    Column("account", LargeBinary, primary_key=True),
    Column("place", LargeBinary, primary_key=True),
    Column("wrong", SmallInteger, nullable=False),
    Column("under_way", SmallInteger, nullable=False),
    Column("tried_at", DateTime(timezone=True)),
    Column("lockouts", SmallInteger, nullable=False),
    Column("locked_until", DateTime(timezone=True)),
    Column("right_at", DateTime(timezone=True)),
    Column("forget_at", DateTime(timezone=True), nullable=False),
    Index("guesses_forget_at_idx", "forget_at"),
)

# Of one that is not confirmed nobody is asked for a code. `sealed`: its secret, under the master key.
second_factors = Table(
    "second_factors",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("sealed_by", Text),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("confirmed_at", DateTime(timezone=True)),
    # The step of the last code that was good: none is good twice.
    Column("used_step", BigInteger),
    # Wrong codes after the right password, of the last hour.
    Column("wrong", SmallInteger, nullable=False, server_default="0"),
    Column("wrong_at", DateTime(timezone=True)),
)

recovery_codes = Table(
    "recovery_codes",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
)

# `subject` is whose invite, or which person's. `mailed`: it was sent to their address, and shown to nobody else.
links = Table(
    "links",
    kept,
    Column("hash", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("mailed", Boolean, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("links_subject_idx", "subject"),
    Index("links_expires_at_idx", "expires_at"),
)

# What is to be sent: neither whereto nor which token, both of which are known when it is (`mailing.py`).
mails = Table(
    "mails",
    kept,
    Column("id", Uuid, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("next_at", DateTime(timezone=True), nullable=False),
    Column("give_up_at", DateTime(timezone=True), nullable=False),
    Index("mails_next_at_idx", "next_at"),
    Index("mails_subject_idx", "subject"),
)

# Solutions that were used: each is good once.
captchas = Table(
    "captchas",
    kept,
    Column("hash", LargeBinary, primary_key=True),
    Column("forget_at", DateTime(timezone=True), nullable=False),
    Index("captchas_forget_at_idx", "forget_at"),
)
