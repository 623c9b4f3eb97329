"""Calls to the outside: what the switchboard decides, on the small world of switchboard_rig.py.

After each step the rig replays the journal, so every scenario here is also a test of the replay."""

import copy

import pytest

from firmware.call.areas import Areas
from firmware.errors import ConfigError
from tests.control.switchboard_rig import CONFIG, Rig

WORKDAY_08 = 1753920000000      # Thursday 2025-07-31, 08:00 in Shanghai


def config(**groups):
    changed = copy.deepcopy(CONFIG)
    changed["spans"].append({"span": 3, "type": "e1", "d_timeslot": 16, "trunk_group": "second", "side": "network"})
    changed["trunk_groups"] = [{"name": "carrier", "selection": "descending", "caller_number": "02150801000"},
                               {"name": "second", "selection": "ascending", "caller": "group", "caller_number": "4008001000",
                                "channel": "preferred"}]
    for row in changed["trunk_groups"]:
        row.update(groups.get(row["name"], {}))
    changed["routes"] = [
        {"number": "9.", "class": "national", "hunt_limit": 4, "choices": [
            {"trunk_group": "carrier", "strip": 1}, {"trunk_group": "second", "strip": 1, "prefix": "17951", "type": "national"}]},
        {"number": "900.", "class": "international", "choices": [{"trunk_group": "carrier", "strip": 1}]},
        {"number": "98.", "class": "national", "choices": [
            {"trunk_group": "carrier", "strip": 1, "days": "12345", "from": "18:00", "to": "08:00"}, {"trunk_group": "second"}]},
        {"number": "110", "class": "emergency", "choices": [{"trunk_group": "carrier"}]}]
    changed["numbers"] += [{"number": "02150801009", "label": "Night", "application": "outside", "target": "913800001111"}]
    for line in changed["lines"]:
        if line["name"] == "2001":
            line.update(classes=["internal", "local", "national", "international"], outside_number="02150802001", withhold=True)
    flow = changed["ivr"]["main"]["nodes"]
    flow["menu"]["choices"]["5"] = "outside"
    flow["outside"] = {"type": "outside", "number": "913900009999", "failed": "goodbye", "ring_s": 20}
    return changed


def world(up=(1, 2, 3), **groups):
    rig = Rig(config(**groups))
    for span in up:
        rig.do("span.state", span=span, state="up", alarms=[])
    return rig


def dialled(rig, line="1001", number="913912345678", leg="s1"):
    rig.dial(line, number, leg)
    return rig.last("leg.create")


def gone(rig, create, cause, by="far"):
    rig.do("leg.released", leg=create["leg"], cause=cause, by=by)


def test_a_line_calls_out_talks_and_the_called_party_hangs_up():
    rig = world()
    create = dialled(rig)
    assert (create["tech"], create["span"], create["timeslot"], create["exclusive"]) == ("pri", 2, 31, True)
    assert create["called"] == {"number": "13912345678", "type": "unknown", "plan": "isdn"}
    assert create["caller"] == {"number": "02150801000", "type": "unknown", "presentation": "allowed"}
    assert create["redirecting"] is None and create["bearer"] == "speech"
    assert rig.call()["state"] == "ringing" and rig.call()["application"] == "outside" and rig.call()["dialled"] == "913912345678"
    rig.do("leg.alerting", leg=create["leg"], inband=False)
    assert rig.last("leg.alerting") == {"do": "leg.alerting", "leg": "s1", "inband": False}
    assert not rig.media["bridges"] and not rig.media["signals"], "the telephone makes its own ringing tone"
    rig.wait(4000)
    rig.do("leg.answered", leg=create["leg"])
    assert list(rig.media["bridges"].values()) == [["s1", create["leg"]]] and rig.adapter["s1"] == "answered"
    assert rig.agent("1001")["state"] == "talking" and rig.call()["agent"] == "1001"
    rig.wait(10000)
    gone(rig, create, 16)
    rig.media["recordings"].clear()
    rig.wait(70000)
    rig.finished()
    cdr = rig.cdrs[0]
    assert (cdr["line"], cdr["agent"], cdr["dialled"], cdr["out_trunk_group"], cdr["out_span"], cdr["out_timeslot"], cdr["out_attempts"]) \
        == ("1001", "1001", "13912345678", "carrier", 2, 31, 1)
    assert (cdr["result"], cdr["released_by"], cdr["cause"], cdr["talk_ms"], cdr["application"]) == ("answered", "callee", 16, 10000, "outside")
    assert rig.agent("1001")["state"] == "idle"


