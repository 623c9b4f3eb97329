"""`make demo`: calls through the whole house, without a person, checked and accounted for.

Three calls are made on a house of its own (own folders, free ports).  The first
comes en bloc on span 1 (CRC-4 on): wrong key, right key, queue, agent, talk,
the caller hangs up; a browser looks on.  The second comes digit by digit on
span 2 (CRC-4 off); the agent hangs up.  The third carries random octets to a
probe that times each packet.  Exit code 0 only if every check held, in one run:
where some did not and the machine's host has taken processors away meanwhile, it
says so and tries again, ATTEMPTS times in all (`--once`: never).
Written to build/demo/: account.txt, report.json, recordings, pictures.
"""

import contextlib
import json
import pathlib
import shutil
import sys
import time

from hil import delay, scratch, speech
from hil.account import Account
from hil.board.clock import BoardClock
from hil.phone.probe import ProbePhone
from hil.picture import call_picture
from hil.probes import align, dtmf, wav
from hil.probes.host import HostWatch
from hil.rig import CHECKOUT, Rig

OUT = CHECKOUT / "build" / "demo"
LANDING, CALLER, REDIRECTING = "02150801000", "13912345678", "4008001000"
AGENT = "1001"
ATTEMPTS = 3
TALK_S = 15
GREETING_S = 19             # both languages of the greeting
AGENT_HEARS_FROM = 0.95      # least correlation after alignment, of the issue
CROSSTALK_MOST = 0.1
LEVEL_MOST_DB = 1.0
PROBE_AGENT = "1002"
DELAY_S = 5
SETUP_MOST_MS = 1000         # from SETUP to CONNECT, the far exchange and this process included; invented
TDM_TO_RTP_MOST_MS, JITTER_BUFFER_MS = 50.0, 40.0


