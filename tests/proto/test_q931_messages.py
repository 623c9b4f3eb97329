"""Q.931 codecs: captured octets, round trips, random octets, and tshark as a second reader."""

import shutil

import pytest
from hypothesis import given, settings, strategies as st

from firmware.errors import LocalError, RemoteError
from firmware.proto.q931 import codes, elements, messages
from tests.corpus import FOLDER, needs
from tests.proto import isdn

CAPTURED = "ss7/messages.tsv"


def corpus():
    path = FOLDER / CAPTURED
    rows = [line.rstrip("\n").split("\t") for line in path.read_text().splitlines()] if path.exists() else []
    return [(row[1], bytes.fromhex(row[2]), row[3]) for row in rows if row[0] == "q931"]


@needs(CAPTURED)
@pytest.mark.parametrize("name", [row[0] for row in corpus()] or ["none"])
def test_corpus(name):
    """Every sample decodes to the message that the corpus names; samples without a user-user
    element of H.225 (which breaks Q.931's length octet) come back octet for octet."""
    _, octets, expected = [row for row in corpus() if row[0] == name][0]
    message = messages.decode(octets)
    assert message.kind.replace("_", " ") in expected
    if name.startswith("own_"):
        assert message.faults == []
        again = messages.encode(message)
        # Only sending complete (A1), which may stand anywhere, moves to the front.
        assert sorted(again) == sorted(octets)
        assert again == octets or 0xA1 in octets


SAMPLES = [
    ("bearer_capability", "8090a3"), ("bearer_capability", "8890"), ("bearer_capability", "889882"),
    ("bearer_capability", "9090a3"), ("bearer_capability", "8890218f"), ("cause", "8290"), ("cause", "829c313233"),
    ("cause", "02809f"), ("call_state", "0a"), ("call_state", "3d"),
    ("channel_identification", "a98381"), ("channel_identification", "a1839f"), ("channel_identification", "a3"),
    ("channel_identification", "a0"), ("channel_identification", "a99380000002"), ("channel_identification", "a993800001"),
    ("channel_identification", "e9808381"), ("channel_identification", "a9830182"), ("channel_identification", "ac"),
    ("progress_indicator", "8188"), ("notification_indicator", "f9"), ("display", "41424344"),
    ("keypad_facility", "3123"), ("calling_party_number", "2183313339"), ("calling_party_number", "a1313339"),
    ("calling_party_number", "00a0"), ("called_party_number", "80"), ("called_party_number", "a1303231"),
    ("redirecting_number", "21038f343030"), ("redirecting_number", "21008a34"), ("redirecting_number", "8134"),
    ("restart_indicator", "87"), ("restart_indicator", "80"), ("connected_number", "0080313233"),
    ("user_user", "04616263"), ("high_layer_compatibility", "9181"),
]


@pytest.mark.parametrize("name, contents", SAMPLES)
def test_element_round_trip(name, contents):
    octets = bytes.fromhex(contents)
    value = elements.decode(name, octets)
    assert elements.encode(name, value) == bytes([elements.IDENTIFIERS[name], len(octets)]) + octets


@pytest.mark.parametrize("name, contents", [
    ("bearer_capability", "80"), ("bearer_capability", "0090"), ("bearer_capability", "8018"), ("cause", "80"),
    ("cause", "0000"), ("cause", "8010"), ("call_state", ""), ("call_state", "0a0a"),
    ("channel_identification", ""), ("channel_identification", "8983"), ("channel_identification", "a98301"),
    ("channel_identification", "a9838181"), ("channel_identification", "a9930000"), ("channel_identification", "a2"),
    ("channel_identification", "e9"), ("channel_identification", "a98681"), ("channel_identification", "29"),
    ("progress_indicator", "81"), ("progress_indicator", "0188"), ("calling_party_number", "21"),
    ("called_party_number", "a1ff"), ("called_party_number", "a1" + "31" * 23), ("restart_indicator", "81"),
    ("keypad_facility", "01"),
])
def test_bad_elements(name, contents):
    with pytest.raises(RemoteError) as caught:
        elements.decode(name, bytes.fromhex(contents))
    assert caught.value.cause == 100