def test_the_caller_hears_the_network_before_the_answer():
    rig = world()
    create = dialled(rig)
    rig.do("leg.progress", leg=create["leg"], inband=True)
    assert list(rig.media["bridges"].values()) == [["s1", create["leg"]]]
    assert rig.last("leg.progress") == {"do": "leg.progress", "leg": "s1", "inband": True} and rig.adapter["s1"] == "setup"
    rig.do("leg.alerting", leg=create["leg"], inband=False)
    assert rig.last("leg.alerting")["inband"], "the path stays through"
    rig.do("leg.answered", leg=create["leg"])
    assert len([a for a in rig.actions_of("media.bridge") if a["legs"]]) == 2 and len(rig.media["bridges"]) == 1
    rig.hang_up("s1")
    assert not rig.media["bridges"] and rig.cdrs[0]["released_by"] == "caller"


def test_a_busy_party_after_an_announcement_is_the_answer():
    rig = world()
    create = dialled(rig)
    rig.do("leg.alerting", leg=create["leg"], inband=True)
    gone(rig, create, 17)
    assert len(rig.actions_of("leg.create")) == 1 and not rig.media["bridges"]
    assert rig.last("leg.release") == {"do": "leg.release", "leg": "s1", "cause": 17} and rig.cdrs[0]["result"] == "busy"
    rig.finished()


@pytest.mark.parametrize("cause", (6, 44, 82))
@pytest.mark.conformance("Q.931", "5.7", "a channel lost to glare: the call goes out on another one")
def test_a_refused_channel_is_replaced_in_the_group(cause):
    rig = world()
    first = dialled(rig)
    gone(rig, first, cause)
    second = rig.last("leg.create")
    assert second["leg"] != first["leg"] and (second["span"], second["timeslot"]) == (2, 30)
    gone(rig, second, cause)
    gone(rig, rig.last("leg.create"), cause)
    fourth = rig.last("leg.create")
    assert (fourth["span"], fourth["timeslot"]) == (2, 28)
    gone(rig, fourth, cause)
    assert len(rig.actions_of("leg.create")) == 4, "the hunt limit of the route"
    assert rig.last("leg.release")["cause"] == cause and rig.cdrs[0]["out_attempts"] == 4
    rig.finished()


@pytest.mark.parametrize("cause", (34, 38, 41, 42))
def test_congestion_takes_the_next_choice(cause):
    rig = world()
    gone(rig, dialled(rig), cause)
    second = rig.last("leg.create")
    assert (second["span"], second["timeslot"], second["exclusive"]) == (3, 1, False)
    assert second["called"] == {"number": "1795113912345678", "type": "national", "plan": "isdn"}
    assert second["caller"]["number"] == "4008001000"
    gone(rig, second, cause)
    assert rig.last("leg.release")["cause"] == cause and rig.cdrs[0]["result"] == "failed"
    rig.finished()


def test_what_the_called_party_says_is_not_routed_around():
    for cause, result in ((1, "failed"), (17, "busy"), (19, "no_answer"), (21, "busy")):
        rig = world()
        gone(rig, dialled(rig), cause)
        assert len(rig.actions_of("leg.create")) == 1 and rig.last("leg.release")["cause"] == cause
        assert rig.cdrs[0]["result"] == result
        rig.finished()


def test_a_dead_trunk_is_routed_around_whatever_the_cause():
    rig = world()
    gone(rig, dialled(rig), 18, by="failure")       # T303 twice
    assert rig.last("leg.create")["span"] == 1, "another span of the same group"
    gone(rig, rig.last("leg.create"), 27, by="failure")
    assert rig.last("leg.create")["span"] == 3


def test_after_ringing_nothing_is_tried_again():
    rig = world()
    create = dialled(rig)
    rig.do("leg.alerting", leg=create["leg"], inband=False)
    gone(rig, create, 41)
    assert len(rig.actions_of("leg.create")) == 1 and rig.last("leg.release")["cause"] == 41


