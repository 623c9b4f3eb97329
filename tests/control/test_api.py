"""The local API over its Unix socket, through the blocking client."""

import asyncio
import concurrent.futures
import http.client
import json
import pathlib
import socket

import pytest

from firmware.control.client import ControlClient, ControlError


def served(site, scenario):
    """Run scenario(client, house, media, legs, loop) in a thread while the house serves."""
    async def main():
        house, media, legs = site.house()
        await house.start()
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(asyncio.to_thread(
                scenario, ControlClient(site.run), house, legs, lambda f, *a: loop.call_soon_threadsafe(f, *a)), 20)
        finally:
            await house.stop()
    asyncio.run(main())


def test_state_calls_and_hangup(site):
    def scenario(client, house, legs, call):
        assert client.get("/v1/state")["calls"] == []
        call(legs.offer, "l1")
        for number in range(100):
            if client.get("/v1/state")["calls"]:
                break
        assert client.get("/v1/health")["ok"]
        assert client.get("/v1/calls/c1")["cdr"] is None
        assert client.post("/v1/calls/c1/hangup") == {"ok": True}
        one = client.get("/v1/calls/c1")
        assert one["cdr"]["cause"] == 16 and one["recordings"][0]["id"] == "r1"
        assert [r["kind"] for r in one["records"]] == ["leg.offered", "call.clearing", "call.ended"]
        assert client.get("/v1/calls", limit=5)["calls"] == [one["cdr"]]
        assert client.get("/v1/calls", before="c1")["calls"] == []
    served(site, scenario)


def test_the_stream_gives_history_then_what_comes(site):
    def scenario(client, house, legs, call):
        stream = client.stream_events(after=0)
        assert next(stream)["kind"] == "core.resumed"
        client.put("/v1/agents/1001/status", {"status": "on_break", "reason": "午饭"})
        seen = next(stream)
        assert (seen["kind"], seen["agent"], seen["data"]["status"]) == ("agent.status", "1001", "on_break")
        again = client.stream_events(after=seen["seq"])
        client.put("/v1/agents/1002/status", {"status": "available"})
        assert next(again)["agent"] == next(stream)["agent"] == "1002"
        stream.close()
        again.close()
    served(site, scenario)


def test_a_brief_stream_tells_only_that_something_came(site):
    def scenario(client, house, legs, call):
        begun = house.feed.last_seq
        stream = client.stream_events(after=begun - 1, brief=1)
        assert next(stream) == {"seq": begun}
        for number in range(3):
            client.put("/v1/agents/1001/status", {"status": "available"})
        seen = next(stream)
        while seen["seq"] < house.feed.last_seq:
            seen = next(stream)
        assert seen == {"seq": house.feed.last_seq} and house.feed.last_seq > begun + 2
        stream.close()
    served(site, scenario)


def test_a_stream_far_behind_reads_the_database(site):
    def scenario(client, house, legs, call):
        for number in range(20):
            client.put("/v1/agents/1001/status", {"status": "available"})
        house.feed._kept.clear()
        stream = client.stream_events(after=0)
        seen = [next(stream)["seq"] for _ in range(21)]
        assert seen == sorted(seen)
        stream.close()
    served(site, scenario)


