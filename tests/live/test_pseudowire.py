"""A PRI span over packets through the whole house: moved there by one line of the board's description, and by its row.

The far end is libpri behind a gateway that was written apart (hil/far/pseudowire.py).  A call comes in on span 2 (packets) and goes
out on span 1 (the board): what both far exchanges say and record is compared octet by octet."""

import json
import socket
import time

import pytest

from hil.far.client import FarExchange
from hil.far.pseudowire import PseudowireGateway
from hil.ports import free_port
from hil.probes import exact
from hil.rig import CHECKOUT, Rig
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves

pytestmark = pytest.mark.live
NUMBER, TANDEM, SECONDS = "13912345678", "02150801009", 2
JITTER_MS = 120                 # the host's own stalls are no fault of the span


class House(Rig):
    """A rig whose span 2 is in packets.  gateway, packets: its far end."""

    gateway = packets = None

    def begin(self):
        board = json.loads((CHECKOUT / "boardconfig/boards/strowger64.json").read_text())
        port = free_port(socket.SOCK_DGRAM)
        self.gateway = PseudowireGateway(self.folder / "far", 2, ("127.0.0.1", port)).start()
        line = {"span": 2, "kind": "cesopsn", "local": f"127.0.0.1:{port}", "remote": f"127.0.0.1:{self.gateway.port}", "jitter_ms": JITTER_MS}
        self.bearer = {name: value for name, value in line.items() if name != "span"}
        board["bearers"] = [line]
        self.data_dir.mkdir(parents=True)
        (self.data_dir / "boardconfig.json").write_text(json.dumps(board))
        self.packets = FarExchange(self.folder / "far", [2]).start()
        self.start()
        running = self.product.get("/configuration")
        config = running["configuration"]
        config["trunk_groups"].append({"name": "second", "label": "Second"})
        config["spans"][0]["trunk_group"] = "second"
        config["routes"] = [{"number": "9.", "choices": [{"trunk_group": "second", "strip": 1}]}]
        config["numbers"].append({"number": TANDEM, "application": "outside", "target": "9" + NUMBER})
        self.product.post("/configuration/apply", running)
        self.up()
        return self

    def span(self):
        return next((row for row in self.state()["spans"] if row["span"] == 2), {"state": "gone", "alarms": []})

    def up(self):
        """Wait until calls go over the packets, and over span 1."""
        self.wait(lambda s: all(row["state"] == "up" for row in s["spans"]) and len(s["spans"]) == 2, 40, "both spans up")

    def figures(self):
        return self.product.get("/lines")["lines"]["2"]["bearer"]["figures"]

    def disturbed(self):
        told = self.figures()
        return sum(told[name] for name in ("frames_missing", "overruns", "underruns", "slips_repeated", "slips_left_out", "resyncs")) + self.gateway.figures()["lost"]

    def stop(self):
        super().stop()
        if self.packets is not None:
            self.packets.stop()
        if self.gateway is not None:
            self.gateway.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with House(tmp_path_factory.mktemp("house"), spans=(1,), crc4=(1,)) as rig:
        yield rig.begin()


def recorded(house, exchange, name):
    exchange.wait_for("record_closed", 30, id=name)
    octets = (house.folder / f"{name}.wav").read_bytes()
    at = octets.index(b"data")
    return octets[at + 8:]


def talk(house, name):
    """A call in over the packets and out over the board; returns (octets sent and heard by the caller, by the called one)."""
    path, called_says = house.folder / "called.wav", probe_moves.material(5, SECONDS, house.folder / "called.wav")
    near, caller_says = house.folder / "caller.wav", probe_moves.material(6, SECONDS, house.folder / "caller.wav")
    house.far.policy(record_dir=house.folder, alerting_ms=50, answer_ms=100)
    mark = house.far.mark()
    house.packets.call(name, span=2, called=TANDEM, caller="13811112222", record=house.folder / f"{name}.wav")
    out = house.far.wait_for("incoming", 30, since=mark)
    assert (out["span"], out["called"], out["caller"]) == (1, NUMBER, "13811112222")
    house.packets.wait_for("connect", 30, id=name)
    time.sleep(JITTER_MS / 500)
    house.packets.play(name, near)
    house.far.play(out["id"], path)
    house.packets.wait_for("play_done", SECONDS + 30, id=name)
    house.far.wait_for("play_done", SECONDS + 30, id=out["id"])
    time.sleep(JITTER_MS / 500)
    house.packets.hangup(name)
    house.packets.wait_for("released", 30, id=name)
    house.far.wait_for("released", 30, id=out["id"])
    return (exact.match(called_says, recorded(house, house.packets, name)), exact.match(caller_says, recorded(house, house.far, out["id"])))


