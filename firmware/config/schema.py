"""The single definition of every setting of the appliance.

SCHEMA checks one file; check() also holds the references between its parts.
"""

import re

from firmware.acd import overflow
from firmware.acd.skills import MAX_LEVEL
from firmware.acd.strategy import STRATEGIES
from firmware.call import arriving, outside
from firmware.call.routing import TEST_SOUNDS, Router
from firmware.call.trunk_group import LAWS, SELECTIONS
from firmware.config import acd, bearer, callers, cas, desk, fax, home, mailboxes, people, phones, pri, services, sip, sip_trunk, siprec, ss7, tones, warnings
from firmware.config.field import (ANY_ADDRESS, IMPACT_RESTART, IMPACT_SPAN, Address, Anything, Number, Rows, Secret, Section, Several, Switch,
                                   Table, Text, Whole, Zone)
from firmware.errors import ConfigError
from firmware.jsontext import broken

NAME = r"[A-Za-z0-9_.-]{1,32}"
DIGITS = r"[0-9*#]{1,32}"
MUSIC = r"(?!\.+$)[A-Za-z0-9_.-]{0,60}"      # links/prompts.py makes the file's name of it; empty: the default
LANGUAGES = ("zh_CN", "en")                 # of the prompts
LISTENERS = {"sip": "udp", "web": "tcp", "cti": "tcp"}
VARIANTS = ("etsi", "ni2", "5ess", "dms100", "qsig", "ins1500")       # the rows of proto/q931/variants.py; a test compares
OVERLAP_VARIANTS = ("etsi", "qsig")
SIGNALLING = ("pri", "ss7", "r2", "cas", "none")
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00"
RECORDING_FORMATS = ("alaw", "ulaw", "pcm16", "ima", "g726_16", "g726_24", "g726_32", "g726_40", "vox")   # media/formats.py; a test compares
SHOWN = 40                                  # names in a sentence; invented
CALLED_CLASSES = outside.CLASSES[1:]        # "internal" is no class of outside calls


def name(help):
    return Text(help, pattern=NAME, hint="use letters, digits, dot, dash and underline, at most 32", required=True)


def listener(help, port):
    return Section(help, {
        "address": Address("the address to listen on", default="127.0.0.1", impact=IMPACT_RESTART),
        "port": Whole("the port to listen on", 1, 65535, default=port, impact=IMPACT_RESTART)})


SPAN = Section("one E1, T1 or J1 span", {
    "span": Whole("the number printed at the connector", 1, 64, required=True, impact=IMPACT_SPAN),
    "type": Text("the kind of line", choices=("e1", "t1", "j1"), default="e1", impact=IMPACT_SPAN),
    "crc4": Switch("CRC-4 multiframe of an E1; must be the same at both ends", default=True, impact=IMPACT_SPAN),
    "framing": Text("frame of a T1 or J1: esf, with CRC-6 and data link, or d4", choices=("esf", "d4"), default="esf", impact=IMPACT_SPAN),
    "line_code": Text("standard: HDB3 on E1, B8ZS on T1 and J1; ami", choices=("standard", "ami"), default="standard", impact=IMPACT_SPAN),
    "build_out_db": Text("how much weaker a T1 sends, for a short cable to a repeater", choices=("0", "7.5", "15", "22.5"),
                         default="0", impact=IMPACT_SPAN),
    "impedance_ohm": Text("the line of an E1: 120, a pair of wires, or 75, coaxial cable", choices=("120", "75"), default="120", impact=IMPACT_SPAN),
    "sensitivity": Text("how weak a signal may be: normal, about 21 dB below nominal; high, 28 dB, for long cables; low, 12 dB, where crosstalk "
                        "looks like a signal", choices=("normal", "high", "low"), default="normal", impact=IMPACT_SPAN),
    "loop_codes": Switch("obey the loop codes that the far end of a T1 sends", default=True, impact=IMPACT_SPAN),
    "law": Text("the law of its sound (G.711): line, that of the kind of line (E1 A-law, T1 and J1 mu-law); a; u", choices=LAWS, default="line", impact=IMPACT_SPAN),
    "signalling": Text("how calls are signalled", choices=SIGNALLING, default="pri", impact=IMPACT_SPAN),
    "variant": Text("the dialect of Q.931: etsi (EuroISDN), ni2, 5ess and dms100 (North America), qsig (between exchanges), ins1500 (Japan)",
                    choices=VARIANTS, default="etsi", impact=IMPACT_SPAN),
    "side": Text("our side of the D channel", choices=("user", "network"), default="user", impact=IMPACT_SPAN),
    "d_timeslot": Whole("the timeslot of the D channel", 1, 31, default=16, impact=IMPACT_SPAN),
    "nfas": pri.NFAS,
    "timers": pri.TIMERS,
    "restart_ignored": pri.RESTART_IGNORED,
    "channel_numbering": pri.CHANNEL_NUMBERING,
    "channel_form": pri.CHANNEL_FORM,
    "bearer": bearer.BEARER,
    "r2": cas.R2,
    "cas": cas.CAS,
    "trunk_group": Text("the trunk group its timeslots belong to", pattern=NAME, required=True),
    "enabled": Switch("in service", default=True, impact=IMPACT_SPAN)})

