"""h2 set up for APNs: cheap requests, and streams that outlive a GOAWAY."""

from collections.abc import Iterable

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, ConnectionState, H2Connection, H2ConnectionStateMachine
from hpack import Encoder, HeaderTuple


class _OpenAfterGoaway(H2ConnectionStateMachine):
    """h2 treats a received GOAWAY as the end; by RFC 9113 section 6.8 the streams up to its last id go on."""

    _transitions = {
        **H2ConnectionStateMachine._transitions,
        (ConnectionState.CLIENT_OPEN, ConnectionInputs.RECV_GOAWAY): (None, ConnectionState.CLIENT_OPEN),
    }


class _PlainEncoder(Encoder):
    """HPACK without Huffman codes (RFC 7541 section 5.2 leaves it to us): in Python they were a third of a send."""

    def encode(self, headers: Iterable[HeaderTuple], huffman: bool = False) -> bytes:  # type: ignore[override]
        return super().encode(headers, huffman=False)


def new_client() -> H2Connection:
    """A client's connection. Its caller gives lower-case header names, pseudo-headers first: they are not checked."""
    # h2's own passes over the headers cost more than encoding them.
    config = H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    connection = H2Connection(config)
    connection.state_machine = _OpenAfterGoaway()
    connection.encoder = _PlainEncoder()
    return connection
