"""The desk's database: numbers, import by CSV, search in Chinese, projections, erasure."""

import json

import pytest

from firmware.errors import LocalError
from firmware.storage import desk, erasure, desk_articles as articles, desk_customers as customers, desk_tickets as tickets

AGENTS = {"1001", "1002"}


@pytest.fixture
def db(tmp_path):
    connection, damaged = desk.open_file(str(tmp_path / "desk.db"))
    assert damaged is None
    yield connection
    connection.close()


@pytest.mark.parametrize("number, kept", [
    ("139-1234 5678", "13912345678"), ("+86 139 1234 5678", "13912345678"), ("008613912345678", "13912345678"), ("013912345678", "13912345678"),
    ("+86 21 5080 1000", "02150801000"), ("(021) 5080.1000", "02150801000"), ("+49 30 1234", "0049301234"), ("95588", "95588"),
    ("", None), ("no", None), ("1", None), ("1" * 40, None), (None, None)])
def test_a_number_is_kept_as_it_is_dialled_in_the_country(number, kept):
    assert customers.plain(number) == kept


FILE = ("\ufeffexternal,name,numbers,owner,company\r\nK1,王小明,+86 139 1234 5678;021-50801000,1001,\"Acme, Ltd\"\r\n"
        "K2,Anna,13800000000,,'=Sum\r\n")


def test_import_lookup_change_and_export(db):
    rows = customers.parse(FILE, AGENTS)
    assert customers.load(db, rows, 1000) == {"added": 2, "changed": 0}
    key, = customers.by_number(db, "013912345678")
    found = customers.get(db, key)
    assert (found["name"], found["company"], found["owner"], found["numbers"]) == ("王小明", "Acme, Ltd", "1001", ["13912345678", "02150801000"])
    assert customers.by_number(db, "+862150801000") == [key] and customers.by_number(db, "13800000001") == []
    again = FILE.replace("Acme, Ltd", "Other")
    assert customers.load(db, customers.parse(again, AGENTS), 2000) == {"added": 0, "changed": 2}
    assert customers.get(db, key)["company"] == "Other" and customers.get(db, key)["revision"] == 2
    out = customers.export(db)
    assert out.startswith(b"\xef\xbb\xbfexternal,numbers") and b"'=Sum" in out and out.count(b"\r\n") == 3
    assert customers.load(db, customers.parse(out.decode("utf-8-sig"), AGENTS), 3000)["changed"] == 2
    assert [row["company"] for row in customers.page(db, "Anna")] == ["=Sum"]
    assert customers.page(db, "100%") == []


@pytest.mark.parametrize("text, line, field, word", [
    ("name,colour\nA,red\n", 1, "colour", "column"), ("", 1, "(head)", "missing"), ("name,numbers\nA,12x\n", 2, "numbers", "12x"),
    ("name,numbers\nA,139\nB\n", 3, "(line)", "2"), ("name,owner\nA,9\n", 2, "owner", "agent"), ("name,numbers\n,\n,13\n,\n", 2, "name", ""),
    ("external,name\nK,A\nK,B\n", 3, "external", "line 2"), ("name,name\nA,B\n", 1, "name", "twice"), ("name\n\"A\nB\"\nC\x00\n", 4, "", ""),
    ("name,numbers\nA,139\n\"B\nB\",12x\nC,138\n", 3, "numbers", "12x"),             # a row of two lines is named by its first
    ("name,numbers\nA,139;138\nB,138\n", 3, "numbers", "line 2"),
    ("name,numbers,note\nA,139,\"open\nB,138,\nC,137,\n", 2, "(line)", "quote"), ("name,note\nA,\"b\"c\n", 2, "(line)", "quote")])
def test_a_bad_file_names_line_and_field_and_changes_nothing(db, text, line, field, word):
    if text.startswith("name,numbers\n,\n"):
        assert [row["numbers"] for _, row in customers.parse(text, AGENTS)] == [["13"]]      # empty lines are none
        return
    with pytest.raises(LocalError) as caught:
        customers.parse(text, AGENTS)
    error = caught.value.errors[0]
    assert error["line"] == line and field in error["field"] and word in error["advice"]