# What media does to the audio that comes from a leg, by the names of its command `enhance`.
ENHANCEMENT = {
    "echo": Switch("cancel the line's echo, up to 64 ms", default=False),
    "long_tail": Switch("the echo canceller reaches 128 ms: for trunks with a long path; costs twice the time of a canceller", default=False),
    "noise": Switch("reduce noise; adds 10 ms", default=False),
    "level": Text("level control: agc for talkers, alc for trunks", choices=("off", "agc", "alc"), default="off"),
    "vad": Switch("tell speech from silence (level control does so by itself)", default=False)}

CALLER_RULE = Section("how a caller's number that comes in is written, as our telephones would dial it", {
    "type": Text("only for numbers of this type (Q.931 4.5.10, Q.763 3.10); any: for all", choices=(arriving.ANY, *outside.TYPES), default=arriving.ANY),
    "number": Text("which numbers: x any digit, . at the end any further digits, . alone all; the longest match wins", pattern=r"[0-9*#x]{1,32}\.?|\.",
                   hint="for example 86. or . for all", required=True),
    "strip": Whole("how many digits are taken away", 0, 32, default=0),
    "prefix": Text("digits put before what is left", pattern=r"[0-9*#]{0,20}", hint="give digits only", default="")})

TRUNK_GROUP = Section("interchangeable trunks", {
    "name": name("the name used in routes"),
    "label": Text("what pages show", default=""),
    "selection": Text("which free trunk goes first; opposite: the other way round than the far end, whose order is learnt from its calls", choices=SELECTIONS,
                      default="ascending"),
    "channel": Text("whether the far end may choose another timeslot than ours (Q.931 5.1.2)",
                    choices=("exclusive", "preferred"), default="exclusive"),
    "caller": Text("whose number outgoing calls show: the calling line's (a caller's from outside as it came), "
                   "always the group's, or none", choices=outside.CALLERS, default="line"),
    "caller_number": Number("the group's own number", pattern=r"[0-9]{0,20}", hint="give digits only", default=""),
    "caller_type": Text("the type of number of ours that is shown (Q.931 4.5.10)", choices=outside.TYPES, default="unknown"),
    "withhold": Switch("ask the network not to show the number", default=False),
    "caller_rules": Rows("how callers' numbers that come in by PRI, SS7 and CAS are written for pages, lists of callers and callbacks, for example a 0 before national "
                         "ones; what came is kept, and goes on where the call leaves again", CALLER_RULE, most=64),
    "redirecting": Switch("tell the network which number of ours a call from outside was for, when it goes out again",
                          default=True),
    "classes": Several("what callers that come in on this group may dial to the outside; empty: emergency numbers only, see `emergency`",
                       CALLED_CLASSES, default=[]),
    "emergency": Text("what its callers get who dial an emergency number: allowed, as telephones of ours, whatever `classes` says; guests, only a circuit that "
                      "is free; refused, nothing: by order of who answers for it", choices=outside.HELP, default=outside.HELPED),
    "feature_codes": Switch("callers whose number is that of a line's home telephone, as it is called over this group, may dial feature_codes as at a phone of ours, "
                            "such as the numbers of a PBX that registers here; a log-in wants an agent with a code", default=False),
    "data_calls": Switch("carry data calls (64 kbit/s unrestricted, Q.931 4.5.5) from trunk to trunk, bit exact; only PRI and SS7 can", default=False),
    "reserved": Whole("how many free trunks are kept for emergency calls: no other call goes out when there are no more than these", 0, 64,
                      default=0),
    "enhancement": Section("what is done to the sound that comes in; all off: bit exact", ENHANCEMENT),
    "fax_detection": Switch("listen for fax machines and modems on calls that come in (CNG of ITU-T T.30, tones of V.25 and V.21)",
                            default=False),
    "progress_detection": Switch("calls out: busy, congestion and vacant tone end the attempt, ringing tone counts as ringing; for trunks that do "
                                 "not signal it", default=False),
    "answer_detection": Text("calls out: who answers, a person or a machine; note: recorded, people: machines are hung up on before "
                             "the caller is through, which takes one to six seconds", choices=("off", "note", "people"), default="off"),
    "hold": Switch("let the far end of an etsi span hold its calls (HOLD and RETRIEVE of EN 300 141) and, where we are its network, have two of them "
                   "joined (EN 300 369)", default=True),
    "connected_number": Switch("tell callers from outside who answered (COLP, EN 300 097): the number that the answering line would show, or what "
                               "came with the answer of a call that was passed on", default=False),
    "overlap_receiving": Switch("accept numbers digit by digit", default=True),
    "overlap_sending": Text("pass numbers on digit by digit (Q.931 5.1.3, PRI of etsi and qsig): off, numbers go out whole; trunks, for callers of trunks "
                            "who dial so; telephones, for ours too, whose keys are digits until the far end has enough", choices=outside.OVERLAPS,
                            default="off")})

