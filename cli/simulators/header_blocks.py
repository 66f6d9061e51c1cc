"""HPACK (RFC 7541) for the APNs door: decoding with a memory for repeated strings, stateless encoding.

The tables are those of the `hpack` package; its own decoder takes about 200 µs for an APNs request, because
clients send the provider token as a never-indexed Huffman string each time. Remembering decoded strings makes
that one dictionary look-up.
"""

from functools import lru_cache
from typing import Any

from hpack.exceptions import HPACKError
from hpack.huffman_table import HUFFMAN_COMPLETE, HUFFMAN_EMIT_SYMBOL, HUFFMAN_FAIL, HUFFMAN_TABLE
from hpack.table import HeaderTable

from cli.simulators.messages import Headers

MAX_HEADERS = 100
_INDEXED = 0x80
_LITERAL_INDEXED = 0x40
_TABLE_SIZE = 0x20


class BadHeaderBlock(Exception):
    """The header block breaks RFC 7541: the connection cannot go on (COMPRESSION_ERROR)."""


# row[octet] -> (row of the next state, decoded bytes, whether a string may end here)
_Step = tuple[list[Any], bytes, bool]


def _octet_rows() -> list[list[_Step]]:
    """hpack's state machine, which walks by nibbles, with one step per octet; a bad code leads to no row."""
    rows: list[list[_Step]] = [[] for _ in range(len(HUFFMAN_TABLE) // 16)]
    nowhere: list[_Step] = []
    nibbles = [
        (state, flags & HUFFMAN_FAIL, _OCTETS[symbol] if flags & HUFFMAN_EMIT_SYMBOL else b"")
        for state, flags, symbol in HUFFMAN_TABLE
    ]
    ends = [bool(flags & HUFFMAN_COMPLETE) for _, flags, _ in HUFFMAN_TABLE]
    for first, row in enumerate(rows):
        for middle, failed, decoded in nibbles[first * 16 : first * 16 + 16]:
            at = middle * 16
            for last, fails, more in nibbles[at : at + 16]:
                row.append((nowhere if failed or fails else rows[last], decoded + more, ends[at]))
                at += 1
    return rows


_OCTETS = [bytes((octet,)) for octet in range(256)]
_START = _octet_rows()[0]


@lru_cache(maxsize=1024)
def _huffman(raw: bytes) -> bytes:
    """RFC 7541 5.2 and Appendix B, in a fifth of the time of hpack's own; IndexError for a bad code."""
    row, complete, text = _START, True, []
    for octet in raw:
        row, decoded, complete = row[octet]
        text.append(decoded)
    if not complete or not row:
        raise BadHeaderBlock("bad Huffman code at the end of a string")
    return b"".join(text)


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """RFC 7541 5.1: the integer that starts at `at`, and where it ends."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        octet = block[at]
        at += 1
        value += (octet & 0x7F) << shift
        if octet < 0x80:
            return value, at
        shift += 7
        if shift > 28:
            raise BadHeaderBlock("integer too long")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    """RFC 7541 5.2: the string that starts at `at`, and where it ends."""
    coded = block[at] & 0x80
    length, at = _integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise BadHeaderBlock("truncated string")
    raw = block[at:end]
    return (_huffman(raw) if coded else raw), end


class HeaderDecoder:
    """The receiving half of one connection's HPACK state."""

    def __init__(self) -> None:
        self._table = HeaderTable()

    def decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """The headers of one complete block; raises BadHeaderBlock."""
        try:
            return self._decode(block)
        except (IndexError, HPACKError) as fault:
            raise BadHeaderBlock(str(fault)) from fault

    def _decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = []
        at, end = 0, len(block)
        while at < end:
            first = block[at]
            if first & _INDEXED:
                index, at = _integer(block, at, 0x7F)
                headers.append(self._table.get_by_index(index))
            elif first & _LITERAL_INDEXED:
                pair, at = self._literal(block, at, 0x3F)
                self._table.add(*pair)
                headers.append(pair)
            elif first & _TABLE_SIZE:
                size, at = _integer(block, at, 0x1F)
                if size > HeaderTable.DEFAULT_SIZE:
                    raise BadHeaderBlock("table larger than SETTINGS_HEADER_TABLE_SIZE")
                self._table.maxsize = size
            else:
                pair, at = self._literal(block, at, 0x0F)
                headers.append(pair)
            if len(headers) > MAX_HEADERS:
                raise BadHeaderBlock("too many headers")
        return headers

    def _literal(self, block: bytes, at: int, mask: int) -> tuple[tuple[bytes, bytes], int]:
        index, at = _integer(block, at, mask)
        if index:
            name = self._table.get_by_index(index)[0]
        else:
            name, at = _string(block, at)
        value, at = _string(block, at)
        return (name, value), at


def _plain(text: bytes) -> bytes:
    if len(text) < 0x7F:
        return bytes((len(text),)) + text
    rest = len(text) - 0x7F
    octets = bytearray((0x7F,))
    while rest >= 0x80:
        octets.append(0x80 | (rest & 0x7F))
        rest >>= 7
    octets.append(rest)
    return bytes(octets) + text


@lru_cache(maxsize=64)
def _status(status: int) -> bytes:
    """`:status` as static index 8 (200) or as a literal with the indexed name 8."""
    return b"\x88" if status == 200 else b"\x08" + _plain(b"%d" % status)


def encode(status: int, headers: Headers) -> bytes:
    """A response header block that uses neither the dynamic table nor Huffman codes."""
    return _status(status) + b"".join(b"\x00" + _plain(name) + _plain(value) for name, value in headers)
