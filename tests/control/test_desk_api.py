"""The desk over the local API, on calls through the real core: screen pop, notes, dispositions, tickets, over a kill too."""

import asyncio
import http.server
import json
import threading

from firmware.chassis.keeper import journaled
from firmware.cli.__main__ import main as cli
from firmware.storage import desk as files
from firmware.storage.journal import Journal
from tests.control.desk_rig import DeskHouse, prepared, run

CSV = "external,name,numbers,contract\nK1,王小明,+86 139 1234 5678,gold\n"


def test_import_ring_pop_note_disposition_ticket_and_a_kill(site):
    async def scenario():
        async with DeskHouse(site, prepared) as desk:
            error = await desk.refused("POST", "/v1/customers/import", {"csv": "name,numbers\nA,139\nB,12x\n"})
            assert error.status == 422 and error.problem["errors"][0]["line"] == 3 and error.problem["errors"][0]["field"] == "numbers"
            assert (await desk.ask("GET", "/v1/customers"))["customers"] == []
            assert (await desk.ask("POST", "/v1/customers/import", {"csv": CSV}))["added"] == 1
            customer, = (await desk.ask("GET", "/v1/customers", number="013912345678"))["customers"]
            assert customer["contract"] == "gold"
            first = desk.call("p1")["call"]
            await desk.until(lambda: desk.records("agent.popped"))
            record, = desk.records("agent.popped")
            assert (record["agent"], record["call"], record["data"]["customer"]) == ("1001", first, customer["customer"])
            desk.answer()
            assert "13912345678" not in json.dumps([r for r in desk.records("agent.popped") + desk.records("call.customer")])
            await desk.ask("POST", "/v1/calls/%s/notes" % first, {"text": "要求回电", "agent": "1001", "by": "anna"})
            assert (await desk.refused("POST", "/v1/calls/%s/disposition" % first, {"code": "none", "agent": "1001"})).status == 409
            await desk.ask("POST", "/v1/calls/%s/disposition" % first, {"code": "later", "text": "next week"})
            body = {"template": "repair", "title": "Modem dead", "fields": {"device": "tv"}, "call": first, "customer": customer["customer"]}
            error = await desk.refused("POST", "/v1/tickets", body)
            assert error.problem["errors"] == [{"field": "device", "advice": "must be one of modem, phone"}]
            body["fields"] = {"device": "modem"}
            ticket = (await desk.ask("POST", "/v1/tickets", {**body, "text": "since yesterday", "owner": "1002", "by": "anna"}))["ticket"]
            desk.hang_up("p1")
            second = desk.call("p2")["call"]
            await desk.until(lambda: len(desk.records("agent.popped")) == 2)
            pop = await desk.ask("GET", "/v1/calls/%s/pop" % second)
            assert pop["customer"]["name"] == "王小明" and [row["call"] for row in pop["calls"]] == [first]
            assert pop["calls"][0]["notes"][0]["text"] == "要求回电" and pop["calls"][0]["dispositions"][0]["code"] == "later"
            assert [row["ticket"] for row in pop["tickets"]] == [ticket] and pop["tickets"][0]["title"] == "Modem dead"
            def popped():
                for record in desk.client.stream_events(0, pops=1):
                    if record and record["kind"] == "agent.popped" and record["call"] == second:
                        return record
            record = await asyncio.to_thread(popped)
            assert record["pop"]["customer"]["name"] == "王小明"
            history = await desk.ask("GET", "/v1/customers/%s/history" % customer["customer"])
            assert [row["call"] for row in history["calls"]] == [first]
        # The process is gone; the projections are thrown away as if the kill had come between journal and desk.
        connection, _ = files.open_file(str(site.data / "desk.db"))
        before = files.dump(connection)
        with files.transaction(connection):
            for table in files.TABLES:
                connection.execute("DELETE FROM " + table)
            connection.execute("UPDATE applied SET seq = 0")
        connection.close()
        async with DeskHouse(site) as desk:
            row = await desk.ask("GET", "/v1/tickets/" + ticket)
            assert (row["state"], row["owner"], row["calls"], row["history"][0]["by"]) == ("new", "1002", [first], "anna")
            connection, _ = files.open_file(str(site.data / "desk.db"))
            assert files.dump(connection) == before
            connection.close()
            assert (await desk.refused("POST", "/v1/tickets/" + ticket, {"state": "closed"})).status == 422
            assert (await desk.refused("POST", "/v1/tickets/" + ticket, {"revision": 7, "state": "closed"})).status == 409
            error = await desk.refused("POST", "/v1/tickets/" + ticket, {"revision": 1, "state": "closed"})
            assert "cause" in str(error)
            await desk.ask("POST", "/v1/tickets/" + ticket, {"revision": 1, "state": "solved", "fields": {"cause": "cable"}, "comment": "换线", "by": "bob"})
            row = await desk.ask("GET", "/v1/tickets/" + ticket)
            assert row["fields"] == {"device": "modem", "cause": "cable"} and row["history"][-1]["comment"] == "换线" and row["due_ms"]
            assert (await desk.refused("POST", "/v1/tickets/" + ticket, {"revision": 2, "state": "waiting"})).status == 422
            assert (await desk.ask("GET", "/v1/tickets", state="unfinished"))["tickets"] == []
            counts = (await desk.ask("GET", "/v1/dispositions"))["dispositions"]
            assert counts == [{"queue": "sales", "code": "later", "agent": "1001", "count": 1}]
            # Erased, nothing personal is left of what was written down; the journal still says what was done.
            assert (await desk.ask("POST", "/v1/customers/%s/erase" % customer["customer"], {"by": "boss"}))["texts"] >= 2
            assert (await desk.ask("GET", "/v1/tickets/" + ticket))["erased"]
            reader = desk.house.database.reader()
            told = json.dumps(list(Journal(reader).everything()), ensure_ascii=False)
            reader.close()
            assert not any(word in told for word in ("王小明", "Modem dead", "要求回电", "next week", "换线")) and "desk.changed" in told
            assert (await desk.ask("POST", "/v1/reports/check", {})) == {"differed": []}
    run(scenario())


