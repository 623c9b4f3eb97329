"""Nodes recognize and speak: through the interpreter by the simulator, and the check of flows that have them."""

from firmware.ivr import flow, simulator, text
from firmware.ivr.interpreter import Visit

FLOW = {"version": 1, "languages": ["en"], "start": "ask", "nodes": {
    "ask": {"type": "recognize", "service": "asr", "prompts": ["which_city"], "into": "city", "confidence": "sure", "least": 0.5, "phrases": ["{caller}", "Beijing"],
            "pressed": "menu", "next": "say", "failed": "bye", "timeout_s": 4},
    "say": {"type": "speak", "service": "tts", "text": "You said {city}.", "voice": "amy", "next": "pin", "failed": "bye"},
    "pin": {"type": "recognize", "service": "asr", "into": "word", "secret": True, "next": "right", "failed": "bye"},
    "right": {"type": "branch", "value": "word", "choices": {"sesame": "desk"}, "otherwise": "bye"},
    "desk": {"type": "queue", "queue": "sales"},
    "menu": {"type": "menu", "prompts": ["menu"], "choices": {"1": "desk"}, "exhausted": "bye"},
    "bye": {"type": "hangup", "prompts": ["goodbye"]}}}
SERVICES = {"asr": "speech", "tts": "speech", "crm": "http"}


def run(script):
    result = simulator.run({"f": FLOW}, "f", script)
    return result


def test_the_flow_is_right_and_goes_through_its_text():
    assert flow.check(FLOW, "ivr.f", services=SERVICES) == []
    assert text.read(text.write(FLOW)) == FLOW


def test_each_way_through():
    good = run("says 0.93 Beijing\nexpect set city Beijing\nexpect set sure 0.93\nexpect hear \"You said Beijing.\"\nhear\nexpect node pin\nsays sesame\nexpect queue sales")
    assert good.failures == []
    assert not [line for line in good.transcript if "sesame" in line]
    others = [run(script) for script in (
        "says 0.3 Beijing\nexpect hangup", "wait\nexpect hangup", "fails no connection\nexpect hangup", "press 1\nexpect queue sales",
        "speaks\nsays Ulm\nhear\nexpect node pin", "says Ulm\nfails no voice\nexpect hangup", "says Ulm\nhear\nfails\nexpect hangup",
        "says Ulm\nhear\nsays wrong\nexpect hangup")]
    assert [result.failures for result in others] == [[]] * len(others)


def test_speech_ends_the_prompts_and_time_counts_from_their_end():
    visit = Visit({"f": FLOW}, {"caller": "1"}, {})
    position, command = visit.start("f")
    assert command["do"] == "ask" and command["timeout_s"] == 60 and command["items"] and command["request"]["phrases"] == ["1", "Beijing"]
    _, later = visit.done(position)
    assert later == {"do": "wait", "timeout_s": 4}
    position, later = visit.speech(position)
    assert later == {"do": "wait", "timeout_s": 60, "quiet": True}
    assert visit.speech(position)[1] == {"do": "none"} and visit.done(position)[1] == {"do": "none"}
    assert visit.repeat(position)[1]["do"] == "ask"
    position, command = visit.timeout(position)
    assert command["do"] == "hangup" and "in time" in position["error"]["text"]


def test_secret_speech_is_in_no_position_and_pauses_the_recording():
    private = {}
    visit = Visit({"f": FLOW}, {}, private)
    position, _ = visit.start("f")
    position, _ = visit.answer(position, True, {"text": "Ulm", "confidence": None})
    position, _ = visit.done(position)
    assert visit.expects_secret(position) is True
    position, command = visit.answer(position, True, {"text": "sesame", "confidence": 1})
    assert command["do"] == "queue" and "sesame" not in str(position) and private["values"] == {"word": "sesame"}


def test_what_the_check_says():
    def errors(node, **more):
        nodes = {name: dict(value) for name, value in FLOW["nodes"].items()}
        nodes[node].update(more)
        return [str(error) for error in flow.check(dict(FLOW, nodes=nodes), "ivr.f", services=SERVICES)]
    assert any("kind speech" in error for error in errors("ask", service="crm"))
    assert any("0 to 1" in error for error in errors("ask", least=2))
    assert any("secret entry" in error for error in errors("say", text="{word}"))
    assert any("name another" in error for error in errors("ask", confidence="city"))
    assert any("no node named" in error for error in errors("ask", pressed="nowhere"))
    assert any("needs it" in error for error in [str(e) for e in flow.check({"version": 1, "languages": ["en"], "start": "a", "nodes": {"a": {"type": "speak"}}}, "x")])


FAX = {"version": 1, "languages": ["en"], "start": "ask", "nodes": {
    "ask": {"type": "collect", "prompts": ["which"], "into": "wanted", "length": 1, "next": "send", "failed": "bye"},
    "send": {"type": "fax", "document": "offer-{wanted}", "role": "answers", "station": "021 5080", "into": "sent", "next": "more", "failed": "bye"},
    "more": {"type": "branch", "cases": [{"if": "sent.pages > 1", "next": "ask"}], "otherwise": "bye"},
    "bye": {"type": "hangup"}}}


def test_a_document_is_sent_by_fax():
    assert flow.check(FAX, "ivr.f") == [] and text.read(text.write(FAX)) == FAX
    for script in ("press 2\nexpect ask fax\nexpect hear \"(fax offer-2)\"\nfax 1\nexpect hangup", "press 2\nfax 3\nexpect node ask", "press 2\nfails nobody there\nexpect hangup",
                   "press 2\npress 9\nexpect node send\nfails\nexpect hangup", "press 2\nwait\nexpect hangup", "press *\nwait\nexpect node ask"):
        assert simulator.run({"f": FAX}, "f", script).failures == [], script
    assert simulator.run({"f": dict(FAX, nodes=dict(FAX["nodes"], send=dict(FAX["nodes"]["send"], document="../{wanted}")))}, "f", "press 2\nexpect hangup").failures == []
    for key, value in (("role", "x"), ("most_s", 5), ("into", "Bad"), ("document", 7)):
        bad = dict(FAX, nodes=dict(FAX["nodes"], send=dict(FAX["nodes"]["send"], **{key: value})))
        assert [error.path for error in flow.check(bad, "ivr.f")] == ["ivr.f.nodes.send." + key], key


def test_a_received_document_has_a_fixed_name():
    """It is the file's: a caller's number would stand there openly."""
    def errors(**more):
        return [str(error) for error in flow.check(dict(FAX, nodes=dict(FAX["nodes"], send=dict(FAX["nodes"]["send"], **more))), "ivr.f")]
    assert errors(role="receives", document="inbox") == []
    for document in ("{caller}", "inbox-{wanted}"):
        assert ["has no {variables}" in error for error in errors(role="receives", document=document)] == [True]
        assert errors(role="calls", document=document) == []
    taken = dict(FAX["nodes"]["send"], role="receives", document="in-{wanted}")
    assert simulator.run({"f": dict(FAX, nodes=dict(FAX["nodes"], send=taken))}, "f", "press 2\nexpect hangup").failures == [], "a flow that runs already fails there"
