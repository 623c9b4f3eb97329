"""Sockets that must outlive a process: opened by the supervisor, inherited by name.

The protocol is systemd's (LISTEN_FDS, LISTEN_FDNAMES; first descriptor 3), so
that the appliance's units hand them on in the same way.  LISTEN_PID is not
checked under our own supervisor, which cannot know the pid before the start.
"""

import errno
import fcntl
import os
import socket

from firmware.errors import LocalError

FIRST_FD = 3
OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)      # of the errors of bind(): the address is none of them
_PARKED_FD = 64   # above every descriptor that is given away
UNIX_PATH_OCTETS = 107      # of a Unix socket's path: sun_path of unix(7) without the closing NUL
LONGEST_NAME = "/media-signalling.sock"     # the longest of those that are bound below $STROWGER_RUN


def check_folder(folder):
    """Raise LocalError where a folder's path is too long for the Unix sockets in it."""
    most = UNIX_PATH_OCTETS - len(LONGEST_NAME)
    octets = len(os.fsencode(str(folder)))
    if octets > most:
        raise LocalError(f"The path {folder} ($STROWGER_RUN) is too long for a Unix socket: it has {octets} octets, at most "
                         f"{most} are possible. Set $STROWGER_RUN to a shorter path.")


def place(part):
    """"address:port" of a part of the configuration; an IPv6 address stands in brackets (RFC 3986 3.2.2)."""
    address = part["address"]
    return f"[{address}]:{part['port']}" if ":" in address else f"{address}:{part['port']}"


def open_listener(name, kind, address, port):
    """Open one socket.  kind: "udp" or "tcp".  Raises LocalError with what to do."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    try:
        if kind == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((address, port))
        if kind == "tcp":
            sock.listen(512)
    except OSError as error:
        sock.close()
        if error.errno == 98:
            raise LocalError(f"{kind.upper()} port {port} on {address}, wanted for {name}, is already in use. "
                             "Stop the program that uses it, or set another port in the configuration.") from error
        if error.errno == 13:
            raise LocalError(f"{kind.upper()} port {port} on {address}, wanted for {name}, needs root's right. "
                             "Set a port above 1023 in the configuration, or start as root.") from error
        raise LocalError(f"{kind.upper()} port {port} on {address}, wanted for {name}, cannot be opened: "
                         f"{error.strerror}. Correct the address in the configuration.") from error
    return sock


def is_broadcast(address):
    """Whether an IPv4 address is a broadcast address of this machine's networks: the kernel says so without sending."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect((address, 9))
        except PermissionError:
            return True
        except OSError:
            pass                # no way there
    return False


def park_for_children(sockets):
    """Move sockets to the descriptors 3, 4, ... that every child inherits.

    sockets: {name: socket}.  Returns (environment variables, descriptors to pass)."""
    parked = [fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, _PARKED_FD) for sock in sockets.values()]
    for sock in sockets.values():
        sock.close()
    numbers = []
    for index, descriptor in enumerate(parked):
        os.dup2(descriptor, FIRST_FD + index, inheritable=True)
        os.close(descriptor)
        numbers.append(FIRST_FD + index)
    return ({"LISTEN_FDS": str(len(numbers)), "LISTEN_FDNAMES": ":".join(sockets), "STROWGER_SUPERVISED": "1"},
            numbers)


def inherited(name, environ=os.environ):
    """The inherited socket of that name, or None when nobody handed one on."""
    supervised = environ.get("STROWGER_SUPERVISED") == "1"
    if not supervised and environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    count = int(environ.get("LISTEN_FDS", "0") or 0)
    if name not in names[:count]:
        return None
    return socket.socket(fileno=os.dup(FIRST_FD + names.index(name)))