NUMBER = Section("a number that the carrier delivers to us", {
    "number": Number("the digits as they arrive in the called number", pattern=DIGITS,
                   hint="give digits only", required=True),
    "label": Text("the number that people dial", default=""),
    "application": Text("what answers", choices=("ivr", "queue", "agent", "line", "mailbox", "duty", "outside", "test"), required=True),
    "target": Text("the flow, queue, agent, line, mailbox or chain of persons on duty that answers, or the number to dial to the outside; of a test "
                   "number what is heard: milliwatt_1004, milliwatt_1020 (0 dBm0) or loop",
                   pattern=r"[A-Za-z0-9_.*#+-]{1,32}", hint="use letters, digits, dot, dash and underline, at most 32",
                   required=True),
    "fax_to": acd.FAX_TO})

CHOICE = Section("a way to the outside", {
    "trunk_group": Text("the trunk group", pattern=NAME, required=True),
    "strip": Whole("how many dialled digits are taken away", 0, 31, default=0),
    "prefix": Number("digits put before what is left", pattern=r"\+?[0-9*#]{0,20}", hint="give digits only", default=""),
    "type": Text("the type of number that is sent (Q.931 4.5.8)", choices=outside.TYPES, default="unknown"),
    "plan": Text("the numbering plan that is sent", choices=outside.PLANS, default="isdn"),
    "days": Text("the days on which it is open, 1 Monday to 7 Sunday", pattern=r"[1-7]{1,7}",
                 hint="give digits from 1 to 7, for example 12345", default=outside.ALL_DAYS),
    "from": Text("from when on", pattern=CLOCK, hint="give hours and minutes, for example 08:30", default="00:00"),
    "to": Text("until when; before `from`: over midnight", pattern=CLOCK, hint="give hours and minutes, for example 18:00",
               default="24:00"),
    "areas": Text("only for numbers of these areas: area codes or provinces of `areas`, with commas between them; empty: for all", default=""),
    "mobile_zero": Switch("mobile numbers of other areas than the site's go out with a 0 before them, those of its own without (China)", default=False)})

