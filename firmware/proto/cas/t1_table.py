"""Tables of the T1 robbed-bit line signalling: E&M, loop start, ground start.

Codes (A B; C D repeat A B with extended superframe), ANSI T1.403.02, checked
against what DAHDI's robbed-bit drivers send and expect:

    E&M, both directions        on-hook 0 0, off-hook 1 1 (E1: on-hook 0 0 0 1, off-hook 1 1 0 1, as DAHDI has it)
    station to office (we are   loop open 0 1, loop closed 1 1, ring ground 0 0 (ground start)
    "FXO": we look like one)
    office to station           loop start: idle 0 1, ringing 0 0, feed open 1 1
    (we are "FXS")              ground start: no tip ground 1 1, tip ground 0 1, ringing 0 0

Times: GR-506-CORE (LSSGR, signalling for analogue interfaces) and TIA-464 as
commonly cited; "ours" where no standard's figure is at hand.
"""

from firmware.proto.machine import transitions

# name: (default ms, source, what it does)
TIMERS = {
    "RECOGNITION": (15, "ours: below a dial pulse's make of 33 ms", "a pattern must stand so long"),
    "T_START_DELAY": (150, "GR-506: at least 65 ms", "immediate start: from our seizure to the first digit"),
    "T_WINK_WAIT": (5000, "GR-506: 4 s and more", "no start signal: the trunk is given up"),
    "T_WINK_MIN": (100, "GR-506: wink 100 to 350 ms is accepted", "a shorter off-hook is a hit"),
    "T_WINK_MAX": (350, "GR-506: wink 100 to 350 ms is accepted", "a longer off-hook is glare or an answer"),
    "T_DELAY_MAX": (5000, "ours", "delay dial: the far end stays off-hook"),
    "T_WINK_DELAY": (150, "GR-506: at least 100 ms after the seizure", "before our wink"),
    "T_WINK": (200, "GR-506: 140 to 290 ms", "length of our wink"),
    "T_AFTER_WINK": (100, "GR-506: at least 70 ms", "from the end of the wink to the first digit"),
    "T_DISCONNECT": (300, "GR-506: 150 to 400 ms", "on-hook so long is a disconnect; below it is a dial pulse"),
    "T_GUARD": (800, "GR-506: at least 750 ms", "no seizure of ours so soon after a release"),
    "T_RELEASE": (30000, "ours", "the far end stays off-hook: tell maintenance"),
    "T_BREAK": (60, "Q.31, EIA-464: 10 pulses a second, 58 to 64 % break", "dial pulse: break that we send"),
    "T_MAKE": (40, "the same", "dial pulse: make that we send"),
    "T_PAUSE": (700, "EIA-464: 600 to 900 ms", "dial pulse: between digits that we send"),
    "T_DIGIT_END": (200, "EIA-464: 150 to 300 ms without a break", "dial pulse: the digit is complete"),
    "T_DIAL_TONE": (1000, "ours: EIA-464 wants dial tone within 3 s", "loop and ground start: wait before the first digit"),
    "T_TIP_GROUND": (5000, "ours", "ground start: no tip ground, no line"),
    "T_RING_ON": (2000, "North American cadence 2 s / 4 s", "ringing that we send"),
    "T_RING_OFF": (4000, "North American cadence 2 s / 4 s", "pause of the ringing that we send"),
    "T_RING_GONE": (6500, "ours: longer than a pause of 6 s", "no ringing any more: the caller has gone"),
    "T_OPEN": (800, "GR-506: open switching interval 600 ms to 1 s", "loop start: feed open tells the station to clear"),
}

IDLE = "IDLE"
GUARD = "GUARD"
BLOCKED = "BLOCKED"                 # by us: off-hook (E&M); what makes a line busy (loop and ground start)
# Outgoing
SEIZING = "SEIZING"                 # wait for the start signal
STARTING = "STARTING"               # the far end is off-hook: a wink, a delay, or glare
START_DELAY = "START_DELAY"         # before the first digit
DIALLING = "DIALLING"               # and until the answer
BREAK = "BREAK"                     # dial pulses that we send
MAKE = "MAKE"
ACK_WINK = "ACK_WINK"               # off-hook after the digits: a wink (feature group D), or the answer
ANSWERED = "ANSWERED"
CLEARED_BACK = "CLEARED_BACK"       # on-hook after answer, as long as T_DISCONNECT
RELEASING = "RELEASING"
# Incoming
SEIZED = "SEIZED"
WINKING = "WINKING"
RECEIVING = "RECEIVING"
PULSE = "PULSE"                     # on-hook: a dial pulse, or a disconnect
ANSWER_SENT = "ANSWER_SENT"
ENDING = "ENDING"                   # on-hook after answer, as long as T_DISCONNECT
HELD = "HELD"                       # we are on-hook, the far end is not yet
CLEARED = "CLEARED"                 # the far end is on-hook, the layer above has not let go
# Loop and ground start
RING_GROUND = "RING_GROUND"
RINGING = "RINGING"
IGNORING = "IGNORING"               # the office rings, and we shall not answer
OPEN = "OPEN"

