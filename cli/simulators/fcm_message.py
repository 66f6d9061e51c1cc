"""What FCM HTTP v1 accepts as a message (firebase.google.com, reference/fcm/rest/v1/projects.messages)."""

import re

MAX_PAYLOAD = 4096
MAX_TTL = 2_419_200  # s, four weeks
MAX_TOKEN = 4096
_TTL = re.compile(r"(\d{1,9})(\.\d{1,9})?s")
_RESERVED = ("from", "message_type")
_RESERVED_STARTS = ("google", "gcm")
_MESSAGE = {"name", "token", "data", "notification", "android", "apns", "webpush", "fcm_options"}
_ANDROID = {
    "bandwidth_constrained_ok",
    "collapse_key",
    "data",
    "direct_boot_ok",
    "fcm_options",
    "notification",
    "priority",
    "restricted_package_name",
    "restricted_satellite_ok",
    "ttl",
}


class InvalidMessage(Exception):
    """The message would be refused with INVALID_ARGUMENT; `field` is the path of the culprit."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


def check(document: object) -> None:
    """Raise InvalidMessage for the first thing that FCM would refuse in the body of a send request."""
    body = _object(document, "")
    for name in body:
        if name not in ("message", "validate_only", "validateOnly"):
            raise InvalidMessage(name, f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    message = _object(body.get("message"), "message")
    _known(message, _MESSAGE, "message")
    token = message.get("token")
    if not isinstance(token, str) or not token or len(token) > MAX_TOKEN:
        raise InvalidMessage("message.token", "The registration token is not a valid FCM registration token")
    android = _object(message.get("android", {}), "message.android")
    _known(android, _ANDROID, "message.android")
    size = _data_size(message.get("data", {}), "message.data") + _data_size(
        android.get("data", {}), "message.android.data"
    )
    for name in ("title", "body"):
        size += len(str(_object(message.get("notification", {}), "message.notification").get(name, "")).encode())
    if size > MAX_PAYLOAD:
        raise InvalidMessage("message", "Android message is too big")
    _check_android(android)


def _check_android(android: dict[str, object]) -> None:
    priority = android.get("priority", "NORMAL")
    if not isinstance(priority, str) or priority.upper() not in ("NORMAL", "HIGH"):
        raise InvalidMessage("message.android.priority", "Invalid value at 'message.android.priority'")
    ttl = android.get("ttl", "0s")
    match = _TTL.fullmatch(ttl) if isinstance(ttl, str) else None
    if match is None or int(match[1]) > MAX_TTL:
        raise InvalidMessage("message.android.ttl", "Invalid value at 'message.android.ttl' (0s to 2419200s)")
    direct = android.get("direct_boot_ok", android.get("directBootOk", False))
    if not isinstance(direct, bool):
        raise InvalidMessage("message.android.direct_boot_ok", "Invalid value (TYPE_BOOL)")


def _object(value: object, field: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidMessage(field or "body", f"Invalid value at '{field}': an object is expected")
    return value


def _known(document: dict[str, object], names: set[str], field: str) -> None:
    """Protobuf's JSON mapping takes both snake_case and camelCase names, and refuses unknown ones."""
    if document.keys() <= names:
        return
    for name in document:
        if re.sub("([A-Z])", lambda found: "_" + found[1].lower(), name) not in names:
            why = f"Invalid JSON payload received. Unknown name \"{name}\" at '{field}': Cannot find field."
            raise InvalidMessage(f"{field}.{name}", why)


def _data_size(value: object, field: str) -> int:
    """Bytes of keys and values of a data map; every value must be a string."""
    size = 0
    for key, text in _object(value, field).items():
        if not isinstance(text, str):
            raise InvalidMessage(f"{field}[{key}]", f"Invalid value at '{field}[{key}]' (TYPE_STRING)")
        if key in _RESERVED or key.startswith(_RESERVED_STARTS):
            raise InvalidMessage(field, f"Invalid data payload key: {key}")
        size += len(key.encode()) + len(text.encode())
    return size
