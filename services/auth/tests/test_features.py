"""For whom a flag is on: what was said last, and nothing where that is the same."""

from __future__ import annotations

from functools import reduce
from uuid import UUID

from libs.contracts.features import Feature
from services.auth.domain.features import Command, Flag, RollOut, SetFeature, decide, evolve, initial

JO, DI = UUID(int=1), UUID(int=2)
BULK = Feature.BULK


def after(*commands: Command) -> Flag:
    return reduce(lambda state, command: reduce(evolve, decide(command, state), state), commands, initial())


def test_a_flag_is_on_for_everybody_until_somebody_says_otherwise() -> None:
    assert after() == Flag(enabled=True)
    assert after(SetFeature(BULK, False, None, ())) == Flag(enabled=False)


def test_all_of_it_is_replaced() -> None:
    begun = SetFeature(BULK, True, 20, (JO,))
    assert after(begun) == Flag(True, 20, (JO,))
    assert after(begun, SetFeature(BULK, True, None, ())) == Flag(True)


def test_a_roll_out_keeps_those_whom_it_names_and_switches_it_on() -> None:
    assert after(SetFeature(BULK, False, None, (JO,)), RollOut(BULK, 30)) == Flag(True, 30, (JO,))


def test_the_same_in_another_order_and_twice_is_nothing() -> None:
    state = after(SetFeature(BULK, True, 20, (DI, JO)))
    assert decide(SetFeature(BULK, True, 20, (JO, DI, JO)), state) == []
    assert decide(RollOut(BULK, 20), state) == []
    assert decide(SetFeature(BULK, True, None, ()), initial()) == []
