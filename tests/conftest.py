"""Tests in real time on a shared machine: repeated where the host itself stood still, and only there.

A test below tests/live, tests/hil or tests/media that fails while hil/probes/host.py
has seen a processor taken away for more than half a tick is run again, three
times in all.  No limit is loosened; a failure on a calm host counts.  Where the host stood still
again and again since the module's house was started, the result is neither pass nor fail:
it is shown as skipped, "inconclusive", with the figure.
"""

import time

import pytest
from _pytest.runner import runtestprotocol

from hil.probes.host import HostWatch

REAL_TIME = ("tests/live/", "tests/hil/", "tests/media/")
ATTEMPTS = 3
MODULE_BEGAN = {}        # path -> time.monotonic() of its first test


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
    MODULE_BEGAN.setdefault(item.path, time.monotonic())
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(1, ATTEMPTS + 1):
        began = time.monotonic()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        stalls = item.config.host_watch.stalls(began)
        if attempt == ATTEMPTS or not stalls or not any(report.failed for report in reports):
            break
        why = f"the host stood still {len(stalls)} times, at worst {max(late for _, late in stalls):.0f} ms"
        item.config.get_terminal_writer().write(f"\n{item.nodeid}: failed, but {why}; run again\n")
        item._initrequest()         # fresh fixtures for this item, as the first run had
    stalls = item.config.host_watch.stalls(MODULE_BEGAN[item.path])
    for report in reports:
        if report.failed and stalls:
            worst = max(late for _, late in stalls)
            report.outcome = "skipped"
            report.longrepr = (str(item.path), 0, f"inconclusive: the host stood still {len(stalls)} times, at worst "
                               f"{worst:.0f} ms; the last failure was: {str(report.longrepr)[-300:]}")
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
