"""Tables of the R2 line signalling, digital version, both ends of a circuit.

The code, as Q.421 has it (A and B bit of each direction):

    state                   forward   backward
    idle (released)         1 0       1 0
    seized                  0 0       1 0
    seizure acknowledged    0 0       1 1
    answered                0 0       0 1
    clear-back              0 0       1 1
    release (clear-forward) 1 0       0 1 or 1 1, then 1 0 (release guard)
    blocked                 1 0       1 1
    forced release          0 0       0 0     (national, not in Q.421)

China No.1 (digital line signals of GB 3971) and the Latin American variants
use the same code with other C and D bits, and add what variant data says.
Clauses name the Recommendation and its subject; Q.400-Q.490 are those of the
Blue Book (1988).
"""

from firmware.proto.machine import transitions

# name: (default ms, source, what it does)
TIMERS = {
    "RECOGNITION": (20, "Q.422 recognition time of a transition, 20 +/- 7 ms", "a pattern must stand so long"),
    "T_SEIZE": (2000, "Q.422 seizing: 100 to 200 ms, with a satellite 1 to 2 s", "wait for the acknowledgement"),
    "T_ABANDON": (60000, "ours", "an unacknowledged seizure is taken back; Q.422 leaves it to maintenance"),
    "T_DOUBLE": (1250, "Q.422 double seizing: at least 1250 ms", "a seizure stands so long after a collision"),
    "T_GUARD": (100, "Q.422 both-way working: at least 100 ms of idle", "no seizure so soon after release"),
    "T_RELEASE": (10000, "ours", "the release guard is late: tell maintenance"),
    "T_METERING": (0, "national; 0: none", "longest metering pulse; a longer one is clear-back"),
    "T_PULSE": (150, "national, 150 ms; Brazil 150 +/- 30 ms", "metering pulse that we send"),
    "T_DOUBLE_ANSWER": (1000, "national (Brazil): 1 s", "answer, then clear-back for so long, then answer"),
}

IDLE = "IDLE"
GUARD = "GUARD"                     # idle, but not to be seized by us yet
BLOCKED = "BLOCKED"                 # by the far end
BLOCKING = "BLOCKING"               # by us
# We are the outgoing end
SEIZING = "SEIZING"
SEIZE_FAILED = "SEIZE_FAILED"       # no acknowledgement, or released before it: clear forward waits for it
DOUBLE = "DOUBLE"                   # both ends have seized
ACKNOWLEDGED = "ACKNOWLEDGED"
ANSWERED = "ANSWERED"
METERING = "METERING"
CLEARED_BACK = "CLEARED_BACK"
FORCED = "FORCED"
RELEASING = "RELEASING"
# We are the incoming end
SEIZED = "SEIZED"
ANSWER_SENT = "ANSWER_SENT"
PULSE_SENT = "PULSE_SENT"
DOUBLE_ANSWER = "DOUBLE_ANSWER"
CLEAR_BACK_SENT = "CLEAR_BACK_SENT"
FORCED_SENT = "FORCED_SENT"
CLEARED_FORWARD = "CLEARED_FORWARD"

FREE = (IDLE, GUARD, BLOCKED, BLOCKING)
CALLING = (ACKNOWLEDGED, ANSWERED, METERING, CLEARED_BACK, FORCED)
CALLED = (SEIZED, ANSWER_SENT, PULSE_SENT, DOUBLE_ANSWER, CLEAR_BACK_SENT, FORCED_SENT)
ALL = FREE + (SEIZING, SEIZE_FAILED, DOUBLE, RELEASING, CLEARED_FORWARD) + CALLING + CALLED

