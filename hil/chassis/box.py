"""The emulated box: which chip sits at which address, and what the world does to them.

Fans cool, load heats: step(seconds) moves each sensor towards its place's temperature, so that a fan curve can be seen at
work.  The figures are invented but of the right size for a 1U box of 200 W."""

from hil.chassis import chips
from hil.chassis.bus import Bus

ADDRESSES = {"sensor_inlet": 0x48, "sensor_board": 0x49, "fans": 0x4D, "eeprom": 0x50, "psu1": 0x58, "psu2": 0x59,
             "leds": 0x60, "dpll": 0x68}
RISE_C = {"sensor_inlet": 2.0, "sensor_board": 22.0}     # above ambient at full load and full speed of all fans
TIME_CONSTANT_S = 60.0


class Box:
    """A box with all its chips.  chips: {name: model}; ambient_c, load: the world (load 0.0 to 1.0)."""

    def __init__(self, ambient_c=25.0, load=0.5):
        self.ambient_c, self.load = ambient_c, load
        self.chips = {"sensor_inlet": chips.LM75(ambient_c), "sensor_board": chips.LM75(ambient_c + 20, bits=12),
                      "fans": chips.EMC2305(), "eeprom": chips.EEPROM(chips.identity()), "psu1": chips.PMBusSupply(),
                      "psu2": chips.PMBusSupply(), "leds": chips.PCA9551(), "dpll": chips.Si5345()}
        self.bus = Bus({ADDRESSES[name]: chip for name, chip in self.chips.items()})

    def pull(self, name):
        """Take a chip (a supply) out while the box runs."""
        self.bus.chips.pop(ADDRESSES[name], None)

    def plug(self, name):
        """Put it back."""
        self.bus.chips[ADDRESSES[name]] = self.chips[name]

    def step(self, seconds):
        """Time goes on: temperatures follow load and air."""
        self.chips["fans"].seconds(seconds)
        air = sum(self.chips["fans"].rpm(fan) for fan in range(4)) / 4 / chips.EMC2305.FULL_RPM
        for name, rise_c in RISE_C.items():
            target_c = self.ambient_c + rise_c * (0.3 + 0.7 * self.load) / max(0.15, air ** 0.7)
            self.chips[name].celsius += (target_c - self.chips[name].celsius) * min(1.0, seconds / TIME_CONSTANT_S)
