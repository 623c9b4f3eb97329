"""Which dumps of protocol machines keep an erasure waiting."""

import json
import sqlite3

import pytest

from firmware.storage import erasure
from firmware.storage.machines import ENCODE

FORMS = ["13912345678", "013912345678", "8613912345678"]


@pytest.fixture
def connection():
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE machine (name TEXT PRIMARY KEY, state TEXT NOT NULL)")
    db.execute("CREATE TABLE outbox (number INTEGER PRIMARY KEY, octets BLOB NOT NULL)")
    yield db
    db.close()


@pytest.mark.parametrize("value", ["13912345678", "sip:+8613912345678@192.0.2.1", "sip:%2B8613912345678@192.0.2.1", "\u4e2d13912345678", "\"x\" <tel:013912345678>;tag=a"])
@pytest.mark.parametrize("name", ["sip/leg/l1", "sip-leg/l1", "siprec", "q931/1/5", "ss7/a/1-2", "cas/1/7", "retention"])
def test_a_number_in_a_dump_of_a_call_is_waited_for(connection, name, value):
    connection.execute("INSERT INTO machine VALUES (?, ?)", (name, ENCODE({"dialog": {"remote": value}})))
    assert erasure.machines_with(connection, FORMS) == (1, [])


@pytest.mark.parametrize("value", [1391234567812, "113912345678", "139123456780", "tag=a13912345678", "13912345678f@192.0.2.1", "5C13912345678"])
def test_digits_of_something_else_are_not(connection, value):
    connection.execute("INSERT INTO machine VALUES (?, ?)", ("sip/leg/l1", ENCODE({"at": value})))
    assert erasure.machines_with(connection, FORMS) == (0, [])


def test_what_stands_for_ever_is_named_and_not_waited_for(connection):
    names = ["sip/line/21", "sip/trunk/theirs", "sip/subscription/3", "phone/001122334455", "q931/1", "q931.row/1", "ss7/a", "ss7/a/node", "cas/1", "turn_up"]
    connection.executemany("INSERT INTO machine VALUES (?, ?)", [(name, json.dumps({"user": FORMS[0]})) for name in names])
    assert erasure.machines_with(connection, FORMS) == (0, sorted(names))
    connection.execute("INSERT INTO machine VALUES ('sip/leg/l1', '{broken 13912345678')")
    connection.execute("INSERT INTO outbox VALUES (1, ?)", (b"\x6c\x0c\x80139123456784",))      # Q.931: no element's end is a border
    assert erasure.machines_with(connection, FORMS) == (2, sorted(names))
