"""Power supplies that speak PMBus.

A supply may be pulled out at any time: then nothing answers at its address, presence() says so and it is no fault of
the bus.  READINGS that a supply does not have are left out (it answers with a NACK and sets CML)."""

from drivers import pmbus_regs as r
from drivers.i2c import Device
from firmware.errors import DriverError

READINGS = (("input_v", r.READ_VIN), ("input_a", r.READ_IIN), ("output_a", r.READ_IOUT), ("output_w", r.READ_POUT),
            ("input_w", r.READ_PIN), ("temperature_c", r.READ_TEMPERATURE_1), ("fan_rpm", r.READ_FAN_SPEED_1))
# field of STATUS_WORD -> what people are told, in the order of importance
FAULTS = (("VIN_UV", "no or low mains"), ("INPUT", "mains out of range"), ("VOUT_OV", "output voltage too high"),
          ("VOUT", "output voltage out of range"), ("IOUT_OC", "overload"), ("IOUT_POUT", "output current out of range"),
          ("TEMPERATURE", "too hot"), ("FANS", "its fan fails"), ("OFF", "switched off"), ("POWER_GOOD_N", "output not good"),
          ("MFR", "a fault of the manufacturer's own list"), ("UNKNOWN", "a fault without a name"))


class PowerSupply(Device):
    """bus: smbus2 interface; number: 1.. as printed beside the slot."""

    def __init__(self, bus, address, number, pec=True):
        super().__init__(bus, address, "power supply %d" % number, pec)
        self.number = number
        self._mode = None

    def present(self):
        """Whether a supply is in the slot.  Raises DriverError for a bus that is stuck."""
        try:
            self._mode = self.get(r.VOUT_MODE)
        except DriverError as error:
            if "nothing answers" in str(error):
                self._mode = None
                return False
            raise
        return True

    def identity(self):
        """{"maker", "model", "revision", "serial"} as printed on it; an empty text where it does not say."""
        texts = {}
        for name, command in (("maker", r.MFR_ID), ("model", r.MFR_MODEL), ("revision", r.MFR_REVISION),
                              ("serial", r.MFR_SERIAL)):
            octets = self._optional("read " + name, "read_block_data", command) or []
            texts[name] = "".join(chr(octet) for octet in octets if 32 <= octet < 127).strip()
        return texts

    def _optional(self, operation, function, *arguments):
        try:
            return self.call(operation, function, *arguments)
        except DriverError as error:
            if "nothing answers" not in str(error):
                raise
            return None

    def status(self):
        """{"present", "ok", "faults": [sentences], readings in V, A, W, C, rpm}.  Raises DriverError."""
        if not self.present():
            return {"present": False, "ok": False, "faults": ["not in its slot"]}
        if self._mode >> 5:
            raise DriverError(self.name, "read", "its output voltage is not coded as LINEAR16 (VOUT_MODE %02X): "
                              "another kind of supply than the board description says" % self._mode)
        word = r.STATUS_WORD.decode(self.get(r.STATUS_WORD))
        faults = [text for name, text in FAULTS if word[name]]
        if word["VIN_UV"]:
            faults = faults[:1]          # everything else follows from it
        answer = {"present": True, "ok": not faults, "faults": faults,
                  "output_v": round(r.linear16(self.get(r.READ_VOUT), self._mode), 3)}
        for name, register in READINGS:
            value = self._optional("read " + register.name, "read_word_data", register.offset)
            if value is not None:
                answer[name] = round(r.linear11(value), 3)
        return answer

    def clear_faults(self):
        """Let latched faults go; those that still are come again."""
        self.call("clear faults", "write_byte", r.CLEAR_FAULTS)