class Crm(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        octets = json.dumps({"id": "C-9", "name": "Anna", "debt": 12.5, "nested": {"x": 1}} if "139" in self.path else []).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)


def test_a_lookup_of_the_house_says_who_calls_and_a_wrong_one_costs_nothing(site):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Crm)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def configure(config):
        prepared(config)
        config["lookups"] = [{"name": "crm", "kind": "http", "url": "http://127.0.0.1:%d/who?n={caller}" % server.server_address[1], "timeout_ms": 5000}]
        config["desk"]["customer_lookup"] = "crm"

    async def scenario():
        async with DeskHouse(site, configure) as desk:
            call = desk.call("p1")["call"]
            await desk.until(lambda: desk.records("agent.popped"))
            assert desk.records("call.customer")[0]["data"]["source"] == "lookup"
            pop = await desk.ask("GET", "/v1/calls/%s/pop" % call)
            assert pop["external"] == {"id": "C-9", "name": "Anna", "debt": 12.5} and pop["customer"] is None
            desk.hang_up("p1")
            desk.call("p2", caller="02112345678")
            await desk.until(lambda: len(desk.records("agent.popped")) == 2)
            data = desk.records("call.customer")[1]["data"]
            assert data["source"] == "none" and "JSON object" in data["error"]
    try:
        run(scenario())
    finally:
        server.shutdown()
        server.server_close()


def test_a_lookup_and_our_own_list_are_asked_at_once_and_no_fault_of_either_keeps_the_call_from_popping(site):
    """Each fault must end in customer.found; the lookup must have begun before our own list has answered."""
    def configure(config):
        prepared(config)
        config["lookups"] = [{"name": "crm", "kind": "http", "url": "http://127.0.0.1:9/{caller}", "timeout_ms": 5000}]
        config["desk"]["customer_lookup"] = "crm"

    async def scenario():
        async with DeskHouse(site, configure) as house:
            desk = next(adapter for adapter in house.house.adapters if adapter.name == "desk")
            begun, ended, read = asyncio.Event(), asyncio.Event(), desk.read

            async def theirs(action):
                begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.set()

            async def own(*args):
                await begun.wait()
                raise KeyError("column")

            async def broken(action):
                raise RuntimeError("cannot schedule new futures")
            desk._look_up, desk.read = theirs, own
            house.call("p1")
            await house.until(lambda: house.records("agent.popped"))
            assert "KeyError" in house.records("call.customer")[0]["data"]["error"]
            await ended.wait()
            house.hang_up("p1")
            desk._look_up, desk.read = broken, read
            house.call("p2", caller="02112345678")
            await house.until(lambda: len(house.records("agent.popped")) == 2)
            assert "RuntimeError" in house.records("call.customer")[1]["data"]["error"] and desk.failed == 2
    run(scenario())