def test_spans_that_are_down_and_groups_that_are_full():
    rig = world(up=(1,))
    assert dialled(rig)["span"] == 1
    rig = world(up=(3,))
    assert dialled(rig)["span"] == 3
    rig = world(up=())
    rig.dial("1001", "913912345678", "s1")
    assert not rig.actions_of("leg.create") and rig.last("leg.release")["cause"] == 38
    rig.finished()
    rig = world(up=(1,))
    for timeslot in list(range(1, 16)) + list(range(17, 32)):
        rig.checks = timeslot == 31
        rig.offer("p%d" % timeslot, timeslot=timeslot)
    rig.dial("1001", "9001", "s1")                  # international: not for this line
    assert rig.last("leg.release")["cause"] == 21
    rig.dial("1002", "913912345678", "s2")
    assert not rig.actions_of("leg.create") and rig.last("leg.release") == {"do": "leg.release", "leg": "s2", "cause": 34}
    rig.do("span.state", span=3, state="up", alarms=[])
    assert dialled(rig, "1003", leg="s3")["span"] == 3


def test_the_far_end_moves_the_channel():
    rig = world(up=(3,))
    create = dialled(rig)
    rig.do("leg.seized", leg=create["leg"], span=3, timeslot=9)
    group = [g for g in rig.sb.snapshot(rig.now)["trunk_groups"] if g["name"] == "second"][0]
    assert group["seized"] == 1 and rig.call()["legs"][1]["timeslot"] == 9
    assert not rig.do("leg.seized", leg=create["leg"], span=3, timeslot=9)
    other = dialled(rig, "1002", "913900000000", "s2")
    assert other["timeslot"] == 1
    rig.hang_up("s1")
    rig.hang_up("s2")
    assert rig.cdrs[0]["out_timeslot"] == 9
    rig.finished()


def test_permissions_and_numbers_shown():
    rig = world()
    rig.dial("1001", "90013912345678", "s1")
    assert not rig.actions_of("leg.create") and rig.last("leg.release") == {"do": "leg.release", "leg": "s1", "cause": 21}
    assert rig.cdrs[0]["result"] == "rejected"
    create = dialled(rig, "2001", "900441234567", "s2")
    assert create["called"]["number"] == "00441234567"
    assert create["caller"] == {"number": "02150802001", "type": "unknown", "presentation": "restricted"}
    rig.hang_up("s2")
    assert "priority" not in create
    create = dialled(rig, "1002", "110", "s3")
    assert create["called"]["number"] == "110", "emergency numbers are for everybody"
    assert create["priority"] is True, "signalling that is congested takes it"
    rig.hang_up("s3")
    rig = Rig(dict(config(), lines=[{"name": "1001", "classes": []}, {"name": "1002"}, {"name": "1003"}, {"name": "2001"}]))
    rig.do("span.state", span=1, state="up", alarms=[])
    rig.dial("1001", "1002", "s1")
    assert rig.last("leg.release")["cause"] == 21 and not rig.actions_of("leg.create")
    assert dialled(rig, "1001", "110", "s2")["called"]["number"] == "110"


def test_a_restricted_number_is_not_told_to_a_subscriber_of_ours():
    """EN 300 093: a carrier gets it with its presentation, whom we are the network of does not; a call for help shows it."""
    rig = world(carrier={"classes": ["national", "emergency"]}, second={"caller": "line"})
    numbers = []
    for leg, called in (("p1", "9138"), ("p2", "98138"), ("p3", "110")):
        rig.do("leg.offered", leg=leg, tech="pri", trunk_group="carrier", span=1, timeslot=int(leg[1]), caller="13912345678", caller_presentation="restricted",
               called=called, called_complete=True)
        create = rig.last("leg.create")
        numbers.append((create["span"], create["caller"]["number"], create["caller"]["presentation"]))
    assert numbers == [(2, "13912345678", "restricted"), (3, "", "restricted"), (2, "13912345678", "restricted")]


def test_the_time_of_the_day_chooses():
    rig = world()
    assert dialled(rig, number="98123")["span"] == 3, "08:00 is no night any more"
    rig.hang_up("s1")
    rig.wait(10 * 3600 * 1000)
    assert dialled(rig, number="98123", leg="s2")["span"] == 2
    rig.hang_up("s2")
    rig.wait((24 + 13) * 3600 * 1000)               # Saturday 07:00: the night of Friday
    assert dialled(rig, number="98123", leg="s3")["span"] == 2
    rig.hang_up("s3")
    rig.wait(24 * 3600 * 1000)                      # Sunday 07:00
    assert dialled(rig, number="98123", leg="s4")["span"] == 3


