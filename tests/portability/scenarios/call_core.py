"""Scenarios of number plan, routing, trunk groups, call data and CDRs; run under CPython and MicroPython."""

import json

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call import outside
from firmware.call.abroad import leads_abroad
from firmware.call.number_plan import INCOMPLETE, MATCH, MORE, UNKNOWN, NumberPlan
from firmware.call.records import CDR_FIELDS, CDRProjection, make
from firmware.call.routing import Router
from firmware.call.trunk_group import TrunkGroup, bearers, groups_of
from firmware.errors import ConfigError


def raises(function, *arguments):
    try:
        function(*arguments)
    except ConfigError as error:
        return error
    raise AssertionError("no ConfigError")


def number_plan():
    plan = NumberPlan([{"number": "02150801000"}, {"number": "0215080xxxx"}, {"number": "0215080100."}, {"number": "+8621x"}])
    assert plan.find("0215", False) == (MORE, None) and plan.find("0215", True) == (INCOMPLETE, None)
    assert plan.find("", False) == (MORE, None) and plan.find("", True) == (INCOMPLETE, None)
    assert plan.find("99", False) == (UNKNOWN, None)
    assert plan.find("02150801000", True)[1]["number"] == "02150801000"
    assert plan.find("02150801000", False) == (MORE, None)              # the open pattern may want more
    assert plan.find("02150809999", False)[1]["number"] == "0215080xxxx"
    assert plan.find("0215080100123", True)[1]["number"] == "0215080100."
    assert plan.find("+86215", False)[0] == MATCH and plan.find("86215", True)[0] == UNKNOWN
    named = NumberPlan([{"number": "9."}, {"number": "*9#."}, {"number": "+86."}])
    assert named.find("*9#1", True)[0] == MATCH and named.find("+861", True)[0] == MATCH and named.find("912", True)[0] == MATCH
    for bad in ("9abc", "9#13", "9*1", "9+44", "9 1", "9\u0661", "*9#*1", "+86+1", "+86#", "++861"):
        assert named.find(bad, True) == (UNKNOWN, None) and named.find(bad, False) == (UNKNOWN, None), bad
    assert NumberPlan([]).find("1", True) == (UNKNOWN, None)
    for bad in ("", "+", ".", "12a", "1.2"):
        assert raises(NumberPlan, [{"number": bad}]).path == "numbers[0].number"


def routing():
    config = {"numbers": [{"number": "100", "label": "Main", "application": "queue", "target": "sales"}], "queues": [{"name": "sales"}],
              "agents": [{"name": "1001", "line": "1001"}], "lines": [{"name": "1001"}, {"name": "lobby"}, {"name": "2001"}]}
    router = Router(config)
    assert router.find("100", True) == (MATCH, {"application": "queue", "target": "sales", "number": "100", "label": "Main"})
    assert router.find("1001", True) == (UNKNOWN, None)
    assert router.find("1001", True, True)[1]["application"] == "agent"
    assert router.find("2001", True, True)[1]["application"] == "line"
    assert router.find("100", True, True)[1]["application"] == "queue"
    assert router.find("*1", True, True) == (UNKNOWN, None)
    assert raises(Router, {"numbers": [{"number": "1", "application": "ivr", "target": "x"}]}).path == "numbers[0].target"


