"""A whole exchange of ours (MTP2, MTP3, ISUP) and libss7's, joined by lines in virtual time."""

import json
import os
import shutil
import subprocess

from firmware.proto.isup.node import ISUP
from firmware.proto.mtp3.node import MTP3
from tests.proto import mtp_world


def build_peer():
    """Compile the libss7 exchange; None where there is no compiler or no libss7."""
    source, target = mtp_world.HERE / "peers" / "libss7_isup_peer.c", mtp_world.BUILD / "libss7_isup_peer"
    if mtp_world.build_peer() is None or not shutil.which("cc"):
        return None
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        part = target.with_suffix(".%d" % os.getpid())
        subprocess.run(["cc", "-O1", "-Wall", str(source), "-lss7", "-o", str(part)], check=True)
        part.rename(target)
    return target


class Exchange(mtp_world.Ours):
    """Our exchange: ISUP on top of a linkset."""

    def __init__(self, config, adjacent, links=1, variant="itu"):
        super().__init__(config["point_code"], adjacent, links, variant)
        self.isup_config = config
        self.isup = ISUP(config)
        self.told = []                  # events of ISUP
        self.sent = []                  # ISUP octets

    def _after(self, events, now_ms):
        super()._after(events, now_ms)
        for event in events:
            if event["event"] in ("transfer_indication", "pause", "resume", "status"):
                self._isup(self.isup.mtp_event(event, now_ms), now_ms)

    def _isup(self, events, now_ms):
        self.told += events
        for dpc, sls, octets in self.isup.take_output():
            self.sent.append(octets)
            super()._after(self.node.request("transfer", now_ms, dpc=dpc, si=5, sls=sls, octets=octets), now_ms)

    def expire(self, now_ms):
        super().expire(now_ms)
        self._isup(self.isup.expire(now_ms), now_ms)

    def deadline_ms(self):
        return min([d for d in (super().deadline_ms(), self.isup.deadline_ms()) if d is not None], default=None)

    def say(self, primitive, call, now_ms, **given):
        self._isup(self.isup.request(primitive, call, now_ms, **given), now_ms)

    def manage(self, primitive, circuit, now_ms, **given):
        self._isup(self.isup.circuit_request(primitive, circuit, now_ms, **given), now_ms)

    def group(self, primitive, now_ms, cics=None, hardware=False):
        self._isup(self.isup.group_request(primitive, "a", now_ms, cics, hardware), now_ms)

    def kill_control(self, now_ms):
        """kill -9 of control: MTP2 lives on; MTP3 and ISUP come back from what they wrote."""
        saved = json.loads(json.dumps([self.node.dump(), self.isup.dump()]))
        self.node = MTP3.restore(saved[0], self.config)
        self.isup = ISUP.restore(saved[1], self.isup_config)
        self._isup(self.isup.audit(now_ms, self.node.state()["destinations"]), now_ms)

    def heard(self, *names):
        """Events of ISUP with these names; forgets all."""
        told, self.told = self.told, []
        return [e for e in told if e["event"] in names]
