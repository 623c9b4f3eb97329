"""Registration for many numbers at once (RFC 6140): a PBX registers one Contact without a user part, marked "bnc", and gets the calls of
all its numbers there.

Either side: our trunk of kind "register" with "bulk" writes such a Contact (trunks.py); a trunk of kind "pbx" is the place of a PBX
that registers here (this module).  The PBX shows user and password of its trunk (incoming_user), in the REGISTER and in each INVITE.
"""

from firmware.errors import RemoteError
from firmware.proto.sip.dialog import behind_nat
from firmware.proto.sip.headers import parse_address, parse_list
from firmware.proto.sip.text import number
from firmware.proto.sip.transport import destination_of
from firmware.proto.sip.uri import SIPURI, parse_uri

GIN = "gin"                          # option tag, RFC 6140 12.1
MOST_PATH = 8                        # ours
LEAST_S, MOST_S = 60, 86400          # ours


def is_bulk(message):
    """Whether a REGISTER is one for many numbers: it demands gin."""
    return GIN in [token.lower() for token in message.tokens("Require")]


def contact_of(message):
    """(SIPURI, its header parameters) of the one Contact with bnc.  Raises RemoteError(400)."""
    found = [address for address in message.contacts() if parse_uri(address.uri).parameter("bnc") is not None]
    if len(found) != 1 or len(message.contacts()) != 1:
        raise RemoteError("a registration for many numbers has one Contact, with bnc", status=400)
    uri = parse_uri(found[0].uri)
    if uri.user is not None:
        raise RemoteError("the Contact with bnc has a user part, which stands for one number only (RFC 6140 5.2)", status=400)
    return uri, found[0]


def bind(trunk, message, source, now_ms):
    """Carry out an authenticated REGISTER of a PBX at its trunk.  Returns the seconds granted.  Raises RemoteError."""
    uri, address = contact_of(message)
    if trunk.bulk is not None and trunk.bulk["call_id"] == message.call_id and message.cseq[0] <= trunk.bulk["cseq"]:
        raise RemoteError("REGISTER out of order", status=500)
    text = address.parameter("expires") or message.get("Expires")
    seconds = None if text is None else number(text.strip(), 2 ** 32 - 1)
    seconds = trunk.row["register_s"] if seconds is None else min(seconds, MOST_S)
    if seconds and seconds < LEAST_S:
        raise RemoteError("registration interval too brief", status=423)
    if not seconds:
        trunk.unbind("the PBX has taken its registration back", now_ms)
        return 0
    path = parse_list(message.all("Path"), "Path")
    if len(path) > MOST_PATH:
        raise RemoteError("more than %d proxies in Path" % MOST_PATH, status=400)
    if path:
        first = parse_uri(parse_address(path[0], "Path").uri)
        where = _or(first, source)
    elif len(source) > 2 or behind_nat(message, source, address.uri):
        where = tuple(source)
    else:
        where = destination_of(uri)
    more = [(name, value) for name, value in uri.parameters if name != "bnc"]
    target = str(SIPURI(uri.scheme, None, uri.host, uri.port, more))
    trunk.bind(where, path, {"call_id": message.call_id, "cseq": message.cseq[0], "target": target}, seconds, now_ms)
    return seconds


def _or(uri, source):
    try:
        return destination_of(uri)
    except RemoteError:
        return tuple(source)


def target_of(bulk, user):
    """Request-URI for a number of the PBX: its Contact with the number as user part, without bnc (RFC 6140 5.3)."""
    uri = parse_uri(bulk["target"])
    return str(SIPURI(uri.scheme, user, uri.host, uri.port, uri.parameters))
