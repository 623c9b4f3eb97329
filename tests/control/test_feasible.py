"""A configuration that this machine cannot carry out is refused before it can keep the switch from starting."""

import copy
import json
import os
import socket

import pytest

from firmware.call.trunk_group import groups_of
from firmware.config import demo, schema
from firmware.control import compose, feasible
from firmware.control.client import ControlError
from firmware.media import ports
from tests.control.test_api import served


def refused(client, path, change):
    """The advice for a change that must be refused, proposed and applied."""
    running = client.get("/v1/configuration")
    candidate = copy.deepcopy(running["configuration"])
    change(candidate)
    report = client.post("/v1/configuration/propose", candidate)
    assert not report["ok"] and [error["path"] for error in report["errors"]] == [path]
    with pytest.raises(ControlError) as error:
        client.post("/v1/configuration/apply", {"revision": running["revision"], "configuration": candidate})
    assert error.value.status == 422
    assert client.get("/v1/configuration")["revision"] == running["revision"]
    return report["errors"][0]["advice"]


def applied(client, change):
    running = client.get("/v1/configuration")
    change(running["configuration"])
    return client.post("/v1/configuration/apply", {"revision": running["revision"], "configuration": running["configuration"]})


def test_what_cannot_be_listened_on_is_refused_and_a_restart_is_said(site):
    def scenario(client, house, legs, call):
        assert "web.port" in refused(client, "cti.port", lambda c: c["cti"].update(port=c["web"]["port"]))
        advice = refused(client, "sip.address", lambda c: c["sip"].update(address="192.0.2.1"))     # RFC 5737: nobody's
        assert "192.0.2.1" in advice and "assign" in advice
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            assert "in use" in refused(client, "cti.port", lambda c: c["cti"].update(port=port))
        assert "sound" in refused(client, "sip.port", lambda c: c["sip"].update(port=20001))
        answer = applied(client, lambda c: c["cti"].update(port=port))
        assert answer["restart"] == ["cti.port"] and "restart" in answer["notice"] and "cti.port" in answer["notice"]
        answer = applied(client, lambda c: c["site"].update(name="x"))
        assert answer["restart"] == [] and answer["notice"] is None
    served(site, scenario)


def test_a_port_that_the_switch_itself_holds_is_free_for_it(site):
    def scenario(client, house, legs, call):
        with socket.create_server(("127.0.0.1", 0)) as ours:
            port = ours.getsockname()[1]
            house.listening.add(("tcp", "127.0.0.1", port))
            applied(client, lambda c: c["cti"].update(port=port))
            applied(client, lambda c: c["cti"].update(address="0.0.0.0"))
            refused(client, "cti.address", lambda c: c["cti"].update(address="192.0.2.1"))
            with socket.create_server(("127.0.0.2", 0)) as other, socket.create_server(("127.0.0.1", other.getsockname()[1])) as ours:
                port = ours.getsockname()[1]
                house.listening.add(("tcp", "127.0.0.1", port))
                applied(client, lambda c: c["cti"].update(port=port, address="127.0.0.1"))
                refused(client, "cti.port", lambda c: c["cti"].update(address="0.0.0.0"))       # somebody else is at 127.0.0.2
    served(site, scenario)


@pytest.mark.parametrize("part, address", [("web", "255.255.255.255"), ("cti", "127.255.255.255"), ("web", "224.0.0.1"), ("sip", "224.0.0.1"),
                                           ("cti", "ff02::1"), ("sip", "::1"), ("sip", "::")])
def test_an_address_at_which_nobody_is_reached_is_refused(part, address):
    config = schema.check(demo.configuration({name: "secret-" + name for name in demo.AGENTS}))[0]
    wanted = copy.deepcopy(config)
    wanted[part]["address"] = address
    errors = feasible.obstacles(config, wanted, feasible.listening(config), None)
    assert [error.path for error in errors] == [part + ".address"]
    assert ("IPv4 only" if part == "sip" and ":" in address else "cast") in errors[0].advice
    assert feasible.obstacles(wanted, wanted, set(), None) == []            # as it stands, nobody is kept from other changes


def test_new_languages_and_emergency_numbers(site):
    def scenario(client, house, legs, call):
        assert "klingon" in refused(client, "ivr.main.languages[0]", lambda c: c["ivr"]["main"].update(languages=["klingon"]))
        route = {"number": "11x", "class": "emergency", "choices": [{"trunk_group": "carrier"}]}
        count = len(client.get("/v1/configuration")["configuration"]["routes"])
        for shut in ({"days": "12345"}, {"from": "08:00"}, {"areas": "021"}, {"prefix": "+"}):
            sentence = refused(client, "routes[%d].choices" % count, lambda c, shut=shut: (c.update(areas=[{"code": "021"}]), c["routes"].append(
                {"number": "999", "class": "emergency", "choices": [{"trunk_group": "carrier", **shut}]})))
            assert "each way of the emergency number 999 can be shut" in sentence
        way = {"trunk_group": "carrier"}
        for more, path, words in (({"areas": "Atlantis"}, "areas", "there is no area or province 'Atlantis'"), ({"mobile_zero": True}, "mobile_zero", "own area '021'")):
            sentence = refused(client, "routes[%d].choices[0].%s" % (count, path), lambda c, more=more: (c["site"].update(area="021"), c.update(
                areas=[{"code": "010", "province": "Beijing"}]), c["routes"].append({"number": "77.", "choices": [{**way, **more}]})))
            assert words in sentence
        assert "whole numbers" in refused(client, "routes[%d].class" % count, lambda c: c["routes"].append(route))
    served(site, scenario)