def test_a_number_to_show_is_kept_whatever_it_is_written_in():
    """Letters and marks are IA5; what is not becomes a question mark.  A called number is digits to act upon: refused."""
    assert elements.decode("calling_party_number", b"\x00\x80" + b"Anna+ #7")["number"] == "Anna+ #7"
    assert elements.decode("calling_party_number", b"\x00\x80" + b"13\x01\xb9\xe4<")["number"] == "13???<"
    assert elements.decode("redirecting_number", b"\x81" + b"\xff4")["number"] == "?4"
    setup = messages.decode(bytes.fromhex("0802000105" "040380" "90a3" "1803a98381" "6c04008141b9" "70028131"))
    assert setup.faults == [] and setup.get("calling_party_number")["number"] == "A?"


def test_empty_elements_count_as_absent():
    """4.5.1."""
    message = messages.decode(bytes.fromhex("0802000105" "0400" "7000" "0f00" "1803a98381"))
    assert sorted(message.elements) == ["channel_identification"] and message.faults == []


def test_values_of_elements():
    """The meaning, checked by hand against 4.5, not only the round trip."""
    assert elements.decode("channel_identification", bytes.fromhex("a98391")) == {
        "selection": "indicated", "exclusive": True, "d_channel": False, "interface": None, "map": False,
        "channels": [17]}
    assert elements.decode("channel_identification", bytes.fromhex("a99380008002"))["channels"] == [1, 15, 31]
    assert elements.decode("channel_identification", bytes.fromhex("a993800001"))["channels"] == [1, 24]
    assert elements.decode("redirecting_number", bytes.fromhex("21038f34303038303031303030")) == {
        "type": "national", "plan": "isdn", "presentation": "allowed", "screening": "network",
        "reason": "unconditional", "number": "4008001000"}
    assert elements.decode("calling_party_number", bytes.fromhex("00a3"))["presentation"] == "restricted"
    assert elements.decode("bearer_capability", bytes.fromhex("9090a3"))["capability"] == "3.1khz_audio"


@pytest.mark.parametrize("name, value", [
    ("called_party_number", {"number": "1\u0661"}), ("called_party_number", {"number": "1" * 30}),
    ("called_party_number", {"number": "1", "type": "galactic"}), ("cause", {}), ("weather", {}),
    ("display", {"text": "\u4e2d"}), ("call_state", {"state": 999})])
def test_local_errors(name, value):
    with pytest.raises(LocalError):
        elements.encode(name, value)


number = st.fixed_dictionaries(
    {"number": st.text("0123456789*#", max_size=18), "type": st.sampled_from(elements.NUMBER_TYPES),
     "plan": st.sampled_from(elements.NUMBER_PLANS)})
shown = st.fixed_dictionaries(
    {"number": st.text("0123456789*#", max_size=18), "type": st.sampled_from(elements.NUMBER_TYPES),
     "plan": st.sampled_from(elements.NUMBER_PLANS), "presentation": st.sampled_from(elements.PRESENTATIONS),
     "screening": st.sampled_from(elements.SCREENINGS)})
contents = st.fixed_dictionaries({}, optional={
    "called_party_number": number, "calling_party_number": st.one_of(number, shown),
    "redirecting_number": st.lists(shown.map(lambda v: dict(v, reason="busy")), min_size=1, max_size=2),
    "cause": st.fixed_dictionaries({"coding": st.just(0), "location": st.integers(0, 15),
                                    "cause": st.integers(0, 127), "diagnostics": st.binary(max_size=20).map(bytes.hex)}),
    "channel_identification": st.fixed_dictionaries({
        "selection": st.just("indicated"), "exclusive": st.booleans(), "d_channel": st.just(False),
        "interface": st.none(), "map": st.just(False), "channels": st.lists(st.integers(0, 127), min_size=1, max_size=30)}),
    "progress_indicator": st.lists(st.fixed_dictionaries({"coding": st.integers(0, 3), "location": st.integers(0, 15),
                                                          "description": st.integers(0, 127)}), min_size=1, max_size=2),
    "call_state": st.fixed_dictionaries({"coding": st.integers(0, 3), "state": st.integers(0, 63)}),
    "sending_complete": st.just(True),
    "display": st.lists(st.fixed_dictionaries({"text": st.text("abcXYZ 0", min_size=1, max_size=20)}), min_size=1, max_size=2),
    "user_user": st.binary(min_size=1, max_size=100).map(lambda b: {"octets": b.hex()}),
})


