"""Ports for rigs and far ends: free now, and nobody's by chance until they are used.

They lie below the range that the kernel hands to clients (32768 upwards; net.ipv4.ip_local_port_range) and
above that of RTP, so only another rig that draws the same number at the same moment can take one.
"""

import random
import socket

LOWEST, BEYOND = 30000, 32700
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
DRAWS = 400


def free_block(wanted, address="127.0.0.1", step=1, lowest=LOWEST):
    """A base port where all are free.

    wanted: {socket kind: offsets}.  step: bases are this far apart, from lowest on.  Raises RuntimeError."""
    for _ in range(DRAWS):
        base = random.randrange(lowest, BEYOND, step)
        held = []
        try:
            for kind, offsets in wanted.items():
                for offset in offsets:
                    probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
                    held.append(probe)
                    probe.bind((address, base + offset))
            return base
        except OSError:
            continue
        finally:
            for probe in held:
                probe.close()
    raise RuntimeError(f"No block of free ports ({wanted}) was found on {address}; end what holds them.")


def free_port(*kinds, address="127.0.0.1"):
    """A port that is free for each of the socket kinds (UDP and TCP where none is named)."""
    return free_block({kind: (0,) for kind in kinds or (UDP, TCP)}, address)
