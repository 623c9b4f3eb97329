"""Driver of one port of a FALC framer: E1, T1 or J1 by what it is configured for.

Everything goes through the bus, so the same driver runs on the rack and on the emulated board."""

from drivers.framer.base import Framer, check_settings
from drivers.framer.falc_e1 import FALCE1
from drivers.framer.falc_t1 import FALCT1


class FALC(Framer):
    """One port.  bus: a RequestRing, or anything with its batch().  An E1 port until configure()."""

    def __init__(self, bus, span):
        super().__init__(bus, span)
        self._mode = FALCE1(bus, span)

    STATUS = property(lambda self: self._mode.STATUS)
    COUNTERS = property(lambda self: self._mode.COUNTERS)
    EVENTS = property(lambda self: self._mode.EVENTS)
    TIMESLOTS = property(lambda self: self._mode.TIMESLOTS)

    IDENTITY = property(lambda self: self._mode.IDENTITY)

    def wrong_identity(self, value):
        return self._mode.wrong_identity(value)

    def identify(self):
        return self._mode.identify()

    def configure(self, settings):
        check_settings(self.span, settings)
        kind = FALCE1 if settings["type"] == "e1" else FALCT1
        if not isinstance(self._mode, kind):
            self._mode = kind(self.bus, self.span)
        return self._mode.configure(settings)

    def decode_status(self, values):
        return self._mode.decode_status(values)

    def decode_counters(self, values):
        return self._mode.decode_counters(values)

    def decode_events(self, values):
        return self._mode.decode_events(values)

    def loop(self, kind, timeslot=None):
        self._mode.loop(kind, timeslot)

    def force(self, rai=False, ais=False):
        self._mode.force(rai, ais)

    def listen(self, sensitivity):
        self._mode.listen(sensitivity)

    def send_code(self, name):
        self._mode.send_code(name)