TABLE = transitions((
    # states, input, action, next state, clause
    (IDLE, "seize_request", "_seize", SEIZING, "Q.422 seizing"),
    ((IDLE, GUARD), "10", "_far_idle", None, "Q.421"),
    ((IDLE, GUARD, BLOCKED, BLOCKING), "00", "_seized", SEIZED, "Q.422 seizing"),
    ((IDLE, GUARD), "11", "_blocked", BLOCKED, "Q.422 blocking"),
    ((IDLE, GUARD, BLOCKED), "01", "_fault", None, "Q.421: b forward 1 is a fault at the outgoing end"),
    (BLOCKED, "10", "_unblocked", None, "Q.422 unblocking"),
    (BLOCKING, ("10", "11", "01"), None, None, "Q.422 blocking"),
    (GUARD, "T_GUARD", "_idle", IDLE, "Q.422 both-way working"),
    (FREE, "block_request", "_block", BLOCKING, "Q.422 blocking"),
    (BLOCKING, "unblock_request", "_unblock", None, "Q.422 unblocking"),

    (SEIZING, "10", None, None, "Q.422 seizing"),
    (SEIZING, "11", "_acknowledged", ACKNOWLEDGED, "Q.422 seizing"),
    (SEIZING, "00", "_collision", DOUBLE, "Q.422 double seizing"),
    (SEIZING, "01", "_answer_too_soon", SEIZE_FAILED, "Q.422 abnormal: no answer before the acknowledgement"),
    (SEIZING, "T_SEIZE", "_not_acknowledged", SEIZE_FAILED, "Q.422 seizing: alarm, the call goes elsewhere"),
    (SEIZING, "release_request", "_hold_seizure", SEIZE_FAILED, "Q.422: no clear-forward before the acknowledgement"),
    (SEIZE_FAILED, ("11", "01"), "_clear_forward", RELEASING, "Q.422 seizing: late acknowledgement"),
    (SEIZE_FAILED, "10", None, None, "Q.422 seizing"),
    (SEIZE_FAILED, "00", "_collision_late", DOUBLE, "Q.422 double seizing"),
    (SEIZE_FAILED, ("T_ABANDON", "release_request"), "_abandon", None, "ours"),
    (DOUBLE, ("10", "11", "01", "00"), None, None, "Q.422 double seizing"),
    (DOUBLE, "T_DOUBLE", "_clear_forward", RELEASING, "Q.422 double seizing"),
    (DOUBLE, "release_request", None, None, "Q.422 double seizing"),

    ((ACKNOWLEDGED, CLEARED_BACK), "01", "_answered", ANSWERED, "Q.422 answering"),
    (ANSWERED, "11", "_clear_back_or_pulse", None, "Q.422 clear-back; national metering"),
    (ACKNOWLEDGED, "11", None, None, "Q.421"),
    (METERING, "01", "_metered", ANSWERED, "national metering"),
    (METERING, "T_METERING", "_cleared_back", CLEARED_BACK, "national metering: too long, it is clear-back"),
    ((ACKNOWLEDGED, ANSWERED, METERING, CLEARED_BACK), "00", "_forced", FORCED, "national forced release"),
    (FORCED, ("00", "01", "11"), None, None, "national forced release"),
    (CALLING, "10", "_far_gave_up", RELEASING, "Q.422 abnormal: idle at the incoming end in a call"),
    (CALLING, "release_request", "_clear_forward", RELEASING, "Q.422 clear-forward"),
    (RELEASING, "10", "_released", GUARD, "Q.422 release guard"),
    (RELEASING, ("11", "01", "00"), None, None, "Q.422 clear-forward"),
    (RELEASING, "T_RELEASE", "_release_late", None, "ours"),
    (RELEASING, "release_request", None, None, "Q.422 clear-forward"),

    ((SEIZED, CLEAR_BACK_SENT), "answer_request", "_answer", ANSWER_SENT, "Q.422 answering"),
    (SEIZED, "double_answer_request", "_answer_twice", DOUBLE_ANSWER, "national: refuses collect calls"),
    (DOUBLE_ANSWER, "T_DOUBLE_ANSWER", "_second_answer", None, "national: refuses collect calls"),
    ((SEIZED, ANSWER_SENT, PULSE_SENT, DOUBLE_ANSWER), "clear_back_request", "_clear_back", CLEAR_BACK_SENT,
     "Q.422 clear-back"),
    (CALLED, "forced_release_request", "_force", FORCED_SENT, "national forced release"),
    (ANSWER_SENT, "meter_request", "_meter", PULSE_SENT, "national metering"),
    (PULSE_SENT, "T_PULSE", "_pulse_over", ANSWER_SENT, "national metering"),
    (CALLED, "10", "_clear_forward_seen", CLEARED_FORWARD, "Q.422 clear-forward"),
    (CALLED, ("00",), None, None, "Q.421"),
    (CALLED, ("11", "01"), "_fault", None, "Q.421: b forward 1 is a fault at the outgoing end"),
    (CLEARED_FORWARD, "release_request", "_release_guard", GUARD, "Q.422 release guard: when the equipment is free"),
    (CLEARED_FORWARD, ("10", "00", "11", "01"), None, None, "Q.422 clear-forward"),
    # A request that crosses the far end's clearing
    (CLEARED_FORWARD, ("answer_request", "clear_back_request", "forced_release_request", "meter_request",
                       "double_answer_request"), None, None, "Q.422 clear-forward"),
))