class Demo:
    """The demonstration.  rig: a started Rig.  account: where checks go."""

    def __init__(self, rig, account, folder):
        self.rig, self.account, self.folder = rig, account, pathlib.Path(folder)
        self.files = {who: speech.make(OUT / f"{who}-says.wav", seed=seed, seconds=TALK_S + 15)
                      for seed, who in ((101, "caller"), (202, "agent"))}
        self.prompts = CHECKOUT / "build" / "prompts"

    def run(self):
        rig, account = self.rig, self.account
        self.board_clock = BoardClock(rig.run_dir)
        self.begun = rig.far.mark()     # what the two ends say while they come up is no fault
        account.happened("the house is up: board emulator, media, control, web, far exchange; D channels of spans 1 and 2 up")
        self.phone = rig.phone(AGENT, play_file=self.files["agent"], record_file=OUT / "agent-hears.wav")
        rig.wait(lambda s: any(a["name"] == AGENT and a["registered"] for a in s["agents"]), 10, "the agent's phone")
        account.happened(f"agent {AGENT}'s phone (baresip) is registered with digest authentication")
        try:
            from hil.browser import Person
            person = Person(rig.web_url)
        except Exception as error:
            account.check("browser started", False, str(error).splitlines()[0])
            person = None
        try:
            if person:
                person.sign_in("admin", rig.product.password)
            first = self.first_call(person)
            if person:
                self.look_back(person, first)
        finally:
            if person:
                person.close()
        self.second_call()
        self.third_call()
        self.witness()

    def pause(self, seconds):
        """Seconds of the board's time, in which the two ends hear each other; it stands still while the host does."""
        until, deadline = self.board_clock.frames() + 8000 * seconds, time.monotonic() + 10 + 5 * seconds
        while self.board_clock.frames() < until and time.monotonic() < deadline:
            time.sleep(0.05)

    # -- the first call: en bloc, caller hangs up --

    def first_call(self, person):
        rig, account, far = self.rig, self.account, self.rig.far
        caller_file = OUT / "caller-hears.wav"
        setup = time.monotonic()
        far.call("en-bloc", span=1, called=LANDING, caller=CALLER, redirecting=REDIRECTING, record=caller_file)
        far.wait_for("connect", 10, id="en-bloc")
        set_up_ms = (time.monotonic() - setup) * 1000
        account.check("pri.setup_to_connect", set_up_ms <= SETUP_MOST_MS, set_up_ms, f"ms (at most {SETUP_MOST_MS})")
        account.happened(f"span 1: SETUP {CALLER} -> {LANDING} (redirecting {REDIRECTING}) was answered; the greeting plays")
        self.pause(GREETING_S)
        far.dtmf("en-bloc", "7")
        account.happened("the caller presses 7, which is no choice")
        self.pause(5)
        far.dtmf("en-bloc", "1")
        account.happened("the caller presses 1 (sales)")
        call = rig.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 15, "the talk")
        self.phone.wait_for("answered", 5)
        far.play("en-bloc", self.files["caller"])
        account.happened(f"agent {call['agent']} answered; both speak ({TALK_S} s of real speech each way)")
        account.check("call.caller_number", call["caller"].endswith(CALLER), call["caller"])
        account.check("call.redirecting_number", call["redirecting"] == REDIRECTING, call["redirecting"])
        if person:
            number = call["call"]
            row = person.text(f'#calls tr[data-call="{number}"][data-state="talking"]')
            person.see(f'#agents tr[data-agent="{AGENT}"][data-state="talking"]')
            busy = person.text('#spans [data-span="1"] li.busy')
            account.check("web.live_call", CALLER in row and AGENT in row and busy == str(call["timeslot"]),
                          f"{number} on timeslot {busy}, agent {AGENT} talking")
            person.picture(OUT / "live.png")
        self.pause(TALK_S)
        far.stop_play("en-bloc")
        self.pause(0.5)
        far.dtmf("en-bloc", "5")
        account.happened("the caller presses 5 while talking")
        self.pause(1)
        far.hangup("en-bloc")
        released = far.wait_for("released", 8, id="en-bloc")
        account.happened("the caller hangs up; PRI is released")
        account.check("pri.release_cause", released.get("cause") == 16, released.get("cause"))
        far.wait_for("record_closed", 5, id="en-bloc")
        self.phone.wait_for("closed", 5)
        found = rig.cdr(call["call"])
        rig.wait_idle()
        self.check_cdr(found, "caller")
        self.check_prompts(caller_file)
        received = self.check_audio(caller_file, found, "first")
        keys = {"recording left": "".join(key.digit for key in dtmf.digits(received["recording left"])),        # the telephone is told by RFC 4733
                "agent is told": "".join(event["param"] for event in self.phone.events("call_dtmf_start"))}
        account.check("dtmf.one key press is heard once", set(keys.values()) == {"5"}, str(keys))
        return found

    def check_cdr(self, found, by):
        account, cdr = self.account, found["cdr"]
        kinds = [record["kind"] for record in found["records"]]
        account.check(f"cdr.result ({by} hangs up)", cdr["result"] == "answered" and cdr["released_by"] == by,
                      f"{cdr['result']}, cleared by {cdr['released_by']}, cause {cdr['cause']}")
        account.check("cdr.agent and queue", cdr["agent"] == AGENT and cdr["queue"] == "sales", f"{cdr['agent']}, {cdr['queue']}")
        account.check("cdr.talk time", cdr["talk_ms"] > 3000, cdr["talk_ms"], "ms")
        account.check("journal.records of the call", len(kinds) > 10, len(kinds), "rows")

    def check_prompts(self, caller_file):
        """The caller heard the greeting in both languages, and after the wrong key, in the first, that it was wrong."""
        heard = wav.read_mono(caller_file)
        for prompt, language in (("greeting", "zh_CN"), ("greeting", "en"), ("invalid", "zh_CN")):
            match = align.compare(wav.read_mono(self.prompts / language / f"{prompt}.wav"), heard)
            self.account.check(f"audio.{prompt} {language}", match.correlation >= 0.95 and match.gaps == 0,
                               match.correlation, "correlation")

    def check_audio(self, caller_file, found, which):
        """Both directions at both ends, and both channels of the recording.  Returns {end: samples}."""
        account = self.account
        agent_file = self.agent_heard(which)
        sent = {who: wav.read_mono(path) for who, path in self.files.items()}
        recording = found["recordings"][0]
        octets = self.rig.product.recording(found["cdr"]["call"], recording["id"])
        path = OUT / f"recording-{which}.wav"
        path.write_bytes(octets)
        account.file(path, "the product's stereo recording: caller left, agent right")
        stereo, _ = wav.parse(octets)
        ends = {"caller hears agent": ("agent", wav.read_mono(caller_file)),
                "agent hears caller": ("caller", wav.read_mono(agent_file)),
                "recording left": ("caller", stereo[:, 0]), "recording right": ("agent", stereo[:, 1])}
        for end, (who, received) in ends.items():
            other = "agent" if who == "caller" else "caller"
            match = align.compare(sent[who], received)
            account.check(f"audio.{which}: {end}", match.correlation >= AGENT_HEARS_FROM, match.correlation,
                          f"correlation over {match.seconds:.1f} s")
            account.check(f"audio.{which}: {end}, samples missing or inserted", match.gaps == 0, match.gaps, "places")
            account.check(f"audio.{which}: {end}, level", abs(match.level_db) <= LEVEL_MOST_DB, match.level_db, "dB")
            leak = align.cross_talk(match.piece(received), sent[other])
            account.check(f"audio.{which}: {end}, the other's voice", leak <= CROSSTALK_MOST, leak, "correlation")
        return {end: received for end, (_, received) in ends.items()}

    def agent_heard(self, which):
        """The phone's own recording of that call, once it is closed."""
        number = {"first": 1, "second": 2}[which]
        deadline = time.monotonic() + 5
        while len(self.phone.recordings) < number and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.phone.recordings[number - 1][0]

    def look_back(self, person, found):
        """The list of calls in the browser; the recording plays."""
        account, call = self.account, found["cdr"]["call"]
        person.driver.get(self.rig.web_url + "/calls")
        row = person.text(f'#cdrs tr[data-call="{call}"]')
        length = person.play_audio(f'#cdrs tr[data-call="{call}"] audio')
        wanted = found["recordings"][0]["duration_ms"] / 1000
        account.check("web.recording plays", abs(length - wanted) < 0.3, length, "s")
        account.check("web.list of calls", CALLER in row and AGENT in row, call)
        person.picture(OUT / "calls.png")
        person.driver.get(f"{self.rig.web_url}/calls/{call}")
        person.see("#timeline")
        person.picture(OUT / "call.png")
        complaints = person.complaints()
        account.check("web.no script error", not complaints, len(complaints), "; ".join(complaints)[:200])
        for name in ("live.png", "calls.png", "call.png"):
            account.file(OUT / name, "the page as the browser showed it")
        (OUT / "call.json").write_text(json.dumps(found, indent=1, ensure_ascii=False))
        account.file(OUT / "call.json", "CDR and journal records of the first call")
        call_picture(found, wav.read(OUT / "recording-first.wav")[0], OUT / "call.svg")
        account.file(OUT / "call.svg", "time line and wave form of the first call")

    # -- the second call: digit by digit, agent hangs up --

    def second_call(self):
        rig, account, far = self.rig, self.account, self.rig.far
        rig.wait(lambda s: any(a["name"] == AGENT and a["state"] == "idle" for a in s["agents"]), 15, "the agent idle again")
        before, closed = self.phone.mark(), far.mark()
        far.call("overlap", span=2, called=LANDING, caller=CALLER, redirecting=REDIRECTING, overlap=100, initial_digits=3,
                 record=OUT / "caller-hears-2.wav")
        far.wait_for("setup_ack", 5, id="overlap", since=closed)
        far.wait_for("connect", 10, id="overlap")
        account.happened("span 2: the number came digit by digit (SETUP ACKNOWLEDGE, INFORMATION); answered")
        self.pause(1)
        far.dtmf("overlap", "1")
        call = rig.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 15, "the second talk")
        far.play("overlap", self.files["caller"])
        self.pause(TALK_S)
        self.phone.wait_for("answered", 5, since=before)
        self.phone.hangup()
        ended = far.wait_for("hangup", 8, id="overlap")
        far.wait_for("released", 8, id="overlap")
        far.wait_for("record_closed", 5, id="overlap")
        account.happened("the agent hangs up; PRI is cleared by the box")
        account.check("pri.cause when the agent hangs up", ended["cause"] == 16 and ended["by"] == "box", ended["cause"])
        found = rig.cdr(call["call"])
        rig.wait_idle()
        self.check_cdr(found, "agent")
        self.check_audio(OUT / "caller-hears-2.wav", found, "second")

    # -- the third call: a probe that notes when each packet came --

    def third_call(self):
        rig, account, far = self.rig, self.account, self.rig.far
        password = next(line["password"] for line in rig.product.get("/configuration")["configuration"]["lines"]
                        if line["name"] == PROBE_AGENT)
        rig.product.put(f"/agents/{AGENT}/status", {"status": "on_break", "reason": "lunch"})
        path = self.folder / "octets.wav"
        octets = delay.material(303, DELAY_S, path)
        with contextlib.ExitStack() as ends:
            phone = ProbePhone(PROBE_AGENT, password, rig.sip_port, clock=BoardClock(rig.run_dir))
            ends.callback(phone.stop)
            phone.start()
            rig.wait(lambda s: any(a["name"] == PROBE_AGENT and a["registered"] for a in s["agents"]), 10, "the probe")
            far.call("delay", span=1, called=LANDING, caller=CALLER, record=self.folder / "caller-hears-3.wav")
            far.wait_for("connect", 10, id="delay")
            self.pause(1)
            far.dtmf("delay", "1")
            phone.wait_for("answered", 15)
            far.wait_for("dtmf_done", 5, id="delay")
            rig.wait(lambda s: any(c["state"] == "talking" for c in s["calls"]), 10, "the third talk")
            account.happened(f"agent {AGENT} is on break; agent {PROBE_AGENT}'s probe phone answered; random octets go both ways")
            to_phone, to_trunk = delay.measure(far, phone, "delay", path, octets, delay.material(404, DELAY_S))
        account.happened("every octet is compared, every packet timed")
        account.check("audio.trunk to phone is bit exact", to_phone.match.exact, str(to_phone.match))
        account.check("audio.phone to trunk is bit exact", to_trunk.match.exact, str(to_trunk.match))
        for name, found, most, of_it in (
                ("delay.tdm_to_rtp", to_phone, TDM_TO_RTP_MOST_MS, ""),
                ("delay.rtp_to_tdm", to_trunk, TDM_TO_RTP_MOST_MS + JITTER_BUFFER_MS, f", {JITTER_BUFFER_MS:.0f} of it the jitter buffer")):
            worst = max(found.board_ms, default=float("nan"))
            account.check(name, worst <= most, worst, f"ms of the board's time at worst (at most {most:.0f}{of_it}; "
                                                      f"by the wall clock median {found.median_ms:.1f}, worst {found.worst_ms:.1f})")
        rig.wait_idle()

    def witness(self):
        """What the far exchange saw of our side all along."""
        account, far = self.account, self.rig.far
        status = {span["span"]: span for span in far.status()["spans"]}
        for span in self.rig.spans:
            faults = ("alignment_losses", "crc4_errors", "fcs_errors")
            account.check(f"span {span}: lost alignment, CRC-4, FCS errors", not any(status[span][k] for k in faults),
                          ", ".join(f"{k} {status[span][k]}" for k in faults))
        account.check("no RESTART, no data link lost", not far.events("restart", since=self.begun)
                      and not far.events("link_down", since=self.begun), "from the first call to the last")


