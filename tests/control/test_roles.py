"""Roles over the local API and the CTI link: who may what, and that each refusal is a sentence and a record."""

import asyncio
import json
import socket

from argon2 import PasswordHasher

from firmware.cli.__main__ import main as cli
from firmware.config import people
from firmware.control import api, roles
from firmware.control.cti import CTILink
from tests.control.desk_rig import DeskHouse, prepared, run
from tests.control.test_cti import Client

USERS = [{"name": "anna", "role": "agent", "agent": "1001"}, {"name": "bob", "role": "agent", "agent": "1002"},
         {"name": "sue", "role": "supervisor", "teams": ["red"]}, {"name": "all", "role": "supervisor", "teams": ["*"]},
         {"name": "ivy", "role": "inspector", "teams": ["red"]}]


def configure(config):
    prepared(config)
    config["teams"] = [{"name": "red", "agents": ["1001"], "queues": ["sales"]}, {"name": "blue", "agents": ["1002"], "queues": ["service"]}]
    config["users"] = USERS


def test_every_request_of_the_api_is_an_administrators_unless_a_rule_says_otherwise(site):
    """A rule leads somewhere, and one that is misspelt would show here."""
    house, _, _ = site.house()
    known = {(method, pattern) for method, pattern, _ in api.API(house)._routes}
    lost = {(rule[0], rule[1]) for rule in roles.RULES} - known
    house.database.close()
    assert lost == set()


def test_references_of_users_and_teams_are_checked():
    result = {"agents": [{"name": "1001"}], "queues": [{"name": "q"}], "teams": [{"name": "red", "agents": ["9"], "queues": "q"}],
              "users": [{"name": "a", "role": "agent", "agent": "", "teams": []}, {"name": "b", "role": "agent", "agent": "1001", "teams": []},
                        {"name": "c", "role": "agent", "agent": "1001", "teams": []}, {"name": "d", "role": "supervisor", "agent": "", "teams": ["x"]},
                        {"name": "e", "role": "inspector", "agent": "7", "teams": []}]}
    paths = [error.path for error in people.check(result)]
    assert paths == ["teams[0].agents[0]", "teams[0].queues", "users[0].agent", "users[2].agent", "users[3].teams[0]", "users[4].agent", "users[4].teams"]


