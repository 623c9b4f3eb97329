"""Ways a message travels: addresses with their transport.  RFC 3261 18, 19.1.1; RFC 7118 5.

An address is (host, port) for UDP and (host, port, "TCP"|"TLS"|"WS"|"WSS") for the others.  For a connection that the
far end opened, the port is the one that it came from: the tuple is then the name of that connection, so what
is sent to where a message came from goes over the connection that it came on.
"""

from firmware.errors import RemoteError
from firmware.proto.sip.uri import bare_host, is_address

UDP = "UDP"
STREAMS = ("TCP", "TLS", "WS", "WSS")
SECURE = ("TLS", "WSS")
DEFAULT_PORT = 5060
SECURE_PORT = 5061


def transport_of(address):
    """"UDP", "TCP", ... of an address; UDP of None."""
    return address[2] if address is not None and len(address) > 2 else UDP


def is_reliable(address):
    """Whether an address is reached over a connection."""
    return len(address) > 2


def address_of(host, port, transport):
    """An address, with the default port where it has none."""
    transport = transport.upper()
    port = port or (SECURE_PORT if transport in SECURE else DEFAULT_PORT)
    return (host, port) if transport == UDP else (host, port, transport)


def transport_of_uri(uri):
    """Which transport a SIPURI asks for (19.1.1; sips is TLS or a secure WebSocket)."""
    asked = (uri.parameter("transport") or "").upper()
    if uri.scheme == "sips":
        return "WSS" if asked in ("WS", "WSS") else "TLS"
    return asked if asked in STREAMS else UDP


def destination_of(uri):
    """Address of a SIPURI whose host is an address.  Raises RemoteError(503) for a name, which nobody here resolves."""
    if not is_address(uri.host):
        raise RemoteError("host %s is a name; give its address" % uri.host[:60], status=503)
    return address_of(bare_host(uri.host), uri.port, transport_of_uri(uri))
