"""Calls over SS7: real core, real MTP3 and ISUP on both ends, media as a stand-in.

Two spans, a signalling link in each, 60 circuits to one exchange.  libss7 proves the same over real lines in tests/live."""

import asyncio

import pytest

from firmware.cli.__main__ import main as strowger
from firmware.config.store import ConfigStore
from firmware.control.client import ControlClient, ControlError
from firmware.proto.isup.node import ISUP
from firmware.proto.mtp3.node import MTP3
from tests.control.test_pri_call import kill, run, settle

NUMBER, OUT, US, THEM = "02150801000", "02150801009", 0x0B1621, 0x0B162C
LINKS = ("s1.16", "s2.16")


@pytest.fixture(autouse=True)
def no_exceptions(caplog):
    yield
    assert "handling failed" not in caplog.text


def configure(site, change=None, **point):
    store = ConfigStore(site.data / "configuration.json")
    config = dict(store.running())
    config["spans"] = [dict(config["spans"][n], signalling="ss7") for n in (0, 1)]
    config["ss7"] = [dict({
        "name": "cn", "variant": "china", "point_code": "11-22-33", "linksets": [{"name": "a", "adjacent": "11-22-44", "links": [
            {"span": 1, "timeslot": 16, "slc": 0}, {"span": 2, "timeslot": 16, "slc": 1}]}],
        "circuit_groups": [{"name": "g", "destination": "11-22-44", "circuits": [
            {"cic": 1, "span": 1, "timeslot": 1}, {"cic": 33, "span": 2, "timeslot": 1}]}]}, **point)]
    config["numbers"] = config["numbers"] + [{"number": OUT, "application": "outside", "target": "913800001111"}]
    if change:
        change(config)
    store.apply(config, config["revision"])


class Far:
    """The other exchange."""

    def __init__(self, media, house):
        self.media, self.house, self.events, self.seen = media, house, [], 0
        self.mtp3 = MTP3({"variant": "china", "point_code": THEM, "restart": False, "linksets": [{"name": "b", "adjacent": US, "links": [
            {"name": name, "slc": slc} for slc, name in enumerate(LINKS)]}]})
        self.isup = ISUP({"variant": "china", "point_code": THEM, "groups": [
            {"name": "x", "destination": US, "circuits": [[1, 1, 1, 15], [17, 1, 17, 15], [33, 2, 1, 15], [49, 2, 17, 15]]}]})
        self.heard = []             # kinds of the ISUP messages that came
        self._did(self.mtp3.start(self.now()))

    def now(self):
        return self.house.clock.now_ms()

    def _did(self, events):
        for event in events:
            if event["event"] in ("transfer_indication", "pause", "resume"):
                if event["event"] == "transfer_indication":
                    self.heard.append(event["octets"][2])
                self._said(self.isup.mtp_event(event, self.now()))

    def _said(self, events):
        self.events += events
        for dpc, sls, octets in self.isup.take_output():
            self._did(self.mtp3.request("transfer", self.now(), dpc=dpc, si=5, sls=sls, octets=octets))

    def link(self, name, *event):
        """An event of MTP2 at both ends."""
        kind = {"out_of_service": "reason"}.get(event[0])
        rows = self.media.standing["links"]
        for row in rows:
            if row["link"] == name:
                row["state"] = "up" if event[0] == "in_service" else "down"
        self._did(self.mtp3.link_event(name, event, self.now()))
        self.media.up_number += 1
        message = {"n": self.media.up_number, "link": name, "tick_ms": 1, "kind": "mtp2_" + event[0]}
        if kind:
            message[kind] = event[1]
        self.media.deliver("n", self.media.up_number, "_signalling", message)

    async def up(self, *names):
        self.media.standing["links"] = [{"link": name, "kind": "mtp2", "state": "down"} for name in LINKS]
        for name in names or LINKS:
            self.link(name, "in_service")
        await self.quiet()

    def exchange(self):
        while True:
            out = [row for row in self.mtp3.take_output() if row[1] == "message"]
            for link, _, octets in out:
                self.media.up("mtp2_message", link=link, octets=octets)
            new = [row for row in self.media.sent[self.seen:] if row[1] == "mtp2_message"]
            self.seen = len(self.media.sent)
            for link, _, octets in new:
                self._did(self.mtp3.link_event(link, ("message", octets), self.now()))
            if not out and not new:
                return

    async def quiet(self):
        for _ in range(4):
            self.exchange()
            for event in self.events:
                if event["event"] == "disconnect_indication" and not event.get("done"):
                    event["done"] = True
                    self._said(self.isup.request("release_request", event["call"], self.now()))
            await settle()

    async def request(self, primitive, call, **given):
        self._said(self.isup.request(primitive, call, self.now(), **given))
        await self.quiet()

    async def call(self, cic=5, called=NUMBER, **more):
        call = self.isup.new_call("x", cic)
        await self.request("setup_request", call, called=called, caller={"number": "13912345678", "presentation": "allowed"},
                           redirecting={"number": "4008001000", "reason": "unconditional"}, **more)
        return call

    def names(self, *wanted):
        return [event["event"] for event in self.events if not wanted or event["event"] in wanted]


