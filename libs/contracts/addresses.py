"""The one form in which people's e-mail addresses are stored, compared and remembered."""

from unicodedata import normalize


def one_address(typed: str) -> str:
    """Of an address as somebody typed it: keyboards add spaces and capitals, and compose one letter in several ways.

    In small letters, and not folded further: straße.de and strasse.de are two domains.
    """
    return normalize("NFC", normalize("NFC", typed.strip()).lower())
