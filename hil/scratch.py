"""Scratch folders of rigs and far ends, which leave nothing behind however a rig ends.

    with scratch.folder("load-") as folder:         # gone at the end of the block
    path = scratch.kept("phone-1001-")              # gone at the end of this process

All that a process makes lies in one folder of its own, locked as long as it lives (flock: the kernel lets go of it,
whatever ended the process) and removed at its end.  A process that was killed cannot do that, so whoever makes a
folder first removes those whose lock nobody holds.
"""

import atexit
import fcntl
import os
import pathlib
import shutil
import tempfile

PREFIX = "strowger-rig-"
MEMORY = "/dev/shm"             # where a rig writes too much for a disk

_own = {}                       # parent folder -> (ours in it, its descriptor, process that made it)


def folder(prefix="", memory=False):
    """A TemporaryDirectory.  memory: in memory, where this machine has such a folder."""
    return tempfile.TemporaryDirectory(prefix=prefix, dir=_root(memory))


def kept(prefix=""):
    """Path of a folder that stays until this process ends."""
    return pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=_root()))


def sweep(parent=None):
    """Remove what processes that are gone have left in a folder (default: the one for temporary files)."""
    for path in pathlib.Path(parent or tempfile.gettempdir()).glob(PREFIX + "*"):
        try:
            descriptor = _lock(path)
        except OSError:
            continue            # somebody lives in it, or another has just removed it
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def _root(memory=False):
    parent = MEMORY if memory and os.path.isdir(MEMORY) else tempfile.gettempdir()
    made, _, process = _own.get(parent, (None, None, None))
    if process != os.getpid():  # none yet, or that of the process that we were forked from
        sweep(parent)
        made = tempfile.mkdtemp(prefix="." + PREFIX, dir=parent)
        descriptor = _lock(made)
        seen = os.path.join(parent, os.path.basename(made)[1:])
        os.rename(made, seen)   # only now may another look whether it is locked
        _own[parent], made = (seen, descriptor, os.getpid()), seen
        atexit.register(_end, seen, os.getpid())
    return made


def _lock(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _end(path, process):
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
