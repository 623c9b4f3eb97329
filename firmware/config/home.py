"""Settings of home agents' telephones: any ordinary telephone that the box calls through a trunk (control/core_home.py)."""

from firmware.config.field import Number, Section, Text, Whole
from firmware.errors import ConfigError

NO_PROMPTS = ("tone", "none")       # what `announce` may be beside the name of a prompt
PROMPT = r"[A-Za-z0-9_.-]{1,64}"

HOME = Section("an agent's ordinary telephone, which the box calls through a trunk; without a number the line is a SIP phone", {
    "number": Number("the number that is dialled, as one of our telephones would dial it; the line's classes must allow it", pattern=r"[0-9*#]{0,20}",
                   hint="give digits, * and #", default=""),
    "mode": Text("nailed: it is called when the agent logs in, and the leg stays up until the log-out; per_call: it is called for each call",
                 choices=("nailed", "per_call"), default="nailed"),
    "confirm": Text("what the person does after answering, so that no machine gets a caller: nothing, press any key, or enter the agent's code "
                    "(an agent without a code presses a key)", choices=("none", "key", "pin"), default="key"),
    "answer": Text("of a nailed leg: auto: callers are put through by themselves; key: when a key is pressed", choices=("auto", "key"), default="auto"),
    "announce": Text("what the person hears before a caller is put through: tone, none, or the name of a prompt", pattern=PROMPT,
                     hint="give tone, none, or the name of a prompt", default="tone"),
    "ring_s": Whole("how long it may ring", 5, 180, unit="s", default=45)})


def check(result):
    """ConfigErrors of home telephones.  result: the configuration with every default filled in."""
    errors = []
    provisioned = {row["line"] for row in result["desk_phones"]}
    emergency = {row["number"] for row in result["routes"] if row["class"] == "emergency"}
    for i, line in enumerate(result["lines"]):
        home = line["home"]
        if not home["number"]:
            continue
        if home["number"] in emergency:
            errors.append(ConfigError(f"lines[{i}].home.number", f"{home['number']} is an emergency number, which nobody works at; give the agent's own"))
        if line["name"] in provisioned:
            errors.append(ConfigError(f"lines[{i}].home.number", f"line {line['name']!r} is that of a desk phone in desk_phones; give one of the two a line of its own"))
        if "nailed" != home["mode"] and home["answer"] == "key":
            errors.append(ConfigError(f"lines[{i}].home.answer", "key is for a nailed leg; a telephone that is called for each call is answered by hand (see confirm)"))
    return errors