def test_a_trunk_cannot_dial_out_unless_somebody_allows_it():
    rig = world()
    rig.offer(called="913912345678")
    assert not rig.actions_of("leg.create") and rig.last("leg.release")["cause"] == 1
    rig = world(carrier={"classes": ["national"]})
    rig.offer(called="913912345678", caller_type="national")
    create = rig.last("leg.create")
    assert create["called"]["number"] == "13912345678"
    assert create["caller"] == {"number": "13912345678", "type": "national", "presentation": "allowed"}
    rig.offer("p2", called="90044", timeslot=2)
    assert rig.last("leg.release") == {"do": "leg.release", "leg": "p2", "cause": 1}


def test_tandem_by_a_number_and_its_overlap():
    rig = world()
    rig.offer(called="0215080", complete=False, bearer="3.1khz_audio")
    assert rig.last("leg.need_more_digits")["leg"] == "p1"
    rig.do("leg.digits", leg="p1", called="02150801009", called_complete=False)
    create = rig.last("leg.create")
    assert create["called"]["number"] == "13800001111" and create["bearer"] == "3.1khz_audio"
    assert create["redirecting"] == {"number": "02150801009", "type": "unknown", "presentation": "allowed", "reason": "unconditional"}
    assert create["caller"]["number"] == "13912345678" and rig.last("leg.proceeding")["leg"] == "p1"
    rig.do("leg.alerting", leg=create["leg"], inband=False)
    assert rig.last("leg.alerting") == {"do": "leg.alerting", "leg": "p1", "inband": False}
    assert not rig.media["signals"], "the caller's exchange gives ringing tone"
    rig.do("leg.answered", leg=create["leg"])
    assert rig.adapter["p1"] == "answered" and list(rig.media["bridges"].values()) == [["p1", create["leg"]]]
    rig.hang_up("p1", cause=31)
    assert rig.last("media.bridge")["legs"] == [] and not rig.adapter
    rig.media["recordings"].clear()
    rig.wait(60000)
    rig.finished()


def test_where_we_are_the_network_the_ringing_tone_is_ours():
    rig = world(second={"classes": ["national"]})
    rig.do("leg.offered", leg="p1", tech="pri", trunk_group="second", span=3, timeslot=4, caller="8001", called="913912345678",
           called_complete=True)
    create = rig.last("leg.create")
    rig.do("leg.alerting", leg=create["leg"], inband=False)
    assert rig.last("leg.alerting") == {"do": "leg.alerting", "leg": "p1", "inband": True} and rig.heard() == ["ringback"]
    rig.do("leg.answered", leg=create["leg"])
    assert rig.heard() is None
    rig.hang_up()


def test_a_flow_dials_out_and_goes_on_where_nobody_answers():
    rig = world()
    rig.offer()
    rig.press("5")
    create = rig.last("leg.create")
    assert create["called"]["number"] == "13900009999" and rig.adapter["p1"] == "answered"
    rig.do("leg.alerting", leg=create["leg"], inband=False)
    assert rig.heard() == ["ringback"]
    rig.do("leg.progress", leg=create["leg"], inband=True)
    assert rig.heard() is None and len(rig.media["bridges"]) == 1
    rig.wait(20000)
    assert {"do": "leg.release", "leg": create["leg"], "cause": 19} in rig.actions
    assert rig.heard() == ["goodbye zh_CN", "goodbye en"] and not rig.media["bridges"]
    rig.played()
    rig.finished()


@pytest.mark.parametrize("moment", range(5))
def test_control_dies_during_the_set_up(moment):
    rig = world()
    create = dialled(rig, "1001")
    steps = [("leg.progress", {"inband": False}), ("leg.progress", {"inband": True}), ("leg.alerting", {"inband": True}), ("leg.answered", {})]
    for kind, more in steps[:moment]:
        rig.do(kind, leg=create["leg"], **more)
    before = dict(rig.media["bridges"])
    rig.kill(sip_restores=False)
    assert rig.media["bridges"] == before and "s1" in rig.adapter and create["leg"] in rig.adapter
    for kind, more in steps[moment:]:
        rig.do(kind, leg=create["leg"], **more)
    assert rig.call()["state"] == "talking"
    rig.hang_up("s1")
    rig.media["recordings"].clear()
    rig.wait(70000)
    rig.finished()
    assert rig.cdrs[0]["out_attempts"] == 1