def trunk_groups():
    assert len(bearers({"type": "e1", "d_timeslot": 16})) == 30 and 16 not in bearers({"type": "e1", "d_timeslot": 16})
    assert len(bearers({"type": "t1", "d_timeslot": 24})) == 23
    group = TrunkGroup("g", selection="ascending", trunks=[(2, 1), (1, 2), (1, 1)])
    assert group.select() == (1, 1)
    group.seize("l1", 1, 1)
    group.seize("l1", 1, 1)
    group.seize("l2", 1, 1)                                             # glare
    assert group.select() == (1, 2) and group.seized() == 1 and group.holder(1, 1) == "l1"
    group.free("l1", 1, 1)
    group.free("l9", 1, 1)
    assert group.holder(1, 1) == "l2" and group.seized() == 1
    group.free("l2", 1, 1)
    assert group.seized() == 0 and group.holder(1, 1) is None
    assert group.select(lambda span, timeslot: span == 2) == (2, 1) and group.select(lambda span, timeslot: False) is None
    assert TrunkGroup("g", selection="descending", trunks=[(1, 1), (1, 2)]).select() == (1, 2)
    ring = TrunkGroup("g", selection="round_robin", trunks=[(1, 1), (1, 2), (1, 3)])
    taken = []
    for _ in range(4):
        span, timeslot = ring.select()
        taken.append(timeslot)
        ring.seize("l", span, timeslot)
        ring.free("l", span, timeslot)
    assert taken == [1, 2, 3, 1] and ring.last() == [1, 1]
    other = TrunkGroup("g", selection="round_robin", trunks=[(1, 1), (1, 2)])
    other.restore(ring.last())
    assert other.select() == (1, 2)
    raises(TrunkGroup, "g", "", "random")
    down = TrunkGroup("g", selection="round_robin_descending", trunks=[(1, 1), (1, 2), (2, 1)])
    taken = []
    for _ in range(4):
        taken.append(down.select())
        down.seize("l", *taken[-1])
        down.free("l", *taken[-1])
    assert taken == [(2, 1), (1, 2), (1, 1), (2, 1)]
    idle = TrunkGroup("g", selection="longest_idle", trunks=[(1, 1), (1, 2), (1, 3)])
    for timeslot in (2, 3, 1):
        idle.seize("l", 1, timeslot)
        idle.free("l", 1, timeslot)
    assert idle.select() == (1, 2) and idle.idle() == [[1, 2], [1, 3], [1, 1]]
    again = TrunkGroup("g", selection="longest_idle", trunks=[(1, 1), (1, 2), (1, 3), (1, 4)])
    again.restore(idle.last(), idle.idle())
    assert again.select() == (1, 4)                                     # never used
    again.seize("l", 1, 4)
    again.move("l", (1, 4), (1, 2))
    assert again.holder(1, 4) is None and again.holder(1, 2) == "l" and again.select() == (1, 3)
    facing = TrunkGroup("g", selection="opposite", trunks=[(1, n) for n in range(1, 9)])
    assert facing.select() == (1, 8) and facing.far() == 0                # most count upwards
    for number in range(3):
        facing.seize("l%d" % number, 1, 8 - number, True)                # this one counts downwards
    assert facing.far() == -3 and facing.select() == (1, 1)
    facing.seize("l5", 1, 4, True)                                      # in the middle: says nothing
    facing.seize("l6", 1, 1)                                            # ours: says nothing
    back = TrunkGroup("g", selection="opposite", trunks=facing.trunks)
    back.restore(facing.last(), facing.idle(), facing.far())
    assert back.far() == -3 and back.select() == (1, 1)
    for number in range(20):
        back.seize("k", 1, 1, True)
        back.free("k", 1, 1)
    assert back.far() == 8 and back.select() == (1, 8)
    groups = groups_of({"trunk_groups": [{"name": "g"}], "spans": [{"span": 3, "trunk_group": "g", "d_timeslot": 16},
                                                                  {"span": 4, "trunk_group": "g", "enabled": False}]})
    assert len(groups["g"].trunks) == 30


ROUTES = [{"number": "9.", "class": "national", "choices": [
              {"trunk_group": "a", "strip": 1, "days": "12345", "from": "08:00", "to": "18:00"},
              {"trunk_group": "b", "strip": 1, "prefix": "17951", "type": "national", "plan": "unknown"}]},
          {"number": "900.", "class": "international", "choices": [{"trunk_group": "a", "strip": 3, "prefix": "+"}]},
          {"number": "9168xxxx", "class": "premium", "choices": [{"trunk_group": "a", "strip": 1}]},
          {"number": "110", "class": "emergency", "choices": [{"trunk_group": "a"}, {"trunk_group": "b", "from": "22:00", "to": "06:00", "days": "5"}]},
          {"number": "*1", "class": "local", "choices": [{"trunk_group": "a", "strip": 2, "prefix": "12345"}]}]


