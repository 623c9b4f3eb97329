"""PUBLISH: a scripted telephone says how it is, another one watches it; bodies are read by an XML parser of others."""

import xml.etree.ElementTree

import pytest

from firmware.errors import RemoteError
from firmware.proto.sip.published import MOST_OCTETS, dialogs_of, presence_of
from tests.proto.sip_world import Phone, endpoint, header, method, restart, status

PIDF = "{urn:ietf:params:xml:ns:pidf}"
RPID = "{urn:ietf:params:xml:ns:pidf:rpid}"
# The shape of RFC 3903 15, message M5, with RFC 4480's activities
SAYS = """<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
          xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="pres:1001@strowger">
  <tuple id="mobile-phone"><status><basic>%s</basic></status><note>%s</note></tuple>
  <!-- a comment with <tags> -->
  <dm:person id="p1"><rpid:activities>%s</rpid:activities></dm:person>
</presence>"""
DIALOGS = """<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:1001@strowger">
  <dialog id="as7d900as8" call-id="%s" direction="initiator"><state event="replaced">%s</state></dialog></dialog-info>"""


class World:
    """A switch, a telephone that publishes (1001) and one that watches it (1002)."""

    def __init__(self):
        self.switch = endpoint(digest_algorithms=("MD5",))
        self.switch.resume(1000000)
        self.phone = Phone(self.switch)
        self.watcher = Phone(self.switch, "1002", "secret-2", ("127.0.0.1", 15080))
        self.phone.register()

    def watch(self, event="presence"):
        _, output, _ = self.watcher.challenged("SUBSCRIBE", "sip:1001@strowger", [
            ("Event", event), ("Expires", "600"), ("Contact", "<%s>" % self.watcher.contact())], call_id="sub-" + event)
        self.watcher.send(self.watcher.respond(output[1], 200))
        return output[1]

    def notified(self):
        self.switch.expire(self.watcher.now_ms)
        self.watcher.now_ms += 20
        self.switch.expire(self.watcher.now_ms)
        got = [octets for octets, destination in self.switch.take_output() if destination == self.watcher.address and method(octets) == "NOTIFY"]
        for octets in got:
            self.watcher.send(self.watcher.respond(octets, 200))
        return got

    def publish(self, body="", tag=None, event="presence", kind=None, uri="sip:1001@strowger", **more):
        extra = [("Event", event)] + [("Expires", str(more.get("expires", 600)))]
        if tag:
            extra.append(("SIP-If-Match", tag))
        if body:
            extra.append(("Content-Type", kind or {"presence": "application/pidf+xml", "dialog": "application/dialog-info+xml"}.get(event, "text/plain")))
        _, output, _ = self.phone.challenged("PUBLISH", uri, extra, body.encode(), call_id="publish")
        return output[0]


def shown(notify):
    root = xml.etree.ElementTree.fromstring(notify.split(b"\r\n\r\n", 1)[1])
    return (root.find(f"{PIDF}tuple/{PIDF}status/{PIDF}basic").text, [one.tag.replace(RPID, "") for one in root.iter() if one.tag.startswith(RPID)
            and not one.tag.endswith("activities")], [one.text for one in root.iter(PIDF + "note")])


@pytest.mark.conformance("RFC 3903", "15", "publish, refresh, modify and remove as in the example; a new entity tag each time; who watches hears of it")
def test_life_of_a_publication():
    world = World()
    assert shown(world.watch())[0] == "open"
    first = world.publish(SAYS % ("closed", "at lunch &amp; away", "<rpid:meal/>"))
    assert status(first) == 200 and header(first, "Expires") == "600"
    assert [shown(octets) for octets in world.notified()] == [("closed", ["meal"], ["at lunch & away"])]
    assert world.switch.publications.describe("1001")["activities"] == ["meal"]
    refreshed = world.publish(tag=header(first, "SIP-ETag"))                       # no body: M11 of the example
    assert status(refreshed) == 200 and header(refreshed, "SIP-ETag") != header(first, "SIP-ETag")
    assert world.notified() == []                                                  # nothing that watchers see has changed
    stale = world.publish(SAYS % ("open", "", ""), tag=header(first, "SIP-ETag"))
    assert status(stale) == 412 and shown(world.watch("presence"))[0] == "closed"
    changed = world.publish(SAYS % ("open", "", "<rpid:busy/>"), tag=header(refreshed, "SIP-ETag"))
    assert status(changed) == 200 and shown(world.notified()[0]) == ("open", ["busy"], [])
    gone = world.publish(tag=header(changed, "SIP-ETag"), expires=0)
    assert status(gone) == 200 and header(gone, "Expires") == "0" and shown(world.notified()[0]) == ("open", [], [])
    assert world.switch.publications.of == {} and status(world.publish(tag=header(gone, "SIP-ETag"))) == 412