OUTGOING = (SEIZING, STARTING, START_DELAY, DIALLING, BREAK, MAKE, ACK_WINK, ANSWERED, CLEARED_BACK)
INCOMING = (SEIZED, WINKING, RECEIVING, PULSE, ANSWER_SENT, ENDING)

EM = transitions((
    # states, input, action, next state, source
    (IDLE, "seize_request", "_seize", SEIZING, "E&M seizure"),
    (IDLE, "0", None, None, "E&M idle"),
    ((IDLE, GUARD), "1", "_seized", SEIZED, "E&M seizure"),
    (GUARD, "0", None, None, "E&M idle"),
    (GUARD, "T_GUARD", "_idle", IDLE, "GR-506 guard"),
    ((IDLE, GUARD), "block_request", "_block", BLOCKED, "E&M: off-hook makes the far end see it busy"),
    (BLOCKED, ("0", "1"), None, None, "E&M"),
    (BLOCKED, "unblock_request", "_unblock", None, "E&M"),

    (SEIZING, "0", None, None, "E&M: the far end is on-hook"),
    (SEIZING, "1", "_off_hook", STARTING, "GR-506 start signals"),
    (SEIZING, "T_START_DELAY", "_start_dialling", DIALLING, "GR-506 immediate start"),
    (SEIZING, "T_WINK_WAIT", "_no_start", RELEASING, "GR-506 start signals"),
    (STARTING, "0", "_start_signal", None, "GR-506 wink, delay dial"),
    (STARTING, "T_WINK_MAX", "_glare", None, "GR-506 glare"),
    (STARTING, "T_DELAY_MAX", "_no_start", RELEASING, "GR-506 delay dial"),
    (START_DELAY, "T_AFTER_WINK", "_start_dialling", DIALLING, "GR-506 wink"),
    (START_DELAY, "1", "_early_off_hook", STARTING, "GR-506: not a wink, it goes on"),
    (DIALLING, "1", "_off_hook_later", None, "GR-506 answer; feature group D acknowledgement wink"),
    (DIALLING, "0", None, None, "E&M"),
    (DIALLING, "pulse_request", "_pulse_digit", BREAK, "EIA-464 dial pulse"),
    (BREAK, "T_BREAK", "_make", MAKE, "EIA-464 dial pulse"),
    (MAKE, "T_MAKE", "_next_pulse", None, "EIA-464 dial pulse"),
    (MAKE, "T_PAUSE", "_pulsed", DIALLING, "EIA-464 dial pulse"),
    ((BREAK, MAKE), ("0", "1"), None, None, "EIA-464: supervision waits for the digit"),
    (ACK_WINK, "0", "_ack_wink", DIALLING, "GR-690 feature group D"),
    (ACK_WINK, "T_WINK_MAX", "_answered", ANSWERED, "GR-506 answer"),
    (ANSWERED, "0", "_on_hook", CLEARED_BACK, "GR-506 disconnect"),
    (CLEARED_BACK, "1", "_hit", ANSWERED, "GR-506: shorter than a disconnect"),
    (CLEARED_BACK, "T_DISCONNECT", "_cleared_back", None, "GR-506 disconnect"),
    (OUTGOING, "release_request", "_release", RELEASING, "E&M disconnect"),
    (RELEASING, "0", "_released", GUARD, "E&M disconnect"),
    (RELEASING, "T_RELEASE", "_release_late", None, "ours"),
    (RELEASING, ("1", "release_request"), None, None, "E&M disconnect"),

    (SEIZED, "T_WINK_DELAY", "_wink", WINKING, "GR-506 wink"),
    (SEIZED, "T_START_DELAY", "_ready", RECEIVING, "GR-506 delay dial: on-hook when the register is there"),
    (WINKING, "T_WINK", "_wink_over", RECEIVING, "GR-506 wink"),
    (RECEIVING, "0", "_break", PULSE, "EIA-464 dial pulse, or disconnect"),
    (RECEIVING, "1", None, None, "E&M"),
    (PULSE, "1", "_pulse", RECEIVING, "EIA-464 dial pulse"),
    (PULSE, "T_DISCONNECT", "_cleared_forward", CLEARED, "GR-506 disconnect"),
    (RECEIVING, "T_DIGIT_END", "_digit", None, "EIA-464 dial pulse"),
    (RECEIVING, "wink_request", "_wink", WINKING, "GR-690 feature group D"),
    ((RECEIVING, PULSE), "answer_request", "_answer", ANSWER_SENT, "GR-506 answer"),
    (ANSWER_SENT, "0", "_on_hook", ENDING, "GR-506 disconnect"),
    (ANSWER_SENT, "1", None, None, "E&M"),
    (ENDING, "1", "_hit", ANSWER_SENT, "GR-506: shorter than a disconnect"),
    (ENDING, "T_DISCONNECT", "_cleared_forward", CLEARED, "GR-506 disconnect"),
    ((SEIZED, WINKING), "0", "_abandoned", CLEARED, "E&M: given up before the start signal"),
    (INCOMING, "release_request", "_hold", HELD, "E&M: on-hook, and wait for the far end"),
    (HELD, "0", "_far_released", GUARD, "E&M disconnect"),
    (HELD, "T_RELEASE", "_release_late", None, "ours"),
    (HELD, ("1", "release_request"), None, None, "E&M"),
    (CLEARED, "release_request", "_let_go", GUARD, "E&M disconnect"),
    (CLEARED, ("0", "1"), None, None, "E&M: the far end may seize again when we are on-hook and idle"),
    (CLEARED, ("answer_request", "wink_request"), None, None, "a request that crosses the disconnect"),
    ((WINKING, SEIZED), "answer_request", None, None, "too early; the layer above asks when digits are in"),
))