def test_what_is_refused_leaves_no_text_and_what_is_only_not_kept_does(site):
    from firmware.control.commands import Problem

    async def scenario():
        async with DeskHouse(site, prepared) as house:
            def texts():
                connection, _ = files.open_file(str(site.data / "desk.db"))
                found = connection.execute("SELECT count(*) FROM text").fetchone()[0]
                connection.close()
                return found
            call, new = house.call("p1")["call"], {"template": "repair", "title": "Modem dead", "fields": {"device": "modem"}}
            assert (await house.refused("POST", "/v1/calls/%s/disposition" % call, {"code": "none", "agent": "1001", "text": "personal"})).status == 409
            assert texts() == 0
            ticket, command, status = (await house.ask("POST", "/v1/tickets", new))["ticket"], house.house.command, 409

            async def refuse(event):
                if event["kind"] in ("command.desk", "command.dispose"):
                    raise Problem(status, "not now", "Not now.")
                return await command(event)
            house.house.command = refuse
            requests = (("/v1/calls/%s/notes" % call, {"text": "x"}), ("/v1/calls/%s/disposition" % call, {"code": "sold", "agent": "1001", "text": "x"}),
                        ("/v1/tickets", new), ("/v1/tickets/" + ticket, {"revision": 1, "title": "Both dead", "comment": "x"}))
            for path, body in requests:
                assert (await house.refused("POST", path, body)).status == 409
            assert texts() == 1
            status = 503            # done, but perhaps not kept: the record names them
            for path, body in requests:
                assert (await house.refused("POST", path, body)).status == 503
            assert texts() == 1 + 5
    run(scenario())


def test_the_command_line_does_all_of_it(site, tmp_path, capsys):
    for name, text in (("c.csv", CSV), ("bad.csv", "name,numbers\nA,12x\n"), ("a.txt", "三个工作日内退款。")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "gbk.csv").write_bytes("name\n王\n".encode("gb18030"))

    async def scenario():
        async with DeskHouse(site, prepared) as desk:
            call = desk.call("p1")["call"]

            async def do(*words, code=0):
                found = await asyncio.to_thread(cli, ["--run", str(site.run), *words])
                out = capsys.readouterr()
                assert found == code, (words, out)
                return out.out + out.err
            assert "1 added" in await do("customer-import", str(tmp_path / "c.csv"))
            assert "ine 2, numbers" in await do("customer-import", str(tmp_path / "bad.csv"), code=78)
            assert "line 2" in await do("customer-import", str(tmp_path / "gbk.csv"), code=1)
            assert "王小明" in await do("customer-find", "13912345678")
            key = (await do("customers", "王小")).split()[0]
            assert "revision 2" in await do("customer-put", "--id", key, "company=Acme")
            assert "Acme" in await do("customer", key)
            assert "octets" in await do("customer-export", str(tmp_path / "out.csv"))
            await do("note", call, "hello", "--agent", "1001")
            await do("dispose", call, "sold", "--agent", "1001")
            assert "sold" in await do("dispositions") and "hello" in await do("pop", call)
            ticket = (await do("ticket-open", "repair", "Broken", "device=modem", "--call", call)).strip()
            assert "revision 2" in await do("ticket-change", ticket, "--state", "open", "--owner", "1002")
            more = (await do("ticket-open", "repair", "Broken", "device=phone", "room=00123", "cause=true", "units=1000000", "warranty=true")).strip()
            assert "revision 2" in await do("ticket-change", more, "units=-5", "room=12")
            assert json.loads(await do("ticket", more))["fields"] == {"device": "phone", "room": "12", "cause": "true", "units": -5, "warranty": True}
            assert "units: must be a whole number" in await do("ticket-change", more, "units=many", code=78)
            own = (await do("customer-put", "name=007", "external=00017")).split()[0]
            assert (lambda row: (row["name"], row["external"]))(json.loads(await do("customer", own))) == ("007", "00017")
            await do("customer-erase", own)
            assert "cannot be written" in await do("customer-export", str(tmp_path / "nowhere" / "out.csv"), code=1)
            assert "whole number" in await do("play", call, "number", "many", code=1)
            assert "no prompt nowhere" in await do("play", call, "prompt", "nowhere", code=1)
            assert "sales:x is no QUEUE:LEVEL" in await do("assign", "1001", "sales:x", code=1)
            (tmp_path / "twice.json").write_text('{"site": {"name": "a", "name": "b"}}')
            assert "name stands twice" in await do("config", "check", str(tmp_path / "twice.json"), code=1)
            assert ticket in await do("tickets", "--state", "open") and "Broken" in await do("ticket", ticket)
            assert "article 1" in await do("article-put", "退款", str(tmp_path / "a.txt"), "--tags", "a,b")
            assert "退款" in await do("articles", "工作日") and "三个" in await do("article", "1")
            await do("article-remove", "1")
            assert "erased" in await do("customer-erase", key) and "none" in await do("customers")
    run(scenario())


