"""SERVICE and SERVICE_ACKNOWLEDGE: B channels in and out of service, North American variants.

Messages of a protocol of their own beside Q.931, with the global call reference:

    discriminator  SERVICE  SERVICE_ACKNOWLEDGE
    0x43           0x07     0x0F                 National ISDN
    0x03           0x0F     0x07                 5ESS, DMS-100 custom

with Change status (identifier 1: bits 3 to 1 are 0 in service, 1 maintenance,
2 out of service; bit 7 set: of a channel) and Channel identification; without
the latter the whole interface is meant.  A received one is answered in the
discriminator in which it came.  The codings are those of libpri 1.6 and of tshark
(0x03 only); libpri answers a SERVICE of ours in 0x43 with a type that does not exist.

Which end may call on a channel (as the Avaya CS 1000 manual tabulates it, and
others do): none where ours is not in service; only the far end where the far
end is in maintenance; none where it is out of service.  Calls that stand are
not touched.  RESTART from the far end, and a data link set up anew, bring the
far end's channels back in service.
"""

from firmware.errors import LocalError, RemoteError
from firmware.proto.q931 import elements, messages

KINDS = {0x43: {0x07: "SERVICE", 0x0F: "SERVICE_ACKNOWLEDGE"}, 0x03: {0x0F: "SERVICE", 0x07: "SERVICE_ACKNOWLEDGE"}}
STATUSES = ("in_service", "maintenance", "out_of_service")
CHANGE_STATUS = 0x01
T3M1_MS = 120000                        # to the answer to SERVICE; with N3M1 by the name that TR 41459 gives them
N3M1_SERVICES = 2
REPEATED_MS = 1000                      # ours: nobody repeats a SERVICE sooner, T3M1 is far longer


def encode(discriminator, kind, flag, status, channel, reference=0, reference_octets=2):
    """Encode a message.  status: a word of STATUSES; channel: value of Channel identification or None."""
    code = [c for c in KINDS[discriminator] if KINDS[discriminator][c] == kind][0]
    value = flag << (8 * reference_octets - 1) | reference
    octets = bytes([discriminator, reference_octets]) + value.to_bytes(reference_octets, "big")
    octets += bytes([code, CHANGE_STATUS, 1, 0xC0 | STATUSES.index(status)])
    return octets + (elements.encode("channel_identification", channel) if channel else b"")


def decode(octets):
    """Decode octets.  Returns (message, status).  Raises RemoteError on what is to be ignored."""
    message = messages.decode(octets, octets[0], KINDS[octets[0]])
    found = [contents for _, identifier, contents in message.other if identifier == CHANGE_STATUS and contents]
    if message.kind is None or message.reference is None or not found or found[0][0] & 7 >= len(STATUSES):
        raise RemoteError("maintenance message %02x without a change status that we know" % message.code)
    return message, STATUSES[found[0][0] & 7]