def demonstrate(account):
    """One house, three calls; what was missed is in the account."""
    with scratch.folder("demo-") as folder:
        rig = Rig(folder)
        try:
            with rig:
                rig.start()
                Demo(rig, account, folder).run()
        except Exception as error:
            account.check("ran to its end", False, f"{type(error).__name__}: {error}"[:600])
            for log in (rig.data_dir / "log").glob("*.log"):
                shutil.copy(log, OUT / log.name)
                account.file(OUT / log.name, "log")
        account.file(OUT / "report.json", "every check, for machines")
        trace = rig.folder / "trace"
        if trace.exists():
            shutil.copytree(trace, OUT / "trace", dirs_exist_ok=True)
            account.file(OUT / "trace", "every D channel frame (pcap; tshark -r)")


def main(attempts=ATTEMPTS):
    print("Strowger demonstration: one call through the whole house", flush=True)
    watch = HostWatch().start()
    try:
        for attempt in range(1, attempts + 1):
            shutil.rmtree(OUT, ignore_errors=True)
            account, began = Account(OUT), time.monotonic()
            demonstrate(account)
            stalls = watch.stalls(began)
            print()
            print(account.write("Strowger: one call through the whole house"), end="")
            if stalls:
                print(f"This machine's host took a processor away {len(stalls)} times meanwhile, for {max(late for _, late in stalls):.0f} ms at worst"
                      f" (5 ms or more counted).")
            if account.ok or not stalls or attempt == attempts:
                return 0 if account.ok else 1
            print(f"A switch cannot keep time on a processor that it does not have: waiting for calm, then once more"
                  f" ({attempt + 1} of {attempts}).", flush=True)
            watch.wait_for_calm()
    finally:
        watch.stop()


if __name__ == "__main__":
    sys.exit(main(1 if "--once" in sys.argv[1:] else ATTEMPTS))
