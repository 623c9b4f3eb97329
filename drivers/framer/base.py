"""What every framer driver offers, and the names of the alarms.

A framer driver gets a bus and a span number (1..64) and keeps no time: whoever
calls it (firmware/chassis) debounces alarms (G.7710: 2.5 s to raise, 10 s to
clear) and polls counters each second."""

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
        Ends loops and forced alarms.  Raises ConfigError for what the chip cannot do."""
        raise NotImplementedError

    def status(self):
        """{"alarms": [names in the order of ALARMS], "in_service": bool}."""
        raise NotImplementedError

    def counters(self):
        """Errors of the second before: {"fas_errors", "crc_errors", "e_bits", "code_violations"}."""
        raise NotImplementedError

    def loop(self, kind):
        """Set one of LOOPS."""
        raise NotImplementedError

    def force(self, rai=False, ais=False):
        """Send RAI or AIS to the line whatever comes in."""
        raise NotImplementedError


def check_settings(span, settings):
    """Raise ConfigError with its path for settings that no framer takes."""
    path = "spans[%d]" % (span - 1)
    if settings.get("type") != "e1":
        raise ConfigError(path + ".type", "%r is not supported by this framer driver yet: use \"e1\"" % (settings.get("type"),))
    if settings.get("crc4", False) not in CRC4_MODES:
        raise ConfigError(path + ".crc4", "%r: use false, true or \"required\"" % (settings["crc4"],))
    if not isinstance(settings.get("cas", False), bool):
        raise ConfigError(path + ".cas", "%r: use true or false" % (settings["cas"],))
