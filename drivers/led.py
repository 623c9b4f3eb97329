"""LED drivers PCA9551 (8 LEDs) and PCA9552 (16): on, off, and two blink rates made by the chip.

So a blinking LED goes on blinking while the host is busy or dead; whoever wants it otherwise writes.
Source: data sheets PCA9551 and PCA9552 (NXP), tables 4 to 9; checked in Linux drivers/leds/leds-pca955x.c."""

from drivers.i2c import Device
from drivers.registers import Register
from firmware.errors import ConfigError, LocalError

CHIPS = {"pca9551": (8, 38), "pca9552": (16, 44)}        # LEDs, prescaler steps a second
STATES = {"on": 0, "off": 1, "slow": 2, "fast": 3}       # two bits of an LED in its selector
SLOW_HZ, FAST_HZ = 0.5, 2.0                              # invented: told apart at a glance


class LEDs(Device):
    """bus: smbus2 interface; names: [name of each LED, or None], LED 0 first."""

    def __init__(self, bus, address, names, chip="pca9551"):
        super().__init__(bus, address, "LED driver %02X" % address)
        if chip not in CHIPS:
            raise LocalError("there is no driver for the LED chip %r, use one of %s" % (chip, ", ".join(CHIPS)))
        count, self._steps = CHIPS[chip]
        if len(names) > count:
            raise ConfigError("leds", "%s has %d LEDs, %d are named" % (chip, count, len(names)))
        self.names = tuple(names)
        inputs = count // 8
        self._prescalers = [Register("PSC%d" % n, inputs + 2 * n, "blink period - 1") for n in (0, 1)]
        self._duties = [Register("PWM%d" % n, inputs + 2 * n + 1, "dark part of the period") for n in (0, 1)]
        self._selectors = [Register("LS%d" % n, inputs + 4 + n, "four LEDs, two bits each") for n in range(count // 4)]
        self._shown = {}

    def configure(self):
        """Set both blink rates.  The LEDs stay as they are."""
        for prescaler, duty, rate_hz in zip(self._prescalers, self._duties, (SLOW_HZ, FAST_HZ)):
            self.put(prescaler, round(self._steps / rate_hz) - 1)
            self.put(duty, 0x80)
        self._shown = {}

    def pressed(self, pin):
        """Whether a button holds a pin low; its LED must be off for that (INPUT registers read the pins)."""
        return not self.get(Register("INPUT%d" % (pin // 8), pin // 8, "levels of the pins")) >> pin % 8 & 1

    def show(self, states):
        """states: {name: one of STATES}; LEDs that are not named keep theirs.  Reads the chip (it may have been
        reset, or be gone) and writes only what differs."""
        wanted = dict(self._shown)
        for name, state in states.items():
            if name not in self.names or state not in STATES:
                raise LocalError("LED %r cannot show %r: LEDs %s; states %s"
                                 % (name, state, ", ".join(filter(None, self.names)), ", ".join(STATES)))
            wanted[name] = state
        for number, selector in enumerate(self._selectors):
            places = [(place, name) for place, name in enumerate(self.names[4 * number:4 * number + 4]) if name in wanted]
            if places:
                before = value = self.get(selector)
                for place, name in places:
                    value = value & ~(3 << 2 * place) | STATES[wanted[name]] << 2 * place
                if value != before:
                    self.put(selector, value)
        self._shown = wanted
