"""An agent at an extension of an old PBX, over a QSIG span: played in the house of test_outgoing.py, whose spans 6 and 7 have libpri's QSIG at the far end."""

from tests.conftest import WHOLE_ONLY
from tests.live import home_cases, probe_moves

EXTENSION, SPAN = "2345", 7         # 7: we are the network, as a switch is that an old PBX hangs on


@WHOLE_ONLY
def test_an_agent_at_an_extension_of_an_old_pbx(house, phone):
    """A caller of the carrier's E1 reaches the queue, the PBX's extension is called over QSIG, both hear each other bit for bit."""
    path, caller_path = house.folder / "extension-says.wav", house.folder / "extension-caller-says.wav"
    agent_says, caller_says = (probe_moves.material(seed, home_cases.SECONDS, to) for seed, to in ((93, path), (94, caller_path)))
    home_cases.configure(house, number="8%02d" % SPAN + EXTENSION, mode="per_call", confirm="none", announce="none")
    house.far.policy(record_dir=house.folder, alerting_ms=50, answer_ms=100)
    house.available(phone.user, "logged_out")
    home_cases.command(house, "log-in", home_cases.HOME, home_cases.HOME, "--pin", typed="4711\n")

    def measure():
        house.wait_agent_idle(home_cases.HOME, 30)
        far_mark = house.far.mark()
        name = house.place(span=1, called=home_cases.DESK)
        extension = house.far.wait_for("incoming", 30, since=far_mark)
        assert (extension["called"], extension["span"]) == (EXTENSION, SPAN)
        house.far.wait_for("connect", 30, id=name)
        call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking" and c["agent"] == home_cases.HOME), None), 30, "the talking call")
        house.far.play(name, caller_path)
        house.far.play(extension["id"], path)
        for each in (name, extension["id"]):
            house.far.wait_for("play_done", 30, id=each)
        house.far.hangup(name)
        for each in (name, extension["id"]):
            house.far.wait_for("record_closed", 30, id=each)
        for each, said in ((name, agent_says), (extension["id"], caller_says)):
            found = home_cases.heard(house, each, said)
            assert found.exact, found
        return call["call"]
    cdr = house.cdr(probe_moves.undisturbed(measure, house))["cdr"]
    assert (cdr["result"], cdr["agent"], cdr["application"]) == ("answered", home_cases.HOME, "queue"), cdr
    house.available(home_cases.HOME, "logged_out")
    house.available(phone.user)
    house.far.policy()
