import pytest

from drivers import registers
from drivers.framer import falc_regs
from firmware.errors import LocalError


class Memory:
    """A bus over a plain dict."""

    def __init__(self):
        self.cells, self.log = {}, []

    def batch(self, requests):
        results = []
        for op, span, offset, value in requests:
            self.log.append((op, span, offset, value))
            if op == registers.WRITE:
                self.cells[span, offset] = value
            results.append(self.cells.get((span, offset), 0))
        return results


def test_fields_encode_and_decode():
    assert falc_regs.FMR2.encode(RFS=3, AXRA=1) == 0xC2
    assert falc_regs.FMR2.encode(0xC2, RFS=0) == 0x02
    assert falc_regs.FMR2.decode(0x82)["RFS"] == 2
    for register in vars(falc_regs).values():
        if isinstance(register, registers.Register):
            for value in (0, 0x5A, 0xFF):
                covered = sum(field.mask for field in register.fields.values())
                assert register.encode(**register.decode(value)) == value & covered


def test_wrong_use_is_told():
    with pytest.raises(LocalError, match="no field LOS"):
        falc_regs.FMR1.encode(LOS=1)
    with pytest.raises(LocalError, match="0 to 3, not 4"):
        falc_regs.FMR2.encode(RFS=4)
    with pytest.raises(LocalError, match="one run of bits"):
        registers.Field("X", 0x05)
    with pytest.raises(LocalError, match="overlaps"):
        registers.Register("X", 0, "", (registers.Field("A", 3), registers.Field("B", 2)))


def test_page_reads_two_octet_counters_and_updates_fields():
    memory = Memory()
    memory.cells = {(3, 0x50): 0x34, (3, 0x51): 0x12, (3, 0x4C): 0x80, (3, 0x1E): 0xC2}
    page = registers.Page(memory, 3)
    assert page.read(falc_regs.FEC, falc_regs.FRS0) == [0x1234, 0x80]
    page.update(falc_regs.FMR2, PLB=1)
    assert memory.cells[3, 0x1E] == 0xC6
    page.write(falc_regs.FMR2, AXRA=1)
    assert memory.cells[3, 0x1E] == 0x02


@pytest.mark.parametrize("octets", [(-1, 0x12), (0x34, -1), (-1, -1)])
def test_a_counter_of_which_an_octet_is_refused_is_refused(octets):
    memory = Memory()
    memory.cells = {(3, 0x50): octets[0], (3, 0x51): octets[1], (3, 0x4C): 0x80}
    assert registers.read_pages(memory, [(3, (falc_regs.FEC, falc_regs.FRS0))]) == [[-1, 0x80]]


def test_offsets_are_those_of_the_reference():
    # ../shared/reference/framer.md names these; registers and masks
    offsets = {"CMDR": 0x02, "IERR": 0x1B, "FMR0": 0x1C, "FMR1": 0x1D, "FMR2": 0x1E, "XSW": 0x20, "XSP": 0x21,
               "LIM0": 0x36, "LIM1": 0x37, "FRS0": 0x4C, "FRS1": 0x4D, "FEC": 0x50, "CVC": 0x52, "CEC": 0x54, "EBC": 0x56}
    assert {name: getattr(falc_regs, name).offset for name in offsets} == offsets
    masks = {"FRS0": {"LOS": 0x80, "AIS": 0x40, "LFA": 0x20, "RRA": 0x10, "NMF": 0x04, "LMFA": 0x02},
             "FMR1": {"XFS": 0x08, "ECM": 0x04}, "FMR2": {"AXRA": 0x02, "PLB": 0x04}, "XSW": {"XRA": 0x20},
             "XSP": {"CASEN": 0x40}, "LIM0": {"LL": 0x02, "MAS": 0x01}, "LIM1": {"RL": 0x02}}
    for name, fields in masks.items():
        for field, mask in fields.items():
            assert getattr(falc_regs, name).fields[field].mask == mask
