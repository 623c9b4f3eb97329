"""What tshark says of the signal units of live houses.  far-ss7 writes them with their direction (link type 139): what it received is the product's."""

import shutil
import subprocess

import pytest

ERROR = 0x600000                # severity "warning" of tshark's expert information and above


def _directions(path):
    """For each packet of a pcap file: whether the far exchange received it."""
    octets, at, found = path.read_bytes(), 24, []
    while at + 16 <= len(octets):
        found.append(octets[at + 16] == 0)
        at += 16 + int.from_bytes(octets[at + 8:at + 12], "little")
    return found


def units_of_ours(house, name, standard):
    """[(tshark's line, its complaint or "", ISUP message type or "")] of what the product sent in all houses whose folders have this name: one that the host
    disturbed is not used again (tests/conftest.py)."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    found = []
    for path in sorted(house.folder.parent.glob(name + "[0-9]*/trace/ss7.pcap")):
        out = subprocess.run(["tshark", "-n", "-r", str(path), "-o", "mtp3.standard:" + standard, "-T", "fields", "-E", "separator=|", "-e", "_ws.col.Info",
                              "-e", "_ws.malformed", "-e", "_ws.expert.severity", "-e", "isup.message_type"], capture_output=True, text=True, check=True).stdout
        for ours, line in zip(_directions(path), out.splitlines(), strict=False):
            info, malformed, severities, kind = line.split("|")
            wrong = malformed or any(severity and int(severity) >= ERROR for severity in severities.split(","))
            if ours:
                found.append((info, line if wrong else "", kind))
    return found