# We are the station (channel bank FXO towards a central office).  Inputs: what the office sends.
STATION = transitions((
    (IDLE, "seize_request", "_seize", None, "loop start: close; ground start: ring ground"),
    (IDLE, ("00", "tip_ground"), "_rung", RINGING, "ringing; ground start: tip ground is the seizure"),
    (IDLE, ("01", "11"), None, None, "idle"),
    (GUARD, "T_GUARD", "_idle", IDLE, "ours"),
    (GUARD, ("01", "11", "00", "tip_ground"), None, None, "ours"),
    ((IDLE, GUARD), "block_request", "_block", BLOCKED, "ours: loop closed, or ring ground; an office does not ring a busy line"),
    (BLOCKED, ("01", "11", "00"), None, None, "ours: the office may give dial tone, howler, and take it away"),
    (BLOCKED, "tip_ground", "_stay_busy", None, "ground start: the line is given; the loop is closed and stays so"),
    (BLOCKED, "unblock_request", "_unblock", None, "loop open"),
    (RING_GROUND, ("01", "tip_ground"), "_tip_grounded", START_DELAY, "ground start: tip ground, close the loop"),
    (RING_GROUND, "00", "_collision", None, "ground start: the office rings meanwhile"),
    (RING_GROUND, "11", None, None, "ground start"),
    (RING_GROUND, "T_TIP_GROUND", "_no_line", GUARD, "ours"),
    (START_DELAY, "T_DIAL_TONE", "_start_dialling", DIALLING, "EIA-464 dial tone"),
    (DIALLING, "pulse_request", "_pulse_digit", BREAK, "EIA-464 dial pulse"),
    (BREAK, "T_BREAK", "_make", MAKE, "EIA-464 dial pulse"),
    (MAKE, "T_MAKE", "_next_pulse", None, "EIA-464 dial pulse"),
    (MAKE, "T_PAUSE", "_pulsed", DIALLING, "EIA-464 dial pulse"),
    ((START_DELAY, DIALLING, ANSWERED, ANSWER_SENT), ("11", "00"), "_feed_open", None, "feed open, or tip ground gone"),
    ((START_DELAY, DIALLING, ANSWERED, ANSWER_SENT), ("01", "tip_ground"), "_feed_back", None, "shorter than a disconnect"),
    ((START_DELAY, DIALLING, ANSWERED), "T_DISCONNECT", "_far_gone_out", None, "GR-506 disconnect"),
    (ANSWER_SENT, "T_DISCONNECT", "_far_gone_in", None, "GR-506 disconnect"),
    ((BREAK, MAKE), ("00", "01", "11", "tip_ground"), None, None, "supervision waits for the digit"),
    (DIALLING, "assume_answer", "_answered", ANSWERED, "loop start has no answer signal: ours"),
    ((RING_GROUND, START_DELAY, DIALLING, BREAK, MAKE, ANSWERED, ANSWER_SENT), "release_request", "_open_loop", GUARD,
     "loop open"),
    (RINGING, "00", "_rings", None, "ringing"),
    (RINGING, ("01", "tip_ground"), "_ring_pause", None, "ringing: the pause"),
    (RINGING, "11", "_no_tip_ground", None, "ground start: the office lets go; loop start: feed open"),
    (RINGING, "T_RING_GONE", "_abandoned", CLEARED, "ours"),
    (RINGING, "T_DISCONNECT", "_abandoned", CLEARED, "GR-506 disconnect"),
    (RINGING, "answer_request", "_answer", ANSWER_SENT, "loop closed"),
    (RINGING, "release_request", "_ring_pause", IGNORING, "a station can not refuse: it lets it ring"),
    (IGNORING, ("00", "01", "tip_ground"), "_ring_pause", None, "ours"),
    (IGNORING, ("11", "T_RING_GONE"), "_open_loop", GUARD, "ours"),
    (IGNORING, ("release_request", "answer_request"), None, None, "ours"),
    (CLEARED, "release_request", "_open_loop", GUARD, "loop open"),
    (CLEARED, ("00", "01", "11", "tip_ground", "answer_request"), None, None, "a request that crosses"),
))