def test_control_dies_and_the_trunk_leg_with_it():
    """The link went down while nobody looked: the hunt goes on."""
    rig = world()
    create = dialled(rig)
    del rig.adapter[create["leg"]]
    rig.kill(sip_restores=False)
    assert rig.last("leg.create")["leg"] != create["leg"] and rig.call()["state"] == "ringing"


def test_ringing_tone_goes_on_after_a_kill():
    rig = world()
    rig.offer()
    rig.press("5")
    rig.do("leg.alerting", leg=rig.last("leg.create")["leg"], inband=False)
    rig.media["signals"].clear()
    rig.kill(sip_restores=False)
    assert rig.heard() == ["ringback"]


def test_a_checkpoint_holds_the_order_of_idle_trunks():
    rig = world(carrier={"selection": "longest_idle"})
    slots = []
    for number in range(4):
        create = dialled(rig, leg="s%d" % number)
        slots.append((create["span"], create["timeslot"]))
        rig.hang_up("s%d" % number)
    assert slots == [(1, 1), (1, 2), (1, 3), (1, 4)]
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.journal = rig.journal[-1:]
    rig.cdrs = []
    rig.sb = rig.replayed()
    rig.sb.handle({"kind": "leg.offered", "leg": "s9", "tech": "sip", "line": "1001", "caller": "1001", "called": "9123"}, rig.now)
    assert [a for a in rig.sb.take()[1] if a["do"] == "leg.create"][0]["timeslot"] == 5


def test_bad_input_means_nothing():
    rig = world()
    create = dialled(rig)
    for event in ({"kind": "leg.seized", "leg": create["leg"]}, {"kind": "leg.seized", "leg": "nobody", "span": 1, "timeslot": 1},
                  {"kind": "leg.seized", "leg": "s1", "span": 1, "timeslot": 1}, {"kind": "leg.progress", "leg": "s1", "inband": True},
                  {"kind": "leg.alerting", "leg": "s1", "inband": True}):
        assert not rig.sb.handle(event, rig.now)
    rig.dial("1002", "9" * 60, "s2")
    assert rig.last("leg.release") == {"do": "leg.release", "leg": "s2", "cause": 1}
    rig.dial("1002", "9", "s3")
    assert rig.last("leg.release")["leg"] == "s3"
    rig.do("media.lost")
    assert not rig.sb.snapshot(rig.now)["calls"]


def test_a_route_is_explained():
    rig = world(up=(2, 3))
    rig.dial("1002", "913912345678", "s1")
    told = rig.sb.explain("913912345678", "1001", None, rig.now)
    assert (told["verdict"], told["application"], told["class"], told["number"], told["allowed"]) == ("match", "outside", "national", "9.", True)
    assert [(way["trunk_group"], way["number"], way["trunks"], way["up"], way["free"], way["first"]) for way in told["ways"]] \
        == [("carrier", "13912345678", 60, 30, 29, [2, 30]), ("second", "1795113912345678", 30, 30, 30, [3, 1])]
    told = rig.sb.explain("90044", "1001", None, rig.now)
    assert not told["allowed"] and told["cause"] == 21 and "international" in told["why"] and told["ways"] == []
    assert rig.sb.explain("9", "1001", None, rig.now)["cause"] == 28
    assert rig.sb.explain("913912345678", None, "carrier", rig.now)["cause"] == 1
    assert rig.sb.explain("02150801009", None, "carrier", rig.now)["ways"][0]["number"] == "13800001111"
    assert rig.sb.explain("1002", "1001", None, rig.now)["application"] == "agent"
    assert rig.sb.explain("02150801000", None, None, rig.now)["target"] == "main"
    assert not rig.sb.take()[0], "nothing was decided"


def test_a_telephone_at_a_channel_bank_hears_dial_tone():
    rig = world()
    given = {"tech": "cas", "trunk_group": "second", "span": 3, "caller": "", "caller_presentation": "unavailable", "called": "", "called_complete": False}
    rig.do("leg.offered", leg="t1", timeslot=1, dial_tone=True, **given)
    assert rig.media["signals"]["t1"]["items"] == [{"tone": "dial"}]
    rig.do("leg.digits", leg="t1", called="0", called_complete=False)
    assert "t1" not in rig.media["signals"], "until the first digit"
    rig.do("leg.digits", leg="t1", called="02150801000", called_complete=True)
    assert rig.call()["state"] == "ivr"
    rig.do("leg.offered", leg="t2", timeslot=2, **given)
    assert "t2" not in rig.media["signals"], "a trunk of another exchange has no use for it"


