"""Check of a board's "chassis": which chip sits at which address, fan curves, clock inputs.

    {"i2c_bus": n, "sensors": [{"place", "chip", "address", "limit_c"}], "thermal": {place: {"curve": [[C, percent]...],
     "minor_c", "major_c", "critical_c"}}, "fans": {"chip", "address", "count"}, "supplies": [{"number", "address"}],
     "eeprom": {"address", "octets", "wide"}, "leds": {"chip", "address", "names", "button"?: pin of the button on the front, which drives no LED},
     "clock": {"chip", "address", "inputs": [{"input", "source", "priority"}]}}

Every part may be missing: the box then has none."""

from firmware.errors import ConfigError

CHIPS = {"sensors": ("lm75", "tmp75", "tmp1075", "tmp102", "tmp112"), "fans": ("emc2305", "emc2303", "emc2302", "emc2301"),
         "leds": ("pca9551", "pca9552"), "clock": ("si5345",)}
PARTS = ("note", "i2c_bus", "sensors", "thermal", "fans", "supplies", "eeprom", "leds", "clock")
ADDRESSES = range(0x08, 0x78)        # 7 bits, without those that I2C reserves
DPLL_INPUTS = range(4)


def _chip(path, part, kind):
    if kind in CHIPS and part.get("chip") not in CHIPS[kind]:
        raise ConfigError(path + ".chip", "%r: use one of %s" % (part.get("chip"), ", ".join(CHIPS[kind])))
    if part.get("address") not in ADDRESSES:
        raise ConfigError(path + ".address", "%r: give an address from %d to %d" % (part.get("address"), ADDRESSES[0], ADDRESSES[-1]))
    return part["address"]


def check_place(path, place):
    """Raise ConfigError unless a place's fan curve and limits make sense."""
    curve = place.get("curve")
    if not isinstance(curve, list) or len(curve) < 2 or any(len(point) != 2 for point in curve):
        raise ConfigError(path + ".curve", "give at least two points [C, percent]")
    for before, after in zip(curve, curve[1:]):
        if after[0] <= before[0] or after[1] < before[1]:
            raise ConfigError(path + ".curve", "the points must rise: %r comes after %r" % (after, before))
    if curve[-1][1] != 100 or curve[0][1] < 20:
        raise ConfigError(path + ".curve", "it must begin with 20 percent or more (less does not turn a fan) and end with 100")
    limits = [place.get(name) for name in ("minor_c", "major_c", "critical_c")]
    if any(not isinstance(value, (int, float)) for value in limits) or not limits[0] < limits[1] < limits[2]:
        raise ConfigError(path, "minor_c, major_c and critical_c must be temperatures that rise, not %r" % (limits,))


def check_chassis(chassis, spans):
    """The chassis if it is usable; raises ConfigError."""
    for unknown in sorted(set(chassis) - set(PARTS)):
        raise ConfigError("chassis." + unknown, "is not known: use %s" % ", ".join(PARTS))
    taken = {}
    listed = [("chassis.%s[%d]" % (kind, n), kind, part) for kind in ("sensors", "supplies") for n, part in enumerate(chassis.get(kind, []))]
    listed += [("chassis." + kind, kind, chassis[kind]) for kind in ("fans", "eeprom", "leds", "clock") if kind in chassis]
    for path, kind, part in listed:
        address = _chip(path, part, kind)
        if address in taken:
            raise ConfigError(path + ".address", "%d is that of %s too" % (address, taken[address]))
        taken[address] = path
    leds = chassis.get("leds", {})
    button = leds.get("button")
    if button is not None and (isinstance(button, bool) or button not in range(len(leds["names"])) or leds["names"][button] is not None):
        raise ConfigError("chassis.leds.button", "%r: give the pin of the button, whose place in names is null" % (button,))
    for n, sensor in enumerate(chassis.get("sensors", [])):
        if sensor.get("place") not in chassis.get("thermal", {}):
            raise ConfigError("chassis.sensors[%d].place" % n, "%r is no place of chassis.thermal" % (sensor.get("place"),))
    for name, place in chassis.get("thermal", {}).items():
        check_place("chassis.thermal." + name, place)
    sources = ["span %d" % n for n in range(1, spans + 1)] + ["external"]
    for n, row in enumerate(chassis.get("clock", {}).get("inputs", [])):
        if row.get("input") not in DPLL_INPUTS or row.get("source") not in sources:
            raise ConfigError("chassis.clock.inputs[%d]" % n, "%r: give an input 0 to 3 and a source \"span N\" or \"external\"" % (row,))
    return chassis
