"""SIP messages in the ring: with both addresses, and without what nobody may read there.

A record's payload: u8 transport (UDP 0, TCP 1, TLS 2, WSS 3), then twice (the sender, the receiver) u8 family (4 or 6), the address and
u16 port, then the message.  A note (ring.NOTE) is JSON {"leg", "call_id"}: of which leg of ours a Call-ID is, so that the trace of a call
finds its messages long after.  What is refused in overload is not kept one by one: ring.REFUSED is JSON {"refused", "from_us", "hosts": {address: how
many, "": others}}, one a second, beside the first refusal of that second as it was sent.

Masked, octet for octet so that Content-Length stays true: SRTP keys (a=crypto, k=), ICE passwords, Basic credentials and
passwords in URIs, digits that INFO carries (they may be a code).  Digests stay: they are no password in clear.
"""

import functools
import ipaddress
import json
import re
import struct

from firmware.trace._signs import PASSWORD, SIGNS, signs

TRANSPORTS = ("UDP", "TCP", "TLS", "WSS")
PORT = struct.Struct(">H")
MESSAGE_MOST = 60000
# What is masked where its sign stands (_signs.SIGNS, in this order), in whatever letters; a header may be folded.
SECRETS = (
    re.compile(rb"(?i)(inline:)([A-Z0-9+/=]+)"),
    re.compile(rb"(?i)(\nk=[a-z0-9]+:)([^\r\n]+)"),
    re.compile(rb"(?i)(ice-pwd:)([^\r\n]+)"),
    re.compile(rb"(?i)(\n(?:proxy-)?authorization[ \t]*:(?:\r?\n(?=[ \t])|[ \t])*basic(?:\r?\n(?=[ \t])|[ \t])+)([^\r\n]+)"),
    re.compile(rb"(?i)(\nsignal[ \t]*=[ \t]*)([0-9A-D*#]+)"))
# What stands whole before an @, and where a password begins in it: each octet is looked at once, whatever was sent.
RUN = re.compile(rb"(?<![^\s<>\"@])[^\s<>\"@]+(?=@)")
URI = re.compile(rb"(?i)sips?:[^:;]+:")
DTMF_SIGN = 1 << SIGNS.index(b"application/dtmf")
DTMF = re.compile(rb"(?i)\ncontent-type[ \t]*:[ \t]*application/dtmf(?=\r)")
DIGITS = re.compile(rb"(?i)()([0-9A-D*#]+)")
HOSTS_KEPT = 4096               # addresses kept packed; ours
CALL_ID = re.compile(rb"(?i)\r?\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n \t]+)")


def _masked(match):
    return match.group(1) + b"X" * len(match.group(2))


def _masked_run(match):
    run = match.group()
    found = URI.search(run)
    return run if found is None else run[:found.end()] + b"X" * (len(run) - found.end())


def mask(octets):
    """A message without its secrets, of the same length."""
    found = signs(octets)
    if not found:
        return octets
    for n, pattern in enumerate(SECRETS):
        if found >> n & 1:
            octets = pattern.sub(_masked, octets)
    if found & PASSWORD:
        octets = RUN.sub(_masked_run, octets)
    kind = DTMF.search(octets) if found & DTMF_SIGN else None
    if kind is not None:
        head, end, body = octets[kind.end():].partition(b"\r\n\r\n")
        octets = octets[:kind.end()] + head + end + DIGITS.sub(_masked, body)
    return octets


@functools.lru_cache(HOSTS_KEPT)
def _packed(host):
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = ipaddress.ip_address("0.0.0.0")
    return bytes([address.version]) + address.packed


def _end(host, port):
    return _packed(host) + PORT.pack(port & 0xFFFF)


@functools.lru_cache(HOSTS_KEPT)
def _head(transport, sender, receiver):
    return bytes([TRANSPORTS.index(transport) if transport in TRANSPORTS else 0]) + _end(*sender) + _end(*receiver)


def pack(transport, sender, receiver, octets):
    """The payload of a record.  transport: one of TRANSPORTS; sender, receiver: (host, port)."""
    return _head(transport, sender, receiver) + mask(octets[:MESSAGE_MOST])


def unpack(payload):
    """(transport, (sender's address, port), (receiver's address, port), message) of a payload, or None for what is none."""
    try:
        at, ends = 1, []
        for _ in range(2):
            length = {4: 4, 6: 16}[payload[at]]
            address = ipaddress.ip_address(bytes(payload[at + 1:at + 1 + length]))
            ends.append((address, PORT.unpack_from(payload, at + 1 + length)[0]))
            at += 3 + length
        return TRANSPORTS[payload[0]], ends[0], ends[1], payload[at:]
    except (LookupError, ValueError, struct.error):
        return None


def refusals(payload):
    """(how many, [addresses], a sentence) of a record of refusals, or None for what is none."""
    try:
        row = json.loads(payload)
        hosts = [(ipaddress.ip_address(host), int(count)) for host, count in row["hosts"].items() if host]
        text = "%d new SIP requests were refused in overload since %d us: %s" % (row["refused"], row["from_us"], ", ".join(
            "%d of %s" % (count, host) for host, count in hosts))
        return int(row["refused"]), [host for host, _ in hosts], text
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def call_id(octets):
    """The Call-ID of a message, or None."""
    at = octets.find(b"\r\nCall-ID: ")          # as nearly all write it
    if at >= 0:
        end = octets.find(b"\r", at + 11)
        name = octets[at + 11:end if end >= 0 else len(octets)].strip(b" \t")
        if name and b" " not in name and b"\t" not in name and b"\n" not in name:
            return name
    found = CALL_ID.search(octets)
    return None if found is None else found.group(1)