def test_bad_input_is_refused_in_sentences(site):
    async def scenario():
        async with DeskHouse(site, prepared) as desk:
            call = desk.call("p1")["call"]
            for method, path, body, status, word in (
                    ("POST", "/v1/customers", {}, 422, "name"), ("POST", "/v1/customers", {"name": "A", "colour": 1}, 422, "colour"),
                    ("POST", "/v1/customers", {"numbers": "139"}, 422, "numbers"), ("POST", "/v1/customers/p0", {"name": "A"}, 404, "p0"),
                    ("POST", "/v1/customers/import", {}, 422, "csv"), ("GET", "/v1/customers?limit=0", None, 400, "limit"),
                    ("POST", "/v1/calls/c99/notes", {"text": "x"}, 404, "c99"), ("POST", "/v1/calls/%s/notes" % call, {"text": "  "}, 422, "text"),
                    ("POST", "/v1/calls/%s/notes" % call, {"text": "x" * 5000}, 422, "text"), ("POST", "/v1/calls/%s/disposition" % call, {}, 422, "code"),
                    ("POST", "/v1/calls/%s/notes" % call, {"text": "x", "agent": "9"}, 404, "9"),
                    ("POST", "/v1/tickets", {"template": "x", "title": "A"}, 422, "repair"), ("POST", "/v1/tickets", {"template": "repair"}, 422, "title"),
                    ("POST", "/v1/tickets", {"template": "repair", "title": "A", "fields": [1]}, 422, "fields"),
                    ("POST", "/v1/tickets", {"template": "repair", "title": "A", "fields": {"device": "phone"}, "owner": "9"}, 422, "agent 9"),
                    ("POST", "/v1/tickets", {"template": "repair", "title": "A", "fields": {"device": "phone"}, "customer": "p1"}, 422, "p1"),
                    ("POST", "/v1/tickets", {"template": "repair", "title": "A", "fields": {"device": "phone"}, "call": "c9"}, 404, "c9"),
                    ("GET", "/v1/tickets/t9", None, 404, "t9"), ("GET", "/v1/tickets?state=x", None, 400, "state"), ("GET", "/v1/tickets?before=x", None, 400, "before"),
                    ("POST", "/v1/articles", {"title": "A"}, 422, "body"), ("POST", "/v1/articles", {"title": "A", "body": "B", "tags": "x"}, 422, "tags"),
                    ("POST", "/v1/articles/7", {"title": "A"}, 404, "7"), ("GET", "/v1/articles/x", None, 404, "x")):
                error = await desk.refused(method, path, body)
                assert error.status == status and word in str(error), (path, body, error.problem)
            made = await desk.ask("POST", "/v1/articles", {"title": "退款", "body": "三天内。", "tags": ["售后"], "by": "boss"})
            assert (await desk.ask("GET", "/v1/articles", text="退款"))["articles"][0]["article"] == made["article"]
            await desk.ask("POST", "/v1/articles/%d" % made["article"], {"revision": 1, "body": "七天内。"})
            assert (await desk.refused("POST", "/v1/articles/%d" % made["article"], {"revision": 1, "body": "x"})).status == 409
            assert (await desk.ask("GET", "/v1/health"))["turns"]["exceptions"] == 0
    run(scenario())