@pytest.mark.conformance("RFC 3903", "6", "soft state: it outlives a restart of the process and ends when nobody refreshes it")
def test_expiry_and_restart():
    world = World()
    made = world.publish(SAYS % ("closed", "", "<rpid:vacation/>"), expires=120)
    assert set(world.switch.take_changes()) >= {"publication/1001"}
    again = restart(world.switch, 2, 1010000)
    again.resume(1010000)
    assert again.publications.presence("1001") == (False, ["vacation"], None)
    world.switch = world.phone.switch = world.watcher.switch = again
    world.phone.now_ms = world.watcher.now_ms = 1010000
    world.phone.cseq, world.phone.branches = 50, 50
    assert status(world.publish(tag=header(made, "SIP-ETag"), expires=90)) == 200
    again.expire(1010000 + 90000)
    assert again.publications.of == {} and again.dump().get("publication/1001") is None
    assert restart(world.switch, 3, 1200000).publications.of == {}


@pytest.mark.conformance("RFC 3903", "6 (errors)", "489, 403, 423, 415, 400 and 413, each without state; switched off 405")
def test_refusals():
    world, says = World(), SAYS % ("open", "", "")
    assert status(world.publish(says, event="registration")) == 489
    assert header(world.publish(says, event="registration"), "Allow-Events") == "dialog, presence"
    assert status(world.publish(says, uri="sip:1002@strowger")) == 403
    assert status(world.publish(says, expires=5)) == 423
    assert status(world.publish(says, kind="text/plain")) == 415
    assert status(world.publish()) == 400
    for bad in ("<presence>", "<!DOCTYPE x [<!ENTITY a 'b'>]><presence/>", "nothing", "<presence><tuple></presence></tuple>", "<a/>", "<presence/><presence/>", "<presence a=b/>",
                 "<presence>&unknown;</presence>"):
        assert status(world.publish(bad)) == 400, bad
    assert status(world.publish("<presence>" + " " * MOST_OCTETS + "</presence>")) == 413
    assert world.switch.publications.of == {}
    world.switch.set_publish(False)
    assert status(world.phone.send(world.phone.request("PUBLISH", "sip:1001@strowger"))[1][0]) == 405


@pytest.mark.conformance("RFC 4235", "dialogs published", "calls that a telephone has elsewhere light its lamp; one that goes through the switch is not shown twice")
def test_dialogs():
    world = World()
    world.watch("dialog")
    made = world.publish(DIALOGS % ("elsewhere@phone", "confirmed"), event="dialog")
    body = world.notified()[0].split(b"\r\n\r\n", 1)[1]
    assert b'<dialog id="p0-as7d900as8" direction="initiator"><state>confirmed</state></dialog>' in body
    made = world.publish(tag=header(made, "SIP-ETag"), event="dialog")
    assert status(made) == 200 and world.notified() == []                          # a plain refresh is no news
    assert world.publish(DIALOGS % ("elsewhere@phone", "terminated"), header(made, "SIP-ETag"), event="dialog") and b"<dialog " not in world.notified()[0]
    _, output = world.phone.invite("9")
    assert output
    world.switch.request({"kind": "answer_request", "leg": sorted(world.switch.sessions)[0], "sdp": b"v=0\r\n"}, world.phone.now_ms)
    world.switch.take_output()
    assert status(world.publish(DIALOGS % (world.phone.call_id, "confirmed"), event="dialog")) == 200
    assert world.switch.publications.dialogs("1001") == [] and world.switch.publications.describe("1001")["dialogs"] == 0
    assert world.switch.publications.describe("1001", set())["dialogs"] == 1       # the calls are looked up once, by who asks for many lines
    with pytest.raises(RemoteError, match="full state"):
        dialogs_of(b'<dialog-info state="partial"/>')


def test_oldest_goes_and_lines_go():
    world = World()
    for number in range(12):
        assert status(world.publish(SAYS % ("open", "number %d" % number, ""))) == 200
    assert len(world.switch.publications.of["1001"]) == 8 and world.switch.publications.presence("1001")[2] == "number 11"
    world.switch.set_lines({"1002": "secret-2"}, world.phone.now_ms)
    assert world.switch.publications.of == {}


def test_presence_documents():
    assert presence_of(b"<presence/>") == presence_of(b"<presence><tuple><basic>unknown</basic></tuple></presence>") == (None, [], None)
    assert presence_of((SAYS % ("closed", "x", "<rpid:away/><rpid:nonsense/><rpid:away/>")).encode()) == (False, ["away"], "x")
    two = b"<p:presence xmlns:p='x'><p:tuple><p:basic>closed</p:basic></p:tuple><p:tuple><p:basic>open</p:basic></p:tuple></p:presence>"
    assert presence_of(two) == (True, [], None)
