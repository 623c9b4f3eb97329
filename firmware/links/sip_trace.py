"""Writes each SIP message that comes or goes into the ring of signalling, without its secrets (firmware/trace/sip.py).

    trace = SIPTrace(folder, megabytes, own, leg_of)
    trace.put(sent, octets, far)        far: (host, port) or (host, port, transport)

own: {"address", "port", "ports"} of the endpoint.  leg_of(call_id, tags): the leg of ours that a Call-ID belongs to, or None.
"""

import collections
import json
import re

from firmware.trace import ring, sip

SEGMENT_OCTETS = 1 << 20
NOTED = 20_000              # Call-IDs remembered as noted; invented
INVITE = re.compile(rb"(?i)\n[ \t]*cseq[ \t]*:[ \t]*[0-9]+[ \t]+INVITE")
TAG = re.compile(rb"(?i)\n(?:from|f|to|t)[ \t]*:[^\r\n]*;[ \t]*tag=([^;\r\n> \t]+)")


class SIPTrace:
    """See the module's docstring.  Never raises: a trace costs no call."""

    def __init__(self, folder, megabytes, own, leg_of):
        self._own, self._leg_of = own, leg_of
        self._noted = collections.OrderedDict()
        self.faults = 0
        self.ring = ring.Writer(folder, "control", megabytes * (1 << 20) // SEGMENT_OCTETS, SEGMENT_OCTETS)
        self.resize = self.ring.resize

    def put(self, sent, octets, far):
        """One message (or a keep-alive, which is none)."""
        if not self.ring.most or len(octets) < 64 and not octets.strip(b"\r\n\0"):
            return
        try:
            transport = far[2] if len(far) > 2 else "UDP"
            own = self._own["address"], (self._own.get("ports") or {}).get(transport, self._own["port"])
            ends = (own, far[:2]) if sent else (far[:2], own)
            self.ring.put(ring.SIP, 0, 0, sent, sip.pack(transport, *ends, octets))
            name = sip.call_id(octets)
            if name is not None and name not in self._noted and INVITE.search(octets):
                self._note(name, octets)
        except Exception:
            self.faults += 1

    def _note(self, name, octets):
        leg = self._leg_of(name.decode("utf-8", "replace"), [tag.decode("utf-8", "replace") for tag in TAG.findall(octets)])
        if leg is None:
            return                  # not yet: the answer to it is the next chance
        self._noted[name] = True
        if len(self._noted) > NOTED:
            self._noted.popitem(last=False)
        self.ring.put(ring.NOTE, 0, 0, 0, json.dumps({"leg": leg, "call_id": name.decode("latin-1")}).encode())

    def close(self):
        """Let go of the ring."""
        self.ring.close()
