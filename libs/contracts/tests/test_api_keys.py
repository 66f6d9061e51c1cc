"""The form of an API key: what scanners and we tell it by."""

from __future__ import annotations

import math
import string

import pytest

from libs.contracts.api_keys import LENGTH, SHOWN, is_key, new_key

KEY = "pgr_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ07lSw4"


def test_a_new_key_is_one_and_nobody_guesses_it() -> None:
    keys = {new_key() for _ in range(200)}
    assert len(keys) == 200
    assert all(map(is_key, keys))
    assert {len(key) for key in keys} == {LENGTH}
    assert set("".join(key[4:-6] for key in keys)) == set(string.ascii_letters + string.digits)
    assert (LENGTH - SHOWN - 6) * math.log2(62) >= 160, "what is not shown of it"


def test_the_form_stays_what_it_is() -> None:
    """Scanners know it, and so do machines that hold one."""
    assert is_key(KEY)


@pytest.mark.parametrize("at", range(0, LENGTH, 5))
def test_whatever_is_mistyped_is_none(at: int) -> None:
    key = new_key()
    assert not is_key(key[:at] + ("x" if key[at] != "x" else "y") + key[at + 1 :])


@pytest.mark.parametrize("text", ["", "pgr_", KEY[:-1], KEY + "0", KEY.lower(), KEY[:-1] + "\xe9", "PGR_" + KEY[4:]])
def test_whatever_has_another_form_is_none(text: str) -> None:
    assert not is_key(text)