async def world(site, **point):
    configure(site, **point)
    house, media = site.whole()
    await house.start()
    await settle()
    far = Far(media, house)
    await far.up()
    return house, media, far


def slot(house, span, timeslot):
    return [s for s in house.state()["spans"][span - 1]["timeslots"] if s["timeslot"] == timeslot][0]


def test_links_come_up_and_circuits_are_reset_once(site):
    async def scenario():
        house, media, far = await world(site)
        opened = media.of("link_open")
        assert [(row["link"], row["kind"], row["variant"], row["timeslot"]) for row in opened] == [
            ("s1.16", "mtp2", "china", 16), ("s2.16", "mtp2", "china", 16)]
        assert [row[1] for row in media.sent if row[0] == "s1.16"][:2] == ["mtp2_emergency", "mtp2_start"]
        spans = house.state()["spans"]
        assert [span["state"] for span in spans] == ["up", "up"] and spans[0]["links"][0]["usable"]
        assert [s["state"] for s in spans[0]["timeslots"]].count("idle") == 30
        assert far.heard.count(0x17) == 4, "GRS: ranges of consecutive codes, at most 32"
        (point,) = house.state()["ss7"]
        assert point["destinations"] == [{"point_code": "11-22-44", "accessible": True}] and point["circuit_groups"][0]["available"] == 60
        kill(house)
        house, _ = site.whole(media)
        far.house = house
        await house.start()
        await far.quiet()
        assert far.heard.count(0x17) == 4 and house.state()["spans"][0]["state"] == "up"
        await house.stop()
    run(scenario())


def test_a_call_from_the_far_exchange_is_answered_and_cleared(site):
    async def scenario():
        house, media, far = await world(site)
        call = await far.call()
        assert far.names("proceeding_indication", "setup_confirm") == ["proceeding_indication", "setup_confirm"]
        added = media.of("add")[0]
        assert (added["kind"], added["span"], added["timeslot"], added["law"]) == ("timeslot", 1, 5, "A")
        assert slot(house, 1, 5)["state"] == "busy" and slot(house, 1, 5)["cic"] == 5
        (seen,) = house.state()["calls"]
        assert (seen["caller"], seen["redirecting"], seen["trunk_group"]) == ("13912345678", "4008001000", "carrier")
        await far.request("release_request", call, cause=16)
        assert house.state()["calls"] == [] and far.isup.call_state(call) is None
        cdr = house.stores.cdrs.page(1)[0]
        assert (cdr["cause"], cdr["released_by"], cdr["span"], cdr["timeslot"]) == (16, "caller", 1, 5)
        await house.stop()
    run(scenario())


def test_digit_by_digit_and_an_unallocated_number(site):
    async def scenario():
        house, media, far = await world(site)
        call = await far.call(called="0215", complete=False)
        assert house.state()["calls"][0]["state"] == "collecting"
        await far.request("information_request", call, digits="0801000", complete=True)
        assert "setup_confirm" in far.names()
        await far.request("release_request", call, cause=16)
        await far.call(cic=40, called="999")
        assert [e["cause"] for e in far.events if e["event"] == "disconnect_indication"] == [1]
        assert house.state()["calls"] == [] and len(far.isup.free_circuits("x")) == 60
        await house.stop()
    run(scenario())


