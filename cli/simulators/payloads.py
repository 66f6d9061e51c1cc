"""Reading JSON bodies strictly: UTF-8 only, no NaN or Infinity."""

import json


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def decode(body: bytes) -> object:
    """The value of a JSON body; raises ValueError, also for what is not UTF-8 and for deep nesting."""
    try:
        return _decoder.decode(body.decode("utf-8"))
    except RecursionError as fault:
        raise ValueError("nested too deeply") from fault


def recorded(body: bytes, readable: bool) -> bytes:
    """What the log keeps of a body: JSON as it came, anything else as a JSON string, nothing as null."""
    if readable:
        return body
    return json.dumps(body.decode("utf-8", "replace")).encode() if body else b"null"