def outside_calls():
    config = {"routes": ROUTES, "trunk_groups": [{"name": "a"}, {"name": "b"}], "lines": [{"name": "1001"}, {"name": "110"}],
              "numbers": [{"number": "5000", "label": "Night", "application": "outside", "target": "9137"}]}
    router, every = Router(config), outside.CLASSES
    verdict, route = router.find("9139", True, True, every)
    assert verdict == MATCH and (route["application"], route["target"], route["class"], route["number"]) == ("outside", "9139", "national", "9.")
    assert outside.ways(route["row"], "9139", 1, 480) == [{"trunk_group": "a", "number": "139", "type": "unknown", "plan": "isdn"},
                                                          {"trunk_group": "b", "number": "17951139", "type": "national", "plan": "unknown"}]
    assert [way["trunk_group"] for way in outside.ways(route["row"], "9139", 1, 1080)] == ["b"]
    assert [way["trunk_group"] for way in outside.ways(route["row"], "9139", 6, 600)] == ["b"]
    route = router.find("90044", True, True, every)[1]
    assert route["class"] == "international"
    assert outside.ways(route["row"], "90044", 7, 0) == [{"trunk_group": "a", "number": "44", "type": "international", "plan": "isdn"}]
    assert router.find("91681234", True, True, every)[1]["class"] == "premium"
    assert router.find("91681234", True, False, ("national",)) == (UNKNOWN, None)       # not by the shorter route
    assert router.find("90044", True, False, ("national",)) == (UNKNOWN, None)
    assert router.find("9139", True) == (UNKNOWN, None)
    assert router.find("9", True, True, every) == (INCOMPLETE, None) and router.find("9", False, True, every) == (MORE, None)
    assert router.find("9" * 33, True, True, every) == (UNKNOWN, None)
    assert router.find("110", True, True, every)[1]["class"] == "emergency"             # before the line of that name
    assert router.find("110", True, True, ())[1]["application"] == "line"
    assert outside.ways(router.outside("*1")["row"], "*1", 1, 0)[0]["number"] == "12345"
    for bad in ("9+441234567", "9+", "9 0044123", "9*00441", "9abc", "9#13", "+", "900+44"):
        assert router.find(bad, True, True, every)[0] == UNKNOWN and router.outside(bad) is None, bad
    what_is_sent()
    codes_of_carriers()
    verdict, route = router.find("5000", False)
    assert verdict == MATCH and (route["application"], route["target"], route["label"]) == ("outside", "9137", "Night")
    night = {"from": "22:00", "to": "06:00", "days": "5"}
    assert [outside.is_open(night, day, minute) for day, minute in ((5, 1319), (5, 1320), (6, 359), (6, 360), (5, 0), (6, 1320))] \
        == [False, True, True, False, False, False]
    for path, change in (("routes[0].choices", {"choices": []}), ("routes[0].class", {"class": "internal"}), ("routes[0].number", {"number": "9a"}),
                         ("routes[0].choices[0].trunk_group", {"choices": [{"trunk_group": "c"}]}),
                         ("routes[0].choices[0].strip", {"choices": [{"trunk_group": "a", "strip": 2}]}),
                         ("routes[0].choices[0].strip", {"number": "12", "choices": [{"trunk_group": "a", "strip": 2}]}),
                         ("routes[0].choices[0].type", {"choices": [{"trunk_group": "a", "type": "x"}]}),
                         ("routes[0].choices[0].days", {"choices": [{"trunk_group": "a", "days": "8"}]}),
                         ("routes[0].choices[0].from", {"choices": [{"trunk_group": "a", "from": "8"}]})):
        row = dict(ROUTES[0])
        row.update(change)
        assert raises(Router, {"routes": [row], "trunk_groups": [{"name": "a"}]}).path == path
    assert raises(Router, {"routes": [ROUTES[1], ROUTES[1]], "trunk_groups": [{"name": "a"}]}).path == "routes[1].number"
    assert raises(Router, {"numbers": [{"number": "1", "application": "outside", "target": "9"}]}).path == "numbers[0].target"
    caller = {"number": "139", "type": "national", "presentation": "restricted"}
    group = {"caller": "line", "caller_number": "021", "caller_type": "subscriber"}
    assert outside.shown_number(group, None, caller) == caller
    assert outside.shown_number(group, None, {"number": "", "presentation": "unavailable"}) is None
    assert outside.shown_number(group, {}, None) == {"number": "021", "type": "subscriber", "presentation": "allowed"}
    assert outside.shown_number(group, {"outside_number": "0215", "withhold": True}, None)["presentation"] == "restricted"
    assert outside.shown_number({"caller": "group", "caller_number": "021", "withhold": True}, None, caller)["presentation"] == "restricted"
    assert outside.shown_number(group, {}, caller) == {"number": "021", "type": "subscriber", "presentation": "restricted"}, "the telephone withholds it"
    assert outside.shown_number({"caller": "none"}, {}, None) is None and outside.shown_number({}, {}, None) is None