AREA = Section("an area of numbers: a city or district with a code of its own", {
    "code": Number("the area code with its 0", pattern=r"0[0-9]{2,3}", hint="for example 021 or 0755", required=True),
    "label": Text("what pages show", default=""),
    "province": Text("the province", pattern=r"[^,]*", hint="without commas", default=""),
    "mobile": Text("the first seven digits of the mobile numbers of this area: blocks and ranges of blocks", max_octets=200000,
                   pattern=r"(1[3-9][0-9]{5}(-1[3-9][0-9]{5})?(,1[3-9][0-9]{5}(-1[3-9][0-9]{5})?)*)?", hint="for example 1391700-1391799,1381600", default="")})

ROUTE = Section("where a number that is dialled goes to the outside", {
    "number": Number("the digits as dialled: x any digit, . at the end any further digits; the longest match wins",
                   pattern=r"\+?[0-9*#x]{1,32}\.?", hint="for example 00. or 013xxxxxxxxx", required=True),
    "label": Text("what pages show", default=""),
    "class": Text("the kind of call, for permissions; everybody may call emergency numbers", choices=CALLED_CLASSES,
                  default=outside.NATIONAL),
    "hunt_limit": Whole("how many trunks are tried for one call", 1, 30, default=outside.HUNT_LIMIT),
    "choices": Rows("the ways, the first choice first", CHOICE, most=16, required=True)})

HOURS = Section("hours on some days of the week", {
    "days": Text("the days, 1 Monday to 7 Sunday", pattern=r"[1-7]{1,7}",
                 hint="give digits from 1 to 7, for example 12345", default=outside.ALL_DAYS),
    "from": Text("from when on", pattern=CLOCK, hint="give hours and minutes, for example 08:30", default="00:00"),
    "to": Text("until when; before `from`: over midnight", pattern=CLOCK, hint="give hours and minutes, for example 18:00",
               default="24:00")})

RELAX = Section("a step by which callers come to need less", {
    "after_s": Whole("after this wait, in other queues included", 1, 86400, unit="s", required=True),
    "less": Whole("by how much each level that is needed goes down; at 0 the skill is not needed", 1, MAX_LEVEL, default=1)})

OVERFLOW = Section("where callers go whom the queue cannot serve, or not soon enough", {
    "when": Text("wait: after `limit` seconds in the queue, and at the entry waiting: `limit` callers wait; longest_wait: "
                 "somebody waits for `limit` seconds; expected_wait: the wait will be `limit` seconds; no_agents: nobody is logged in (also later); closed: outside `hours`; "
                 "full: `max_waiting` callers wait", choices=overflow.WHEN, required=True),
    "limit": Whole("callers or seconds, for wait, waiting, longest_wait and expected_wait", 0, 86400, default=0),
    "to": Text("the kind of target; another queue keeps the waiting time", choices=("queue", "flow", "mailbox", "duty"), default="queue"),
    "target": name("the queue, flow, mailbox or chain of persons on duty")})

QUEUE = Section("callers waiting", {
    "name": name("the name used in flows"),
    "label": Text("what pages show", default=""),
    "strategy": Text("which of the ready agents of the best tier goes first: longest_idle; least_calls and least_occupied "
                     "(today); round_robin and linear in the order of the agents; most_skilled and least_skilled by "
                     "what the caller needs; fewest_customers (different callers today); weighted_share by the members' weight; "
                     "ring_all: the telephones of all ring", choices=tuple(sorted(STRATEGIES)), default="longest_idle"),
    "last_agent_days": Whole("how long a caller is given to the agent of the last call, if ready; 0: not at all", 0, 366,
                             unit="days", default=0),
    "priority": Whole("of its callers; higher ones are served earlier by agents of several queues", 0, 9, default=0),
    "skills": Table("the skills that its callers need, with the lowest level",
                    Whole("the lowest level", 1, MAX_LEVEL)),
    "relax": Rows("how callers come to need less while they wait", RELAX, key="after_s", most=16),
    "hours": Rows("when callers are taken; empty: always", HOURS, most=32),
    "max_waiting": Whole("how many callers may wait; 0: any number", 0, 100000, default=0),
    "overflow": Rows("where callers go whom the queue cannot serve, or not soon enough; the first that fits", OVERFLOW, most=16),
    "music": Text("what callers hear", pattern=MUSIC, default="default",
                  hint="use letters, digits, dot, dash and underline, at most 60"),
    "announce_position_s": Whole("how often the position is told; 0: never", 0, 3600, unit="s", default=20),
    "max_wait_s": Whole("after which a caller leaves the queue", 5, 86400, unit="s", default=1800),
    "offer_timeout_s": Whole("how long an agent's phone rings", 3, 120, unit="s", default=15),
    **acd.QUEUE_FIELDS,
    **callers.QUEUE_FIELDS,
    **desk.QUEUE_FIELDS,
    "short_abandon_s": Whole("who leaves sooner counts as short, not as abandoned", 0, 60, unit="s", default=5),
    "service_level_abandons": Text("how the service level counts those who left within T: ignore N/(O-A), negative N/O, "
                                   "positive (N+A)/O", choices=("ignore", "negative", "positive"), default="ignore"),
    "service_level_s": Whole("the threshold T of the service level", 1, 600, unit="s", default=20)})