async def dialled(far, called=OUT, cic=5):
    """A tandem call: in on CIC 5, out again.  Returns both calls at the far exchange."""
    inward = await far.call(cic, called=called)
    outward = [e for e in far.events if e["event"] == "setup_indication"][-1]
    return inward, outward


def test_out_again_answered_and_cleared_by_the_called_party(site):
    async def scenario():
        house, media, far = await world(site)
        inward, out = await dialled(far)
        assert (out["called_digits"], out["caller"]["number"], out["redirecting"]["number"]) == ("13800001111", "13912345678", OUT)
        assert out["called_complete"] and (out["span"], out["timeslot"]) == (2, 31), "descending"
        await far.request("proceeding_request", out["call"])
        assert media.of("bridge"), "in-band from the first backward message on"
        await far.request("alerting_request", out["call"])
        await far.request("setup_response", out["call"])
        assert "setup_confirm" in far.names()
        await far.request("release_request", out["call"], cause=16)
        assert [e["cause"] for e in far.events if e["event"] == "disconnect_indication" and e["call"] == inward] == [16]
        cdr = house.stores.cdrs.page(1)[0]
        assert (cdr["released_by"], cdr["out_span"], cdr["out_timeslot"]) == ("callee", 2, 31)
        assert house.state()["calls"] == [] and len(far.isup.free_circuits("x")) == 60
        await house.stop()
    run(scenario())


def test_an_emergency_call_has_priority_and_no_congestion_refuses_it(site, monkeypatch):
    """Q.763 3.11; the destination is congested at our end for as long as the test lasts."""
    def change(config):
        config["numbers"] = config["numbers"] + [{"number": "02150801010", "application": "outside", "target": "110"}]

    async def scenario():
        house, media, far = await world(site, change=change)
        _, out = await dialled(far)
        assert out["category"] == "ordinary"
        point = next(a for a in house.adapters if a.name == "ss7").points["cn"]
        monkeypatch.setattr(type(next(iter(point.isup.destinations.values()))), "refuses", lambda destination: destination in point.isup.destinations.values())
        before = len([e for e in far.events if e["event"] == "setup_indication"])
        _, out = await dialled(far, "02150801010", 6)
        assert len([e for e in far.events if e["event"] == "setup_indication"]) == before + 1
        assert (out["called_digits"], out["category"]) == ("110", "priority")
        await dialled(far, cic=7)
        assert len([e for e in far.events if e["event"] == "setup_indication"]) == before + 1, "others are refused"
        await house.stop()
    run(scenario())


def test_a_blocked_circuit_is_passed_over_and_a_refusal_tries_another(site):
    async def scenario():
        house, media, far = await world(site)
        far._said(far.isup.circuit_request("block", "x.63", far.now()))
        await far.quiet()
        assert slot(house, 2, 31)["state"] == "blocked" and slot(house, 2, 31)["blocked_by"] == ["far"]
        inward, out = await dialled(far)
        assert (out["span"], out["timeslot"]) == (2, 1), "another one of the span"
        assert house.state()["calls"][0]["legs"][1]["timeslot"] == 1
        await far.request("release_request", out["call"], cause=44)
        assert [e["cic"] for e in far.events if e["event"] == "setup_indication"] == [33, 62], "another trunk was tried"
        again = [e for e in far.events if e["event"] == "setup_indication"][-1]
        await far.request("release_request", again["call"], cause=17)
        assert [e["cause"] for e in far.events if e["event"] == "disconnect_indication"][-1] == 17
        assert house.state()["calls"] == []
        await house.stop()
    run(scenario())