def test_all_that_decides_is_explained():
    """Areas and the 0 before mobile numbers of elsewhere, time of the day, what is kept for emergency calls, lists of callers."""
    changed = config(second={"reserved": 29, "classes": ["national"]})
    changed["site"] = dict(changed["site"], area="021")
    changed["areas"] = [{"code": "021", "label": "Shanghai", "province": "Shanghai", "mobile": "1391700-1391799"},
                        {"code": "0755", "label": "Shenzhen", "province": "Guangdong", "mobile": "1392800"}]
    changed["caller_lists"] = [{"name": "black", "treatment": "blocked", "numbers": ["139."], "prompt": ""}]
    changed["routes"].append({"number": "0.", "class": "national", "choices": [{"trunk_group": "second", "strip": 1, "areas": "Guangdong"},
                                                                             {"trunk_group": "carrier", "strip": 1, "mobile_zero": True}]})
    rig = Rig(changed)
    for span in (2, 3):
        rig.do("span.state", span=span, state="up", alarms=[])
    sent = {}
    for number in ("13917123456", "013917123456", "13928001234", "13800138000", "02161234567", "075581234567", "61234567"):
        told = rig.sb.explain("0" + number, "1001", None, rig.now)
        sent[number] = [(way["trunk_group"], way["number"]) for way in told["ways"]], told["area"] and told["area"]["code"]
    assert sent == {
        "13917123456": ([("carrier", "13917123456")], "021"), "013917123456": ([("carrier", "13917123456")], "021"),
        "13928001234": ([("second", "13928001234"), ("carrier", "013928001234")], "0755"), "13800138000": ([("carrier", "013800138000")], None),
        "02161234567": ([("carrier", "02161234567")], "021"), "075581234567": ([("second", "075581234567"), ("carrier", "075581234567")], "0755"),
        "61234567": ([("carrier", "61234567")], None)}
    told = rig.sb.explain("013917123456", "1001", None, rig.now)
    assert told["closed"] == [{"choice": 1, "trunk_group": "second", "why": "is for numbers of Guangdong only"}]
    create = dialled(rig, number="013800138000")
    assert create["called"]["number"] == "013800138000", "as it is explained"
    told = rig.sb.explain("98123", "1001", None, rig.now)
    assert "is closed now" in told["closed"][0]["why"] and told["ways"][0]["why"] is None
    rig.do("leg.offered", leg="p7", tech="pri", trunk_group="second", span=3, timeslot=1, caller="5", caller_presentation="allowed", called="02150801002", called_complete=True)
    told = rig.sb.explain("98123", "1001", None, rig.now)
    assert "reserved: 29" in told["ways"][0]["why"] and told["ways"][0]["first"] is None
    assert rig.sb.explain("9139", None, "second", rig.now, "13912345678")["why"] == "callers like 13912345678 are on the list black"
    assert rig.sb.explain("9139", None, "second", rig.now, "5551")["allowed"]
    assert rig.sb.explain("110", "2001", None, rig.now)["allowed"]
    told = rig.sb.explain("9139", None, "carrier", rig.now)
    assert (told["cause"], told["allowed"]) == (1, False) and told["why"] == (
        "route 9. takes 9139, but callers of this trunk group may not make national calls (its classes: emergency)")
    assert rig.sb.explain("4", None, "carrier", rig.now)["why"] == "no number, line or route takes 4 for a caller of this trunk group"


@pytest.mark.parametrize("areas, path", [([{"code": "021", "mobile": "1391700"}, {"code": "021"}], "areas[1].code"), ([{"code": "021", "mobile": "1391705-1391700"}], "areas[0].mobile"),
                                         ([{"code": "021", "mobile": "1391700-1391799"}, {"code": "010", "mobile": "1391750"}], "areas"),
                                         ([{"code": "021", "mobile": "1300000-1599999"}], "areas")])
def test_areas_that_contradict_each_other(areas, path):
    with pytest.raises(ConfigError) as error:
        Areas({"site": {"area": "021"}, "areas": areas})
    assert error.value.path == path
    with pytest.raises(ConfigError):
        Areas({"routes": [{"choices": [{"mobile_zero": True}]}]})


