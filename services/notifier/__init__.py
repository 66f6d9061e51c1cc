"""The notifier: owns notifications, their attempts and what the push vendors say of device tokens.

It consumes AUTH (devices), INCIDENTS (what needs no page any more) and ESCALATION (whom a level pages).
It publishes NOTIFIER: intended, accepted, failed, replaced, withdrawn, unreachable people, retired tokens and
what phones say of pages.
"""