def test_dual_seizure(site):
    """Both seize CIC 5 at once: the far exchange has the higher code, the odd ones are ours (Q.764 2.9.1.4)."""
    async def scenario():
        def ascending(config):
            config["trunk_groups"][0]["selection"] = "ascending"
        configure(site, ascending)
        house, media = site.whole()
        await house.start()
        await settle()
        far = Far(media, house)
        await far.up()
        inward = await far.call(cic=6, called=OUT)
        out = [e for e in far.events if e["event"] == "setup_indication"][-1]
        assert out["cic"] == 1
        # CIC 2 is the far end's: its IAM crosses ours, ours goes on on another circuit.
        far2 = far.isup.new_call("x", 2)
        far._said(far.isup.request("setup_request", far2, far.now(), called=NUMBER, caller="1"))
        second = far.isup.new_call("x", 8)
        far._said(far.isup.request("setup_request", second, far.now(), called=OUT, caller="2"))
        rows = [row for row in far.mtp3.take_output() if row[1] == "message"]
        for link, _, octets in reversed(rows):          # the tandem call first: it seizes CIC 2
            media.up("mtp2_message", link=link, octets=octets)
        await far.quiet()
        outs = [e["cic"] for e in far.events if e["event"] == "setup_indication"]
        assert outs == [1, 3], "ours on CIC 2 gave way and was tried again on CIC 3"
        assert house.state()["ss7"][0]["counters"]["isup"]["dual_seizures"] == 1
        for call in (inward, far2, second):
            await far.request("release_request", call, cause=16)
        assert house.state()["calls"] == [] and len(far.isup.free_circuits("x")) == 60
        await house.stop()
    run(scenario())


def test_killed_in_the_middle_of_calls(site):
    """kill -9 of control: the answered call stays, nothing is reset, a release that came meanwhile ends its call."""
    async def scenario():
        house, media, far = await world(site)
        first, second = await far.call(cic=5), await far.call(cic=6)
        resets = [far.heard.count(kind) for kind in (0x12, 0x17)]
        kill(house)
        far._said(far.isup.request("release_request", second, far.now(), cause=16))
        far.exchange()
        house, _ = site.whole(media)
        far.house = house
        await house.start()
        await far.quiet()
        assert [far.heard.count(kind) for kind in (0x12, 0x17)] == resets, "no RSC, no GRS"
        assert [c["timeslot"] for c in house.state()["calls"]] == [5] and far.isup.call_state(second) is None
        assert not [row for row in media.sent if row[1] == "mtp2_stop"]
        await far.request("release_request", first, cause=16)
        assert house.state()["calls"] == [] and far.isup.call_state(first) is None
        await house.stop()
    run(scenario())


def test_one_link_of_two_fails_and_calls_stay(site):
    async def scenario():
        house, media, far = await world(site)
        calls = [await far.call(cic=cic) for cic in (1, 2, 33)]
        far.link("s1.16", "out_of_service", "excessive_error_rate")
        await far.quiet()
        assert ("s1.16", "mtp2_retrieve_bsnt", b"") in media.sent
        state = house.state()
        assert [span["state"] for span in state["spans"]] == ["up", "up"] and len(state["calls"]) == 3
        assert [link["usable"] for link in state["ss7"][0]["links"]] == [False, True]
        far.link("s2.16", "out_of_service", "excessive_error_rate")
        await far.quiet()
        assert [span["state"] for span in house.state()["spans"]] == ["down", "down"] and len(house.state()["calls"]) == 3
        assert not [e for e in far.events if e["event"] == "disconnect_indication"] and calls
        await house.stop()
    run(scenario())


def test_a_span_in_alarm_is_blocked_for_hardware_failure(site, monkeypatch):
    async def scenario():
        from firmware.links import ss7_point
        monkeypatch.setattr(ss7_point, "HARDWARE_MS", 50)
        house, media, far = await world(site)
        await far.call(cic=33)
        adapter = house.adapters[1]
        house.turns.run("alarm", adapter.alarms, 2, ["los"])
        assert house.state()["spans"][1]["state"] == "alarm" and len(house.state()["calls"]) == 1
        await asyncio.sleep(0.2)
        await far.quiet()
        assert house.state()["calls"] == [] and len(far.isup.free_circuits("x")) == 30
        house.turns.run("alarm", adapter.alarms, 2, [])
        await far.quiet()
        assert house.state()["spans"][1]["state"] == "up" and len(far.isup.free_circuits("x")) == 60
        await house.stop()
    run(scenario())


