"""What `make hil-dahdi` proves, inside the virtual machine of hil/dahdi/vm.sh: python3 -m tests.dahdi [card] [calls] [t1] [house]

    card    drivers/tdm/dahdi.py by itself: octets and ABCD bits (plain.py)
    calls   the same, PRI calls against libpri on DAHDI, the card taken out (near.py)
    t1      the whole house with a T1 whose far end is DAHDI's own E&M, loop start, ground start and feature groups (t1.py); "t1:fgb,fgd" for some of them
    house   the whole house with a span on DAHDI (house.py)

Prints as it goes and writes build/dahdi/out/result.json; exit code 1 where something is missing."""

import json
import pathlib
import sys
import time
import traceback

OUT = pathlib.Path(__file__).resolve().parents[2] / "build" / "dahdi" / "out"


def say(sentence):
    """With the machine's time, which is its own work."""
    print("[%6.1f s] %s" % (time.clock_gettime(time.CLOCK_BOOTTIME), sentence), flush=True)


def card(result):
    """Returns what is wrong."""
    from tests.dahdi import cards, plain
    cards.load()
    result["plain"] = {"octets": plain.octets()}
    say("octets: %s" % json.dumps(result["plain"]["octets"]))
    result["plain"]["cas"] = plain.signalling()
    say("CAS: %s" % json.dumps(result["plain"]["cas"]))
    cards.unload()
    return plain.verdict(result["plain"])


def calls(result):
    """Returns what is wrong."""
    from tests.dahdi import cards, near
    cards.load()
    wrong, result["calls"] = [], near.run()
    for seen in result["calls"]:
        say("calls: %s" % json.dumps(seen))
        wrong += near.verdict(seen)
    cards.unload()
    return wrong


def house(result):
    """Returns what is wrong."""
    from tests.dahdi import house as whole
    return whole.run(result, say)


def t1(result, *protocols):
    """Returns what is wrong."""
    from tests.dahdi import t1 as robbed_bits
    return robbed_bits.run(result, say, *([protocols] if protocols else []))


def main(names):
    """The program."""
    OUT.mkdir(parents=True, exist_ok=True)
    result, wrong = {}, []
    asked = {name: [word for word in some.split(",") if word] for name, _, some in (name.partition(":") for name in names)}
    for name, part in (("card", card), ("calls", calls), ("t1", t1), ("house", house)):
        if names and name not in asked:
            continue
        say("%s begins" % name)
        result[name] = {}
        try:
            wrong += ["%s: %s" % (name, sentence) for sentence in part(result[name], *asked.get(name, ()))]
        except Exception as error:              # the other part still tells what it finds
            traceback.print_exc()
            wrong.append("%s broke off: %s: %s" % (name, type(error).__name__, error))
        say("%s is over" % name)
    result["wrong"] = wrong
    (OUT / "result.json").write_text(json.dumps(result, indent=1, default=str))
    for sentence in wrong:
        say("NOT OK: " + sentence)
    say("DAHDI: %s" % ("%d things are wrong" % len(wrong) if wrong else "all is well"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
