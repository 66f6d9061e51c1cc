"""What the server writes on a connection, line by line, whatever senders have put between the spaces.

To nats-py's own parser every white space ends a subject: one alert on a subject that holds a form feed or a carriage
return, which nats-server 2.15 takes and stores, is "unknown protocol" to every reader of its stream, again and again.
"""

from __future__ import annotations

import json
import re

from nats.errors import ProtocolError
from nats.protocol.parser import Parser

# The empty group stands where the other has the length of the headers. The server puts single spaces between the words,
# and no word holds a space, a tab or a line feed.
_PLAIN = re.compile(rb"MSG ([^ \n]+) (\d+) (?:([^ \n]+) )?()(\d+)\r\n")
_WITH_HEADERS = re.compile(rb"HMSG ([^ \n]+) (\d+) (?:([^ \n]+) )?(\d+) (\d+)\r\n")
_END = b"\r\n"


class LineParser(Parser):
    """Calls the client's `hand_over`, and else its `_process_msg` and its like, as nats-py's parser does."""

    async def parse(self, data: bytes = b"") -> None:
        """Take what was read; what is not whole yet waits for the next call.

        Raises:
            ProtocolError: this is not the protocol, so nothing that follows can be understood.
        """
        self.buf += data
        while buffer := self.buf:  # looked up anew each time: a reset puts another in its place
            found = _PLAIN.match(buffer) or _WITH_HEADERS.match(buffer)
            if found is None:
                end = buffer.find(_END)
                if end < 0:
                    return
                line = bytes(buffer[:end])
                del buffer[: end + len(_END)]
                await self._control(line)
                continue
            subject, sid, reply, header_size, size = found.groups()
            begin = found.end()
            end = begin + int(size)
            if len(buffer) < end + len(_END):
                return
            middle = begin + int(header_size or 0)
            block = bytes(buffer[begin:middle]) or None
            body = bytes(buffer[middle:end])
            del buffer[: end + len(_END)]
            if not self.nc.hand_over(int(sid), subject, reply or b"", block, body):
                await self.nc._process_msg(int(sid), subject, reply or b"", body, block)

    async def _control(self, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        match word.upper():
            case b"PING":
                await self.nc._process_ping()
            case b"PONG":
                await self.nc._process_pong()
            case b"INFO":
                await self.nc._process_info(json.loads(rest))
            case b"-ERR":
                await self.nc._process_err(rest.strip().decode("utf-8", "replace").lower())
            case b"+OK":
                pass
            case _:
                raise ProtocolError("nats: unknown protocol")
