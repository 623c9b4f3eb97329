"""The T.38 gateway between two fax machines of spandsp: a page goes through, bit for bit, with and without loss.

One machine is on a line (A-law), the other speaks T.38; between them are the gateway and UDPTL both ways."""

import random
import shutil
import struct
import subprocess

import numpy as np
import pytest
from PIL import Image

from dsp import g711
from firmware.errors import LocalError
from firmware.media._t38 import Gateway
from firmware.proto.udptl import UDPTL
from hil import fax
from tests.dsp.conftest import corpus       # noqa: F401  a fixture

pytestmark = pytest.mark.skipif(fax.LIBRARY is None, reason="spandsp is not installed (Debian: libspandsp2)")
TICK, LONGEST_S, SEED = 160, 150, 20261122


@pytest.fixture(scope="module")
def page(corpus, tmp_path_factory):     # noqa: F811
    """(path, pixels) of the top of a page of the corpus."""
    path = tmp_path_factory.mktemp("page") / "page.tif"
    image = Image.open(corpus / "fax/itu1.pbm").convert("1").crop((0, 0, 1728, 500))
    image.save(path, compression="group4", dpi=(204, 196))
    return path, np.asarray(image)


def alaw(samples):
    return g711.expand(g711.compress(samples, 0), 0)


def fax_through(page, got, to_ip, recovery="redundancy", loss=0.0, ecm=True):
    """(results of both machines, the gateway's statistics, (mended, lost) packets of both ways, [(from us, datagram)])."""
    on_line = fax.Machine("audio", to_ip, **({"send": page} if to_ip else {"receive": got}), ecm=ecm)
    over_ip = fax.Machine("t38", not to_ip, **({"receive": got} if to_ip else {"send": page}), ecm=ecm)
    gateway, near, far = Gateway(ecm=ecm), UDPTL(recovery), UDPTL(recovery)
    chance, spoken, datagrams = random.Random(SEED), np.zeros(TICK, np.int16), []
    for _ in range(8000 * LONGEST_S // TICK):
        gateway.hear(alaw(on_line.tx(TICK)))
        gateway.speak(spoken)
        on_line.rx(alaw(spoken))
        over_ip.tick(TICK)
        for sender, receiver, packets, take in ((near, far, gateway.packets(), over_ip.rx_ifp), (far, near, over_ip.packets(), gateway.receive)):
            for ifp in packets:
                datagram = sender.send(ifp)
                datagrams.append((sender is near, datagram))
                if chance.random() >= loss:
                    for number, each in receiver.receive(datagram):
                        take(each, number)
        if on_line.result is not None and over_ip.result is not None:
            break
    results = on_line.result, over_ip.result
    on_line.close()
    over_ip.close()
    return results, gateway.statistics(), (near.mended + far.mended, near.lost + far.lost), datagrams


@pytest.mark.conformance("T.38", "7", "a page through the gateway, both ways, with ECM and without, at 10 % loss by redundancy and FEC")
@pytest.mark.parametrize("to_ip", (True, False))
@pytest.mark.parametrize("recovery, loss, ecm", [("none", 0, True), ("none", 0, False), ("redundancy", 0.1, True), ("redundancy", 0.1, False), ("fec", 0.03, True)])
def test_a_page_goes_through(page, tmp_path, to_ip, recovery, loss, ecm):
    results, told, (mended, lost), datagrams = fax_through(page[0], tmp_path / "got.tif", to_ip, recovery, loss, ecm)
    assert results == (0, 0) and (told["pages"], told["ecm"], told["bit_rate"], told["dropped"]) == (1, ecm, 14400, 0)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "got.tif").convert("1")), page[1])
    assert bool(loss) == bool(mended)


def test_without_recovery_loss_ruins_it(page, tmp_path):
    """What the tests above would show if nothing were mended."""
    results, told, (mended, lost), _ = fax_through(page[0], tmp_path / "got.tif", False, "none", 0.1)
    assert results != (0, 0) and lost > 0 and mended == 0


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("recovery", ("redundancy", "fec"))
def test_tshark_decodes_what_is_sent(page, tmp_path, recovery):
    _, _, _, datagrams = fax_through(page[0], tmp_path / "got.tif", True, recovery)
    with open(tmp_path / "t38.pcap", "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))        # raw IP
        for number, (ours, octets) in enumerate(datagrams):
            udp = struct.pack(">HHHH", *((40000, 40002) if ours else (40002, 40000)), 8 + len(octets), 0) + octets
            packet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), number & 0xFFFF, 0, 64, 17, 0) + b"\x7f\0\0\1" * 2 + udp
            file.write(struct.pack("<IIII", number // 50, 0, len(packet), len(packet)) + packet)
    shown = subprocess.run(["tshark", "-r", tmp_path / "t38.pcap", "-d", "udp.port==40000,t38", "-Y", "udp.srcport==40000", "-T", "fields", "-e", "t38.seq_number",
                            "-e", "_ws.malformed", "-e", "t38.error_recovery", "-e", "_ws.expert.message"], capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("\t") for line in shown]
    assert [int(row[0].split(",")[0]) for row in rows] == list(range(sum(ours for ours, _ in datagrams)))
    # tshark says this of the end of a signal that had no data, which T.38 has after training (Annex A, t4-non-ecm-sig-end).
    assert not [row for row in rows if row[1] and "W/OUT ANY FRAGMENT DATA" not in row[3]], "nothing is malformed"
    assert {row[2] for row in rows[10:]} == ({"0"} if recovery == "redundancy" else {"1"})


def test_what_is_no_packet_and_no_setting():
    gateway = Gateway()
    for octets in (b"", b"\xff" * 30, b"\x82\x01", bytes(400)):
        gateway.receive(octets, 0)
    gateway.speak(np.zeros(80, np.int16))
    with pytest.raises(LocalError, match="no rate of a fax machine"):
        Gateway(rate=33600)