MEMBERSHIP = Section("an agent in a queue", {
    "queue": name("the queue"),
    "level": Whole("the tier: 1 is asked first", 1, 9, default=1),
    "weight": Whole("the share of the calls, where the strategy is weighted_share", 1, 100, default=10)})

AGENT = Section("a person who answers calls", {
    "name": name("the log-in name"),
    "label": Text("what pages show", default=""),
    "queues": Rows("the queues the agent serves", MEMBERSHIP, key="queue"),
    "skills": Table("what the agent can do, with the level", Whole("the level, 1 some to 10 all", 1, MAX_LEVEL)),
    "wrap_up_s": Whole("after-call work before the next call", 0, 3600, unit="s", default=5),
    **acd.AGENT_FIELDS,
    "initial_status": Text("the status at the first start", choices=("available", "on_break", "logged_out"),
                           default="logged_out")})

LINE = Section("a SIP phone", {
    "name": name("the user name of the phone"),
    "enhancement": Section("what is done to the sound that comes from the phone; all off: bit exact",
                           {part: field for part, field in ENHANCEMENT.items() if part not in ("echo", "long_tail")}),
    "password": Secret("the password of the phone", pattern=r"\S{6,64}",
                       hint="use 6 to 64 characters without blanks", required=True),
    "home": home.HOME,
    "classes": Several("what may be called from it; emergency numbers always", outside.CLASSES, default=list(outside.LINE_CLASSES)),
    "encryption": Text("of its sound, by SRTP with keys in the signalling (SDES): off, optional (where the phone offers it), or "
                       "required (no call without)", choices=("off", "optional", "required"), default="off"),
    "codecs": Several("of its sound, the best first; all but PCMA and PCMU are transcoded here, which costs time of the tick; G729 is passed on between "
                      "two SIP legs that have it and needs another one beside it", sip.CODECS,
                      ordered=True, default=["PCMA", "PCMU"]),
    "g726_upper_first": Switch("its G726-32 has the first code in the upper half of an octet, as AAL2-G726-32 has it and RFC 3551 has not "
                               "(baresip, and others on spandsp)", default=False),
    "t38": sip.T38,
    "flash": sip.FLASH,
    "dtmf": sip.DTMF,
    "dead_s": sip.DEAD,
    "calls_most": Whole("how many calls it may make at a time; 0: any number", 0, 100, default=0),
    "call_waiting": Whole("how many further calls a phone that talks may have, held ones too: they ring there, and the phone knocks; 0: callers get busy. Calls "
                          "of queues never wait, nor calls to a home telephone", 0, 4, default=0),
    "outside_number": Number("the number that its calls to the outside show; empty: the trunk group's", pattern=r"[0-9]{0,20}",
                           hint="give digits only", default=""),
    "withhold": Switch("ask the network not to show the number", default=False)})

