"""Field descriptors: a register file that reads like its datasheet.

    FMR1 = Register("FMR1", 0x1D, "Framer mode 1", (
        Field("XFS", 0x08, "send the CRC-4 multiframe"),
        Field("ECM", 0x04, "counters move to their registers each second")))

    FMR1.encode(XFS=1, ECM=1)      -> 0x0C
    FMR1.decode(0x0C)              -> {"XFS": 1, "ECM": 1}

A Page binds registers to a bus: page.read(FRS0), page.write(FMR1, XFS=1),
page.update(FMR2, RFS=2).  The bus is anything with
batch([(op, span, offset, value)]) -> [value]; op 0 reads, 1 writes."""

from firmware.errors import LocalError

READ, WRITE = 0, 1


class Field:
    """Bits of a register.  mask: contiguous bits; the value is right-aligned."""

    __slots__ = ("name", "mask", "text", "shift")

    def __init__(self, name, mask, text=""):
        self.name, self.mask, self.text = name, mask, text
        self.shift = (mask & -mask).bit_length() - 1
        if mask <= 0 or (mask >> self.shift) & ((mask >> self.shift) + 1):
            raise LocalError("field %s: mask %#x is not one run of bits" % (name, mask))


class Register:
    """One register.  offset: in its page; octets: 1, or 2 for a counter, low octet first."""

    __slots__ = ("name", "offset", "text", "fields", "octets")

    def __init__(self, name, offset, text="", fields=(), octets=1):
        self.name, self.offset, self.text, self.octets = name, offset, text, octets
        self.fields = {field.name: field for field in fields}
        taken = 0
        for field in fields:
            if field.mask & taken or field.mask >> (8 * octets):
                raise LocalError("register %s: field %s overlaps another or leaves the register" % (name, field.name))
            taken |= field.mask

    def encode(self, base=0, **values):
        """Value with the named fields set, the others as in base."""
        for name, value in values.items():
            field = self.fields.get(name)
            if field is None:
                raise LocalError("register %s has no field %s, it has %s" % (self.name, name, ", ".join(self.fields)))
            value = int(value)
            if value < 0 or value > field.mask >> field.shift:
                raise LocalError("field %s.%s holds 0 to %d, not %d"
                                 % (self.name, name, field.mask >> field.shift, value))
            base = base & ~field.mask | value << field.shift
        return base

    def decode(self, value):
        """Dict field name -> value."""
        return {name: (value & field.mask) >> field.shift for name, field in self.fields.items()}

    def __repr__(self):
        return "%s (%02X)" % (self.name, self.offset)


def read_pages(bus, wanted, **more):
    """Read registers of several spans in one batch.

    wanted: [(span, registers)]; more: of the bus's batch().  Returns a list of values for each entry; one of which an octet was refused is
    what the bus gives for that (below 0)."""
    requests = [(READ, span, register.offset + n, 0)
                for span, registers in wanted for register in registers for n in range(register.octets)]
    octets = iter(bus.batch(requests, **more))
    return [[_whole([next(octets) for _ in range(register.octets)]) for register in registers] for _, registers in wanted]


def _whole(octets):
    return min(octets) if min(octets) < 0 else sum(octet << 8 * n for n, octet in enumerate(octets))


class Page:
    """Registers of one span (1..64) behind a bus."""

    def __init__(self, bus, span):
        self._bus, self._span = bus, span

    def read(self, *registers):
        """Value of the register; a list of values, in order, for more than one."""
        values = read_pages(self._bus, [(self._span, registers)])[0]
        return values[0] if len(values) == 1 else values

    def write_values(self, pairs):
        """Write (register, value) in order, in one batch."""
        self._bus.batch([(WRITE, self._span, register.offset, value) for register, value in pairs])

    def write(self, register, **fields):
        """Write the register; fields that are not named become 0."""
        self.write_values([(register, register.encode(**fields))])

    def update(self, register, **fields):
        """Change the named fields only (read, then write)."""
        self.write_values([(register, register.encode(self.read(register), **fields))])
