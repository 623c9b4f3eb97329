"""The emulated box behind its sockets, read by the drivers over the socket-backed bus."""

import json
import socket

import pytest

from drivers.i2c_socket import SocketBus
from drivers.psu import PowerSupply
from drivers.thermal import TemperatureSensor
from firmware.errors import DriverError
from hil.chassis.server import BoxServer


@pytest.fixture
def box(tmp_path):
    server = BoxServer(str(tmp_path)).start()
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    wire.connect(str(tmp_path / "board" / "i2c.sock"))
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.connect(str(tmp_path / "board" / "box.sock"))
    file = control.makefile("rw")

    def ask(**request):
        file.write(json.dumps(request) + "\n")
        file.flush()
        return json.loads(file.readline())
    bus = SocketBus(wire)
    yield server, bus, ask
    bus.close()
    file.close()
    control.close()
    server.stop()
    assert not (tmp_path / "board" / "i2c.sock").exists()


def test_drivers_over_the_socket_and_faults_by_the_other(box):
    server, bus, ask = box
    supply, sensor = PowerSupply(bus, 0x59, 2), TemperatureSensor(bus, 0x49, "tmp75")
    assert supply.status()["ok"] and sensor.celsius() == 45.0
    assert ask(do="set", chip="psu2", what="mains_v", value=0)["ok"]
    assert supply.status()["faults"] == ["no or low mains"]
    assert ask(do="pull", chip="psu2")["ok"] and not supply.status()["present"]
    assert ask(do="plug", chip="psu2")["ok"] and supply.status()["present"]
    ask(do="fault", chip="psu2", kind="wrong_pec", count=None)
    with pytest.raises(DriverError, match="PEC"):
        supply.status()
    ask(do="stuck", value=True)
    with pytest.raises(DriverError, match="stuck"):
        sensor.celsius()
    ask(do="stuck", value=False)
    ask(do="world", ambient_c=70, load=1.0)
    ask(do="step", seconds=600)
    assert sensor.celsius() > 90 and ask(do="show")["celsius"]["sensor_board"] > 90


def test_nonsense_is_refused_and_the_box_goes_on(box):
    server, bus, ask = box
    for request in ({"do": "explode"}, {"do": "set", "chip": "psu9", "what": "x", "value": 1}, {"do": "set", "chip": "psu1", "what": "write", "value": 1},
                    {"do": "world", "load": "much"}, {}):
        assert ask(**request)["ok"] is False
    with pytest.raises(OSError):
        bus._call("close", [])
    with pytest.raises(OSError):
        bus._call("read_byte_data", ["x"])
    assert TemperatureSensor(bus, 0x48).celsius() == 25.0


def test_a_box_that_went_away_is_told(box):
    server, bus, ask = box
    server.stop()
    with pytest.raises(DriverError, match="nothing answers|address 48"):
        TemperatureSensor(bus, 0x48).celsius()
