"""One-way delays between a trunk and a telephone, octet by octet.

Both ends send A-law octets that arrive unchanged where enhancement is off, so
each sample is known at the other end.  Trunk to phone: from the instant the
block that holds a sample is at the line socket to the kernel's receive time
of the packet that holds it, for the oldest sample of each packet.  Phone to
trunk: from sendto() of a packet to the block that holds its first sample.

The same is told in the board's time, in steps of a block, where the phone has
the board's clock: the board stands still while the host does, so this does not
grow when the host takes the processor away, and the worst of it is the product's.
"""

import random
import statistics
import time

import numpy as np

from hil.probes import exact, wav

FRAMES = 80               # of a block
PACKET = 160              # octets
TRAVEL_S = 0.3            # until the last octet has certainly arrived


def material(seed, seconds, path=None):
    """Random A-law octets, unlike anything else on the line, as a WAV where path is given; returns the octets."""
    octets = random.Random(seed).randbytes(int(seconds * 8000))
    if path is not None:
        wav.write_alaw(path, wav.alaw_expand(np.frombuffer(octets, np.uint8)))
    return octets


class Delays:
    """Of one direction.  values_ms: of each packet, in order of sending; board_ms: the same in the board's time,
    empty without its clock.  match: of hil.probes.exact; match.exact: every octet arrived unchanged and in order."""

    def __init__(self, values_ms, board_ms, match):
        self.values_ms, self.board_ms = values_ms, board_ms
        self.median_ms = statistics.median(values_ms) if values_ms else float("nan")
        self.worst_ms = max(values_ms, default=float("nan"))
        self.match = match


def _block_time(events, sample):
    """Times of the block that holds a sample, by the clock of each event: the board may have moved its time between them."""
    return [e["sample_mono"] + (sample // FRAMES * FRAMES - e["sample"]) / 8000 for e in events]


def _board_offset(far, clock):
    """Frames of the board at sample 0 of the far exchange's lines; None without a clock."""
    if clock is None:
        return None
    return statistics.mode(clock.frames() - FRAMES * (far.status()["spans"][0]["blocks"] - 1) for _ in range(9))


def measure(far, phone, name, path, caller, agent):
    """Play both ways at once in a talking call, then end it.  phone: a ProbePhone.  caller: octets
    that the WAV at path holds; agent: octets that the phone says, in whole packets.
    Returns (trunk to phone, phone to trunk); ends where nothing came have no values.  Raises TimeoutError."""
    first, offset = len(phone.packets), _board_offset(far, phone.clock)
    far.play(name, path)
    play = phone.play(agent)
    started = far.wait_for("play_started", 5, id=name, file=str(path.resolve()))
    play.wait(len(agent) / 8000 + 5)
    events = (started, far.wait_for("play_done", len(caller) / 8000 + 5, id=name, since=started["n"]))
    time.sleep(TRAVEL_S)
    packets = list(phone.packets[first:])
    far.hangup(name)
    far.wait_for("released", 8, id=name)
    record = far.wait_for("record_started", 5, id=name)
    far.wait_for("record_closed", 5, id=name)
    heard = wav.alaw_compress(wav.read_mono(record["file"])).tobytes()
    to_phone = exact.match(caller, b"".join(packet.payload for packet in packets))
    to_trunk = exact.match(agent, heard)
    left = [(started["tx_sample"] + sample, packet)
            for sample, packet in ((i * PACKET - to_phone.at, p) for i, p in enumerate(packets))
            if 0 <= sample < len(caller)] if to_phone.pieces else []
    came = [(record["rx_sample"] + to_trunk.at + i * PACKET, sent) for i, sent in enumerate(play.sent)] if to_trunk.pieces else []
    there = [1000 * (packet.mono - min(_block_time(events, sample))) for sample, packet in left]
    back = [1000 * (max(_block_time(events, sample)) - sent.mono) for sample, sent in came]
    if offset is None:
        return Delays(there, [], to_phone), Delays(back, [], to_trunk)
    return (Delays(there, [(packet.frames - offset - sample // FRAMES * FRAMES) / 8 for sample, packet in left], to_phone),
            Delays(back, [(sample // FRAMES * FRAMES + offset - sent.frames) / 8 for sample, sent in came], to_trunk))
