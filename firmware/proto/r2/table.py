"""Tables of the R2 interregister signalling: timers, and the states of both registers.

The compelled cycle (Q.440): the outgoing register sends a forward signal until
it recognises a backward one; the incoming register sends that until it
recognises the end of the forward one; the outgoing register recognises its end
and goes on.  So each tone on and tone off is an input, and nothing else is timed
but the supervision.  Clauses: Q.440-Q.480 (1988).
"""

from firmware.proto.machine import transitions

# name: (default ms, source, what it does)
TIMERS = {
    "T1": (15000, "Q.476: 15 +/- 3 s", "outgoing: a forward signal without an answer"),
    "T2": (24000, "Q.476: at least 24 s", "outgoing: no forward signal is sent, or a backward one does not end"),
    "T3": (15000, "Q.476: 8 to 24 s", "incoming: no forward signal comes, or one does not end"),
    "T_DIGIT": (5000, "Q.471, Q.464: 4 to 6 s as recalled; ours", "incoming: no more digits, the number is complete"),
    "T_DECIDE": (10000, "ours, below T1 of the far end", "incoming: nobody knows yet whether the called line is free; it is called free"),
    "T_PULSE_DELAY": (100, "Q.442: at least 100 ms after the end of the last signal", "before a pulsed signal"),
    "T_PULSE": (150, "Q.442: 150 +/- 50 ms", "a pulsed backward signal"),
    "T_DEAF": (300, "Q.442: 300 +/- 100 ms from the start of the pulse", "incoming: forward signals are not recognised"),
    "T_ANSWER_DELAY": (150, "ours; 75 ms is the least by Q.475", "from the end of register signalling to the answer"),
}

# The outgoing register
IDLE = "IDLE"
SENDING = "SENDING"             # a forward signal is on
WAITING_END = "WAITING_END"     # a backward signal is on, ours is off
SILENT = "SILENT"               # no digit to send: for more, or for a pulsed signal
DONE = "DONE"
FAILED = "FAILED"

OUTGOING = transitions((
    # states, input, action, next state, clause
    (IDLE, "start", "_first_digit", SENDING, "Q.460: after the seizure is acknowledged"),
    (SENDING, "on", "_stop_signal", WAITING_END, "Q.440 compelled"),
    (SENDING, "off", None, None, "Q.440: the tail of the signal before"),
    (SENDING, "T1", "_no_answer", FAILED, "Q.476"),
    (WAITING_END, "off", "_act", None, "Q.440 compelled"),
    (WAITING_END, "on", "_changed", None, "Q.440: another signal without a gap; the last one counts"),
    (WAITING_END, "T2", "_stuck", FAILED, "Q.476"),
    (SILENT, "on", "_pulse", WAITING_END, "Q.442"),
    (SILENT, "off", None, None, "Q.442"),
    (SILENT, "digits", "_more", None, "Q.460: overlap"),
    ((SENDING, WAITING_END), "digits", None, None, "Q.460: overlap"),
    (SILENT, "T2", "_stuck", FAILED, "Q.476"),
    ((DONE, FAILED, IDLE), ("on", "off", "digits", "T1", "T2"), None, None, "Q.475"),
))

# The incoming register
LISTENING = "LISTENING"         # waits for a forward signal
DECIDING = "DECIDING"           # a forward signal is on and the layer above is asked
ANSWERING = "ANSWERING"         # a backward signal is on
GAP = "GAP"                     # before a pulsed signal
PULSING = "PULSING"
DEAF = "DEAF"                   # after a pulsed signal

INCOMING = transitions((
    (IDLE, "start", "_listen", LISTENING, "Q.460"),
    (LISTENING, "on", "_forward", None, "Q.440 compelled"),
    (LISTENING, "off", None, None, "Q.440"),
    (LISTENING, "T3", "_silence", None, "Q.476"),
    (LISTENING, "T_DIGIT", "_no_more_digits", None, "Q.464, Q.442"),
    (LISTENING, "pulse", "_gap", GAP, "Q.442"),
    (DECIDING, "answer", "_answer", ANSWERING, "Q.440 compelled"),
    # Q.440: it should stay until it is answered; who stops early hears a pulsed answer
    (DECIDING, "off", "_lost_forward", None, "Q.440, Q.442"),
    (DECIDING, "on", "_broken", FAILED, "Q.458: another signal without a gap"),
    (DECIDING, "T_DECIDE", "_undecided", None, "ours"),
    (DECIDING, "pulse", "_answer", ANSWERING, "Q.440: no pulse is needed"),
    (ANSWERING, "off", "_end_signal", None, "Q.440 compelled"),
    (ANSWERING, "on", "_broken", FAILED, "Q.458: another signal without a gap"),
    (ANSWERING, "T3", "_stuck", FAILED, "Q.476"),
    (ANSWERING, "pulse", None, None, "Q.442: the next forward signal hears it"),
    (GAP, "T_PULSE_DELAY", "_pulse", PULSING, "Q.442"),
    (GAP, ("on", "off"), None, None, "Q.442"),
    (PULSING, "T_PULSE", "_pulse_over", DEAF, "Q.442"),
    (PULSING, ("on", "off"), None, None, "Q.442: not recognised during the pulse"),
    (DEAF, ("on", "off"), None, None, "Q.442: nor 300 ms from its start"),
    (DEAF, "T_DEAF", "_after_pulse", None, "Q.442"),
    ((GAP, PULSING, DEAF), ("answer", "pulse"), None, None, "Q.442"),
    ((DONE, FAILED, IDLE), ("on", "off", "answer", "pulse", "T3", "T_DIGIT", "T_DECIDE", "T_DEAF"), None, None, "Q.475"),
))