def test_one_line_of_the_description_moves_a_pri_to_packets(house):
    """libpri to libpri, packets to board: each octet both ways; again where the host itself disturbed it."""
    assert house.span()["bearer"] == house.product.get("/lines")["lines"]["2"]["bearer"]["kind"] + " " + house.bearer["remote"]
    for attempt in range(1, probe_moves.ATTEMPTS + 1):
        excuses, before = probe_moves.Excuses(house), house.disturbed()
        heard = talk(house, f"p{attempt}")
        if all(match.exact for match in heard):
            break
        assert excuses.found() or house.disturbed() != before, [str(match) for match in heard]
    else:
        assert all(match.changed < match.sent / 2 for match in heard), [str(match) for match in heard]
    assert house.gateway.figures()["wrong"] == 0 and house.product.get("/lines")["lines"]["1"]["bearer"] == {"kind": "board"}
    assert sum(house.figures()["wrong"].values()) == 0


def test_a_bad_network_loses_what_it_loses_and_no_call(house):
    """Loss, reordering and doubles of what comes, a stranger beside it: counted, told, the call stays."""
    before = house.figures()
    house.gateway.order(loss=0.02, reorder=0.05, duplicate=0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        host, port = house.bearer["local"].split(":")
        stranger.sendto(b"\0\0\0\0" + bytes(248), (host, int(port)))
        name = "%s:%d" % stranger.getsockname()
        alarm = None
        deadline = time.monotonic() + 30
        while alarm is None and time.monotonic() < deadline:
            alarm = next((row for row in house.product.get("/alarms")["alarms"] if row["kind"] == "pw_stranger"), None)
    heard = talk(house, "bad")
    house.gateway.order(loss=0.0, reorder=0.0, duplicate=0.0)
    assert alarm["members"] == ["span 2"] and name in alarm["detail"]["span 2"]
    after = house.figures()
    grown = {key: after[key] - before[key] for key in ("frames_missing", "duplicates", "reordered", "strangers")}
    assert all(grown.values()) and grown["strangers"] == 1, grown
    assert all(match.pieces for match in heard) and house.span()["state"] == "up"


def test_packets_that_cease_are_loss_of_signal_on_that_span_alone(house):
    stood = {row["id"] for row in house.product.get("/alarms")["alarms"]}       # span 1 has no far end until the rig starts it
    house.gateway.order(silent=True)
    house.wait(lambda s: [row["alarms"] for row in s["spans"]] == [[], ["los"]], 30, "loss of signal on span 2")
    deadline, alarm = time.monotonic() + 30, None
    while alarm is None and time.monotonic() < deadline:
        alarm = next((row for row in house.product.get("/alarms")["alarms"] if row["kind"] == "los" and row["id"] not in stood), None)
    assert alarm["members"] == ["span 2"] and alarm["detail"]["span 2"] == "no packets come from " + house.bearer["remote"]
    assert house.gateway.figures()["far"] == {"l": 0, "r": 1, "m": 2}
    house.gateway.order(silent=False, ais=True)
    house.wait(lambda s: s["spans"][1]["alarms"] == ["ais"], 30, "AIS on span 2")
    house.gateway.order(ais=False)
    house.up()
    assert not [event for event in house.far.events() if event["event"] == "link_down"]


@WHOLE_ONLY
def test_the_row_of_a_span_moves_it_too_and_media_that_starts_anew_is_told(house):
    """By REST to SAToP, another gateway behind it; then kill -9 of media."""
    house.gateway.stop()
    house.packets.stop()
    local = house.bearer["local"].split(":")
    house.gateway = PseudowireGateway(house.folder / "again", 2, (local[0], int(local[1])), kind="satop", rtp=96).start()
    house.packets = FarExchange(house.folder / "again", [2]).start()
    running = house.product.get("/configuration")
    row = running["configuration"]["spans"][1]
    row.update(crc4=False, bearer={**house.bearer, "kind": "satop", "remote": f"127.0.0.1:{house.gateway.port}", "rtp": True})
    house.product.post("/configuration/apply", running)
    house.packets.wait_for("link_up", 40, span=2)
    house.up()
    assert house.span()["bearer"] == f"satop 127.0.0.1:{house.gateway.port}"
    mark = house.packets.mark()
    house.kill("media")
    house.packets.wait_for("restart", 60, span=2, since=mark)        # layer 2 is set up anew, and our first message over it
    house.up()
    proposed = house.product.get("/configuration")
    proposed["configuration"]["spans"][1]["bearer"]["local"] = "192.0.2.1:5000"
    proposed["configuration"]["spans"][1]["bearer"]["remote"] = "nobody"
    errors = house.product.post("/configuration/propose", proposed["configuration"])["errors"]
    assert any(error["path"] == "spans[1].bearer.remote" for error in errors)