@settings(max_examples=200)
@given(st.sampled_from(sorted(codes.MESSAGE_CODES)), st.integers(0, 32767), st.integers(0, 1), contents)
def test_message_round_trip(kind, reference, flag, content):
    message = messages.Message(kind, reference, flag, content)
    octets = messages.encode(message)
    again = messages.decode(octets)
    assert (again.kind, again.reference, again.flag, again.faults) == (kind, reference, flag, [])
    assert again.elements == content
    assert messages.encode(again) == octets


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_any_octets(octets):
    for candidate in (octets, b"\x08\x02\x00\x01" + octets, b"\x08\x02\x00\x01\x05" + octets):
        try:
            message = messages.decode(candidate)
        except RemoteError:
            continue
        assert isinstance(message.faults, list)


@settings(max_examples=300)
@given(st.sampled_from([row[0] for row in elements.ELEMENTS.values()]), st.binary(max_size=12))
def test_decoded_elements_encode(name, octets):
    try:
        value = elements.decode(name, octets)
    except RemoteError:
        return
    again = elements.encode(name, value)[2:]
    assert elements.decode(name, again) == value


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_reads_every_message(tmp_path):
    """Every message type that we send, with the elements it may carry: no malformed packet,
    no warning, and the type that we meant."""
    cause = {"coding": 0, "location": 1, "cause": 16, "diagnostics": ""}
    progress = [{"coding": 0, "location": 1, "description": 8}]
    channel = {"selection": "indicated", "exclusive": True, "channels": [17]}
    content = {
        "SETUP": {"sending_complete": True, "bearer_capability": {"capability": "3.1khz_audio", "layer_1": "g711_a"},
                  "channel_identification": channel, "progress_indicator": progress, "display": [{"text": "Caller"}],
                  "calling_party_number": {"number": "13912345678", "presentation": "allowed", "screening": "network"},
                  "called_party_number": {"number": "02150801000", "type": "national"},
                  "redirecting_number": [{"number": "4008001000", "presentation": "allowed",
                                          "screening": "user_passed", "reason": "unconditional"}]},
        "RESTART": {"restart_indicator": {"class": 0},
                    "channel_identification": {"selection": "indicated", "exclusive": True, "map": True, "channels": [1, 31]}},
        "RESTART_ACKNOWLEDGE": {"restart_indicator": {"class": 7}},
        "STATUS": {"cause": dict(cause, cause=97, diagnostics="20"), "call_state": {"state": 25}},
        "NOTIFY": {"notification_indicator": {"description": 0x79}},
        "PROGRESS": {"progress_indicator": progress, "cause": cause},
        "INFORMATION": {"called_party_number": {"number": "5"}, "sending_complete": True},
    }
    for kind in ("DISCONNECT", "RELEASE", "RELEASE_COMPLETE", "HOLD_REJECT", "RETRIEVE_REJECT"):
        content[kind] = {"cause": cause}
    for kind in ("SETUP_ACKNOWLEDGE", "CALL_PROCEEDING", "ALERTING", "CONNECT"):
        content[kind] = {"channel_identification": channel, "progress_indicator": progress}
    frames, wanted = [], []
    for kind in sorted(set(codes.MESSAGE_CODES) - {"FACILITY"}):        # never sent
        reference = 0 if kind.startswith("RESTART") else 5
        octets = messages.encode(messages.Message(kind, reference, 0, content.get(kind, {})))
        number = 2 * (len(frames) % 128)
        frames.append((len(frames) * 10, False, bytes([0, 1, number, 0]) + octets))
        wanted.append("0x%02x" % codes.MESSAGE_CODES[kind])
    isdn.write_pcap(tmp_path / "messages.pcap", frames)
    rows = isdn.tshark(tmp_path / "messages.pcap")
    assert [row[0] for row in rows] == wanted
    assert [row for row in rows if row[1]] == []
