"""What every framer driver offers, and the names of the alarms.

A framer driver gets a bus and a span number (1..64) and keeps no time: whoever
calls it (firmware/chassis) debounces alarms (G.7710: 2.5 s to raise, 10 s to
clear) and polls counters each second."""

from drivers.registers import READ, read_pages
from firmware.errors import ConfigError, DriverError, LocalError

# name, X.733 severity, what it means, what to look at
ALARMS = (
    ("los", "critical", "no signal from the line", "cable not plugged, receive pair broken, far end switched off"),
    ("lfa", "critical", "a signal comes, but no frames", "wrong line code or type at one end, or a loop"),
    ("ais", "critical", "the far end or a multiplexer sends all ones", "fault beyond the next equipment: ask the carrier"),
    ("rai", "major", "the far end does not understand what we send", "transmit pair, or CRC-4 set at the far end only"),
    ("lmfa", "minor", "CRC-4 multiframes do not come", "CRC-4 is set at our end only"),
    ("no_crc4", "warning", "the far end sends no CRC-4, we go on without", "set CRC-4 alike at both ends"),
    ("cas_lfa", "major", "no CAS multiframe in timeslot 16", "the far end uses timeslot 16 for something else"),
    ("cas_ais", "major", "timeslot 16 is all ones", "signalling equipment of the far end has failed"),
    ("cas_los", "major", "timeslot 16 is all zeros", "signalling equipment of the far end has failed"),
    ("cas_rai", "major", "the far end lost our CAS multiframe", "CAS is set at one end only"),
    ("transmit_open", "major", "nothing is connected to our transmit pair", "look at the transmit pair: plug, patch panel, cable"),
    ("transmit_short", "major", "our transmit pair is short-circuited", "look at the transmit pair: plug, patch panel, cable"),
    ("framer", "critical", "the framer of this span does not answer, or is another one", "replace the framer card; the other spans go on"),
    ("weak", "minor", "the received signal is weak", "a long or bad cable, or a joint on one wire only"),
)
ABSENT = -1
# out of service: no usable bearer.  RAI is among them since the far end hears nothing (Q.542)
BLOCKING = {"los", "ais", "lfa", "rai"}
ALARM_NAMES = tuple(row[0] for row in ALARMS)
LOOPS = ("none", "local", "remote", "payload", "timeslot")
# T1.403 table 4 and 9.4.1: code word of the ESF data link (None: in band), the loop that it asks for; "none" ends a loop
LOOP_CODES = {"line_up": (0x0E, "remote"), "line_down": (0x38, "none"), "payload_up": (0x14, "payload"),
              "payload_down": (0x32, "none"), "all_down": (0x24, "none"),
              "in_band_up": (None, "remote"), "in_band_down": (None, "none")}
TYPES, FRAMINGS, LINE_CODES, BUILD_OUTS_DB = ("e1", "t1", "j1"), ("esf", "d4"), ("standard", "ami"), ("0", "7.5", "15", "22.5")
SENSITIVITIES, IMPEDANCES_OHM = ("normal", "high", "low"), ("120", "75")
CRC4_MODES = (False, True, "required")   # True: with it, but go on without when the far end has none


class Framer:
    """One span's framer.  Every method raises DriverError when the device does not do it."""

    def __init__(self, bus, span):
        self.bus, self.span = bus, span

    def identify(self):
        """{"chip", "version"} as read from the device."""
        raise NotImplementedError

    IDENTITY = None                      # register by which the chip is known

    @staticmethod
    def wrong_identity(value):
        """A sentence where that value of IDENTITY is not one of the chip that is expected, else None.  ABSENT: the board refused it."""
        raise NotImplementedError

    def configure(self, settings):
        """Set the span up and check what was written by reading it back.

        settings: {"type": one of TYPES, "cas": bool, "line_code": one of LINE_CODES ("standard": HDB3 or B8ZS)}, of an
        "sensitivity": one of SENSITIVITIES, of an E1 "impedance_ohm": one of IMPEDANCES_OHM, and
        "crc4": one of CRC4_MODES; of a T1 or J1 "framing": one of FRAMINGS, "build_out_db": one of BUILD_OUTS_DB.
        Ends loops and forced alarms.  A span that is set up so already is not
        touched (a restarted control must not disturb calls): returns whether
        anything was written.  Raises ConfigError for what the chip cannot do."""
        raise NotImplementedError

    STATUS = ()                          # registers that decode_status needs
    COUNTERS = ()                        # registers that decode_counters needs
    EVENTS = ()                          # registers that decode_events needs; reading them clears them

    def decode_status(self, values):
        """{"alarms": [names in the order of ALARMS], "in_service": bool, "code"?: one of LOOP_CODES that the far end of a T1 sends,
        "level_db", "limit_db", "transmit", "details": {alarm: sentence}, where the chip sees them: falc_line.py} from values of STATUS."""
        raise NotImplementedError

    def decode_counters(self, values):
        """Errors of the second before from values of COUNTERS:
        {"fas_errors", "crc_errors", "e_bits", "code_violations"}."""
        raise NotImplementedError

    def decode_events(self, values):
        """What happened since EVENTS were read before: {"second": a second is over and the counters hold it,
        "slips": 0 to 2, "slips_left_out": those of a far end that is faster, "defects": {kinds of ALARMS that began}}."""
        raise NotImplementedError

    def status(self):
        """As decode_status, read now."""
        return self.decode_status(read_pages(self.bus, [(self.span, self.STATUS)])[0])

    def counters(self):
        """As decode_counters, read now."""
        return self.decode_counters(read_pages(self.bus, [(self.span, self.COUNTERS)])[0])

    def loop(self, kind, timeslot=None):
        """Set one of LOOPS: "local" towards us, "remote" (the line as it comes) and "payload" towards the far end,
        "timeslot" one timeslot towards the far end."""
        raise NotImplementedError

    def force(self, rai=False, ais=False):
        """Send RAI or AIS to the line whatever comes in."""
        raise NotImplementedError

    def listen(self, sensitivity):
        """Another receive sensitivity until configure(), which is told by "level_db" meanwhile; None: the configured one."""
        raise NotImplementedError

    def send_code(self, name):
        """Send one of LOOP_CODES to the far end of a T1 until None is given."""
        raise LocalError("span %d: loop codes are for T1 and J1; at an E1 ask the carrier for a loop" % self.span)


