"""The ISUP codec: captured octets, every message in every variant through tshark, and any octets at all."""

import os
import random
import shutil

import pytest
from hypothesis import given, settings, strategies as st

from firmware.errors import LocalError, RemoteError
from firmware.proto.isup import messages, parameters
from firmware.proto.isup.message_table import TABLES
from tests.proto.isup_rig import tshark

MUTATIONS = int(os.environ.get("STROWGER_MUTATIONS", "6000"))

# tcpdump 4.99.3 tests/isup.pcap, a real call; libosmo-netif's GRS; libss7's (own_)
CAPTURED = {
    "IAM": "d5000100a0010a02020705819084190f0a070317933393798008018003057c038890a61d038890a6310200643f06039300060010"
           "f4056476c328813902f49000",
    "CFN": "d5002f02000384e3f4", "ACM": "d50006042400", "ANM": "d5000900", "REL": "d5000c0200028090", "RLC": "d5001000",
    "GRS": "01001701010e", "SAM": "010002020003802103", "COT": "01000501", "CON": "010007160400", "CPG": "01002c0100",
    "CGB": "0100180001051effffff7f", "GRA": "01002901051e00000000", "SUS": "01000d0100", "CCR": "010011", "UCIC": "01002e"}


@pytest.mark.parametrize("kind", sorted(CAPTURED))
def test_captured(kind):
    octets = bytes.fromhex(CAPTURED[kind])
    message = messages.decode("itu", octets)
    assert message.kind == kind and message.faults == []
    again = messages.encode("itu", message)
    assert messages.decode("itu", again).parameters == message.parameters
    if kind != "IAM":                   # whose optional parameters stand in another order
        assert again == octets


def test_captured_iam_in_full():
    message = messages.decode("itu", bytes.fromhex(CAPTURED["IAM"]))
    assert message.cic == 213
    assert message.get("called_party_number") == {"type": "subscriber", "plan": "isdn", "inn": 1, "number": "4891",
                                                  "complete": True}
    assert message.get("calling_party_number") == {"type": "national", "plan": "isdn", "incomplete": 0, "number": "3933399708",
                                                   "presentation": "restricted", "screening": "network"}
    assert message.get("transmission_medium") == {"value": "64k"} and message.get("propagation_delay_counter") == {"value": 100}
    assert message.unknown == [[0xF4, "6476c32881"]]
    assert message.get("parameter_compatibility")["parameters"][0][1] == {
        "transit": True, "release": False, "notify": False, "discard_message": False, "discard_parameter": True,
        "pass_failed": "release"}


@pytest.mark.parametrize("octets, why", [
    ("", "0 octets"), ("0100", "2 octets"), ("010001000000", "ends inside"), ("01000100a0010a02020705819084190f", "outside"),
    ("01000c00", "pointer to cause_indicators is 0"), ("01000c0200", "outside"), ("01000c020002", "outside"),
    ("01000c02ff028090", "optional part leads outside"), ("01000c02030280900312", "runs over the end"),
    ("0100060400ff", "leads outside"), ("01000c0200018090", "cause")])
def test_thrown_away(octets, why):
    with pytest.raises(RemoteError) as caught:
        messages.decode("itu", bytes.fromhex(octets))
    assert why in str(caught.value)


@pytest.mark.parametrize("variant, cic, fits", [("itu", 4095, True), ("itu", 4096, False), ("ansi", 16383, True),
                                                ("ansi", 16384, False), ("china", 4095, True)])
def test_cic(variant, cic, fits):
    if fits:
        assert messages.decode(variant, messages.encode(variant, messages.Message("BLO", cic))).cic == cic
    else:
        with pytest.raises(LocalError):
            messages.encode(variant, messages.Message("BLO", cic))


@pytest.mark.parametrize("name, value", [
    ("called_party_number", {"number": "12#"}), ("called_party_number", {"number": "1" * 40}), ("called_party_number", {}),
    ("nature_of_connection", {"continuity": "sometimes"}), ("nature_of_connection", {"nothing": 1}),
    ("cause_indicators", {"location": 1}), ("range_and_status", {"range": 3, "status": [1]}), ("hop_counter", {"count": 32}),
    ("charge_information", {"value": 1}), ("no such", {}), ("transmission_medium", {"value": "wet string"})])
def test_what_cannot_be_encoded(name, value):
    with pytest.raises(LocalError):
        parameters.encode("itu", name, value)


# Every message of every variant, with every optional parameter that has room

SAMPLES = {
    "called_party_number": {"number": "2150801000", "complete": True}, "subsequent_number": {"number": "123", "complete": False},
    "cause_indicators": {"coding": 0, "location": 4, "cause": 31, "diagnostics": ""}, "circuit_state_indicator": [
        {"call": "incoming", "maintenance": "remote", "hardware": "none"},
        {"call": "unequipped", "maintenance": "none", "hardware": "none"}],
    "parameter_compatibility": {"parameters": [[0x31, {"discard_parameter": True}]]}, "supervision_type": {"type": "hardware"},
    "message_compatibility": {"discard_message": True}, "access_transport": {"octets": "1e028188"},
    "user_service_information": {"octets": "8090a3"}, "user_service_information_prime": {"octets": "8090a3"},
    "user_to_user_information": {"octets": "0441"}, "circuit_group_characteristic": {"octets": "02"},
    "circuit_assignment_map": {"octets": "0103000000"}, "generic_notification": {"octets": "e0"},
    "user_teleservice_information": {"octets": "9181"}, "event_information": {"event": "inband"},
    "transmission_medium": {"value": "speech"}, "transmission_medium_prime": {"value": "3.1khz_audio"},
    "backward_call_indicators": {"status": "free", "charge": "charge", "isup": True}}