def what_is_sent():
    rows = [{"number": "0.", "class": "local", "choices": [{"trunk_group": "a", "strip": 1}]},
            {"number": "1.", "class": "premium", "choices": [{"trunk_group": "a", "strip": 1, "prefix": "0"}]},
            {"number": "2.", "class": "national", "choices": [{"trunk_group": "a", "strip": 1}, {"trunk_group": "b", "strip": 1, "prefix": "+"}]},
            {"number": "3.", "class": "national", "choices": [{"trunk_group": "a", "strip": 1, "prefix": "+86"}]},
            {"number": "+86.", "class": "national", "choices": [{"trunk_group": "a"}]},
            {"number": "4.", "class": "local", "choices": [{"trunk_group": "a", "strip": 1, "prefix": "17951"}]},
            {"number": "000", "class": "emergency", "choices": [{"trunk_group": "a"}]},
            {"number": "5.", "class": "emergency", "choices": [{"trunk_group": "a", "strip": 1}]},
            {"number": "6.", "class": "national", "choices": [{"trunk_group": "a", "strip": 1, "type": "international"}]}]
    config = {"site": {"country": "cn"}, "routes": rows, "trunk_groups": [{"name": "a"}, {"name": "b"}]}
    router = Router(config)
    for digits, classes in (("0139", ("local",)), ("00044", ("local", "international")), ("1139", ("premium",)),
                            ("1044", ("premium", "international")), ("244", ("national", "international")), ("3139", ("national",)),
                            ("+86139", ("national",)), ("4139", ("local",)), ("40044123456", ("local", "international")),
                            ("000", ("emergency",)), ("5110", ("national",)), ("50044", ("national", "international")),
                            ("686139", ("national", "international"))):
        route = router.outside(digits)
        assert (route["classes"], route["class"]) == (classes, classes[-1]), digits
        for kind in outside.CLASSES:
            left = [other for other in outside.CLASSES if other != kind]
            assert (router.outside(digits, left) is None) == (kind in classes), (digits, kind)
    config["site"] = {"country": "us"}
    assert Router(config).outside("001144")["classes"] == ("local", "international")
    assert Router(config).outside("00044")["classes"] == ("local", "international")     # an operator of long distance
    assert Router(config).outside("08765551234")["classes"] == ("local", "international")
    for row, path in (({"number": "12", "choices": [{"trunk_group": "a", "strip": 2, "prefix": "+"}]}, "strip"),
                      ({"number": "+86.", "choices": [{"trunk_group": "a", "prefix": "9"}]}, "prefix")):
        assert raises(Router, {"routes": [row], "trunk_groups": [{"name": "a"}]}).path == "routes[0].choices[0]." + path