def test_who_may_what(site, capsys):
    async def scenario():
        async with DeskHouse(site, configure) as desk:
            call = desk.call("p1")["call"]
            desk.answer()
            assert desk.state()["calls"][0]["agent"] == "1001"
            of = "/v1/calls/%s/" % call
            listen = {"mode": "listen", "line": "1003"}
            for user, method, path, body, words in (
                    ("anna", "GET", "/v1/configuration", None, "may not GET /configuration"), ("anna", "POST", of + "monitor", listen, "agent, who may not listen"),
                    ("anna", "PUT", "/v1/agents/1002/status", {"status": "available"}, "only of the own name"),
                    ("anna", "PUT", "/v1/agents/1001/status", {"status": "available", "locked": True}, "without locking"),
                    ("anna", "GET", "/v1/agents/1002/figures", None, "only of the own name"), ("anna", "GET", "/v1/events", None, "may not GET /events"),
                    ("anna", "GET", "/v1/customers?format=csv", None, "one by one"), ("anna", "POST", "/v1/articles", {"title": "A", "body": "B"}, "may not write articles"),
                    ("anna", "POST", "/v1/customers/import", {"csv": "name\nA\n"}, "may not import"), ("anna", "GET", "/v1/reports/queues", None, "own name"),
                    ("anna", "POST", "/v1/agents/1001/queues", {}, "may not move agents"), ("anna", "GET", "/v1/calls/%s?recording=r1" % call, None, "recordings"),
                    ("bob", "GET", of + "pop", None, "only of the own calls"), ("bob", "POST", of + "notes", {"text": "x"}, "only of the own calls"),
                    ("bob", "POST", of + "hangup", {}, "only of the own calls"), ("bob", "GET", "/v1/calls/" + call, None, "only of the own calls"),
                    ("sue", "PUT", "/v1/agents/1002/status", {"status": "on_break"}, "agents of the own teams"),
                    ("sue", "POST", "/v1/agents/1001/queues", {"queues": [{"queue": "service"}]}, "queues of the own teams"),
                    ("sue", "POST", "/v1/configuration/apply", {}, "may not POST /configuration/apply"), ("sue", "GET", "/v1/reports/agents?name=1002", None, "own teams"),
                    ("sue", "GET", "/v1/reports/trunk_groups", None, "agents and queues"), ("sue", "POST", "/v1/customers/p1/erase", {}, "may not POST"),
                    ("ivy", "POST", of + "monitor", dict(listen, mode="barge"), "without being heard"), ("ivy", "PUT", "/v1/agents/1001/status", {"status": "on_break"}, "an inspector, who may not"),
                    ("stranger", "GET", "/v1/state", None, "has no role"), ("stranger", "GET", "/v1/health", None, "has no role")):
                path, _, query = path.partition("?")
                error = await desk.refused(method, path, body, user, **dict([query.split("=")] if query else []))
                assert error.status == 403 and words in str(error) and str(error).endswith("."), (user, path, str(error))
            assert {r["data"]["user"] for r in desk.records("access.denied")} == {"anna", "bob", "sue", "ivy", "stranger"}
            for parts in (("alarms",), ("alarms", "history"), ("lines",)):      # what the page of alarms asks
                roles.admit(api.API(desk.house), roles.person(desk.house.config.running(), "sue"), "GET", parts)
            # What each may.
            assert (await desk.ask("GET", "/v1/me", user="anna"))["queues"] == ["operator", "sales", "service"]
            assert (await desk.ask("GET", "/v1/me", user="admin"))["agents"] is None and (await desk.ask("GET", "/v1/me"))["role"] == "admin"
            assert [row["name"] for row in (await desk.ask("GET", "/v1/state", user="anna"))["agents"]] == ["1001"]
            assert (await desk.ask("GET", "/v1/state", user="bob"))["calls"] == []
            state = await desk.ask("GET", "/v1/state", user="sue")
            assert [row["name"] for row in state["queues"]] == ["sales"] and [row["call"] for row in state["calls"]] == [call] and state["spans"] == []
            assert len((await desk.ask("GET", "/v1/state", user="all"))["agents"]) == 4
            await desk.ask("PUT", "/v1/agents/1001/status", {"status": "on_break", "by": "supervisor"}, "anna")
            await desk.ask("PUT", "/v1/agents/1001/status", {"status": "available"}, "sue")
            assert [r["data"]["by"] for r in desk.records("agent.status") if r["agent"] == "1001"][-2:] == ["agent", "supervisor"]
            await desk.ask("POST", of + "notes", {"text": "mine", "agent": "1002", "by": "boss"}, "anna")
            note, = desk.records("call.noted")
            assert (note["agent"], note["data"]["by"]) == ("1001", "anna")
            error = await desk.refused("POST", of + "monitor", listen, "ivy")
            assert error.status == 409, "allowed, but that line is not there"
            found = await desk.ask("GET", "/v1/agents/1001/figures", user="anna")
            assert found["figures"]["connected"] == 1 and "occupancy" in found["formulas"]
            recording = (await desk.ask("GET", "/v1/calls/" + call, user="ivy"))["recordings"][0]["id"]
            for _ in range(3):
                await desk.ask("GET", "/v1/calls/" + call, user="ivy", recording=recording)
            heard, = desk.records("recording.heard")
            assert (heard["call"], heard["data"]) == (call, {"recording": recording, "by": "ivy"})
            assert (await desk.ask("GET", "/v1/calls/" + call, user="anna"))["recordings"] == []
            desk.hang_up("p1")
            assert [row["call"] for row in (await desk.ask("GET", "/v1/calls", user="ivy"))["calls"]] == [call]
            assert (await desk.ask("GET", "/v1/calls", user="bob"))["calls"] == []
            assert [row["name"] for row in (await desk.ask("GET", "/v1/reports/agents", user="sue"))["rows"]] == ["1001"]
            code = await asyncio.to_thread(cli, ["--run", str(site.run), "--as", "anna", "config", "show"])
            assert code == 1 and "anna is an agent, who may not" in capsys.readouterr().err
            assert await asyncio.to_thread(cli, ["--run", str(site.run), "--as", "anna", "figures", "1001"]) == 0
    run(scenario())


