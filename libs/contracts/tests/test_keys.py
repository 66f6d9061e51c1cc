"""How people name an incident."""

from __future__ import annotations

from uuid import UUID

import pytest

from libs.contracts.keys import read_key


def test_digits_alone_are_a_number_and_may_begin_an_id() -> None:
    both = read_key("96752274")
    assert both.number == 96752274
    assert both.ids == (
        UUID("96752274-0000-0000-0000-000000000000"),
        UUID("96752274-ffff-ffff-ffff-ffffffffffff"),
    )


@pytest.mark.parametrize(("text", "number"), [("17", 17), ("#17", 17), (" #96752274 ", 96752274)])
def test_what_can_only_be_a_number_is_no_id(text: str, number: int) -> None:
    assert read_key(text) == (number, None)


@pytest.mark.parametrize("text", ["9675227d", "12345678-1234-1234-1234-123456789012", "9" * 32])
def test_what_can_only_be_an_id_is_no_number(text: str) -> None:
    assert read_key(text).number is None
    assert read_key(text).ids is not None


@pytest.mark.parametrize("text", ["", "#", "abc", "nonsense", "#abcd", "9" * 33, "١٢٣٤"])
def test_what_is_neither_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="give its number, its id, or 4 or more digits of the id"):
        read_key(text)