def codes_of_carriers():
    for country, numbers in (
            ("cn", "0044123456789 17951004412345678 17911004412345678 193004412345678 101900044123456 125930044123456 "
                   "17951193004412345678 1180800441234567 129990044123456 199990044123456 17951 *57*0044123456# #31#0044123456 "
                   "179510 #0044123456 *0044123456 #17951# *31#*57*0044123456 17951*57*0044123456"),
            ("us", "01144123456 1010288011441234567 101028818765551234 0144123456789 00 18765551234 8765551234 118218765551234 "
                   "*6701144123456 116701144123456 9501234 1010288 10288011441234567 018765551234 08765551234 "
                   "10102880 102880 *82*6701144123456 *82#31*6701144123456 *82116701144123456 #01144123456 1182116701144123456"),
            ("uk", "0044123456 18660044123456 141001234567 14700012345678 1899001234567 188660012345 "),
            ("de", "0044123456 010330044123456 010013004412345 01033"), ("fr", "0044123456 160000441234567 40441234567 7044123456 36510044123456 3651160000441234567 #36510044123456"),
            ("eu", "0044123456"), ("br", "0021441234567")):
        for number in numbers.split():
            assert leads_abroad(country, number), (country, number)
    for country, numbers in (
            ("cn", "13912345678 19300441234 19912345678 02150801000 013912345678 10086 110 1795113912345678 1795102150801000 4008001000 "
                   "12593 118114 62345678 95588 19302150801000 1259313912345678 *57 #31#13912345678 *57*31#13912345678"),
            ("us", "2125551234 12125551234 5551234 911 0 02125551234 101028812125551234 18005551234 *6712125551234 8760011 *82*6712125551234 "
                   "*829175551234 10102882125551234 *67"),
            ("uk", "02079460958 999 116123 118118 1470 14702079460958 147002079460958 141 07700900123"),
            ("de", "03012345678 0301001234567 01511234567 0103303012345 110"), ("fr", "0123456789 3611 118218 4123456789 112 3651 36510123456789"),
            ("br", "02111987654321 190"), ("eu", "112 0123004567 116000 123001234")):
        for number in numbers.split():
            assert not leads_abroad(country, number), (country, number)
        for number in ("*1" * 16, "#*1" * 10, "11" * 16, "*12" * 11):        # takes no longer than others
            leads_abroad(country, number)
    rows = [{"number": "4.", "class": "national", "choices": [{"trunk_group": "a", "strip": 1, "prefix": "179510"}]},
            {"number": "+86.", "class": "national", "choices": [{"trunk_group": "a", "strip": 1, "prefix": "00"}]},
            {"number": "+1.", "class": "national", "choices": [{"trunk_group": "a"}]}]
    for country, digits, abroad in (("cn", "4044123456", True), ("cn", "42150801000", False), ("cn", "+8613912345678", False),
                                    ("us", "+12125551234", False), ("us", "+18765551234", True)):
        router = Router({"site": {"country": country}, "routes": rows, "trunk_groups": [{"name": "a"}]})
        assert ("international" in router.outside(digits)["classes"]) == abroad, digits


def plain_data():
    leg = legs.Leg("l1", "c1", legs.CALLER, "pri", legs.OFFERED)
    leg.span = 1
    assert legs.load(json.loads(json.dumps(leg.dump()))).dump() == leg.dump()
    call = calls.Call("c1", 1)
    call.legs = ["l1"]
    call.position = {"language": "en"}
    assert call.language == "en" and call.spoken() == ["en"]
    copy = calls.load(json.loads(json.dumps(call.dump())))
    assert copy.dump() == call.dump()
    copy.legs.append("l2")
    assert call.legs == ["l1"]


def cdr():
    offered = {"tech": "pri", "trunk_group": "g", "span": 1, "timeslot": 2, "caller": "139", "called": "021", "redirecting": None}
    records = [make("leg.offered", 1000, "c1", "l1", data=offered),
               make("leg.digits", 1100, "c1", "l1", data={"called": "0215", "called_complete": True}),
               make("call.routed", 1100, "c1", data={"application": "queue"}),
               make("leg.answered", 1200, "c1", "l1", data={"by": "near"}),
               make("queue.entered", 1200, "c1", queue="sales", data={}),
               make("leg.answered", 5200, "c1", "l2", data={"by": "far", "connects": True}),
               make("queue.left", 5200, "c1", queue="sales", data={"reason": "answered", "wait_ms": 4000}),
               make("call.bridged", 5200, "c1", agent="1001", data={"bridge": "b1", "legs": ["l1", "l2"]}),
               make("recording.started", 5200, "c1", data={"recording": "r1"}),
               make("call.unbridged", 9200, "c1", data={"bridge": "b1"}),
               make("call.clearing", 9200, "c1", data={"cause": 16, "released_by": "agent", "result": "answered"}),
               make("call.ended", 9300, "c1")]
    fold, half = CDRProjection(), CDRProjection()
    for record in records[:6]:
        assert fold.apply(record) is None
    half.apply(make("core.checkpoint", 5200, data={"cdrs": json.loads(json.dumps(fold.dump()))}))
    for record in records[6:-1]:
        assert fold.apply(record) is None and half.apply(record) is None
    finished = fold.apply(records[-1])
    assert finished == half.apply(records[-1]) and fold.apply(records[-1]) is None
    assert sorted(finished) == sorted(CDR_FIELDS)
    assert (finished["called"], finished["wait_ms"], finished["talk_ms"], finished["ended_ms"]) == ("0215", 4000, 4000, 9200)
    assert (finished["agent"], finished["recording"], finished["released_by"]) == ("1001", ["r1"], "agent")


def run():
    number_plan()
    routing()
    trunk_groups()
    outside_calls()
    plain_data()
    cdr()