class MaintenanceProcedures:
    """The half of a Q931Link that has to do with SERVICE."""

    def _receive_maintenance(self, octets, now_ms):
        try:
            message, status = decode(octets)
        except RemoteError:
            self.count("ignored_messages")
            return
        channel = message.get("channel_identification")
        if channel is None and [f for f in message.faults if f[1] == elements.IDENTIFIERS["channel_identification"]]:
            self.count("ignored_messages")
            return
        if channel is not None and channel["d_channel"] and self.on_d_channel is not None:
            # A D channel of NFAS with back-up: d_channels.py answers on the D channel on which it came.
            self.on_d_channel({"kind": message.kind, "interface": self.interface_of(channel), "status": status, "octets": octets}, now_ms)
            return
        timeslots = self._maintained(channel)
        if message.kind == "SERVICE_ACKNOWLEDGE":
            self._service_acknowledged(timeslots, status, now_ms)
            return
        # libpri 1.6 takes the acknowledgement of National ISDN for a SERVICE and answers it: that would never end.
        key = octets.hex()
        news = [t for t in timeslots if self.far_status.get(t, "in_service") != status]
        if not news and now_ms - self._services_answered.get(key, -REPEATED_MS) < REPEATED_MS:
            self.count("repeated_services")
            return
        if len(self._services_answered) > 100:
            self._services_answered = {}
        self._services_answered[key] = now_ms
        for timeslot in timeslots:
            _note(self.far_status, timeslot, status)
        self.send(encode(octets[0], "SERVICE_ACKNOWLEDGE", 1 - message.flag, status, channel,
                         message.reference, message.reference_octets))
        if timeslots:
            self.events.append({"event": "service_indication", "call": None, "timeslots": timeslots, "status": status})

    def _maintained(self, channel):
        """Timeslots that a maintenance message is about; none if about the D channel or what does not exist."""
        if channel is None:
            return list(self.config["timeslots"])
        if channel["d_channel"]:
            return []
        return [t for t in self.timeslots_of(channel) if t in self.config["timeslots"]]

    def service(self, now_ms, timeslot, status):
        """Put a timeslot in or out of service on our side and tell the far end.  Returns events.

        status: "in_service", "maintenance", "out_of_service"; calls that stand go on.
        Then service_confirm{timeslots, status}, or service_failed when nobody answers.
        Raises LocalError where the variant has no SERVICE."""
        if self.rules["maintenance"] is None:
            raise LocalError("variant %s has no SERVICE; block calls on timeslot %r another way" % (self.variant, timeslot))
        if status not in STATUSES or timeslot not in self.config["timeslots"]:
            raise LocalError("service: timeslot %r, status %r; one of %s" % (timeslot, status, ", ".join(STATUSES)))
        _note(self.near_status, timeslot, status)
        kept = [s for s in self._services[1:] if s[0] != timeslot]
        self._services = self._services[:1] + kept + [[timeslot, status, 0]]
        if self.up and len(self._services) == 1:
            self._send_service(now_ms)
        return self._finish()

    def _services_after_link_up(self, now_ms):
        """The far end may have forgotten what we told it, and tells us anew what it has."""
        self.far_status = {}
        waiting = [s[0] for s in self._services]
        for timeslot in sorted(self.near_status):
            if timeslot not in waiting:
                self._services.append([timeslot, self.near_status[timeslot], 0])
        self._send_service(now_ms)

    def _send_service(self, now_ms):
        if not self._services:
            self._timers.stop("T3M1")
            return
        timeslot, status, _ = self._services[0]
        self._services[0][2] += 1
        self.send(encode(self.rules["maintenance"], "SERVICE", 0, status, self.channel(timeslot, True),
                         reference_octets=self.config["reference_octets"]))
        self._timers.start("T3M1", now_ms)

    def _service_acknowledged(self, timeslots, status, now_ms):
        if not self._services or not self._timers.running("T3M1") or self._services[0][:2] != [(timeslots or [None])[0], status]:
            self.count("unexpected_service_acknowledge")
            return
        self._service_over("service_confirm", now_ms)

    def _service_over(self, name, now_ms):
        timeslot, status, _ = self._services.pop(0)
        self.events.append({"event": name, "call": None, "timeslots": [timeslot], "status": status})
        self._send_service(now_ms)

    def _service_timeout(self, now_ms):
        if not self.up or not self._services:
            return                      # link_up sends it again
        if self._services[0][2] >= N3M1_SERVICES:
            self._service_over("service_failed", now_ms)
        else:
            self._send_service(now_ms)

    def in_service(self, timeslot, originating):
        """Whether both ends' maintenance states let a new call have a timeslot."""
        if timeslot in self.near_status:
            return False
        return self.far_status.get(timeslot) not in (STATUSES[1:] if originating else STATUSES[2:])

    def _dump_maintenance(self):
        return {"near_status": sorted([[t, s] for t, s in self.near_status.items()]),
                "far_status": sorted([[t, s] for t, s in self.far_status.items()]), "services": self._services}

    def _restore_maintenance(self, state):
        """Take what was dumped; a dump of before there was maintenance has none."""
        self.near_status = dict([(t, s) for t, s in state.get("near_status", [])])
        self.far_status = dict([(t, s) for t, s in state.get("far_status", [])])
        self._services = [list(s) for s in state.get("services", [])]


def _note(statuses, timeslot, status):
    if status == "in_service":
        statuses.pop(timeslot, None)
    else:
        statuses[timeslot] = status