def test_a_prompt_is_not_taken_from_who_may_not_give_one(site):
    """Refused before its body is read: 32 MiB are never held."""
    async def scenario():
        async with DeskHouse(site, configure) as desk:
            answers = []

            async def receive():
                raise AssertionError("the body was read")

            async def send(message):
                answers.append(message)
            for user in (b"sue", b"stranger"):
                for path in ("/v1/prompts/en/x", "/v1/%70rompts/en/x"):
                    await api.API(desk.house)({"type": "http", "method": "PUT", "path": path, "query_string": b"", "headers": [(b"x-strowger-user", user)]},
                                              receive, send)
            for method, path in (("POST", "/v1/configuration/apply"), ("PUT", "/v1/users/eve/password")):     # nor JSON: what it is worth nobody asks
                await api.API(desk.house)({"type": "http", "method": method, "path": path, "query_string": b"", "headers": [(b"x-strowger-user", b"sue")]},
                                          receive, send)
            assert [message["status"] for message in answers if "status" in message] == [403] * 6
    run(scenario())


def test_attempts_at_many_paths_are_one_record(site):
    async def scenario():
        async with DeskHouse(site, configure) as desk:
            for name in ("a", "b", "c" * 500):
                for method, path in (("POST", "/v1/customers/%s/erase"), ("GET", "/v1/routes/%s")):
                    await desk.refused(method, path % name, {} if method == "POST" else None, "sue")
            told = [record["data"]["what"] for record in desk.records("access.denied")]
            assert sorted(set(told)) == ["GET /routes", "POST /customers"]
    roles._told.clear()
    run(scenario())


def test_a_supervisor_ends_what_is_of_the_own_teams_only(site):
    """Callbacks by their queue, messages by who gets them or sent them, announcements by their queues; nobody acts without a name."""
    def more(config):
        configure(config)
        for row in config["queues"]:
            row["callback"] = True if not isinstance(row.get("callback"), dict) else dict(row["callback"], enabled=True)
        config["announcements"] = [{"name": "sale", "prompt": "greeting", "queues": ["sales"]}, {"name": "both", "prompt": "greeting", "queues": ["sales", "service"]},
                                   {"name": "house", "prompt": "greeting"}, {"name": "number", "prompt": "greeting", "queues": ["sales"], "numbers": [config["numbers"][0]["number"]]}]

    async def scenario():
        async with DeskHouse(site, more) as desk:
            later_ms = desk.house.clock.now_ms() + 3_600_000
            asked = {queue: (await desk.ask("POST", "/v1/callbacks", {"queue": queue, "number": "913912345678", "at_ms": later_ms}))["callback"] for queue in ("sales", "service")}
            given = (await desk.ask("POST", "/v1/callbacks", {"queue": "sales", "number": "913912345679", "at_ms": later_ms, "agent": "1002"}, "anna"))["callback"]
            assert [row["agent"] for row in (await desk.ask("GET", "/v1/callbacks"))["callbacks"] if row["callback"] == given] == ["1001"]
            sent = {to: (await desk.ask("POST", "/v1/broadcasts", {"text": "x", "agents": agents}))["broadcast"]
                    for to, agents in (("red", ["1001"]), ("blue", ["1002"]), ("both", ["1001", "1002"]))}
            own = (await desk.ask("POST", "/v1/broadcasts", {"text": "x", "queues": ["sales"]}, "sue"))["broadcast"]
            assert len((await desk.ask("GET", "/v1/state"))["broadcasts"]) == 4
            for path, body, words in (
                    ("callbacks/%s/cancel" % asked["service"], {}, "of the own queues"), ("broadcasts/%s/withdraw" % sent["blue"], {}, "to the own teams"),
                    ("broadcasts/%s/withdraw" % sent["both"], {}, "to the own teams"), ("announcements/both", {"on": True}, "of the own queues"),
                    ("announcements/house", {"on": True}, "of the own queues"), ("announcements/number", {"on": True}, "of the own queues"),
                    ("broadcasts/%s/seen" % sent["red"], {}, "for the own name"), ("broadcasts/%s/seen" % sent["red"], {"agent": None}, "for the own name"),
                    ("schedule", {"agent": "1002", "date": "2026-11-23", "shifts": []}, "1002 is in none of your teams")):
                error = await desk.refused("POST", "/v1/" + path, body, "sue")
                assert error.status == 403 and words in str(error), (path, str(error))
            error = await desk.refused("POST", "/v1/schedule/import", {"csv": "agent,date,from,to\n1001,2026-11-23,08:00,12:00\n1002,2026-11-23,08:00,12:00\n"}, "sue")
            assert [(row["line"], row["field"]) for row in error.problem["errors"]] == [(3, "agent")] and "'1002' is in none of your teams" in str(error), error.problem
            for path, body in (("callbacks/%s/cancel" % asked["sales"], {}), ("callbacks/%s/cancel" % given, {}), ("broadcasts/%s/withdraw" % sent["red"], {}),
                               ("broadcasts/%s/withdraw" % own, {}), ("announcements/sale", {"on": True})):
                await desk.ask("POST", "/v1/" + path, body, "sue")
            for path in ("callbacks/none/cancel", "broadcasts/none/withdraw", "announcements/none"):
                assert (await desk.refused("POST", "/v1/" + path, {"on": True}, "sue")).status in (404, 409)
            for path, body in (("callbacks/%s/cancel" % asked["service"], {}), ("broadcasts/%s/withdraw" % sent["blue"], {}), ("announcements/house", {"on": True})):
                await desk.ask("POST", "/v1/" + path, body, "all")
            state = await desk.ask("GET", "/v1/state")
            assert not state["callbacks"] and [row["broadcast"] for row in state["broadcasts"]] == [sent["both"]]
            assert [row["name"] for row in state["announcements"] if row["on"]] == ["sale", "house"]
    run(scenario())


