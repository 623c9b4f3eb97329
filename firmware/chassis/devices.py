"""The chips of the box behind one thread: polled each second, and what one poll finds.

    devices = Devices(bus, description)            description: "chassis" of boardconfig
    devices.poll(now_ms) -> Poll as a dict:
        "celsius": {place: C}, "thermal": see thermal.ThermalPolicy.step, "fans": rows or None, "supplies": rows,
        "dpll": status or None, "identity": dict or None, "faults": {device: sentence}, "identity_fault": sentence or None
    devices.orders = {"lamps": {name: state}, "input": 0..3 or None}     given by the control loop, carried out at the next poll

A part that does not answer is a fault of that part: the others are polled all the same, and it is set up again when it
comes back.  The fans are driven here, not by the control loop: a loop that stands must not stop the cooling.  When a whole
poll finds nobody, the bus is named instead of each part."""

import os
import socket

from drivers.clock import DPLL
from drivers.eeprom import IdentityEEPROM
from drivers.fan import FanController
from drivers.i2c_socket import SocketBus
from drivers.led import LEDs
from drivers.psu import PowerSupply
from drivers.thermal import TemperatureSensor
from firmware.chassis.thermal import ThermalPolicy
from firmware.errors import DriverError

IDENTITY_EVERY_S = 60        # until it is read; then never again, it does not change


def open_bus(run_dir, number):
    """The box's I2C bus: the emulated one below run_dir, else /dev/i2c-<number>; None where there is neither.

    Raises DriverError for one that is there and cannot be opened."""
    path = os.path.join(str(run_dir), "board", "i2c.sock")
    device = "/dev/i2c-%d" % number
    try:
        if os.path.exists(path):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                sock.connect(path)
            except OSError:
                sock.close()
                raise
            return SocketBus(sock)
        if os.path.exists(device):
            import smbus2
            return smbus2.SMBus(number)
    except OSError as error:
        raise DriverError("I2C bus", "open", "%s: %s" % (path if os.path.exists(path) else device, error)) from error
    return None


class Devices:
    """bus: smbus2 interface; description: "chassis" of a board, checked by boardconfig; derated: the box was too hot before a restart."""

    def __init__(self, bus, description, derated=False):
        self._bus = bus
        self._sensors = [(TemperatureSensor(bus, row["address"], row["chip"], row["place"]), row["limit_c"])
                         for row in description.get("sensors", [])]
        fans, leds, clock, eeprom = (description.get(name) for name in ("fans", "leds", "clock", "eeprom"))
        self._fans = fans and FanController(bus, fans["address"], fans["count"])
        self._supplies = [PowerSupply(bus, row["address"], row["number"]) for row in description.get("supplies", [])]
        self._leds = leds and LEDs(bus, leds["address"], leds["names"], leds["chip"])
        self._button = leds and leds.get("button")
        self._dpll = clock and DPLL(bus, clock["address"])
        self._eeprom = eeprom and IdentityEEPROM(bus, eeprom["address"], eeprom["octets"], eeprom["wide"])
        self._policy = ThermalPolicy(description.get("thermal", {}), derated)
        self._configured, self._faults, self._asked = set(), {}, 0
        self._identity, self._identity_fault, self._identity_at = None, None, None
        self._selected = "unset"
        self.orders = {}

    def close(self):
        """Close the bus."""
        self._bus.close()

    def _try(self, device, function, *arguments):
        """function(*arguments), or None with the fault noted."""
        self._asked += 1
        try:
            return function(*arguments)
        except DriverError as error:
            self._faults.setdefault(device.name, str(error))
            self._configured.discard(device)
            return None

    def _ready(self, device, *arguments):
        if device is None:
            return False
        if device not in self._configured:
            self._try(device, lambda: (device.configure(*arguments), self._configured.add(device)))
            if device is self._dpll:
                self._selected = "unset"
        return device in self._configured

    def poll(self, now_ms):
        """One round.  Never raises DriverError."""
        self._faults, self._asked = {}, 0
        celsius = {}
        for sensor, limit_c in self._sensors:
            value = self._try(sensor, sensor.celsius) if self._ready(sensor, limit_c) else None
            if value is not None:
                celsius[sensor.place] = value
        rows = None
        if self._ready(self._fans):
            answer = self._try(self._fans, self._fans.status)
            rows = answer and answer[0]
        thermal = self._policy.step(celsius, rows, now_ms)
        for place, sentence in thermal["suspect"].items():
            self._faults.setdefault("temperature sensor " + place, sentence)
        if self._fans in self._configured:
            self._try(self._fans, self._fans.drive, thermal["drive"])
        supplies = [{"number": supply.number, **(self._try(supply, supply.status) or
                    {"present": None, "ok": None, "faults": ["its answers cannot be used"]})} for supply in self._supplies]
        dpll = self._clock()
        if self._ready(self._leds) and self.orders.get("lamps"):
            self._try(self._leds, self._leds.show, self.orders["lamps"])
        self._read_identity(now_ms)
        faults = self._faults
        parts = len(self._sensors) + len(self._supplies) + sum(part is not None for part in (self._fans, self._leds, self._dpll))
        if len(faults) >= max(3, parts - len(self._supplies)):
            faults = {"I2C bus": "no part answers; the first said: " + next(iter(faults.values()))}
        return {"celsius": celsius, "thermal": thermal, "fans": rows, "supplies": supplies, "dpll": dpll,
                "identity": self._identity, "identity_fault": self._identity_fault, "faults": dict(faults)}

    def pressed(self):
        """Whether the button on the front is held down now; a chip that does not answer says no."""
        if self._button is None or self._leds not in self._configured:
            return False
        try:
            return self._leds.pressed(self._button)
        except DriverError:
            return False            # the next poll tells it

    def _clock(self):
        if not self._ready(self._dpll):
            return None
        wanted = self.orders.get("input", "unset")      # nothing ordered yet: it goes on as it is
        if wanted != "unset" and wanted != self._selected and self._try(self._dpll, lambda: (self._dpll.select(wanted), True)):
            self._selected = wanted
        return self._try(self._dpll, self._dpll.status)

    def _read_identity(self, now_ms):
        if self._eeprom is None or self._identity or (
                self._identity_at is not None and now_ms - self._identity_at < IDENTITY_EVERY_S * 1000):
            return
        self._identity_at = now_ms
        try:
            self._identity, self._identity_fault = self._eeprom.identity(), None
        except DriverError as error:
            self._identity_fault = str(error)
