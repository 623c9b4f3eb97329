"""Small programs for the kernel, written instruction by instruction: bpf(2).

    octets = assemble([one(COPY, 6, 1), (EQUAL, 0, 0, 0, "end"), ..., "end", one(EXIT)])
    fd = load(kind, octets, name)

A part of a program is an instruction, a jump (code, register, other register, value, label), or a label.
"""

import ctypes
import os
import struct

SYS_BPF = {"x86_64": 321, "aarch64": 280}
MAP_CREATE, MAP_UPDATE, PROG_LOAD, LINK_CREATE = 0, 2, 5, 28            # linux/bpf.h
LOAD, STORE, STORE_16, STORE_64, COPY, SET, ADD, CALL, EXIT = 0x61, 0x63, 0x6B, 0x7B, 0xBF, 0xB7, 0x07, 0x85, 0x95
EQUAL, UNEQUAL, UNEQUAL_REGISTER, EQUAL_REGISTER, ABOVE, BELOW, ALWAYS = 0x15, 0x55, 0x5D, 0x1D, 0x25, 0xA5, 0x05
WIDE, MAP_FD, MAP_VALUE = 0x18, 1, 2


def bpf(command, *fields):
    """The system call.  fields: (format, values ...) of its attributes in order.  Raises OSError."""
    attributes = b"".join(struct.pack("<" + form, *values) for form, *values in fields).ljust(128, b"\0")
    memory = ctypes.create_string_buffer(attributes, 128)
    result = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF[os.uname().machine], command, memory, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def one(code, to=0, of=0, offset=0, value=0):
    """One instruction."""
    return struct.pack("<BBhi", code, to | of << 4, offset, value)


def wide(to, kind, fd):
    """A map, or the place of its first value, into a register."""
    return one(WIDE, to, kind, 0, fd) + one(0)


def assemble(parts):
    """Octets of a program."""
    places, at = {}, 0
    for part in parts:
        if isinstance(part, str):
            places[part] = at
        else:
            at += len(part) // 8 if isinstance(part, bytes) else 1
    out = b""
    for part in parts:
        if isinstance(part, bytes):
            out += part
        elif not isinstance(part, str):
            code, to, of, value, label = part
            out += one(code, to, of, places[label] - len(out) // 8 - 1, value)
    return out


def load(kind, program, name, attach=0):
    """The descriptor of a program.  attach: where it is to be attached, of kinds that tell it when loaded.  Raises OSError."""
    octets, licence = ctypes.create_string_buffer(program), ctypes.create_string_buffer(b"Proprietary")
    return bpf(PROG_LOAD, ("IIQQ", kind, len(program) // 8, ctypes.addressof(octets), ctypes.addressof(licence)), ("IIQII16sII", 0, 0, 0, 0, 0, name, 0, attach))