def test_a_load_that_breaks_off_leaves_nothing(db):
    rows = customers.parse(FILE, AGENTS)
    rows[1][1]["external"] = object()           # what no database takes
    with pytest.raises(Exception):
        customers.load(db, rows, 1000)
    assert customers.page(db) == [] and customers.by_number(db, "13912345678") == []


def test_changes_from_an_old_revision_are_refused(db):
    row, errors = customers.check({"name": "A", "numbers": ["13912345678"], "external": "K"}, AGENTS)
    assert not errors
    key, revision = customers.put(db, None, row, 1)
    assert revision == 1 and customers.put(db, key, row, 2, 1) == (key, 2)
    with pytest.raises(LocalError, match="meanwhile"):
        customers.put(db, key, row, 3, 1)
    with pytest.raises(LocalError, match="has the key K"):
        customers.put(db, None, row, 3)
    for given, field in (({"name": 5}, "name"), ({"numbers": ["x"]}, "numbers"), ({"owner": "9", "name": "A"}, "owner"), ({}, "name"), ({"a": 1}, "a")):
        assert customers.check(given, AGENTS)[1][0][0] == field


def article(db, title, body, tags=(), language="zh_CN", number=None):
    return articles.put(db, number, {"title": title, "body": body, "tags": list(tags), "language": language}, "boss", 1000)[0]


def test_articles_are_found_in_chinese_and_english(db):
    refund = article(db, "退款流程", "客户申请退款后,三个工作日内处理。", ["售后"])
    bill = article(db, "发票", "开具增值税发票的步骤。退货的情况另见退款。", ["财务"])
    wifi = article(db, "Router reset", "Hold the button for ten seconds, then log in to WiFi5 again.", language="en")

    def found(text, **more):
        return [row["article"] for row in articles.search(db, text, **more)]
    assert found("退款") == [refund, bill], "the title counts most"
    assert found("退款流程") == [refund] and found("款退") == [] and found("票") == [bill]
    assert found("增值税 发票") == [bill] and found("售后") == [refund]
    assert found("rout") == [wifi] and found("RESET router") == [wifi] and found("resets") == [] and found("wifi5再") == []
    assert found('"; DROP TABLE article; --') == [] and found("*") == [] and found('退款" OR "x') == []
    assert found("退款", tag="财务") == [bill] and found(None, language="en") == [wifi]
    article(db, "退钱流程", "不再说那个词。", number=refund)
    assert found("退款") == [bill] and found("退钱") == [refund]
    articles.remove(db, bill)
    assert found("退款") == []
    with pytest.raises(LocalError, match="no article"):
        articles.remove(db, bill)


TEMPLATE = {"name": "repair", "fields": [
    {"name": "device", "type": "choice", "required": "open", "choices": ["modem", "phone"], "pattern": "", "hint": "", "least": 0, "most": 9},
    {"name": "count", "type": "whole", "required": "no", "choices": [], "pattern": "", "hint": "", "least": 1, "most": 9},
    {"name": "day", "type": "date", "required": "no", "choices": [], "pattern": "", "hint": "", "least": 0, "most": 9},
    {"name": "back", "type": "number", "required": "no", "choices": [], "pattern": "", "hint": "", "least": 0, "most": 9},
    {"name": "cause", "type": "text", "required": "close", "choices": [], "pattern": "[A-Z]{2}", "hint": "two capitals", "least": 0, "most": 9}]}


def test_fields_of_a_ticket_are_checked():
    kept, errors = tickets.check_fields(TEMPLATE, {"device": "modem", "back": "+86 139 1234 5678", "count": 3, "day": "2026-11-23"}, False)
    assert not errors and kept == {"device": "modem", "back": "13912345678", "count": 3, "day": "2026-11-23"}
    for values, closing, field, word in (({}, False, "device", "opened"), ({"device": "tv"}, False, "device", "modem, phone"),
                                         ({"device": "modem", "count": 10}, False, "count", "1 to 9"), ({"device": "modem", "count": True}, False, "count", "whole"),
                                         ({"device": "modem", "day": "23.11."}, False, "day", "2026"), ({"device": "modem", "x": 1}, False, "x", "no field"),
                                         ({"device": "modem"}, True, "cause", "closed"), ({"device": "modem", "cause": "ab"}, True, "cause", "two capitals")):
        found = dict(tickets.check_fields(TEMPLATE, values, closing)[1])
        assert word in found[field], (values, found)