IN_IAM = ("calling_party_number", "redirecting_number", "redirection_information", "original_called_number", "access_transport",
          "optional_forward_call_indicators", "propagation_delay_counter", "hop_counter", "parameter_compatibility",
          "user_service_information", "generic_number", "location_number", "user_to_user_information", "cug_interlock_code",
          "connection_request", "call_reference", "user_to_user_indicators")
IN_ANM = ("connected_number", "optional_backward_call_indicators", "call_history_information", "access_delivery_information",
          "echo_control_information", "backward_call_indicators", "message_compatibility", "transmission_medium_used")
IN_ANSI_IAM = ("calling_party_number", "charge_number", "originating_line_information", "jurisdiction",
               "carrier_identification", "generic_name", "hop_counter", "original_called_number")


UNKNOWN_TO_TSHARK = ("CCL", "MPM", "OPR", "EXM")


def sample(variant, name, kind):
    """A value for a parameter: by hand, or the least there can be."""
    if name == "range_and_status":
        bits = None if kind in ("GRS", "CQM", "CQR") else [1, 0]
        return {"range": 1, "status": bits}
    if name in SAMPLES:
        return SAMPLES[name]
    code = parameters.CODES[name]
    table = {**parameters.PARAMETERS, **parameters.ANSI, **parameters.CHINA}
    least = table[code][2]
    octets = bytes([0x01] * least)
    if "number" in name:
        octets = (b"\x01" if name == "generic_number" else b"") + bytes([3, 0x10 | (3 if name == "connected_number" else 0), 0x21])
    return parameters.decode(variant, code, octets)


def every_message(variant):
    for kind in sorted(TABLES[variant]):
        _, _, fixed, variable, optional = TABLES[variant][kind]
        names = list(fixed + variable)
        if optional is True and kind in ("IAM", "ANM", "CON", "CPG", "ACM"):
            names += [n for n in ((IN_ANSI_IAM if variant == "ansi" else IN_IAM) if kind == "IAM" else IN_ANM) if n not in names]
        if kind == "FRJ" or optional == "raw":
            continue
        yield kind, messages.Message(kind, 5, {name: sample(variant, name, kind) for name in names})


@pytest.mark.parametrize("variant", ["itu", "ansi", "china"])
def test_every_message(variant, tmp_path):
    """Round trip; and tshark, an independent decoder, finds nothing malformed.

    It does not know the three Chinese messages and T1.113's exit message, and says just that."""
    kinds, units = [], []
    for kind, message in every_message(variant):
        octets = messages.encode(variant, message)
        again = messages.decode(variant, octets)
        assert again.parameters == messages.decode(variant, messages.encode(variant, again)).parameters, kind
        assert set(again.parameters) == set(message.parameters) and again.unknown == again.faults == [], kind
        kinds.append(kind)
        units.append(octets)
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    rows = tshark(tmp_path / "isup.pcap", variant, units)
    complaints = []
    for kind, octets, (number, text) in zip(kinds, units, rows):
        if kind in UNKNOWN_TO_TSHARK and text.startswith("Unknown Message type"):
            continue
        if text or number != TABLES[variant][kind][0]:
            complaints.append((kind, octets.hex(), text))
    assert complaints == []


# Any octets

@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["itu", "ansi", "china"]))
def test_any_octets(octets, variant):
    for octets in (octets, b"\x01\x00" + octets):
        try:
            message = messages.decode(variant, octets)
        except RemoteError:
            continue
        if message.kind is not None and message.faults == []:
            try:
                again = messages.encode(variant, message)
            except LocalError:          # an optional part where the message has none, or too long now
                continue
            assert messages.decode(variant, again).kind == message.kind


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(parameters.PARAMETERS)), st.binary(max_size=40))
def test_any_parameter(code, octets):
    """What can be read can be written, and reads the same."""
    try:
        value = parameters.decode("itu", code, octets)
    except RemoteError:
        return
    name = parameters.name_of("itu", code)
    try:
        again = parameters.encode("itu", name, value)
    except LocalError:
        return
    assert parameters.decode("itu", code, again) == value


@settings(max_examples=100, deadline=None)
@given(st.text("0123456789ABCDE", max_size=30), st.booleans(), st.sampled_from(["national", "international", "unknown", 0x71]))
def test_numbers(digits, complete, type_):
    value = {"number": digits, "type": type_, "plan": "isdn", "inn": 0}
    if complete:
        value["complete"] = True
    assert parameters.decode("itu", 4, parameters.encode("itu", "called_party_number", value)) == value


@pytest.mark.conformance("bad input", "Q.763 messages", "mutations of valid input: no exception, alive afterwards, memory flat")
def test_mutated_messages():
    """Mutations of valid messages: RemoteError or a Message, nothing else."""
    rng = random.Random(7637)
    valid = [(variant, messages.encode(variant, m)) for variant in TABLES for _, m in every_message(variant)]
    read = 0
    for _ in range(MUTATIONS):
        variant, octets = rng.choice(valid)
        octets = bytearray(octets)
        for _ in range(rng.choice((1, 1, 2, 5))):
            what, at = rng.randrange(3), rng.randrange(len(octets)) if octets else 0
            if what == 0 and octets:
                octets[at] = rng.randrange(256)
            elif what == 1 and octets:
                del octets[at:at + rng.randrange(1, 4)]
            else:
                octets[at:at] = bytes([rng.randrange(256) for _ in range(rng.randrange(1, 4))])
        try:
            messages.decode(variant, bytes(octets))
            read += 1
        except RemoteError:
            pass
    assert 0 < read < MUTATIONS