async def history(name, address, last):
    """(kind, agent) of all that a user is shown, up to what came last."""
    client, seen = await Client().connect(address), set()
    await client.ask(do="log_in", user=name, password="correct horse")
    client.writer.write(b'{"do": "subscribe", "after": 0}\n')
    while last not in seen:
        line = json.loads(await asyncio.wait_for(client.reader.readline(), 30))
        if "record" in line:
            seen.add((line["record"]["kind"], line["record"]["agent"]))
    client.writer.close()
    return seen


def test_the_cti_link_obeys_the_same_rules_and_shows_only_the_own(site):
    hasher = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
    (site.data / "users.json").write_text(json.dumps({name: {"hash": hasher.hash("correct horse"), "must_change": False} for name in ("anna", "bob", "sue")}))
    listener = socket.create_server(("127.0.0.1", 0))

    async def scenario():
        async with DeskHouse(site, configure, [lambda house: CTILink(house, listener)]) as desk:
            await asyncio.sleep(0.05)
            clients = {}
            for name in ("anna", "bob", "sue"):
                clients[name] = await Client().connect(listener.getsockname())
                assert (await clients[name].ask(do="log_in", user=name, password="correct horse"))["ok"]
                await clients[name].ask(do="subscribe", after=0)
            call = desk.call("p1")["call"]
            while True:
                line = json.loads(await asyncio.wait_for(clients["anna"].reader.readline(), 30))
                if line.get("record", {}).get("kind") == "agent.popped":
                    break
            assert line["record"]["pop"]["caller"] == "13912345678" and line["record"]["call"] == call
            desk.answer()
            for name, request, words in (("anna", {"do": "monitor", "call": call, "mode": "listen", "line": "1003"}, "may not listen"),
                                         ("bob", {"do": "hangup", "call": call}, "own calls"), ("bob", {"do": "pop", "call": call}, "own calls"),
                                         ("bob", {"do": "agent_status", "agent": "1001", "status": "on_break"}, "own name"),
                                         ("sue", {"do": "assign", "agent": "1002"}, "own teams"), ("sue", {"do": "ivr", "call": call}, "may not")):
                refused = await clients[name].ask(**request)
                assert not refused["ok"] and words in refused["error"], refused
            assert (await clients["anna"].ask(do="pop", call=call))["caller"] == "13912345678"
            assert (await clients["anna"].ask(do="note", call=call, text="说明"))["ok"]
            assert (await clients["anna"].ask(do="disposition", call=call, code="sold"))["ok"]
            made = await clients["anna"].ask(do="ticket_open", template="repair", title="A", fields={"device": "modem"}, call=call)
            assert made["ok"] and (await clients["anna"].ask(do="ticket", ticket=made["ticket"]))["calls"] == [call]
            assert (await clients["bob"].ask(do="customer_find", number="13912345678"))["customers"] == []
            assert (await clients["sue"].ask(do="agent_status", agent="1001", status="on_break"))["ok"]
            # bob sees nothing of anna's call, sue what her team does
            desk.hang_up("p1")
            assert (await clients["bob"].ask(do="agent_status", agent="1002", status="on_break"))["ok"]
            seen = {name: await history(name, listener.getsockname(), last) for name, last in (("bob", ("agent.status", "1002")), ("sue", ("call.noted", "1001")))}
            assert {("agent.offered", "1001"), ("call.noted", "1001")} <= seen["sue"] and ("agent.status", "1002") not in seen["sue"]
            assert seen["bob"] and {agent for _, agent in seen["bob"]} == {"1002"}
    run(scenario())
    listener.close()