SCHEMA = Section("the configuration", {
    "revision": Whole("counts the changes", 0, 2**53, default=0),
    "site": Section("where the box stands", {
        "name": Text("the name on every page", default="Strowger"),
        "country": Text("whose tones and law apply", choices=("cn", "us", "uk", "eu", "itu", "de", "fr", "br"), default="cn",
                        impact=IMPACT_RESTART),
        "area": Number("the area code with its 0 of where the trunks are (China); empty: not known", pattern=r"(0[0-9]{2,3})?", hint="for example 021", default=""),
        "timezone": Zone("the IANA time zone", default="Asia/Shanghai"),
        "languages": Anything("languages of the prompts, in the order they are played",
                              default=["zh_CN", "en"])}),
    "sip": sip.SECTION,
    "web": listener("the web pages", 8443),
    "cti": listener("the CTI link", 7400),
    "spans": Rows("the spans in use", SPAN, key="span", most=64),
    "ss7": ss7.POINTS,
    "trunk_groups": Rows("the trunk groups", TRUNK_GROUP, key="name"),
    "sip_trunks": Rows("the trunks over IP", sip_trunk.SIP_TRUNK, key="name", most=256),
    "numbers": Rows("the numbers we answer", NUMBER, key="number"),
    "routes": Rows("the numbers that can be called outside", ROUTE, key="number"),
    "areas": Rows("areas of numbers, for routes that ask for them", AREA, key="code", most=400),
    "services": services.SERVICES,
    "ivr": Table("the flows", Anything("a flow, checked by firmware/ivr/flow.py")),
    "queues": Rows("the queues", QUEUE, key="name"),
    "agents": Rows("the agents", AGENT, key="name"),
    "lines": Rows("the SIP lines", LINE, key="name", most=2000),
    **acd.PARTS,
    "fax": fax.SECTION,
    **mailboxes.PARTS,
    **callers.PARTS,
    **desk.PARTS,
    **phones.PARTS,
    "retention": Section("how long is kept what no longer belongs to a call; sums of reports stay", {
        "journal_months": Whole("the journal, from which reports can be checked; 0: for ever", 0, 600, unit="months", default=13),
        "calls_months": Whole("the list of calls, and the faxes that were received in them; 0: for ever", 0, 600, unit="months", default=13)}),
    "trace": Section("what is kept of all signalling, the newest, for GET /v1/trace; without keys and passwords", {
        "signalling_mb": Whole("of D channels, signalling links and circuits; 0: nothing", 0, 65536, unit="MiB", default=512),
        "sip_mb": Whole("of SIP messages; 0: nothing", 0, 65536, unit="MiB", default=256)}),
    **people.PARTS,
    "turn_up": Section("proof of a span before it goes into service: what its acceptance test asks", {
        "number": Number("the number at the far end that answers test calls, best with a tone or in loop; empty: none", pattern=r"[0-9*#]{0,32}",
                       hint="give digits only", default=""),
        "least_erl_db": Whole("the echo of what answers must be so much weaker (G.168 counts on 6 dB)", 0, 60, unit="dB", default=6),
        "least_tone_dbm0": Whole("a test tone must arrive at least so loud", -60, 0, unit="dBm0", default=-30)}),
    **warnings.PARTS,
    "siprec": siprec.SIPREC,
    "tones": tones.TONES,
    "conference": Section("conversations of more than two", {
        "most": Whole("how many may take part, supervisors included", 3, 128, default=32),
        "loudest": Whole("how many are heard at once, the loudest; 0: all", 0, 16, default=0),
        "tones": Switch("a tone when somebody comes or goes", default=True),
        "announce": Text("what is heard besides the tone: nothing more, or the number of the line", choices=("tone", "line"), default="tone")}),
    "recording": Section("recording of calls", {
        "enabled": Switch("record every answered call", default=True),
        "format": Text("the form of the files: WAV in A-law, mu-law, 16-bit PCM, IMA ADPCM or G.726 of 16 to 40 kbit/s, or Dialogic VOX; "
                       "pages play each of them", choices=RECORDING_FORMATS, default="alaw"),
        "channels": Text("both sides apart in one file, or together; G.726 and VOX have one channel", choices=("stereo", "mono"), default="stereo"),
        "on_transfer": Text("when the call goes to somebody else: a new file, or a mark in the same one",
                            choices=("new_file", "mark"), default="new_file")})})


def _same_port(result):
    """ConfigErrors of parts that want to listen where another one listens."""
    errors, parts = [], list(LISTENERS)
    for index, part in enumerate(parts):
        for other in parts[:index]:
            here, there = result[part], result[other]
            addresses = (here["address"], there["address"])
            if LISTENERS[part] == LISTENERS[other] and here["port"] == there["port"] and (
                    addresses[0] == addresses[1] or any(address in ANY_ADDRESS for address in addresses)):
                errors.append(ConfigError(f"{part}.port", f"{LISTENERS[part].upper()} port {here['port']} is already used by "
                                          f"{other}.port on the same address; give each its own"))
    return errors


