"""What carries a span: lines of a board's description, and what is said about wrong ones."""

import json

import pytest

from boardconfig import bearers, schema
from firmware.errors import ConfigError

GOOD = {"span": 2, "kind": "cesopsn", "local": "127.0.0.1:2142", "remote": "192.0.2.1:2142"}
PRI = {"type": "e1", "signalling": "pri", "d_timeslot": 16}


def told(row, span=PRI):
    return [str(error) for error in bearers.check_bearer("bearers[0]", bearers.complete(row), span)]


def test_one_line_moves_a_span_and_none_leaves_it():
    assert told(GOOD) == told({**GOOD, "kind": "satop", "cas": True}) == told({"span": 2}) == []
    assert told({**GOOD, "cas": True, "timeslots": "1-15,17-31", "packet_ms": 2}, {**PRI, "signalling": "r2"}) == []
    assert told({**GOOD, "timeslots": "1-24"}, {**PRI, "type": "t1", "d_timeslot": 24}) == []
    assert schema.load_board()["bearers"] == []


@pytest.mark.parametrize("change, span, path, advice", [
    ({"local": "2142"}, PRI, "local", "give the address and UDP port of this box, for example"),
    ({"remote": "host.example:1"}, PRI, "remote", "give the address and UDP port of the far end"),
    ({"remote": "192.0.2.1:0"}, PRI, "remote", "address and UDP port"), ({"remote": "300.0.2.1:5"}, PRI, "remote", "address and UDP port"),
    ({"local": "0.0.0.0:2142"}, PRI, "local", "is no address of this box"), ({"remote": "127.0.0.1:2142"}, PRI, "remote", "is this box itself"),
    ({"packet_ms": 9}, PRI, "packet_ms", "1 to 5"), ({"jitter_ms": True}, PRI, "jitter_ms", "2 to 200"),
    ({"rtp": 1}, PRI, "rtp", "true or false"), ({"rtp_payload_type": 8}, PRI, "rtp_payload_type", "96 to 127"),
    ({"timeslots": "0-31"}, PRI, "timeslots", "timeslots from 1 to 31"), ({"timeslots": "1-5,5"}, PRI, "timeslots", "each once"), ({"timeslots": ""}, PRI, "timeslots", "1-31"),
    ({"timeslots": "1-15"}, PRI, "timeslots", "a PRI uses timeslots 1 to 31"),
    ({"cas": True, "packet_ms": 3, "timeslots": "1-15"}, {"signalling": "r2"}, "packet_ms", "use 1 or 2"),
    ({"cas": True}, {"signalling": "r2"}, "timeslots", "1-15,17-31"), ({}, {"signalling": "r2"}, "cas", "needs the ABCD bits"),
    ({"kind": "satop"}, {"type": "t1", "signalling": "none"}, "kind", "SAToP carries E1 only"),
    ({"timeslots": "1-31"}, {"type": "t1", "signalling": "none"}, "timeslots", "1 to 24")])
def test_what_is_wrong_is_said_with_its_place(change, span, path, advice):
    sentences = told({**GOOD, **change}, span)
    assert any(sentence.startswith("bearers[0].%s: " % path) and advice in sentence for sentence in sentences), sentences


@pytest.mark.parametrize("rows, advice", [
    ({}, "give a list"), ([5], "in braces"), ([{**GOOD, "port": 1}], "port: is not known"), ([{**GOOD, "span": 65}], "1 to 64"),
    ([GOOD, GOOD], "stands there twice"), ([{**GOOD, "kind": "atm"}], "use one of board, cesopsn, satop"),
    ([GOOD, {**GOOD, "span": 3}], "127.0.0.1:2142 is that of span 2 too"), ([GOOD, {**GOOD, "span": 3, "local": "127.0.0.1:5"}], "192.0.2.1:2142 is that of span 2")])
def test_a_board_with_wrong_bearers_is_refused(rows, advice):
    with pytest.raises(ConfigError, match=advice):
        bearers.check_list(rows, 64)


def test_the_site_may_have_a_description_of_its_own(tmp_path):
    path = tmp_path / "boardconfig.json"
    assert schema.load_board(path=path) == schema.load_board()
    board = schema.load_board()
    path.write_text(json.dumps({**board, "bearers": [GOOD]}))
    assert schema.load_board(path=path)["bearers"] == [GOOD]
    for wrong, advice in (("{", "cannot be read"), ("[]", "no description"), (json.dumps({**board, "bearers": [GOOD, GOOD]}), "stands there twice"),
                          (json.dumps({**board, "spans": 0}), "1 to 64")):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match=advice) as caught:
            schema.load_board(path=path)
        assert str(path) in str(caught.value)