def test_who_calls_is_told_while_a_large_import_is_written(site):
    async def scenario():
        async with DeskHouse(site, prepared) as desk:
            await desk.ask("POST", "/v1/customers/import", {"csv": CSV})
            held, begun = threading.Event(), threading.Event()
            busy = asyncio.ensure_future(next(a for a in desk.house.adapters if a.name == "desk").run(lambda db: (begun.set(), held.wait(60))))
            await desk.until(begun.is_set)
            try:
                call = desk.call("p1")["call"]
                await desk.until(lambda: desk.records("agent.popped"))
                assert (await desk.ask("GET", "/v1/calls/%s/pop" % call))["customer"]["name"] == "王小明"
            finally:
                held.set()
                await busy
    run(scenario())


def test_without_its_database_calls_go_on_and_health_says_why(site):
    (site.data / "desk.db").mkdir()             # nothing that could be opened

    async def scenario():
        async with DeskHouse(site, prepared) as desk:
            desk.call("p1")
            await desk.until(lambda: desk.records("agent.popped"))
            assert desk.records("call.customer")[0]["data"]["error"] and desk.records("agent.popped")[0]["agent"] == "1001"
            assert (await desk.refused("GET", "/v1/customers")).status == 503
            assert any("desk.db" in fault for fault in (await desk.ask("GET", "/v1/health"))["faults"])
    run(scenario())


def test_changes_of_the_configuration_and_alarms_of_the_box_stand_in_the_journal(site):
    async def scenario():
        async with DeskHouse(site, prepared) as desk:
            running = await desk.ask("GET", "/v1/configuration")
            running["configuration"]["site"]["name"] = "Elsewhere"
            await desk.ask("POST", "/v1/configuration/apply", running, user="admin")
            error = await desk.refused("POST", "/v1/configuration/apply", running)          # from an old revision: nothing happens
            assert error.status == 409
            first, second = desk.records("configuration.changed")
            assert first["data"]["count"] > 3 and any(path.startswith("ticket_templates") for path in first["data"]["paths"])
            assert second["data"] == {"revision": running["revision"] + 1, "paths": ["site.name"], "count": 1, "by": "admin"}
            alarm = {"id": 7, "kind": "los", "severity": "major", "text": "no signal", "members": ["span 1"]}
            for do in ("raise", "clear"):
                desk.house.turns.handle(journaled(do, alarm))
            assert [row["data"]["fault"] for row in desk.records("alarm.raised") + desk.records("alarm.cleared")] == ["los", "los"]
            assert (await desk.ask("GET", "/v1/set_aside"))["count"] == 0
            history = (await desk.ask("GET", "/v1/configuration/history"))["changes"]
            assert [(row["revision"], row["by"], row["paths"]) for row in history][:1] == [(running["revision"] + 1, "admin", ["site.name"])]
            change = await desk.ask("GET", "/v1/configuration/history/%d" % (running["revision"] + 1))
            assert change["changes"] == [{"path": "site.name", "old": "Strowger demo", "new": "Elsewhere"}]
            for wrong, status in ((999, 409), (running["revision"] + 1, 409), ("x", 422)):
                assert (await desk.refused("POST", "/v1/configuration/rollback", {"revision": wrong})).status == status
            back = await desk.ask("POST", "/v1/configuration/rollback", {"revision": running["revision"]}, user="admin")
            assert back["configuration"]["site"]["name"] == "Strowger demo" and back["revision"] == running["revision"] + 2 and [row["path"] for row in back["changes"]] == ["site.name"]
            before = (await desk.ask("GET", "/v1/configuration/history"))["changes"]
            assert before[0]["back_to"] == running["revision"] and before[1:] == history
            desk.house.database.close()
        async with DeskHouse(site, None) as desk:           # after a kill: from the journal
            assert (await desk.ask("GET", "/v1/configuration/history"))["changes"] == before
        path = site.data / "configuration.json"
        path.write_text(path.read_text().replace('"revision": %d' % back["revision"], '"revision": %d' % (back["revision"] + 5)))
        async with DeskHouse(site, None) as desk:           # somebody has replaced the file
            assert [(row["revision"], row["by"]) for row in (await desk.ask("GET", "/v1/configuration/history"))["changes"]][0] == (back["revision"] + 5, "file")
    run(scenario())