def record(seq, kind, call=None, agent=None, queue=None, **data):
    return {"seq": seq, "ts_ms": seq * 1000, "kind": kind, "call": call, "leg": None, "agent": agent, "queue": queue, "data": data}


def test_projections_can_be_made_anew_and_erased_words_are_gone(db, tmp_path):
    row, _ = customers.check({"name": "Secretname", "numbers": ["13912345678"]}, AGENTS)
    customer, _ = customers.put(db, None, row, 1)
    key = desk.put_text(db, "ticket", 1, {"title": "Secrettitle", "fields": {"device": "modem"}}, customer, "c7")
    note = desk.put_text(db, "note", 1, {"text": "Secretnote"}, None, "c7")
    records = [record(3, "ticket.opened", "c7", "1001", "sales", ticket="t1", template="repair", state="new", customer=customer, key=key, by="anna"),
               record(4, "leg.offered", "c8"), record(5, "ticket.changed", "c8", ticket="t1", revision=2, changes={"state": "open", "owner": "1002"}, by="boss"),
               record(6, "call.noted", "c7", "1001", key=note, by="anna"), record(8, "call.disposed", "c7", "1001", "sales", code="sold", by="anna"),
               record(9, "call.undisposed", "c9", "1002", "sales", by="supervisor"), record(10, "call.disposed", "c7", "1001", "sales", code="wrong", by="anna")]
    desk.fold(db, records[:4])
    desk.fold(db, records[2:], 12)              # some come twice
    assert desk.applied(db) == 12
    found = tickets.get(db, "t1")
    assert (found["state"], found["owner"], found["revision"], found["calls"], found["title"]) == ("open", "1002", 2, ["c7", "c8"], "Secrettitle")
    assert [entry["changes"].get("state") for entry in found["history"]] == ["new", "open"]
    assert [row["text"] for row in tickets.notes(db, "c7")] == ["Secretnote"] and tickets.dispositions(db, "c7")[0]["code"] == "wrong"
    assert tickets.disposition_counts(db, 0, 1 << 40) == [{"queue": "sales", "code": None, "agent": "1002", "count": 1},
                                                          {"queue": "sales", "code": "wrong", "agent": "1001", "count": 1}]
    assert [row["ticket"] for row in tickets.page(db, state="unfinished", customer=customer)] == ["t1"] and tickets.page(db, state="closed") == []
    before = desk.dump(db)
    desk.rebuild(db, iter(records))
    assert desk.dump(db) == before
    assert customers.erase(db, customer) == 1 and customers.erase_calls(db, ["c7"]) == 1
    assert tickets.get(db, "t1")["erased"] and tickets.notes(db, "c7")[0]["text"] is None
    with pytest.raises(LocalError, match="no customer"):
        customers.erase(db, customer)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Secret" not in kept, "nothing of it is left in the files"


def test_a_damaged_file_is_set_aside(tmp_path):
    path = tmp_path / "desk.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\x17" * 4000)
    connection, sentence = desk.open_file(str(path))
    assert "damaged" in sentence and customers.page(connection) == [] and list(tmp_path.glob("desk.db.damaged-*"))
    connection.close()


def test_what_a_speech_service_made_of_a_person_is_erased():
    """Texts and messages of any shape in the person's own calls; another's stay."""
    numbers = erasure.pattern(["13912345678"])
    for value in ({"message": {"name": "Li Wei", "deep": [{"id": "31010119800101"}]}}, {"text": "Li Wei", "confidence": 0.5}, {"error": "x"}):
        text = json.dumps({"stream": "s1", "what": "message", "value": value})
        assert json.loads(erasure.new_text("leg.streamed", text, numbers, "erased-e1", True)) == {"stream": "s1", "what": "message", "value": {}}
        assert json.loads(erasure.new_text("leg.streamed", text, numbers, "erased-e1", False)) == json.loads(text)