def _few(known):
    """Names for a sentence, which nobody reads with thousands of them."""
    return ", ".join(known[:SHOWN]) + (f" ({len(known) - SHOWN} more)" if len(known) > SHOWN else "") or "(none)"


def restarting(changes):
    """The paths among changes (see store.differences) that take effect only when the process restarts."""
    found = []
    for change in changes:
        field = SCHEMA
        for name in change["path"].split("."):
            field = field.fields.get(name) if isinstance(field, Section) else None
        if field is not None and field.impact == IMPACT_RESTART:
            found.append(change["path"])
    return found


def check(configuration, check_flow=None, clashes=()):
    """Check a whole configuration.

    configuration: plain data.  check_flow: called with (flow, path, names of the queues, of the
    agents, of the lines, of the flows, {service: kind}, whether what older versions took is refused, names of the mailboxes) and returns a list of ConfigError.  clashes: those of sip.clashes()
    that stay allowed; None: all, and names that older versions took (a file that is loaded).  Returns (the configuration
    with every default filled in, list of ConfigError)."""
    errors = []
    wrong = broken(configuration)
    if wrong is not None:
        return {}, [ConfigError(wrong[0] or "configuration", wrong[1])]
    result = SCHEMA.check(configuration, "", errors)
    if errors:
        return result, errors
    names = {part: {row["name"] for row in result[part]} for part in ("trunk_groups", "queues", "agents", "lines", "mailboxes", "duty")}
    names["ivr"] = set(result["ivr"])
    known = {part: _few(sorted(found)) for part, found in names.items()}

    def refer(path, value, part, what):
        if value not in names[part]:
            errors.append(ConfigError(path, f"there is no {what} {value!r}; add it or choose one of {known[part]}"))

    errors.extend(_same_port(result))
    errors.extend(sip.check(result, clashes))
    errors.extend(ConfigError(f"trace.{part}", f"{most} MiB are too few to cut anything from; give 0, which keeps nothing, or at least 8")
                  for part, most in sorted(result["trace"].items()) if 0 < most < 8)
    for part in ("lines", "agents", "queues", "trunk_groups") if clashes is not None else ():
        errors.extend(ConfigError(f"{part}[{i}].name", f"{row['name']!r} means a folder in the addresses of the REST interface; "
                                  "give a name with a letter or a digit") for i, row in enumerate(result[part]) if row["name"] in (".", ".."))
    for i, row in enumerate(result["spans"]):
        refer(f"spans[{i}].trunk_group", row["trunk_group"], "trunk_groups", "trunk group")
        if row["signalling"] == "pri" and row["type"] != "e1" and row["d_timeslot"] != 24:
            errors.append(ConfigError(f"spans[{i}].d_timeslot", "the D channel of a T1 or J1 span is timeslot 24; use 24"))
        if row["type"] != "e1" and row["line_code"] == "ami" and row["signalling"] == "pri":
            errors.append(ConfigError(f"spans[{i}].line_code", "a PRI needs clear channels, which ami does not give; use standard"))
        errors.extend(cas.check_span(row, f"spans[{i}]"))
    for i, row in enumerate(result["trunk_groups"]):
        for j, rule in enumerate(row["caller_rules"]):
            if rule["strip"] > len(rule["number"].rstrip(".")):
                errors.append(ConfigError(f"trunk_groups[{i}].caller_rules[{j}].strip", f"takes {rule['strip']} digits away, but the number may have only "
                                          f"{len(rule['number'].rstrip('.'))}; take away less"))
        whole = [span["span"] for span in result["spans"] if span["trunk_group"] == row["name"] and span["signalling"] == "pri"
                 and span["variant"] not in OVERLAP_VARIANTS]
        if row["overlap_sending"] != "off" and whole:
            errors.append(ConfigError(f"trunk_groups[{i}].overlap_sending", f"span {whole[0]} is of a variant that sends numbers whole; "
                                      "use off, or give etsi and qsig spans a group of their own"))
    errors.extend(pri.check(result))
    errors.extend(sip_trunk.check(result, names["trunk_groups"]))
    errors.extend(ss7.check(result))
    errors.extend(bearer.check(result))
    errors.extend(tones.check(result))
    for i, row in enumerate(result["numbers"]):
        part, what = {"ivr": ("ivr", "flow"), "queue": ("queues", "queue"), "line": ("lines", "line"),
                      "agent": ("agents", "agent"), "mailbox": ("mailboxes", "mailbox"), "duty": ("duty", "chain of persons on duty"), "outside": (None, None), "test": (None, None)}[row["application"]]
        if row["application"] == "test" and row["target"] not in TEST_SOUNDS:
            errors.append(ConfigError(f"numbers[{i}].target", f"a test number plays one of {', '.join(TEST_SOUNDS)}; choose one of them"))
        if part is not None:
            refer(f"numbers[{i}].target", row["target"], part, what)
    for i, row in enumerate(result["routes"]):
        for j, choice in enumerate(row["choices"]):
            refer(f"routes[{i}].choices[{j}].trunk_group", choice["trunk_group"], "trunk_groups", "trunk group")
    if not errors:
        try:
            Router(result)
        except ConfigError as error:
            errors.append(error)
    for i, row in enumerate(result["queues"]):
        for j, rule in enumerate(row["overflow"]):
            here = f"queues[{i}].overflow[{j}]"
            refer(f"{here}.target", rule["target"], {"flow": "ivr", "mailbox": "mailboxes", "duty": "duty"}.get(rule["to"], "queues"), rule["to"])
            if rule["to"] == "queue" and rule["target"] == row["name"]:
                errors.append(ConfigError(f"{here}.target", "is the queue itself; choose another one"))
            if rule["when"] in overflow.LIMITED and rule["limit"] == 0:
                errors.append(ConfigError(f"{here}.limit", f"is missing; {rule['when']!r} needs a number from 1 on"))
    for part in ("queues", "agents"):
        for i, row in enumerate(result[part]):
            for skill in row["skills"]:
                if not re.fullmatch(NAME, skill):
                    errors.append(ConfigError(f"{part}[{i}].skills.{skill}", "is no name of a skill; use letters, digits, dot, "
                                              "dash and underline, at most 32"))
    for i, row in enumerate(result["agents"]):
        if row["line"]:
            refer(f"agents[{i}].line", row["line"], "lines", "line")
        for j, member in enumerate(row["queues"]):
            refer(f"agents[{i}].queues[{j}].queue", member["queue"], "queues", "queue")
    used = {}
    for i, row in enumerate(result["agents"]):
        if row["line"] and row["line"] in used:
            errors.append(ConfigError(f"agents[{i}].line", f"line {row['line']!r} already belongs to agent "
                                      f"{used[row['line']]!r}; a phone has one agent"))
        used[row["line"]] = row["name"]
    errors.extend(acd.check(result))
    errors.extend(services.check(result, clashes is None))
    errors.extend(siprec.check(result, names["queues"], names["trunk_groups"]))
    recording = result["recording"]
    if recording["channels"] == "stereo" and recording["format"].startswith(("g726", "vox")):
        errors.append(ConfigError("recording.channels", f"files in {recording['format']} have one channel; use mono, or another format"))
    errors.extend(mailboxes.check(result))
    errors.extend(phones.check(result))
    errors.extend(callers.check(result))
    errors.extend(desk.check(result))
    errors.extend(people.check(result))
    errors.extend(home.check(result))
    errors.extend(warnings.check(result))
    languages = result["site"]["languages"]
    if not isinstance(languages, list) or not languages or any(x not in LANGUAGES for x in languages):
        errors.append(ConfigError("site.languages", 'give a list of "zh_CN" and "en", at least one'))
    if check_flow:
        for flow_name, flow in result["ivr"].items():
            errors.extend(check_flow(flow, f"ivr.{flow_name}", names["queues"], names["agents"], names["lines"], names["ivr"], services.kinds(result),
                                     clashes is not None, {row["name"] for row in result["mailboxes"]}))
    return result, errors
