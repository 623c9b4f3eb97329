"""`make run`: the appliance on this machine, with a board, a far exchange and one agent.

The board emulator, the product, the far exchange on spans 1 and 2 and a phone
for agent 1001 (where baresip is installed) are started; a call comes in every
minute, chooses sales and talks to an agent for half a minute.  The agents
1002 to 1004 are for phones of your own.  Ctrl-C stops everything.

Environment: STROWGER_RUN, STROWGER_DATA (default var/run, var/data),
STROWGER_CALL_EVERY_S (default 60; 0: no calls).
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)    # until main() has its own handler: Ctrl-C ends without a traceback

import os
import pathlib
import shutil
import sys
import threading
import time

from hil import scratch, speech
from hil.rig import CHECKOUT, Rig, RigError

CALLER = "13912345678"
LANDING = "02150801000"
REDIRECTING = "4008001000"
GREETING_S = 6       # the caller listens this long before the key press
CONVERSATION_S = 30


class Desktop(Rig):
    """A rig whose folders are those of the user."""

    def __init__(self):
        super().__init__(CHECKOUT / "var", echo=True, box=True)
        self.run_dir = pathlib.Path(os.environ.get("STROWGER_RUN", self.run_dir)).resolve()
        self.data_dir = pathlib.Path(os.environ.get("STROWGER_DATA", self.data_dir)).resolve()


def place_calls(rig, every_s, ended, files):
    """One call after another until `ended`; what goes wrong is said and the next one is tried."""
    number, due = 0, time.monotonic() + 3
    while not ended.wait(max(0.0, due - time.monotonic())):
        number, due = number + 1, due + every_s
        call, span = f"run{number}", 1 + number % 2
        try:
            rig.far.call(call, span=span, called=LANDING, caller=CALLER, redirecting=REDIRECTING,
                         overlap=150 if span == 2 else None)
            rig.far.wait_for("connect", 10, id=call)
            if ended.wait(GREETING_S):
                return
            rig.far.dtmf(call, "1")
            rig.far.play(call, files["caller"], repeat=True)
            if ended.wait(CONVERSATION_S):
                return
            rig.far.hangup(call)
        except Exception as error:      # a demonstration goes on; the reason is shown
            print(f"far exchange: call {call} failed: {error}", file=sys.stderr, flush=True)


def agent_phone(rig, files, folder):
    """Agent 1001: a baresip phone that answers by itself.  The line's password lies in the configuration."""
    import json
    from hil.phone.phone import Phone
    lines = json.loads((rig.data_dir / "configuration.json").read_text())["lines"]
    password = next((line["password"] for line in lines if line["name"] == "1001"), None)
    if password is None:
        return None
    phone = Phone("1001", password, rig.sip_port, play_file=files["agent"],
                  record_file=folder / "agent-heard.wav")
    rig.phones.append(phone)
    phone.start()
    return phone


def call_interval_s():
    """STROWGER_CALL_EVERY_S.  Raises RigError."""
    text = os.environ.get("STROWGER_CALL_EVERY_S", "60")
    if not text.isdigit():
        raise RigError(f"STROWGER_CALL_EVERY_S is {text!r}; give whole seconds, 0 for no calls.")
    return int(text)


class Stopped(Exception):
    """Ctrl-C or SIGTERM before all was up."""


def main():
    rig, ended, up = Desktop(), threading.Event(), threading.Event()

    def end(*_):
        if not up.is_set() and not ended.is_set():
            ended.set()
            raise Stopped           # whatever the start waits for
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    # A user's ports of the first configuration; later ones are changed there.
    ports = {name: os.environ[f"STROWGER_{name}_PORT"] for name in ("SIP", "WEB", "CTI")
             if f"STROWGER_{name}_PORT" in os.environ}
    with scratch.folder("run-") as made:
        folder = pathlib.Path(made)
        try:
            every_s = call_interval_s()
            rig.start_board()
            rig.start_product(password=None, ports=ports)
            rig.start_exchange()
            files = {name: speech.make(folder / f"{name}.wav", seed=seed, seconds=30)
                     for seed, name in ((1, "caller"), (2, "agent"))}
            if shutil.which("baresip"):
                agent_phone(rig, files, folder)
            else:
                print("No baresip here: agent 1001 has no phone. Register one of your own, or apt-get install baresip-core.")
            if every_s:
                threading.Thread(target=place_calls, args=(rig, every_s, ended, files), daemon=True).start()
            print("Phones of your own: lines 1002 to 1004; their passwords are in the configuration. Ctrl-C stops.", flush=True)
            up.set()
            while not ended.wait(0.5):
                for process, what in ((rig.supervisor, "the product"), (rig.board, "the board emulator")):
                    if process.poll() is not None:
                        print(f"{what} ended with code {process.returncode}; stopping.", file=sys.stderr)
                        return 1
            return 0
        except Stopped:
            print("Stopped before it was ready.", flush=True)
            return 0
        except (RigError, RuntimeError, TimeoutError) as error:
            if str(error) and not (rig.console and rig.console[-1] in str(error)):
                print(f"run: {error}", file=sys.stderr)
            return 2
        except OSError as error:
            print(f"run: {error.filename or 'a file'} cannot be used ({error.strerror}); it may belong to another user: "
                  "give yourself the right to it, or set STROWGER_RUN and STROWGER_DATA to folders of your own.", file=sys.stderr)
            return 2
        finally:
            rig.stop()


if __name__ == "__main__":
    sys.exit(main())
