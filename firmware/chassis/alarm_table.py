"""Every alarm of the box: severity, X.733 cause, times, what to do.

Sources.  Severities and causes: X.733 (02/92) 8.1.2.1 and 8.1.2.3, probable causes spelled as in X.721 and M.3100.
Times of the line alarms: G.7710 (persistency filter of fault causes) and T1.231 (DS1 failures): one is declared when its defect has lasted
2.5 s +/- 0.5 s and cleared when it has been absent for 10 s +/- 0.5 s; G.775 defines when the *defect* comes and goes (in
the framer) and has no such times; G.732 4.2 what follows from it at once (CONSEQUENT).  Times of the others: invented,
long enough not to answer a glitch.

`together`: failures of one kind at several sources are one alarm with members."""

DECLARE_MS, CLEAR_MS = 2200, 10_000        # the looks at framers and list (0.2 s each) and the grouping (0.3 s) add to the first

# kind, severity, X.733 type, probable cause, declare ms, clear ms, what it means, what to do
ALARMS = (
    ("los", "critical", "communications", "lossOfSignal", DECLARE_MS, CLEAR_MS,
     "no signal from the line", "cable not plugged, receive pair broken, or the far end is switched off"),
    ("lfa", "critical", "communications", "lossOfFrame", DECLARE_MS, CLEAR_MS,
     "a signal comes, but no frames", "wrong line code or type at one end, or a loop"),
    ("ais", "critical", "communications", "aIS", DECLARE_MS, CLEAR_MS,
     "the far end or a multiplexer sends all ones", "the fault is beyond the next equipment: ask the carrier"),
    ("rai", "major", "communications", "farEndReceiverFailure", DECLARE_MS, CLEAR_MS,
     "the far end does not understand what we send", "transmit pair, or CRC-4 set at the far end only"),
    ("lmfa", "minor", "communications", "framingError", DECLARE_MS, CLEAR_MS,
     "CRC-4 multiframes do not come", "CRC-4 is set at our end only"),
    ("no_crc4", "warning", "communications", "framingError", DECLARE_MS, CLEAR_MS,
     "the far end sends no CRC-4; we go on without", "set CRC-4 alike at both ends"),
    ("cas_lfa", "major", "communications", "lossOfFrame", DECLARE_MS, CLEAR_MS,
     "no CAS multiframe in timeslot 16", "the far end uses timeslot 16 for something else"),
    ("cas_ais", "major", "communications", "aIS", DECLARE_MS, CLEAR_MS,
     "timeslot 16 is all ones", "the signalling equipment of the far end has failed"),
    ("cas_los", "major", "communications", "lossOfSignal", DECLARE_MS, CLEAR_MS,
     "timeslot 16 is all zeros", "the signalling equipment of the far end has failed"),
    ("cas_rai", "major", "communications", "farEndReceiverFailure", DECLARE_MS, CLEAR_MS,
     "the far end lost our CAS multiframe", "CAS is set at one end only"),
    ("transmit_open", "major", "communications", "transmitFailure", DECLARE_MS, CLEAR_MS,
     "nothing is connected to our transmit pair", "the far end hears nothing of us: look at the transmit pair from the plug to the patch panel"),
    ("transmit_short", "major", "communications", "transmitFailure", DECLARE_MS, CLEAR_MS,
     "our transmit pair is short-circuited", "look at the plug and the patch panel: two wires of the transmit pair touch"),
    ("weak", "minor", "communications", "degradedSignal", DECLARE_MS, CLEAR_MS,
     "the received signal is weak", "a long or bad cable, or a joint on one wire only; the text has the level and, in brackets, where it is lost"),
    ("excessive_errors", "major", "qualityOfService", "excessiveBER", 0, CLEAR_MS,
     "ten seconds in a row were severely errored", "a bad pair or connector; look at the performance page, loop the span"),
    ("slips", "minor", "qualityOfService", "timingProblem", 0, 60_000,
     "the line's clock and ours drift apart", "one end must follow the other: look at the clock sources"),
    ("card", "critical", "equipment", "equipmentMalfunction", 0, CLEAR_MS,
     "the card of this span does not answer", "the text says which; put it back, or load its driver: it is taken again by itself"),
    ("pw_stranger", "warning", "communications", "communicationsSubsystemFailure", 0, 60_000,
     "somebody else sends packets to this pseudowire", "the text says who; stop it there, or name it as far end in the span's bearer"),
    ("pw_mismatch", "major", "communications", "communicationsProtocolError", 1000, CLEAR_MS,
     "the far end's packets are not what is configured", "the text says how; set both ends alike"),
    ("looped", "warning", "communications", "communicationsSubsystemFailure", 0, 1000,
     "the line is looped: no calls go over it", "the text says who ordered it; strowger loop SPAN none ends it"),
    ("flapping", "minor", "communications", "communicationsSubsystemFailure", 0, 60_000,
     "a fault comes and goes without lasting", "a loose contact; it is not told each time"),
    ("linkset_lost", "critical", "communications", "communicationsSubsystemFailure", 1000, 3000,
     "no signalling link of the linkset carries traffic", "the text names the links; look at their spans, then ask the other exchange"),
    ("linkset_degraded", "major", "communications", "communicationsSubsystemFailure", 3000, 3000,
     "signalling links of the linkset carry no traffic", "the text names the links and why; strowger ss7 shows them, strowger ss7-link orders them"),
    ("restart_ignored", "minor", "communications", "communicationsProtocolError", 0, 1000,
     "the far end does not answer RESTART for channels of the span", "the text names them; ask the carrier whether they are blocked there, then strowger pri-channels SPAN restart"),
    ("one_way_audio", "major", "qualityOfService", "performanceDegraded", 0, 0,
     "a call has sound in one direction only", "the text names the leg and why; look at its network, NAT and firewalls"),
    ("sip_trunk_down", "critical", "communications", "communicationsSubsystemFailure", 1000, 2000,
     "a SIP trunk carries no calls", "the text says what its far end does; look at the network, its name in DNS, user and password"),
    ("sip_trunk_part", "minor", "communications", "communicationsSubsystemFailure", 3000, 2000,
     "a SIP trunk has lost some of its addresses", "calls go over the others; the text says which do not answer"),
    ("board", "critical", "equipment", "equipmentMalfunction", 1000, 2000,
     "the board does not answer", "the text says why; restart the box, then replace the board"),
    ("framer", "critical", "equipment", "equipmentMalfunction", 1000, 2000,
     "the framer of this span does not answer, or is another one", "the text says which; look at its card, then replace it: it is taken again by itself"),
    ("configuration", "major", "processingError", "configurationOrCustomizationError", 0, 0,
     "the span's settings cannot be used", "change them as the text says"),
    ("temperature_minor", "minor", "environmental", "temperatureUnacceptable", 5000, 30_000,
     "warmer than it should be", "look at the air filters and the room's cooling"),
    ("temperature_major", "major", "environmental", "temperatureUnacceptable", 2000, 30_000,
     "too hot: optional work is given up to make less heat", "cool the room now"),
    ("temperature_critical", "critical", "environmental", "temperatureUnacceptable", 0, 30_000,
     "so hot that the box switches itself off", "cool the room; it starts again when it is switched on"),
    ("derated", "major", "environmental", "temperatureUnacceptable", 0, 0,
     "the box was too hot: it takes fewer calls than it could", "calls that are up stay; cool the room, it takes all again a minute after it is cool"),
    ("fan_failed", "major", "equipment", "coolingFanFailure", 3000, 10_000,
     "a fan stands or is too slow", "replace the fan tray; the others run at full speed"),
    ("fans_failed", "critical", "equipment", "coolingFanFailure", 3000, 10_000,
     "more than one fan stands", "replace the fan tray at once"),
    ("psu_failed", "major", "equipment", "powerProblem", 1000, 5000,
     "a power supply gives no good power", "the text says why; check its mains, then replace it"),
    ("psu_absent", "minor", "equipment", "replaceableUnitMissing", 1000, 1000,
     "a power supply is not in its slot", "plug one in: a second failure would switch the box off"),
    ("clock_holdover", "minor", "equipment", "timingProblem", 5000, 5000,
     "no clock source is good: the box keeps the last frequency", "look at the spans that are clock sources"),
    ("clock_freerun", "major", "equipment", "timingProblem", 5000, 5000,
     "the box runs on its own oscillator: slips will come", "name a span that follows the network as clock source"),
    ("device", "major", "equipment", "equipmentMalfunction", 3000, 5000,
     "a part of the box does not answer", "the text says which, and what to look at"),
    ("identity", "warning", "processingError", "corruptData", 0, 0,
     "the box does not know its serial number", "the text says why; everything else works"),
)
KINDS = {row[0]: dict(zip(("kind", "severity", "type", "cause", "declare_ms", "clear_ms", "text", "advice"), row)) for row in ALARMS}
SEVERITIES = ("critical", "major", "minor", "warning", "cleared")        # X.733 8.1.2.3, worst first; indeterminate is not used

# G.732 table 2 (2048 kbit/s side): fault -> what the equipment does at once, without waiting for an alarm.
# "rai": RAI to the far end; "block": no calls on the span; "mute": idle code to the listeners
CONSEQUENT = {"los": ("rai", "block", "mute"), "lfa": ("rai", "block", "mute"), "ais": ("rai", "block", "mute"),
              "rai": ("block",), "cas_lfa": ("block",), "cas_ais": ("block",), "cas_los": ("block",), "cas_rai": ("block",)}
