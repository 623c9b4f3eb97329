"""Tests in real time on a shared machine: repeated where the host itself stood still, and only there.

A test below tests/live, tests/hil or tests/media that fails while hil/probes/host.py
has seen a processor taken away for more than half a tick is run again on a new
house, once the host has been calm for a while.  No limit is loosened and nothing is skipped: a
failure without a stall counts at once, and so does that of the last attempt.  As a stall may also stand beside
a true fault, what failed once must then pass twice in a row, and the end of the run names it with its first failure.
"""

import os
import time

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from hil.probes.host import HostWatch
from tests import corpus

hypothesis.settings.register_profile("shared", deadline=None)       # how long an example takes says nothing on a shared machine
hypothesis.settings.load_profile("shared")
REAL_TIME = ("tests/live/", "tests/hil/", "tests/media/")
LONGEST = ("tests/live/test_kill.py", "tests/live/test_demo.py")     # begun first, so that no worker is left with them alone
FAILURES = 4            # so many, and it has failed
PASSES = 2              # in a row, after a failure
EXCUSED = "run again"   # of a worker's report: the test's first failure, and why it did not count
WHOLE_ONLY = pytest.mark.skipif(not os.environ.get("STROWGER_WHOLE"), reason="a longer proof: `make conformance` has it")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_sessionstart(session):
    session.config.host_watch = None


def pytest_sessionfinish(session):
    if getattr(session.config, "host_watch", None):
        session.config.host_watch.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    if not item.nodeid.startswith(REAL_TIME):
        return None
    if item.config.host_watch is None:
        item.config.host_watch = HostWatch().start()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    failures, passes, excuses = 0, 0, []
    while True:
        began = time.monotonic()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if any(report.failed for report in reports):
            failures, passes = failures + 1, 0
            stalls = item.config.host_watch.stalls(began)
            if failures == FAILURES or not stalls:
                break
            excuses.append(_excuse(item, reports, stalls))
        else:
            passes += 1
            if not excuses or passes == PASSES or any(report.skipped for report in reports):
                break
        item.session._setupstate.teardown_exact(None)      # a disturbed house is not used again
        item._initrequest()
        item.config.host_watch.wait_for_calm()
    if excuses:
        reports[-1].user_properties.append((EXCUSED, excuses[0]))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _excuse(item, reports, stalls):
    """What failed, and how the host stood meanwhile; said at once."""
    said = next(str(report.longrepr).splitlines()[-1] for report in reports if report.failed)
    what = next((line[2:].strip() for report in reports if report.failed
                 for line in str(report.longrepr).splitlines() if line.startswith("E ")), said)
    excuse = f"failed ({what[:200]}), but the host stood still {len(stalls)} times, at worst {max(late for _, late in stalls):.0f} ms"
    # Not the terminal writer: under pytest-xdist that of a worker goes nowhere.
    os.write(2, f"\n{item.nodeid}: {excuse}; run again\n".encode())
    return excuse


def pytest_terminal_summary(terminalreporter):
    missed = corpus.missed(terminalreporter.stats.get("skipped", ()))
    if missed:
        terminalreporter.section(f"skipped: {sum(missed.values())} tests need the corpus (README, Tests), which is not in {corpus.FOLDER}")
        for file, count in sorted(missed.items()):
            terminalreporter.write_line(f"{file}: {count}")
    excused = [(report.nodeid, said) for reports in terminalreporter.stats.values() for report in reports
               for name, said in getattr(report, "user_properties", ()) if name == EXCUSED]
    if excused:
        terminalreporter.section("run again because the host stood still")
        for nodeid, said in excused:
            terminalreporter.write_line(f"{nodeid}: {said}")
