"""Ids that follow from their cause, so that deciding the same thing again never makes a second one (rule 11)."""

from uuid import UUID, uuid5

from libs.contracts.defaults import PAGER

# The parts before the last have a fixed length, so that no two causes ever spell the same name.


def notification_id(due_event: UUID, user_id: UUID, device_id: str) -> UUID:
    """One due event, one person, one device: one notification."""
    return uuid5(PAGER, f"notification/{due_event}/{user_id}/{device_id}")


def unreachable_id(due_event: UUID, user_id: UUID) -> UUID:
    """One due event that could not reach one person."""
    return uuid5(PAGER, f"unreachable/{due_event}/{user_id}")


def token_id(user_id: UUID, device_id: str) -> UUID:
    """The push token of a person's device, whatever its present value."""
    return uuid5(PAGER, f"token/{user_id}/{device_id}")