def status_of_all(bus, framers):
    """status() of many framers in one batch: 64 spans take one visit of the board, not 64."""
    values = read_pages(bus, [(framer.span, framer.STATUS) for framer in framers])
    return [framer.decode_status(row) for framer, row in zip(framers, values)]


def look_for_chips(bus, framers):
    """{span: sentence} of framers that are not there or not of the kind expected, from one batch.  framers: {span: framer}."""
    values = bus.batch([(READ, span, framer.IDENTITY.offset, 0) for span, framer in framers.items()], refused=ABSENT)
    return {span: sentence for (span, framer), value in zip(framers.items(), values) if (sentence := framer.wrong_identity(value))}


def _rows_of_chips(bus, wanted):
    """Values of [(framer, registers)], from one batch; None for a framer whose chip is not there.

    The identity is read last: a card that is pulled meanwhile has no values.  Raises DriverError where a chip that is there is refused."""
    rows = []
    for (framer, registers), values in zip(wanted, read_pages(bus, [(framer.span, (*registers, framer.IDENTITY)) for framer, registers in wanted], refused=ABSENT)):
        here = framer.wrong_identity(values.pop()) is None
        if here and min(values) < 0:
            raise DriverError("span %d" % framer.span, "read of registers", "the board refuses one of them and has the framer")
        rows.append(values if here else None)
    return rows


def watch_all(bus, framers):
    """(status(), events) of many framers in one batch; None for one whose chip is not there."""
    framers = list(framers)
    rows = _rows_of_chips(bus, [(framer, (*framer.STATUS, *framer.EVENTS)) for framer in framers])
    return [row and (framer.decode_status(row[:len(framer.STATUS)]), framer.decode_events(row[len(framer.STATUS):]))
            for framer, row in zip(framers, rows)]


def counters_of_all(bus, framers):
    """counters() of many framers in one batch; None for one whose chip is not there."""
    framers = list(framers)
    return [row and framer.decode_counters(row) for framer, row in zip(framers, _rows_of_chips(bus, [(framer, framer.COUNTERS) for framer in framers]))]


def check_settings(span, settings):
    """Raise ConfigError with its path for settings that no framer takes."""
    path = "spans[%d]" % (span - 1)
    if settings.get("type") not in TYPES:
        raise ConfigError(path + ".type", "%r: use one of %s" % (settings.get("type"), ", ".join(TYPES)))
    for name, choices in (("framing", FRAMINGS), ("line_code", LINE_CODES), ("build_out_db", BUILD_OUTS_DB), ("sensitivity", SENSITIVITIES),
                          ("impedance_ohm", IMPEDANCES_OHM)):
        if settings.get(name, choices[0]) not in choices:
            raise ConfigError("%s.%s" % (path, name), "%r: use one of %s" % (settings[name], ", ".join(choices)))
    if settings.get("crc4", False) not in CRC4_MODES:
        raise ConfigError(path + ".crc4", "%r: use false, true or \"required\"" % (settings["crc4"],))
    if not isinstance(settings.get("cas", False), bool):
        raise ConfigError(path + ".cas", "%r: use true or false" % (settings["cas"],))


def check_loop(kind, timeslot, timeslots):
    """Raise LocalError unless a framer with that many timeslots can be looped so."""
    if kind not in LOOPS:
        raise LocalError("loop %r: use one of %s" % (kind, ", ".join(LOOPS)))
    if (kind == "timeslot") != (timeslot is not None) or (timeslot is not None and not 1 <= timeslot <= timeslots):
        raise LocalError("loop %r of timeslot %r: a timeslot from 1 to %d goes with the loop \"timeslot\" and with no other"
                         % (kind, timeslot, timeslots))
