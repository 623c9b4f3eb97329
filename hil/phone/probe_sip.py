"""SIP messages for the probe phone: read, write, digest, session description.

As little as a telephone on one UDP socket wants.  RFC 3261 (7, 20), RFC 7616
(MD5 with qop=auth), RFC 8866 (SDP).  Imports nothing of the product.
"""

import collections
import hashlib
import os
import re

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
           "c": "content-type", "k": "supported"}


class Message:
    """start: the first line; headers: [(lower-case name, value)] in order; body: octets."""

    def __init__(self, start, headers, body=b""):
        self.start, self.headers, self.body = start, headers, body

    @property
    def status(self):
        """Status code of a response, 0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self):
        """Of a request its own, of a response that of its CSeq."""
        return self.get("cseq").split()[1] if self.status else self.start.split()[0]

    @property
    def branch(self):
        """The transaction: branch of the topmost Via."""
        found = re.search(r"branch=([^;,\s]+)", self.get("via"))
        return found.group(1) if found else ""

    def get(self, name, default=""):
        """Value of the first header field of a name."""
        return next((value for key, value in self.headers if key == name), default)

    def all(self, name):
        return [value for key, value in self.headers if key == name]

    def tag(self, name):
        """The tag of From or To, or ""."""
        found = re.search(r";\s*tag=([^;,\s>]+)", self.get(name).rsplit(">", 1)[-1])
        return found.group(1) if found else ""

    def uri(self, name):
        """The address in <> of a header field, or all before its parameters."""
        value = self.get(name)
        found = re.search(r"<([^>]*)>", value)
        return found.group(1) if found else value.split(";")[0].strip()

    def octets(self):
        lines = [self.start] + [f"{key.title()}: {value}" for key, value in self.headers]
        return "\r\n".join(lines + [f"Content-Length: {len(self.body)}", "", ""]).encode() + self.body


def parse(octets):
    """Message.  Raises ValueError on what is none."""
    head, _, body = octets.partition(b"\r\n\r\n")
    lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"no header field: {line!r}")
        name = name.strip().lower()
        headers.append((COMPACT.get(name, name), value.strip()))
    message = Message(lines[0], [(k, v) for k, v in headers if k != "content-length"], body)
    if not (lines[0].startswith("SIP/2.0 ") or lines[0].endswith(" SIP/2.0")) or not message.get("cseq"):
        raise ValueError(f"no SIP message: {lines[0]!r}")
    return message


def response(request, status, reason, to_tag, headers=(), body=b""):
    """The answer to a request."""
    copied = [(k, v) for k, v in request.headers if k in ("via", "from", "to", "call-id", "cseq", "record-route")]
    if to_tag and not request.tag("to"):
        copied = [(k, f"{v};tag={to_tag}" if k == "to" else v) for k, v in copied]
    return Message(f"SIP/2.0 {status} {reason}", copied + list(headers), body)


def _md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def authorization(challenge, user, password, method, uri):
    """Value of Authorization for the value of a WWW-Authenticate.  Raises ValueError when it is not MD5."""
    fields = {k.lower(): v.strip('"') for k, v in re.findall(r'(\w+)\s*=\s*("[^"]*"|[^,\s]+)', challenge)}
    if not challenge.lower().startswith("digest") or fields.get("algorithm", "MD5").upper() != "MD5":
        raise ValueError(f"this phone knows MD5 digest only, not: {challenge}")
    ha1 = _md5(f"{user}:{fields['realm']}:{password}")
    ha2 = _md5(f"{method}:{uri}")
    parts = [f'username="{user}"', f'realm="{fields["realm"]}"', f'nonce="{fields["nonce"]}"', f'uri="{uri}"']
    if "auth" in re.split(r"\s*,\s*", fields.get("qop", "")):
        cnonce = os.urandom(8).hex()
        answer = _md5(f"{ha1}:{fields['nonce']}:00000001:{cnonce}:auth:{ha2}")
        parts += ["qop=auth", "nc=00000001", f'cnonce="{cnonce}"']
    else:
        answer = _md5(f"{ha1}:{fields['nonce']}:{ha2}")
    parts += [f'response="{answer}"', "algorithm=MD5"]
    if "opaque" in fields:
        parts.append(f'opaque="{fields["opaque"]}"')
    return "Digest " + ", ".join(parts)


Media = collections.namedtuple("Media", "host port payload_types direction")


RTPMAP = {0: "PCMU/8000", 8: "PCMA/8000", 18: "G729/8000", 101: "telephone-event/8000"}


def describe(host, port, version, direction="sendrecv", payload_types=(8,)):
    """Our session description, 20 ms; payload_types: of RTPMAP, the best first."""
    kinds = "".join(f"a=rtpmap:{number} {RTPMAP[number]}\r\n" for number in payload_types)
    return (f"v=0\r\no=probe 1 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {' '.join(map(str, payload_types))}\r\n{kinds}a=ptime:20\r\na={direction}\r\n").encode()


def read_description(body, payload_types=(8,)):
    """Media of their session description.  Raises ValueError without an audio stream that has one of ours."""
    text = body.decode("utf-8", "replace")
    audio = re.search(r"^m=audio (\d+) RTP/AVP ([\d ]+)", text, re.M)
    hosts = re.findall(r"^c=IN IP4 (\S+)", text, re.M)
    if not audio or not hosts or not {str(number) for number in payload_types} & set(audio.group(2).split()):
        raise ValueError(f"none of {payload_types} is offered: {text!r}")
    direction = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", text, re.M)
    return Media(hosts[-1], int(audio.group(1)), [int(n) for n in audio.group(2).split()],
                 direction.group(1) if direction else "sendrecv")
