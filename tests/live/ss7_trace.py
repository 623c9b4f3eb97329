"""What tshark says of the signal units of live houses.  far-ss7 writes them with their direction (link type 139): what it received is the product's."""

import collections
import shutil
import subprocess

import pytest

ERROR = 0x600000                # severity "warning" of tshark's expert information and above


def _packets(path):
    """(whether the far exchange received it, place of the link among its links, signal unit) of each packet of a pcap file."""
    octets, at = path.read_bytes(), 24
    while at + 16 <= len(octets):
        end = at + 16 + int.from_bytes(octets[at + 8:at + 12], "little")
        yield octets[at + 16] == 0, octets[at + 19], octets[at + 20:end]
        at = end


def _traces(house, name):
    """The far exchange's traces in all houses whose folders have this name: one that the host disturbed is not used again (tests/conftest.py)."""
    return sorted(house.folder.parent.glob(name + "[0-9]*/trace/ss7.pcap"))


def messages_by_link(house, name):
    """{place of the link: Counter of the SLS} of the product's ISUP messages, with China's labels (3 + 3 octets, SLS)."""
    found = collections.defaultdict(collections.Counter)
    for path in _traces(house, name):
        for ours, link, unit in _packets(path):
            if ours and unit[2] & 63 > 2 and unit[3] & 15 == 5:
                found[link][unit[10]] += 1
    return found


def units_of_ours(house, name, standard):
    """[(tshark's line, its complaint or "", ISUP message type or "")] of what the product sent; name: as in _traces()."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    found = []
    for path in _traces(house, name):
        out = subprocess.run(["tshark", "-n", "-r", str(path), "-o", "mtp3.standard:" + standard, "-T", "fields", "-E", "separator=|", "-e", "_ws.col.Info",
                              "-e", "_ws.malformed", "-e", "_ws.expert.severity", "-e", "isup.message_type"], capture_output=True, text=True, check=True).stdout
        for (ours, _, _), line in zip(_packets(path), out.splitlines(), strict=False):
            info, malformed, severities, kind = line.split("|")
            wrong = malformed or any(severity and int(severity) >= ERROR for severity in severities.split(","))
            if ours:
                found.append((info, line if wrong else "", kind))
    return found