# We are the office (channel bank FXS towards a station or a PBX).  Inputs: what the station sends.
OFFICE = transitions((
    (IDLE, "seize_request", "_ring", RINGING, "ringing"),
    (IDLE, "11", "_seized", RECEIVING, "loop closed"),
    (IDLE, "00", "_ring_grounded", RING_GROUND, "ground start: ring ground asks for the line"),
    (IDLE, "01", None, None, "loop open"),
    (GUARD, "T_GUARD", "_idle", IDLE, "ours"),
    (GUARD, ("00", "01", "11"), None, None, "ours"),
    ((IDLE, GUARD), "block_request", "_block", BLOCKED, "ours: feed open, and no tip ground whoever asks: no line to be had"),
    (BLOCKED, ("00", "01", "11"), None, None, "ours"),
    (BLOCKED, "unblock_request", "_unblock", None, "idle"),
    (RING_GROUND, "11", "_seized", RECEIVING, "ground start: loop closed"),
    (RING_GROUND, "01", "_ring_ground_gone", GUARD, "ground start: given up"),
    (RING_GROUND, ("00",), None, None, "ground start"),
    (RING_GROUND, "T_TIP_GROUND", "_ring_ground_gone", GUARD, "ours"),
    (RINGING, "11", "_ring_tripped", ANSWERED, "loop closed: answer"),
    (RINGING, "T_RING_ON", "_ring_off", None, "cadence"),
    (RINGING, "T_RING_OFF", "_ring", None, "cadence"),
    (RINGING, ("01", "00"), None, None, "loop open"),
    (RECEIVING, "01", "_break", PULSE, "EIA-464 dial pulse, or disconnect"),
    (RECEIVING, "T_DIGIT_END", "_digit", None, "EIA-464 dial pulse"),
    (RECEIVING, ("11", "00"), None, None, "loop closed"),
    (PULSE, "11", "_pulse", RECEIVING, "EIA-464 dial pulse"),
    (PULSE, "00", None, None, "EIA-464"),
    (PULSE, "T_DISCONNECT", "_cleared_forward", CLEARED, "GR-506 disconnect"),
    ((RECEIVING, PULSE), "answer_request", None, ANSWER_SENT, "loop start has no answer signal"),
    ((ANSWERED, ANSWER_SENT), "01", "_on_hook", None, "GR-506 disconnect"),
    ((ANSWERED, ANSWER_SENT), ("11", "00"), "_hit", None, "shorter than a disconnect"),
    (ANSWERED, "T_DISCONNECT", "_cleared_back", None, "GR-506 disconnect"),
    (ANSWER_SENT, "T_DISCONNECT", "_cleared_forward", CLEARED, "GR-506 disconnect"),
    (RINGING, "release_request", "_quiet", GUARD, "ringing ends"),
    ((RECEIVING, PULSE, ANSWERED, ANSWER_SENT), "release_request", "_feed_open", OPEN, "GR-506 open switching interval"),
    (OPEN, "T_OPEN", "_feed_again", HELD, "GR-506 open switching interval"),
    (OPEN, ("01", "11", "00"), None, None, "GR-506 open switching interval"),
    (HELD, "01", "_quiet", GUARD, "loop open"),
    (HELD, ("11", "00"), None, None, "the station is still off-hook: howler is for the layer above"),
    (HELD, "T_RELEASE", "_release_late", None, "ours"),
    (CLEARED, "release_request", "_quiet", GUARD, "loop open"),
    (CLEARED, ("01", "11", "00", "answer_request"), None, None, "a request that crosses"),
    ((OPEN, HELD), "release_request", None, None, "it is under way"),
))
