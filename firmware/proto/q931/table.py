"""The call state table of Q.931, user and network side.

A row: (sides, states, inputs, action, next state, clause).  States are the
numbers of Q.931 2.1; a number means the same moment on both sides:

    we send SETUP        user  1 -> 2 -> 3 -> 4 -> 10     network  6 -> 25 -> 9 -> 7 -> 10
    the far end does     user  6 -> 25 -> 9 -> 7 -> 8 -> 10    network  1 -> 2 -> 3 -> 4 -> 10
    we clear             user  11 -> 19 -> 0     network  12 -> 19 -> 0
    the far end clears   user  12 -> 19 -> 0     network  11 -> 19 -> 0

Inputs are messages (upper case), primitives of the layer above (lower case
with _request or _response), timers, and what happened to the data link.
Actions are methods of call.Call.  What is not listed is illegal: a message is
answered with STATUS (5.8.4), a primitive raises LocalError.

Source: Q.931 (05/1998) 5 and Annex A, EN 300 403-1.
"""

from firmware.proto.machine import transitions
from firmware.proto.q931 import codes

_CALLS = (1, 2, 3, 4, 6, 7, 8, 9, 10, 25)               # set-up or talking
_CLEARING = (11, 12, 19)
_LIVE = _CALLS + _CLEARING

