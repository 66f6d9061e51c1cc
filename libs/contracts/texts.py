"""Texts that people and phones send: what each kind may hold, as a type or a pattern that the schema shows too.

A pattern says all there is to say, in the dialect that Rust, Python and ECMA-262 share: what it refuses, the code
refuses. `EXPECTED` is what a caller is told.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Final
from zoneinfo import available_timezones

import email_validator
from pydantic import AfterValidator, Field

_CONTROLS = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
"""Control characters, line breaks among them: they forge lines of logs and of lists."""
_BLANKS = r"\u0000-\u0020\u007f-\u00a0\u00ad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
"""Spaces of every width, and characters without any."""

ONE_LINE: Final = f"^[^{_CONTROLS}]*[^{_BLANKS}][^{_CONTROLS}]*$"
"""A name or a title: something to see, on one line."""

PHONE: Final = r"^\+[1-9][0-9]{6,14}$"
"""E.164. No tables of national numbers: an old one refuses a number that rings."""

TIME_OF_DAY: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"

DURATION: Final = r"^P([0-9]{1,4}W)?([0-9]{1,5}D)?(T([0-9]{1,6}H)?([0-9]{1,7}M)?([0-9]{1,8}S)?)?$"
"""ISO 8601 without months and years, which have no length. How long it may be is oncall's to say."""

SHORT_NAME: Final = r"^[A-Za-z][A-Za-z0-9_.:-]{0,99}$"
"""What a program calls something."""

PROGRAM_VERSION: Final = r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}$"

EXPECTED: Final = {
    ONE_LINE: "must be one line of text that is not blank, without control characters",
    TIME_OF_DAY: "must be a time of the day, such as 22:00",
    DURATION: "must be an ISO 8601 duration in weeks, days, hours, minutes or seconds, such as PT12H",
    SHORT_NAME: "must be a name of at most 100 letters, digits and ._:-, such as outbox.full",
    PROGRAM_VERSION: "must be a version of at most 32 letters, digits and .+_-, such as 1.4.0",
    PHONE: "must be a phone number in the form of E.164, such as +4930123456",
}
"""What is expected of a text with a pattern."""

# An installation without the Internet names its mail domain as it likes, .local or .test among them: nobody is asked
# whether mail can be delivered, so no name is too special.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


def _email(address: str) -> str:
    """As it was typed: `addresses` makes one form of several.

    Whatever reads a header takes `=?utf-8?q?eve?=` for another text, and writes to that (RFC 2047, section 5).
    """
    try:
        email_validator.validate_email(address.strip(), check_deliverability=False)
    except email_validator.EmailNotValidError as error:
        raise ValueError("must be a valid email address") from error
    if "=?" in address:
        raise ValueError("must be a valid email address")
    return address


EmailAddress = Annotated[
    str, Field(min_length=3, max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_email)
]
"""An address of RFC 5321 and 6531 whose domain has a dot; `addresses` makes one form of several."""

TimeZone = Annotated[str, Field(min_length=1, max_length=64, json_schema_extra={"format": "iana-time-zone"})]
"""A name of the IANA database; which names there are, the services say that compute with them."""


NO_PLACES: Final = frozenset({"localtime", "Factory"})
"""Files of the database that name no place: the machine's own zone, and the placeholder of an unset one."""


@cache
def time_zones() -> frozenset[str]:
    """What somebody may name: no path of a file that happens to be readable as a zone (`posixrules`, `right/UTC`)."""
    return frozenset(available_timezones() - NO_PLACES)
