"""Exit codes of the three processes, as the supervisor and systemd's units read them.

    0              ended as asked
    EX_TEMPFAIL    start again: what hindered may be gone (another process still runs, the disk was full)
    EX_CONFIG      another start would end the same: a person must act first
    1, signals     a fault of ours: start again, with a growing pause

The numbers are those of sysexits.h.
"""

import errno

EX_TEMPFAIL, EX_CONFIG = 75, 78

# What a machine refuses for now.  Rights, wrong paths and read-only disks stay as they are until somebody acts.
PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EINTR,
           errno.ENOBUFS, errno.EBUSY, errno.ETXTBSY}


def exit_code(error):
    """The exit code for an exception that kept a process from starting."""
    passing = isinstance(error, OSError) and error.errno in PASSING
    return EX_TEMPFAIL if passing else EX_CONFIG