ROWS = (
    # We originate: 5.1 on the user side, 5.2 on the network side
    ("U", 0, "setup_request", "send_setup", 1, "5.1.1"),
    ("N", 0, "setup_request", "send_setup", 6, "5.2.1"),
    ("U", 1, "SETUP_ACKNOWLEDGE", "setup_acknowledged", 2, "5.1.3"),
    ("N", 6, "SETUP_ACKNOWLEDGE", "setup_acknowledged", 25, "5.2.4"),
    ("U", (1, 2), "CALL_PROCEEDING", "proceeding", 3, "5.1.5"),
    ("N", (6, 25), "CALL_PROCEEDING", "proceeding", 9, "5.2.5.1"),
    ("U", (1, 2, 3), "ALERTING", "alerting", 4, "5.1.7"),
    ("N", (6, 25, 9), "ALERTING", "alerting", 7, "5.2.5.2"),
    ("U", (1, 2, 3, 4), "CONNECT", "connected", 10, "5.1.8"),
    # Our network side has nobody else to offer the call to: N8 ends in the same step.
    ("N", (6, 25, 9, 7), "CONNECT", "connected", 10, "5.2.7, 5.2.8"),
    ("UN", 10, "CONNECT", "connected_again", None, "ours: our CONNECT_ACKNOWLEDGE was lost"),
    ("U", (2, 3, 4), "PROGRESS", "progress", None, "5.1.6"),
    ("N", (25, 9, 7), "PROGRESS", "progress", None, "5.2.6"),
    ("U", 2, "information_request", "send_information", None, "5.1.3"),
    ("N", 25, "information_request", "send_information", None, "5.2.4"),

    # The far end originates: 5.2 on the user side, 5.1 on the network side
    ("U", 0, "SETUP", "take_setup", 6, "5.2.3"),
    ("N", 0, "SETUP", "take_setup", 1, "5.1.1"),
    ("U", 6, "setup_ack_request", "send_setup_acknowledge", 25, "5.2.4"),
    ("N", 1, "setup_ack_request", "send_setup_acknowledge", 2, "5.1.3"),
    ("U", 25, "INFORMATION", "more_digits", None, "5.2.4"),
    ("N", 2, "INFORMATION", "more_digits", None, "5.1.3"),
    ("U", (6, 25), "proceeding_request", "send_proceeding", 9, "5.2.5.1"),
    ("N", (1, 2), "proceeding_request", "send_proceeding", 3, "5.1.5"),
    ("U", (6, 25, 9), "alerting_request", "send_alerting", 7, "5.2.5.2"),
    ("N", (1, 2, 3), "alerting_request", "send_alerting", 4, "5.1.7"),
    ("U", (25, 9, 7), "progress_request", "send_progress", None, "5.2.6"),
    ("N", (2, 3, 4), "progress_request", "send_progress", None, "5.1.6"),
    ("U", (6, 25, 9, 7), "setup_response", "send_connect", 8, "5.2.7"),
    ("N", (1, 2, 3, 4), "setup_response", "send_connect", 10, "5.1.8"),
    ("U", 8, "CONNECT_ACKNOWLEDGE", "connect_acknowledged", 10, "5.2.8"),
    ("UN", 10, "CONNECT_ACKNOWLEDGE", None, None, "5.1.8: optional, and late ones do no harm"),

    # While the call is there
    ("U", (1, 2, 3, 4, 6, 7, 8, 9, 10), "INFORMATION", "information", None, "5.1.3, 7.1.4"),
    ("N", (1, 3, 4, 6, 7, 8, 9, 10, 25), "INFORMATION", "information", None, "5.1.3, 7.1.4"),
    ("UN", _LIVE, "NOTIFY", "notified", None, "5.9"),
    ("UN", (2, 3, 4, 7, 8, 9, 10, 25), "notify_request", "send_notify", None, "5.9"),
    ("UN", _LIVE, "FACILITY", "facility", None, "Q.932 6: only the caller's name is read"),
    ("UN", 10, "HOLD", "take_hold", None, "EN 300 141, Q.932 6.2: the far end holds"),
    ("UN", 10, "RETRIEVE", "take_retrieve", None, "EN 300 141, Q.932 6.2"),
    ("UN", tuple([n for n in _LIVE if n != 10]), "HOLD", "reject_hold", None, "Q.932 6.2"),
    ("UN", tuple([n for n in _LIVE if n != 10]), "RETRIEVE", "reject_retrieve", None, "Q.932 6.2"),
    ("UN", 10, "hold_request", "send_hold", None, "EN 300 196-1 7.1: we hold"),
    ("UN", 10, "HOLD_ACKNOWLEDGE", "hold_acknowledged", None, "EN 300 196-1 7.1"),
    ("UN", 10, "HOLD_REJECT", "hold_rejected", None, "EN 300 196-1 7.1"),
    ("UN", _LIVE, "THOLD", "hold_timeout", None, "EN 300 196-1 7.1"),
    ("UN", 10, "retrieve_request", "send_retrieve", None, "EN 300 196-1 7.2"),
    ("UN", 10, "RETRIEVE_ACKNOWLEDGE", "retrieve_acknowledged", None, "EN 300 196-1 7.2"),
    ("UN", 10, "RETRIEVE_REJECT", "retrieve_rejected", None, "EN 300 196-1 7.2"),
    ("UN", _LIVE, "TRETRIEVE", "retrieve_timeout", None, "EN 300 196-1 7.2"),
    ("UN", 10, "ect_request", "ask_ect", None, "EN 300 369-1 9.2"),
    ("UN", _LIVE, "TECT", "ect_timeout", None, "ours: see facility.py"),
    ("N", 10, "TJOIN", "join_timeout", None, "ours: see facility.py"),
    ("UN", 10, "mcid_request", "ask_mcid", None, "EN 300 130-1 9.2"),
    ("UN", _LIVE, "TMCID", "mcid_timeout", None, "ours: see facility.py"),

    # Clearing: 5.3
    ("U", (1, 2, 3, 4, 7, 8, 9, 10, 25), ("disconnect_request", "release_request"),
     "send_disconnect", 11, "5.3.3"),
    ("N", (2, 3, 4, 6, 7, 8, 9, 10, 25), ("disconnect_request", "release_request"),
     "send_disconnect", 12, "5.3.4"),
    ("U", 6, ("disconnect_request", "release_request"), "reject", 0, "5.2.5.1, 5.3.2 c"),
    ("N", 1, ("disconnect_request", "release_request"), "reject", 0, "5.1.4, 5.3.2 b"),
    ("UN", 0, ("disconnect_request", "release_request"), "forget", 0, "ours"),
    ("U", _CALLS, "DISCONNECT", "disconnected", 12, "5.3.4"),
    ("N", _CALLS, "DISCONNECT", "disconnected", 11, "5.3.3"),
    ("U", 12, ("disconnect_request", "release_request"), "send_release", 19, "5.3.4"),
    ("N", 11, ("disconnect_request", "release_request"), "send_release", 19, "5.3.3"),
    ("U", (11, 19), ("disconnect_request", "release_request"), None, None, "ours: clearing goes on"),
    ("N", (12, 19), ("disconnect_request", "release_request"), None, None, "ours: clearing goes on"),
    ("U", 11, "DISCONNECT", "send_release", 19, "5.3.5"),
    ("N", 12, "DISCONNECT", "send_release", 19, "5.3.5"),
    ("U", (12, 19), "DISCONNECT", None, None, "5.3.5: our RELEASE is the answer"),
    ("N", (11, 19), "DISCONNECT", None, None, "5.3.5: our RELEASE is the answer"),
    ("UN", _CALLS + (11, 12), "RELEASE", "take_release", 0, "5.3.3, 5.3.4, 5.8.4"),
    ("UN", 19, "RELEASE", "take_release_complete", 0, "5.3.5"),
    ("UN", _LIVE, "RELEASE_COMPLETE", "take_release_complete", 0, "5.3.2, 5.8.4"),

    # Timers: clause 9
    ("U", 4, "T301", "no_answer", 11, "9.2"),
    ("N", 7, "T301", "no_answer", 12, "5.2.5.4"),
    ("U", 25, "T302", "digits_timeout", None, "5.2.4"),
    ("N", 2, "T302", "digits_timeout", None, "5.1.3"),
    ("UN", (1, 6), "T303", "setup_timeout", None, "5.1.1, 5.2.5.3"),
    ("U", 2, "T304", "timeout", 11, "9.2"),
    ("N", 25, "T304", "overlap_timeout", 12, "5.2.5.3"),
    ("U", 11, "T305", "send_release", 19, "5.3.3"),
    ("N", 12, ("T305", "T306"), "send_release", 19, "5.3.4"),
    ("UN", 19, "T308", "release_timeout", None, "5.3.3, 5.3.4"),
    ("UN", 10, "T309", "link_timeout", 0, "5.8.9"),
    ("U", 3, "T310", "timeout", 11, "9.2"),
    ("N", 9, "T310", "proceeding_timeout", 12, "5.2.5.3"),
    ("U", 8, "T313", "timeout", 11, "5.2.8"),
    ("UN", _LIVE, "T322", "enquiry_timeout", None, "5.8.10"),

    # The data link: 5.8.8 reset, 5.8.9 failure
    ("UN", tuple([n for n in _LIVE if n != 10]), "link_down", "lost_with_link", 0, "5.8.9 a"),
    ("UN", 10, "link_down", "wait_for_link", None, "5.8.9 b"),
    ("UN", 10, "link_up", "enquire", None, "5.8.9"),
    ("UN", _CLEARING, "link_up", "repeat_last", None, "5.8.9: cleared while the link was down"),
    ("U", (2, 25), "link_reset", "clear_after_reset", 11, "5.8.8 a"),
    ("N", (2, 25), "link_reset", "clear_after_reset", 12, "5.8.8 a"),
    ("UN", (3, 4, 7, 8, 9, 10), "link_reset", "enquire", None, "5.8.8 b, 5.8.10"),
    # T305 or T308 would repeat a clearing message too, up to 30 s later; till then the far end offers the channel in vain.
    ("UN", _CLEARING, "link_reset", "repeat_last", None, "5.8.8"),
    ("UN", (1, 6), "link_reset", None, None, "5.8.8: timers repeat what was lost"),

    # Status and restart
    ("UN", _LIVE, "STATUS_ENQUIRY", "answer_enquiry", None, "5.8.10"),
    ("UN", _LIVE, "STATUS", "take_status", None, "5.8.11"),
    ("UN", tuple([n for n in _LIVE if n != 19]), "status_enquiry", "enquire", None, "5.8.10"),
    ("UN", 19, "status_enquiry", None, None, "5.8.10: T308 is the answer"),
    ("UN", _LIVE, "restart", "restarted", 0, "5.5.2"),
)


def _side_table(letter, side):
    rows = []
    for sides, states, inputs, action, next_state, clause in ROWS:
        if letter in sides:
            numbers = states if isinstance(states, tuple) else (states,)
            rows.append((tuple([codes.state_name(side, n) for n in numbers]), inputs, action,
                         None if next_state is None else codes.state_name(side, next_state), clause))
    return transitions(rows)


TABLES = {"user": _side_table("U", "user"), "network": _side_table("N", "network")}
