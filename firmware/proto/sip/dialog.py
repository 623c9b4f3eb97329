"""Dialogs: the peer-to-peer state that requests of one session share.  RFC 3261 12."""

from firmware.proto.sip.headers import Address, parse_address, parse_list
from firmware.proto.sip.message import SIPMessage
from firmware.proto.sip.text import hexadecimal
from firmware.proto.sip.transaction import COOKIE
from firmware.proto.sip.transport import destination_of, transport_of
from firmware.proto.sip.uri import SIPURI, bare_host, bracketed_host, host_port, is_address, parse_uri
from firmware.errors import RemoteError

_FIELDS = ("call_id", "local_tag", "remote_tag", "local", "remote", "target", "routes", "local_cseq",
           "remote_cseq", "peer")


class Identity:
    """What our own side writes into messages, and its random words.

    address, port: ours, for Via and Contact; user_agent; random(n) -> octets; ports: {transport: port} where it differs."""

    def __init__(self, address, port, user_agent, random, ports=None):
        self.address = address
        self.port = port
        self.user_agent = user_agent
        self._random = random
        self.ports = ports or {}
        self.host = host_port(bracketed_host(address), port)

    def host_of(self, transport):
        """Our host and port for a transport."""
        return host_port(bracketed_host(self.address), self.ports.get(transport, self.port))

    def contact_of(self, transport, user="strowger", more=""):
        """Our Contact for a transport; RFC 7118 5.2 has one word for both kinds of WebSocket.  user: None for none."""
        way = "" if transport == "UDP" else ";transport=%s" % ("ws" if transport == "WSS" else transport.lower())
        return "<sip:%s%s%s%s>" % ("" if user is None else user + "@", self.host_of(transport), way, more)

    def branch(self):
        """A new branch; random, so that none repeats after a restart."""
        return COOKIE + hexadecimal(self._random(12))

    def tag(self):
        """A new tag."""
        return hexadecimal(self._random(8))

    def call_id(self):
        """A new Call-ID."""
        return "%s@%s" % (hexadecimal(self._random(16)), bare_host(self.address).replace(":", "-"))

    def via(self, destination=None):
        """A new top Via value for a request to an address.  rport always: RFC 3581 3."""
        transport = transport_of(destination)
        return "SIP/2.0/%s %s;branch=%s;rport" % (transport, self.host_of(transport), self.branch())


class Dialog:
    """One dialog.  local, remote: From or To values without their tag; target: remote target
    URI; routes: route set; peer: address that signalling really comes from where the far end
    sits behind NAT or opened the connection, else None."""
    __slots__ = _FIELDS

    def __init__(self, call_id, local_tag, local, remote, target, local_cseq=0):
        self.call_id = call_id
        self.local_tag = local_tag
        self.remote_tag = None
        self.local = local
        self.remote = remote
        self.target = target
        self.routes = []
        self.local_cseq = local_cseq
        self.remote_cseq = None
        self.peer = None

    def dump(self):
        """JSON-able copy."""
        return {"call_id": self.call_id, "local_tag": self.local_tag, "remote_tag": self.remote_tag, "local": self.local, "remote": self.remote,
                "target": self.target, "routes": list(self.routes), "local_cseq": self.local_cseq, "remote_cseq": self.remote_cseq,
                "peer": None if self.peer is None else list(self.peer)}

    @classmethod
    def restore(cls, record):
        """The inverse of dump()."""
        dialog = cls(None, None, None, None, None)
        for name in _FIELDS:
            setattr(dialog, name, record[name])
        if dialog.peer is not None:
            dialog.peer = tuple(dialog.peer)
        return dialog

    @classmethod
    def from_request(cls, message, local_tag, source):
        """The UAS side (12.1.1).  Raises RemoteError(400) where the Contact is unfit."""
        contacts = message.contacts()
        if len(contacts) > 1:
            raise RemoteError("INVITE needs exactly one Contact", status=400)
        # RFC 2543 let the Contact be left out; requests go back to where the INVITE came from then
        target = contacts[0].uri if contacts else message.from_address.uri
        parse_uri(target)
        to_address = message.to_address
        dialog = cls(message.call_id, local_tag, str(Address(to_address.uri, to_address.display)),
                     str(Address(message.from_address.uri, message.from_address.display)), target)
        dialog.remote_tag = message.from_tag
        dialog.routes = parse_list(message.all("Record-Route"), "Record-Route")
        dialog.remote_cseq = message.cseq[0]
        if not contacts or behind_nat(message, source, target):
            dialog.peer = source
        dialog.reachable(source)
        return dialog

    def established(self, response, source):
        """The UAC side: take remote tag, target and route set from a response (12.1.2)."""
        self.remote_tag = response.to_tag
        contacts = response.contacts()
        if contacts and contacts[0].uri[:3].lower() == "sip":
            self.target = contacts[0].uri
        self.routes = parse_list(response.all("Record-Route"), "Record-Route")
        self.routes.reverse()
        self.reachable(source)

    def reachable(self, source):
        """Where the target or the first route cannot be sent to, send to where the far end spoke from."""
        try:
            self.next_hop()
        except RemoteError:
            self.peer = source

    def next_hop(self):
        """Address (transport.py) that the next request goes to.  Raises RemoteError(503) for a name, which
        nobody here resolves."""
        if self.peer is not None:
            return self.peer
        if self.routes:
            return destination_of(parse_uri(parse_address(self.routes[0], "Route").uri))
        return destination_of(parse_uri(self.target))

    def hop(self):
        """next_hop(), or None where it has none."""
        try:
            return self.next_hop()
        except RemoteError:
            return None

    def request(self, method, identity, cseq=None, hop=None):
        """A request in the dialog (12.2.1.1).  cseq: given for ACK, else the next.  hop: where it goes, if not to next_hop()."""
        if hop is None:
            hop = self.hop()
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri = self.target
        routes = self.routes
        if routes:
            first = parse_uri(parse_address(routes[0], "Route").uri)
            if first.parameter("lr") is None:
                first = SIPURI(first.scheme, first.user, first.host, first.port, first.parameters, (), first.password)
                # a strict router of RFC 2543: it stands in the Request-URI, the target comes last
                routes = routes[1:] + ["<%s>" % uri]
                uri = str(first)
        message = SIPMessage(method, uri)
        message.add("Via", identity.via(hop))
        for route in routes:
            message.add("Route", route)
        message.add("From", "%s;tag=%s" % (self.local, self.local_tag))
        message.add("To", self.remote + (";tag=" + self.remote_tag if self.remote_tag else ""))
        message.add("Call-ID", self.call_id)
        message.add("CSeq", "%d %s" % (cseq, method))
        message.add("Max-Forwards", "70")
        if method in ("INVITE", "UPDATE"):
            message.add("Contact", identity.contact_of(transport_of(hop)))
        if method != "ACK":
            message.add("User-Agent", identity.user_agent)
        return message


def behind_nat(message, source, contact):
    """True where the Contact cannot be trusted as the address to send to.

    The top Via differs from the real source (on a connection: always, for the far end's own port is no address), or
    the Contact holds a name."""
    if len(source) > 2:
        return True
    via = message.via
    host = bare_host(via.host)
    if host != source[0] or (via.port or 5060) != source[1]:
        return True
    return not is_address(parse_uri(contact).host)
