"""A network of their own for a bench's far ends, so that what reaches them is no work of the process that is measured.

    network = Network.made()            # None where it is not granted; .close()
    subprocess.Popen(..., preexec_fn=network.enter_ours)
    sockets = network.at_far_ends(make)

On loopback whoever sends a packet does the receiver's work, too: the way through the far end's kernel into its socket is in the time of
sendmsg(2).  No network card does that.  Here the measured process and the far ends have a network namespace each, joined by a veth pair with
NAPI in threads of the kernel (one a queue): sending ends where a packet is in the card's queue, and what takes it from there,
through the receiver's kernel into his socket, is the thread of the receiver's side, whose time is read apart (receiving_ns()), as is that of a
card's interrupts.  The far ends are machines behind a router: FAR_FIRST on, all of them local there.  The namespaces go when nothing uses them.

Why all addresses are in 127.0.0.0/8, which is not the machine's own here: some hosts, as that of this project's sessions, have a program of
theirs run on each packet to any other address, which is 3 % of the tick and no work of the product or its kernel.
"""

import concurrent.futures
import ctypes
import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import threading

OURS_QUEUES, FAR_QUEUES = 8, 8                  # towards us, towards the far ends: each holds 256 packets; more than a tick's thousand wait where the tick has all processors
GATHERED_NS, GATHERED_TIMES = 200_000, 2        # ours: as a card gathers its interrupts: a thread looks again after that time, so often without having found anything
OURS, ROUTER, FAR, FAR_FIRST = "127.63.0.1", "127.63.0.2", "127.64.0.0/16", 0x7F400001
CLONE_NEWNET = 0x40000000
SIOCETHTOOL, ETHTOOL_STSO, ETHTOOL_SGRO = 0x8946, 0x1F, 0x2C           # linux/ethtool.h


def _checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def enter(namespace):
    """Bring the calling thread into a network namespace (its open file).  Raises OSError."""
    _checked(ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET))


def in_thread(work):
    """What work() returns in a thread of its own, whose namespace dies with it."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _new_namespace():
    _checked(ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET))
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _queued(device):
    """At a device of the calling thread's namespace: what it sends and takes goes by the queues of NAPI, which a veth has where it would
    take packets together (GRO) and its peer does not (TSO)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command, on in ((ETHTOOL_SGRO, 1), (ETHTOOL_STSO, 0)):
            value = ctypes.create_string_buffer(struct.pack("II", command, on))
            fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", device.encode(), ctypes.addressof(value)))


class Network:
    """See the module docstring.  address: of the measured process; far_first: of the first far end, as int; devices: names of both ends, each in its namespace."""

    address, far_first = OURS, FAR_FIRST

    @classmethod
    def made(cls):
        """One, or None where namespaces, devices or NAPI threads are not granted (CAP_SYS_ADMIN, CAP_NET_ADMIN)."""
        try:
            return cls()
        except (OSError, subprocess.SubprocessError):
            return None

    def __init__(self):
        self.devices = f"bo{os.getpid()}", f"bf{os.getpid()}"          # ours, the far ends'
        self._ours = self._far = None
        try:
            self._ours, self._far = (in_thread(_new_namespace) for _ in "ab")
            self._join()
        except BaseException:
            self.close()
            raise

    def _join(self):
        ours, far = self.devices
        queues = lambda out, back: ["numtxqueues", str(out), "numrxqueues", str(back)]
        self._run(self._ours, "ip", "link", "add", ours, *queues(FAR_QUEUES, OURS_QUEUES), "type", "veth",
                  "peer", "name", far, *queues(OURS_QUEUES, FAR_QUEUES), "netns", f"/proc/{os.getpid()}/fd/{self._far}")
        for namespace, device, address in ((self._ours, ours, OURS), (self._far, far, ROUTER)):
            in_thread(lambda: (enter(namespace), _queued(device)))
            # Not all of 127.0.0.0/8 is the machine's own here.
            for words in ("link set lo up", "addr del 127.0.0.1/8 dev lo", "addr add 127.0.0.1/32 dev lo", f"addr add {address}/30 dev {device}", f"link set {device} up"):
                self._run(namespace, "ip", *words.split())
            self._run(namespace, "sh", "-ec", f"echo 1 > /proc/sys/net/ipv4/conf/{device}/route_localnet")
        for namespace, device in zip((self._ours, self._far), self.devices):
            # The threads' switch works once there are queues.  It is in /sys, which shows the namespace of who has mounted it.
            self._run(namespace, "unshare", "--mount", "sh", "-ec", f"mount -t sysfs sysfs /sys; cd /sys/class/net/{device}; echo 1 > threaded; "
                      f"echo {GATHERED_NS} > gro_flush_timeout; echo {GATHERED_TIMES} > napi_defer_hard_irqs")
        self._run(self._ours, *f"ip route add {FAR} via {ROUTER}".split())
        self._run(self._far, *f"ip route add local {FAR} dev lo".split())

    @staticmethod
    def _run(namespace, *command):
        subprocess.run(command, preexec_fn=lambda: enter(namespace), check=True, capture_output=True, timeout=20)

    def enter_ours(self):
        """For preexec_fn of the process that is measured."""
        enter(self._ours)

    def at_far_ends(self, make):
        """make() with the far ends' network: sockets stay there."""
        return in_thread(lambda: (enter(self._far), make())[1])

    def receiving_ns(self):
        """Processor time of the kernel's threads that have brought packets to (ours, the far ends)."""
        found = [0, 0]
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                name = process.joinpath("comm").read_text()
                for side, device in enumerate(self.devices):
                    if name.startswith(f"napi/{device}-"):
                        found[side] += int(process.joinpath("schedstat").read_text().split()[0])
            except OSError:
                pass                    # it has just ended
        return tuple(found)

    def close(self):
        """The devices go with the last process and socket in their namespaces."""
        for name in ("_ours", "_far"):
            if getattr(self, name) is not None:
                os.close(getattr(self, name))
                setattr(self, name, None)