def test_management_by_hand(site, capsys):
    async def scenario():
        house, media, far = await world(site)
        client = ControlClient(str(site.run))
        ask = asyncio.to_thread
        await ask(client.post, "/v1/ss7/cn/circuits/g", {"do": "block", "cics": [7]})
        await far.quiet()
        assert slot(house, 1, 7)["blocked_by"] == ["near"] and len(far.isup.free_circuits("x")) == 59
        await ask(client.post, "/v1/ss7/cn/circuits/g", {"do": "unblock", "cics": [7]})
        await ask(client.post, "/v1/ss7/cn/links/s1.16", {"do": "inhibit"})
        await far.quiet()
        seen = (await ask(client.get, "/v1/ss7"))["ss7"][0]
        for words in (["ss7"], ["ss7-circuits", "cn", "g", "block", "9"], ["ss7-circuits", "cn", "g", "unblock", "9"]):
            assert await ask(strowger, ["--run", str(site.run), *words]) == 0
        assert await ask(strowger, ["--run", str(site.run), "ss7-link", "cn", "s7.7", "activate"]) == 1
        shown = capsys.readouterr().out
        assert "11-22-33" in shown and "s1.16" in shown and "near" in shown
        assert seen["links"][0]["inhibited"] == [True, False] and not seen["links"][0]["usable"] and seen["circuit_groups"][0]["available"] == 60
        for path, body in (("/v1/ss7/cn/links/s9.16", {"do": "inhibit"}), ("/v1/ss7/xx/links/s1.16", {"do": "inhibit"}),
                           ("/v1/ss7/cn/circuits/g", {"do": "block", "cics": [16]}), ("/v1/ss7/cn/circuits/g", {"do": "paint"})):
            with pytest.raises(ControlError, match="there is no|has no|take"):
                await ask(client.post, path, body)
        with pytest.raises(ControlError, match="whole numbers"):
            await ask(client.post, "/v1/ss7/cn/circuits/g", {"do": "block", "cics": "7"})
        await ask(client.post, "/v1/ss7/cn/links/s1.16", {"do": "uninhibit"})
        await house.stop()
    run(scenario())


def test_a_change_of_the_configuration_ends_a_point_in_order(site):
    async def scenario():
        house, media, far = await world(site)
        call = await far.call(cic=5)
        running = house.config.running()
        changed = dict(running, spans=[dict(row) for row in running["spans"]],
                       trunk_groups=running["trunk_groups"] + [dict(running["trunk_groups"][0], name="other")])
        changed["spans"][0]["trunk_group"] = "other"
        await house.apply_configuration(changed, changed["revision"])
        await far.quiet()
        assert len(house.state()["calls"]) == 1 and house.state()["spans"][0]["trunk_group"] == "other", "a living setting"
        running = house.config.running()
        changed = dict(running, ss7=[dict(running["ss7"][0], isup_timers={"T1": 16000})])
        await house.apply_configuration(changed, changed["revision"])
        await far.quiet()
        assert [e["cause"] for e in far.events if e["event"] == "disconnect_indication"] == [38] and house.state()["calls"] == []
        for _ in range(40):
            await asyncio.sleep(0.05)
            if len(media.of("link_open")) > 2:
                break
        assert [row["link"] for row in media.of("link_close")] == list(LINKS)
        assert len(media.of("link_open")) == 4 and far.isup.call_state(call) is None
        assert house.adapters[1].points["cn"].isup.durations_ms["T1"] == 16000
        running = house.config.running()
        await house.apply_configuration(dict(running, ss7=[]), running["revision"])
        for _ in range(40):
            await asyncio.sleep(0.05)
            if not house.adapters[1].points:
                break
        assert not house.adapters[1].points and house.stores.machines.names("ss7/") == []
        await house.stop()
    run(scenario())


def test_media_dies_and_the_links_are_made_again(site):
    async def scenario():
        house, media, far = await world(site)
        await far.call(cic=5)
        media.die("boot2")
        for _ in range(40):
            await asyncio.sleep(0.05)
            if len(media.of("link_open")) == 4:
                break
        assert len(media.of("link_open")) == 4 and house.state()["calls"] == []
        await settle()
        start = [row for row in media.sent if row[1] == "mtp2_start"]
        assert len(start) >= 2
        await house.stop()
    run(scenario())