@pytest.mark.parametrize("number, cause", [("900441234567", 21), ("9+441234567", 1), ("9+", 1), ("9 0044123456", 1), ("9*00441", 1),
                                           ("9abc", 1), ("9#13", 1), ("9", 28), ("+441234567", 1), ("800441234567", 21), ("81", None)])
def test_no_spelling_of_a_number_gets_around_the_toll_limits(number, cause):
    changed = config()
    changed["routes"] += [{"number": "8.", "class": "local", "choices": [{"trunk_group": "carrier", "strip": 1}]}]
    rig = Rig(changed)
    rig.do("span.state", span=2, state="up", alarms=[])
    rig.dial("1001", number, "s1")
    assert len(rig.actions_of("leg.create")) == (0 if cause else 1)
    if cause:
        assert rig.last("leg.release")["cause"] == cause
        rig.finished()


def test_a_telephone_withholds_its_number_for_one_call():
    """CLIR by the telephone (RFC 3323): restricted whatever the group shows; the next call shows it; a customer who withheld his own does not withhold the agent's."""
    rig = world()
    for leg, presentation in (("s1", "restricted"), ("s2", "allowed")):
        rig.do("leg.offered", leg=leg, tech="sip", line="1001", caller="1001", caller_presentation=presentation, called="913912345678", called_complete=True)
        create = rig.last("leg.create")
        assert create["caller"] == {"number": "02150801000", "type": "unknown", "presentation": presentation}
        assert create["carried"].get("caller_name") is None
        gone(rig, create, 17)
        rig.hang_up(leg)
        rig.wait(10000)
    rig.do("leg.offered", leg="p1", tech="pri", trunk_group="carrier", span=1, timeslot=1, caller="13912345678", caller_presentation="restricted",
           called="02150801000", called_complete=True)
    rig.press("1")
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    agent = rig.call()["agent"]
    assert rig.command("command.consult", call=rig.call()["call"], by=agent, to="number", target="913912345678") is None
    assert rig.last("leg.create")["caller"]["presentation"] == "allowed"


def test_a_callers_number_is_written_as_our_telephones_would_dial_it_and_goes_on_as_it_came():
    """Types of Q.931 4.5.10: a 0 before national numbers, 00 before international ones, our own country's code becomes 0; lists and callbacks see that, the next trunk what came."""
    rules = [{"type": "national", "number": ".", "prefix": "0"}, {"type": "international", "number": ".", "prefix": "00"},
             {"type": "international", "number": "86.", "strip": 2, "prefix": "0"}, {"type": "any", "number": "9999", "strip": 4, "prefix": ""}]
    rig = world(carrier={"caller_rules": rules, "classes": ["national"]})
    for kind, came, written in (("national", "2150801000", "02150801000"), ("international", "4930123456", "004930123456"), ("international", "8613912345678", "013912345678"),
                                ("subscriber", "50801000", "50801000"), (None, "13912345678", "13912345678"), ("unknown", "9999", "")):
        rig.do("leg.offered", leg="p1", tech="pri", trunk_group="carrier", span=1, timeslot=1, caller=came, caller_type=kind, caller_presentation="allowed",
               called="914000000000", called_complete=True)
        assert rig.call()["caller"] == written and rig.call()["caller_received"] == (came if written != came else None)
        shown = rig.last("leg.create")["caller"]
        assert (shown["number"], shown["type"]) == (came, kind or "unknown"), "what goes on is what came"
        rig.hang_up()
        rig.wait(10000)
    rig.do("leg.offered", leg="s1", tech="sip", trunk_group="carrier", span="peer", timeslot=1, caller="2150801000", caller_type="national", called="02150801000",
           called_complete=True)
    assert rig.call()["caller"] == "2150801000", "a SIP trunk has rules of its own"


def test_lists_of_callers_know_the_written_number():
    rig = Rig(dict(config(carrier={"caller_rules": [{"type": "national", "number": ".", "prefix": "0"}]}),
                   caller_lists=[{"name": "black", "treatment": "blocked", "numbers": ["021."]}]))
    rig.do("leg.offered", leg="p1", tech="pri", trunk_group="carrier", span=1, timeslot=1, caller="2150801000", caller_type="national", caller_presentation="allowed",
           called="02150801000", called_complete=True)
    assert [record["data"]["list"] for record in rig.journal if record["kind"] == "call.blocked"] == ["black"]