@pytest.mark.parametrize("method, path, body, status", [
    ("GET", "/", None, 404), ("GET", "/v1/nothing", None, 404), ("DELETE", "/v1/state", None, 405),
    ("GET", "/v1/calls?limit=x", None, 400), ("GET", "/v1/calls?limit=0", None, 400),
    ("GET", "/v1/calls?before=x1", None, 404), ("GET", "/v1/calls/c99", None, 404),
    ("GET", "/v1/calls/c9999999999999999999999", None, 404), ("GET", "/v1/calls/%00%ff", None, 404),
    ("POST", "/v1/calls/c99/hangup", None, 404), ("GET", "/v1/events?after=-1", None, 400),
    ("PUT", "/v1/agents/1001/status", b"{", 400), ("PUT", "/v1/agents/1001/status", b"[1]", 400),
    ("PUT", "/v1/agents/1001/status", b'{"status": "on_break", "reason": "\\ud800"}', 400),
    ("PUT", "/v1/agents/1001/status", b'{"status": "on_break", "reason": "\xed\xa0\x80"}', 400),
    ("PUT", "/v1/agents/1001/status", b'{"status": NaN}', 400),
    ("PUT", "/v1/agents/1001/status", b'{"a":' * 50000 + b"1" + b"}" * 50000, 400),
    ("POST", "/v1/configuration/propose", b'{"configuration":' + b"[" * 500 + b"]" * 500 + b"}", 400),
    ("POST", "/v1/configuration/propose", b'{"configuration": {"ivr": {"\\udc00": {}}}}', 400),
    ("PUT", "/v1/agents/1001/status", b'{"status": "asleep"}', 422),
    ("PUT", "/v1/agents/1001/status", b'{"status": "on_break", "reason": 5}', 422),
    ("PUT", "/v1/agents/9/status", b'{"status": "available"}', 404),
    ("POST", "/v1/configuration/apply", b"{}", 422),
    ("POST", "/v1/configuration/apply", b'{"revision": 77, "configuration": {}}', 409),
    ("POST", "/v1/configuration/apply", b'{"revision": 1, "configuration": {"spans": 5}}', 422),
    ("PUT", "/v1/agents/1001/status", b"[" * 100000, 400),
])
def test_bad_requests_get_problem_documents(site, method, path, body, status):
    def scenario(client, house, legs, call):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(client.path)
        connection.request(method, path, body)
        response = connection.getresponse()
        assert response.status == status
        assert response.getheader("content-type") == "application/problem+json"
        problem = json.loads(response.read())
        assert problem["status"] == status and problem["title"] and problem["detail"] is not None
        connection.close()
        assert client.get("/v1/health")["turns"]["exceptions"] == 0
    served(site, scenario)


def test_configuration_is_proposed_and_applied(site):
    def scenario(client, house, legs, call):
        running = client.get("/v1/configuration")
        candidate = running["configuration"]
        candidate["site"]["name"] = "新站"
        answer = client.post("/v1/configuration/propose", candidate)
        assert answer["ok"] and [c["path"] for c in answer["changes"]] == ["site.name"]
        applied = client.post("/v1/configuration/apply", {"revision": running["revision"], "configuration": candidate})
        assert applied["revision"] == running["revision"] + 1
        assert house.switchboard.config["site"]["name"] == "新站"
        candidate["numbers"][0]["target"] = "nowhere"
        assert not client.post("/v1/configuration/propose", candidate)["ok"]
        with pytest.raises(ControlError) as error:
            client.post("/v1/configuration/apply", {"revision": running["revision"], "configuration": candidate})
        assert error.value.status == 409
    served(site, scenario)


def test_of_applies_at_once_one_wins_and_what_is_in_force_is_on_the_disk(site):
    def scenario(client, house, legs, call):
        running = client.get("/v1/configuration")

        def apply(name):
            candidate = json.loads(json.dumps(running["configuration"]))
            candidate["site"]["name"] = name
            try:
                client.post("/v1/configuration/apply", {"revision": running["revision"], "configuration": candidate})
                return name
            except ControlError as error:
                return error.status
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(apply, [f"site {n}" for n in range(8)]))
        won = [answer for answer in answers if answer != 409]
        assert len(won) == 1, answers
        assert client.get("/v1/configuration")["configuration"]["site"]["name"] == won[0]
        on_disk = json.loads(pathlib.Path(house.data_dir, "configuration.json").read_text(encoding="utf-8"))
        assert on_disk["site"]["name"] == won[0] and on_disk["revision"] == running["revision"] + 1
    served(site, scenario)


def test_an_absent_control_process_is_said(tmp_path):
    with pytest.raises(ControlError, match="start the control process") as error:
        ControlClient(tmp_path).get("/v1/state")
    assert error.value.status == 503


def test_what_an_erasure_leaves_to_a_person_is_named():
    from firmware.control.api_journal import named_in
    config = {"caller_lists": [{"name": "vip", "numbers": ["13912345678", "139*"]}], "lines": [{"home": {"number": "913912345678"}}], "site": {"name": "13912345678 Ltd"}}
    assert named_in(config, ["13912345678", "913912345678"]) == ["caller_lists[0].numbers[0]", "lines[0].home.number"]
    assert named_in({"a": "+8613912345678"}, ["8613912345678"]) == ["a"] and named_in(config, ["99999"]) == []