def test_a_group_that_keeps_all_its_trunks_for_emergency_calls(site):
    def scenario(client, house, legs, call):
        count = len(groups_of(house.config.running())["carrier"].trunks)
        assert "of the %d trunks that carrier has" % count in refused(client, "trunk_groups[0].reserved", lambda c: c["trunk_groups"][0].update(reserved=64))
        refused(client, "trunk_groups[0].reserved", lambda c: c["trunk_groups"][0].update(reserved=count))
        applied(client, lambda c: c["trunk_groups"][0].update(reserved=count - 1))
        applied(client, lambda c: (c["trunk_groups"][0].update(reserved=64), c.update(routes=[row for row in c["routes"] if row["class"] == "emergency"])))
    served(site, scenario)


def test_a_span_belongs_to_one_signalling_point(site):
    def point(name, code, timeslot):
        return {"name": name, "point_code": code, "linksets": [{"name": "a", "adjacent": "11-22-44", "links": [{"span": 2, "timeslot": timeslot, "slc": 0}]}]}

    def scenario(client, house, legs, call):
        advice = refused(client, "ss7[1]", lambda c: (c["spans"][1].update(signalling="ss7"), c.update(ss7=[point("a", "1-1-1", 16), point("b", "1-1-2", 17)])))
        assert "span 2, as ss7[0] has" in advice
        applied(client, lambda c: (c["spans"][1].update(signalling="ss7"), c.update(ss7=[point("a", "1-1-1", 16), dict(point("b", "1-1-2", 17), enabled=False)])))
    served(site, scenario)


def test_prompts_and_music_that_are_not_there_are_refused_where_they_are_new(site):
    def scenario(client, house, legs, call):
        nodes = "ivr.main.nodes.goodbye.prompts[0]"
        assert "nothere.wav" in refused(client, nodes, lambda c: c["ivr"]["main"]["nodes"]["goodbye"].update(prompts=["nothere"]))
        assert "music/jazz.wav" in refused(client, "queues[0].music", lambda c: c["queues"][0].update(music="jazz"))
        refused(client, "queues[0].music", lambda c: c["queues"][0].update(music="../x"))
        (site.run.parent / "prompts" / "music").mkdir()
        (site.run.parent / "prompts" / "music" / "jazz.wav").write_bytes(b"")
        refused(client, "queues[0].music", lambda c: c["queues"][0].update(music="jazz"))
        (site.run.parent / "prompts" / "music" / "jazz.wav").write_bytes(bytes(60))
        applied(client, lambda c: c["queues"][0].update(music="jazz"))
        applied(client, lambda c: c["ivr"]["main"]["nodes"]["goodbye"].update(prompts=["menu"]))    # missing, and known before
    served(site, scenario)


def test_files_of_sip_over_tls_that_cannot_be_read_are_refused_where_they_are_new(site, tmp_path):
    def scenario(client, house, legs, call):
        good, pipe = tmp_path / "good.pem", tmp_path / "pipe.pem"
        good.write_text("x")
        os.mkfifo(pipe)
        for path, word in (("/nowhere/x.pem", "No such file"), (str(tmp_path), "no file"), (str(pipe), "no file")):
            advice = refused(client, "sip.authorities", lambda c, path=path: c["sip"].update(authorities=path))
            assert path in advice and word in advice
        assert "cannot be read" in refused(client, "sip.key", lambda c: c["sip"].update(certificate=str(good), key="/nowhere/key.pem"))
        applied(client, lambda c: c["sip"].update(authorities=str(good)))
        good.unlink()
        applied(client, lambda c: c["site"].update(name="y"))               # missing, and known before
    served(site, scenario)


def test_what_sip_was_left_out_of_is_said_in_the_health(site):
    path = site.run.parent / "data" / "configuration.json"
    old = json.loads(path.read_text())
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        for part, word in (("sip", "already in use"), ("both", "web.port")):
            old["sip"]["port"] = port
            old["web"]["port"] = port if part == "both" else old["web"]["port"]
            path.write_text(json.dumps(old))
            house, _ = site.whole()
            streams, faults = compose.sip_listeners(house.config.running())
            house.faults.extend(faults)
            said = house.health()["faults"]
            assert streams == {} and any("SIP goes on without TCP" in fault and word in fault for fault in said), said
            house.database.close()


def test_the_range_of_rtp_ports_is_that_of_media(monkeypatch):
    monkeypatch.delenv("STROWGER_RTP_PORTS", raising=False)
    assert feasible._rtp_ports() == ports.configured_range()
    monkeypatch.setenv("STROWGER_RTP_PORTS", "31000-31099")
    assert feasible._rtp_ports() == ports.configured_range()


def test_a_home_telephone_that_could_never_be_called_is_refused(site):
    def scenario(client, house, legs, call):
        applied(client, lambda c: c.update(routes=[{"number": "9.", "choices": [{"trunk_group": c["trunk_groups"][0]["name"], "strip": 1}]},
                                                   {"number": "900.", "class": "international", "choices": [{"trunk_group": c["trunk_groups"][0]["name"], "strip": 1}]}]))
        for number, words in (("02150801000", "number of this switch"), ("1002", "number of this switch"), ("8123", "no route leads to 8123"),
                              ("90044123456", "may not call 90044123456")):
            assert words in refused(client, "lines[0].home.number", lambda c: c["lines"][0]["home"].update(number=number))
        assert "notice" in refused(client, "lines[0].home.announce", lambda c: c["lines"][0]["home"].update(number="913912345678", announce="notice"))
        applied(client, lambda c: c["lines"][0]["home"].update(number="913912345678"))
        assert "line '%s'" % client.get("/v1/configuration")["configuration"]["lines"][0]["name"] in refused(
            client, "lines[1].home.number", lambda c: c["lines"][1]["home"].update(number="913912345678"))
        applied(client, lambda c: c["site"].update(name="y"))           # what stands keeps nobody from changing something else
    served(site, scenario)
