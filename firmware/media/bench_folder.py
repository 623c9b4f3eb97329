"""The folder of a measurement: gone at its end, and where the measurement was killed, when the next one begins.

It is locked as long as it is used: the kernel lets go of the lock, whatever ended the process."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile

PREFIX = "strowger-bench-"


@contextlib.contextmanager
def folder():
    """A folder of our own below $TMPDIR, as text; what killed measurements have left there goes."""
    parent = os.environ.get("TMPDIR") or tempfile.gettempdir()
    for left in pathlib.Path(parent).glob(PREFIX + "*"):
        with contextlib.suppress(OSError), _locked(left):        # OSError: somebody measures in it, or another has just removed it
            shutil.rmtree(left, ignore_errors=True)
    made = tempfile.mkdtemp(prefix="." + PREFIX, dir=parent)
    with _locked(made):
        ours = os.path.join(parent, os.path.basename(made)[1:])
        os.rename(made, ours)           # only now may another look whether it is locked
        try:
            yield ours
        finally:
            shutil.rmtree(ours, ignore_errors=True)


@contextlib.contextmanager
def _locked(path):
    """Raises OSError where somebody else has locked it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
