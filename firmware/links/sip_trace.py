"""Writes each SIP message that comes or goes into the ring of signalling, without its secrets (firmware/trace/sip.py).

    trace = SIPTrace(folder, megabytes, own, leg_of)
    trace.put(sent, octets, far)        far: (host, port) or (host, port, transport)
    trace.refused(refusals)             [(octets, far)] that went out in overload: a sum each second, and the first of it

own: {"address", "port", "ports"} of the endpoint.  leg_of(call_id, tags): the leg of ours that a Call-ID belongs to, or None.
"""

import collections
import json
import re
import time

from firmware.trace import ring, sip

SEGMENT_OCTETS = 1 << 20
NOTED = 20_000              # Call-IDs remembered as noted; invented
SUM_US = 1_000_000          # ours: refusals in overload are summed so long, so that the ring keeps what was served
HOSTS_MOST = 20             # ours: named in a sum
INVITE = re.compile(rb"(?i)\n[ \t]*cseq[ \t]*:[ \t]*[0-9]+[ \t]+INVITE")
TAG = re.compile(rb"(?i)\n(?:from|f|to|t)[ \t]*:[^\r\n]*;[ \t]*tag=([^;\r\n> \t]+)")


class SIPTrace:
    """See the module's docstring.  Never raises: a trace costs no call."""

    def __init__(self, folder, megabytes, own, leg_of):
        self._own, self._leg_of = own, leg_of
        self._noted = collections.OrderedDict()
        self.faults = 0
        self._sum, self._hosts, self._since_us = 0, collections.Counter(), 0
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
            if self._sum and time.time_ns() // 1000 - self._since_us >= SUM_US:
                self._say_refused()
            name = sip.call_id(octets)
            if name is not None and name not in self._noted and INVITE.search(octets):
                self._note(name, octets)
        except Exception:
            self.faults += 1

    def refused(self, refusals):
        """What was refused by its octets, before anything else was done with it."""
        try:
            for octets, far in refusals:
                if not self._sum:
                    self._since_us = time.time_ns() // 1000
                    self.put(True, octets, far)
                elif time.time_ns() // 1000 - self._since_us >= SUM_US:
                    self._say_refused()
                    self._since_us = time.time_ns() // 1000
                    self.put(True, octets, far)
                self._sum += 1
                self._hosts[far[0]] += 1
        except Exception:
            self.faults += 1

    def _say_refused(self):
        hosts = dict(self._hosts.most_common(HOSTS_MOST))
        hosts[""] = self._sum - sum(hosts.values())
        row = {"refused": self._sum, "from_us": self._since_us, "hosts": hosts}
        self._sum, self._hosts = 0, collections.Counter()
        if self.ring.most:
            self.ring.put(ring.REFUSED, 0, 0, 1, json.dumps(row).encode())

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
        if self._sum:
            self._say_refused()
        self.ring.close()
