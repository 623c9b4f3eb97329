"""The analogue side of a port: the board's model (hil/board/liu.c) and the driver's word for it, against the levels of G.703 and G.775."""

import math

import pytest

from drivers.framer import falc_regs as r
from drivers.framer.falc import FALC
from drivers.framer.falc_line import LOADED, OPEN, NOMINAL_MV
from firmware.errors import ConfigError
from hil.board import _emulator

E1, T1 = {"type": "e1"}, {"type": "t1"}


class Cable:
    """An emulated port with a driver; the cable is what the test says it is."""

    def __init__(self, version=0x05, **settings):
        self.chip, self.version = _emulator.Framer(), version
        self.driver = FALC(self, 1)
        self.t1 = settings.get("type") != "e1"
        self.driver.configure(settings)

    def batch(self, requests, refused=None):
        found = []
        for op, _, offset, value in requests:
            if op:
                self.chip.write(offset, value)
            found.append(self.version if not op and offset == r.VSTR.offset else 0 if op else self.chip.read(offset))
        return found

    def look(self, **cable):
        registers = {register: self.chip.read(register) for register in (0x36, 0x37, 0x3A)}
        return _emulator.look_at_cable(registers, t1=self.t1, **cable)

    def status(self, **cable):
        """What the driver says of that cable on a span that is otherwise well."""
        seen = self.look(**cable)
        values = [0x80 if seen["rx_lost"] else 0, seen["frs1"], 0xFF if self.t1 else 0, seen["res"]]
        return self.driver.decode_status(values)


def lost_at(port):
    """dB at which no pulse is counted any more."""
    return next(tenth / 10 for tenth in range(600) if port.look(rx_loss_db=tenth / 10)["rx_lost"])


@pytest.mark.conformance("G.775", "4.2 levels", "a signal 9 dB below nominal is one, one 35 dB below is none; in between the threshold lies where it is set")
@pytest.mark.parametrize("version", [0x05, 0x10])
@pytest.mark.parametrize("ohm", ["120", "75"])
@pytest.mark.parametrize("sensitivity, millivolts", [("normal", 210), ("high", 100), ("low", 600)])
def test_a_signal_is_lost_between_9_and_35_db_below_nominal(version, ohm, sensitivity, millivolts):
    port = Cable(version, type="e1", impedance_ohm=ohm, sensitivity=sensitivity)
    expected = 20 * math.log10(NOMINAL_MV[ohm] / millivolts)
    assert 9 < expected < 35 and abs(lost_at(port) - expected) <= 0.1
    assert port.status()["limit_db"] == round(expected, 1)


def test_the_first_version_of_the_chip_has_other_thresholds():
    port = Cable(0x00, type="e1")
    assert port.chip.read(0x37) == 0x50 and port.chip.read(0x36) == 0        # 210 mV, no equalizer bit
    assert Cable(0x05, type="e1").chip.read(0x37) == 0x40
    assert Cable(0x05, type="e1", impedance_ohm="75").chip.read(0x36) == 0x28


@pytest.mark.parametrize("settings, step", [(E1, 1.7), (T1, 1.4)])
def test_the_level_is_told_and_a_weak_one_named(settings, step):
    port = Cable(**settings)
    for db in (0, 3, 8, 14):
        seen = port.status(rx_loss_db=db)
        assert abs(seen["level_db"] - db) <= step / 2 + 0.05 and seen["alarms"] == [] and seen["in_service"]
    weak = port.status(rx_loss_db=20)
    assert weak["alarms"] == ["weak"] and weak["in_service"] and weak["details"]["weak"].startswith("-")
    assert {port.status(rx_loss_db=db)["details"]["weak"] for db in (19, 20, 20.8, 20)} == {weak["details"]["weak"]}      # steps of RES are no news
    assert len({port.status(rx_loss_db=db)["level_db"] for db in (19, 20, 20.8)}) > 1
    assert port.look(rx_loss_db=20)["rx_errors"] == 0 < port.look(rx_loss_db=22)["rx_errors"]
    assert port.status(rx_loss_db=30)["alarms"] == ["los"] and port.status(rx_loss_db=30)["level_db"] is None


def test_what_the_transmit_pair_tells_of_a_cable_without_a_signal():
    port = Cable(type="e1")
    for cable, transmit, sentence in (({"connected": False}, "open", OPEN), ({"exchanged": True}, "ok", LOADED), ({"rx_open": True}, "ok", LOADED)):
        seen = port.status(**cable)
        assert (seen["alarms"], seen["transmit"], seen["details"]["los"]) == (["los"], transmit, sentence)
    assert port.status(tx_open=True)["alarms"] == ["transmit_open"] and port.look(tx_open=True)["tx_lost"]
    assert port.status(tx_short=True)["alarms"] == ["transmit_short"] and port.look(tx_short=True)["tx_lost"]
    assert port.look(exchanged=True)["tx_lost"] and port.status(tx_open=True)["in_service"]


def test_coax_on_a_pairs_socket_makes_errors_and_its_setting_ends_them():
    port = Cable(type="e1")
    assert port.look(cable_ohm=75)["rx_errors"] > 0 and not port.look(cable_ohm=75)["rx_lost"]
    coax = Cable(type="e1", impedance_ohm="75")
    assert coax.look(cable_ohm=75)["rx_errors"] == 0 < coax.look(cable_ohm=120)["rx_errors"]


@pytest.mark.parametrize("build_out, loss, arrives, errors", [("0", 0, True, True), ("7.5", 0, True, False), ("15", 3, True, False), ("22.5", 20, False, False),
                                                            ("0", 10, True, False)])
def test_build_out_of_a_t1_before_a_repeater(build_out, loss, arrives, errors):
    """A repeater that takes 7.5 to 35 dB below nominal: hotter is errors, weaker is nothing."""
    seen = Cable(type="t1", build_out_db=build_out).look(tx_loss_db=loss, far_least_db=35, far_most_db=7.5)
    assert (not seen["tx_lost"], seen["tx_errors"] > 0) == (arrives, errors)


def test_the_receiver_listens_closely_for_a_while():
    port = Cable(type="e1")
    port.driver.listen("high")
    assert port.status(rx_loss_db=26)["alarms"] != ["los"]
    port.driver.listen(None)
    assert port.status(rx_loss_db=26)["alarms"] == ["los"] and port.driver.configure({"type": "e1"}) is False
    with pytest.raises(ConfigError, match="sensitivity"):
        port.driver.configure({"type": "e1", "sensitivity": "extreme"})
