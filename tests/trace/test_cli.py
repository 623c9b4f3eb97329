"""`strowger trace`: what it says of a piece that it fetched."""

import argparse
import contextlib
import io

import pytest

from firmware.cli import trace
from firmware.errors import LocalError
from firmware.trace import pcapng, ring


class Switch:
    """Answers with a file."""

    def __init__(self, records=()):
        out = io.BytesIO()
        writer = pcapng.PcapngWriter(out, "call c1")
        for record in records:
            writer.put(record)
        self.octets, self.asked = out.getvalue(), []

    @contextlib.contextmanager
    def stream(self, path, **query):
        self.asked.append((path, query))
        yield "application/x-pcapng", [self.octets]


def options(*words):
    parser = argparse.ArgumentParser()
    trace.add(parser.add_subparsers(dest="verb"), argparse.ArgumentParser(add_help=False))
    return parser.parse_args(["trace", *words])


def test_a_file_without_messages_is_told(tmp_path):
    file = str(tmp_path / "t.pcapng")
    answer, show = trace.carry_out(Switch(), options("--call", "c1", file))
    assert answer["empty"] and "no message in it" in show(answer)
    answer, show = trace.carry_out(Switch([(ring.LAPD, 3, 16, 0, 1000, b"\0\0\1\1\1")]), options("--span", "3", file))
    assert not answer["empty"] and show(answer).endswith("octets of pcapng")


def test_a_call_is_asked_for_whole(tmp_path):
    for more in (("--span", "3"), ("--from=-600",), ("--trunk", "x")):
        switch = Switch()
        with pytest.raises(LocalError, match="--call"):
            trace.carry_out(switch, options("--call", "c1", *more, str(tmp_path / "t")))
        assert switch.asked == []
