"""What every framer driver offers, and the names of the alarms.

A framer driver gets a bus and a span number (1..64) and keeps no time: whoever
calls it (firmware/chassis) debounces alarms (G.7710: 2.5 s to raise, 10 s to
clear) and polls counters each second."""

from drivers.registers import read_pages
from firmware.errors import ConfigError

# name, X.733 severity, what it means, what to look at
ALARMS = (
    ("los", "critical", "no signal from the line", "cable not plugged, receive pair broken, far end switched off"),
    ("lfa", "critical", "a signal comes, but no E1 frames", "wrong line code or type at one end, or a loop"),
    ("ais", "critical", "the far end or a multiplexer sends all ones", "fault beyond the next equipment: ask the carrier"),
    ("rai", "major", "the far end does not understand what we send", "transmit pair, or CRC-4 set at the far end only"),
    ("lmfa", "minor", "CRC-4 multiframes do not come", "CRC-4 is set at our end only"),
    ("no_crc4", "warning", "the far end sends no CRC-4, we go on without", "set CRC-4 alike at both ends"),
    ("cas_lfa", "major", "no CAS multiframe in timeslot 16", "the far end uses timeslot 16 for something else"),
    ("cas_ais", "major", "timeslot 16 is all ones", "signalling equipment of the far end has failed"),
    ("cas_los", "major", "timeslot 16 is all zeros", "signalling equipment of the far end has failed"),
    ("cas_rai", "major", "the far end lost our CAS multiframe", "CAS is set at one end only"),
)
ALARM_NAMES = tuple(row[0] for row in ALARMS)
LOOPS = ("none", "local", "remote", "payload")
CRC4_MODES = (False, True, "required")   # True: with it, but go on without when the far end has none


class Framer:
    """One span's framer.  Every method raises DriverError when the device does not do it."""

    def __init__(self, bus, span):
        self.bus, self.span = bus, span

    def identify(self):
        """{"chip", "version"} as read from the device."""
        raise NotImplementedError

    def configure(self, settings):
        """Set the span up and check what was written by reading it back.

        settings: {"type": "e1", "crc4": one of CRC4_MODES, "cas": bool}.
        Ends loops and forced alarms.  A span that is set up so already is not
        touched (a restarted control must not disturb calls): returns whether
        anything was written.  Raises ConfigError for what the chip cannot do."""
        raise NotImplementedError

    STATUS = ()                          # registers that decode_status needs
    COUNTERS = ()                        # registers that decode_counters needs
    EVENTS = ()                          # registers that decode_events needs; reading them clears them

    def decode_status(self, values):
        """{"alarms": [names in the order of ALARMS], "in_service": bool} from values of STATUS."""
        raise NotImplementedError

    def decode_counters(self, values):
        """Errors of the second before from values of COUNTERS:
        {"fas_errors", "crc_errors", "e_bits", "code_violations"}."""
        raise NotImplementedError

    def decode_events(self, values):
        """What happened since EVENTS were read before: {"second": a second is over and the counters hold it,
        "slips": 0 to 2, "defects": {kinds of ALARMS that began}}."""
        raise NotImplementedError

    def status(self):
        """As decode_status, read now."""
        return self.decode_status(read_pages(self.bus, [(self.span, self.STATUS)])[0])

    def counters(self):
        """As decode_counters, read now."""
        return self.decode_counters(read_pages(self.bus, [(self.span, self.COUNTERS)])[0])

    def loop(self, kind):
        """Set one of LOOPS."""
        raise NotImplementedError

    def force(self, rai=False, ais=False):
        """Send RAI or AIS to the line whatever comes in."""
        raise NotImplementedError


def status_of_all(bus, framers):
    """status() of many framers in one batch: 64 spans take one visit of the board, not 64."""
    values = read_pages(bus, [(framer.span, framer.STATUS) for framer in framers])
    return [framer.decode_status(row) for framer, row in zip(framers, values)]


def watch_all(bus, framers):
    """(status(), events) of many framers in one batch."""
    framers = list(framers)
    values = read_pages(bus, [(framer.span, framer.STATUS + framer.EVENTS) for framer in framers])
    return [(framer.decode_status(row[:len(framer.STATUS)]), framer.decode_events(row[len(framer.STATUS):]))
            for framer, row in zip(framers, values)]


def counters_of_all(bus, framers):
    """counters() of many framers in one batch."""
    values = read_pages(bus, [(framer.span, framer.COUNTERS) for framer in framers])
    return [framer.decode_counters(row) for framer, row in zip(framers, values)]


def check_settings(span, settings):
    """Raise ConfigError with its path for settings that no framer takes."""
    path = "spans[%d]" % (span - 1)
    if settings.get("type") != "e1":
        raise ConfigError(path + ".type", "%r is not supported by this framer driver yet: use \"e1\"" % (settings.get("type"),))
    if settings.get("crc4", False) not in CRC4_MODES:
        raise ConfigError(path + ".crc4", "%r: use false, true or \"required\"" % (settings["crc4"],))
    if not isinstance(settings.get("cas", False), bool):
        raise ConfigError(path + ".cas", "%r: use true or false" % (settings["cas"],))