def test_calls_are_picked_up_and_fetched_within_the_own_teams(site):
    """Who looks after red takes no call of blue, and sends none to blue's telephones; who looks after all may."""
    async def scenario():
        async with DeskHouse(site, configure) as desk:
            call = desk.call("p1")["call"]          # rings at 1001, of red and the queue sales
            here = {"agent": "1001"}
            config = desk.house.config.running()
            config["users"].append({"name": "blu", "role": "supervisor", "agent": "", "teams": ["blue"]})
            for user, path, body, words in (
                    ("blu", "/v1/calls/%s/pick_up" % call, {"agent": "1002"}, "of the own teams"), ("blu", "/v1/pick_up", {"target": "1001", "agent": "1002"}, "of the own teams"),
                    ("sue", "/v1/calls/%s/pick_up" % call, {"agent": "1002"}, "to telephones of the own teams"),
                    ("bob", "/v1/calls/%s/pick_up" % call, here, "to the own telephone")):
                error = await desk.refused("POST", path, body, user)
                assert error.status == 403 and words in str(error), (user, path, str(error))
            for user, path, body in (("sue", "/v1/calls/%s/pick_up" % call, here), ("all", "/v1/pick_up", {"target": "1001", "agent": "1001"})):
                assert (await desk.refused("POST", path, body, user)).status == 409         # allowed; but it rings there itself
            assert (await desk.refused("POST", "/v1/parked/701/fetch", {"agent": "1001"}, "sue")).status == 409
            config["teams"][0]["agents"].append("1003")
            assert (await desk.refused("POST", "/v1/parked/701/fetch", {"line": "1003"}, "sue")).status == 409
            await desk.ask("PUT", "/v1/agents/1003/status", {"status": "logged_out"})
            await desk.house.command({"kind": "command.log_in", "agent": "1002", "line": "1003", "by": "supervisor"})
            error = await desk.refused("POST", "/v1/parked/701/fetch", {"line": "1003"}, "sue")     # where blue's agent sits now
            assert error.status == 403 and "to telephones of the own teams" in str(error)
    run(scenario())


def test_users_by_the_local_api(site):
    async def scenario():
        async with DeskHouse(site, configure) as desk:
            path = desk.house.data_dir + "/users.json"
            await desk.ask("PUT", "/v1/users/anna/password", {"password": "a long enough one"})
            assert (await desk.ask("GET", "/v1/users"))["users"] == [{"name": "anna", "must_change": True}]
            with open(path, encoding="utf-8") as file:
                assert PasswordHasher().verify(json.load(file)["anna"]["hash"], "a long enough one")
            assert "10 to 200" in str(await desk.refused("PUT", "/v1/users/anna/password", {"password": "short"}, None))
            assert (await desk.refused("GET", "/v1/users", None, "all")).status == 403
            assert "anna is the last administrator" in str(await desk.refused("POST", "/v1/users/anna/remove", {}, None))      # the last user of all
            await desk.ask("PUT", "/v1/users/admin/password", {"password": "a long enough one"})
            await desk.ask("PUT", "/v1/users/sue/password", {"password": "a long enough one"})
            assert "admin is the last administrator" in str(await desk.refused("POST", "/v1/users/admin/remove", {}, None))
            await desk.ask("POST", "/v1/users/sue/remove", {})
            await desk.ask("POST", "/v1/users/anna/remove", {})
            assert (await desk.refused("POST", "/v1/users/anna/remove", {}, None)).status == 404
            with open(path, "w", encoding="utf-8") as file:
                file.write("[]")
            assert "users.json is damaged" in str(await desk.refused("GET", "/v1/users", None, None))
    run(scenario())
