"""Q.704 and Q.707 tables: timers, and the state tables of a link's four machines.

Actions are methods of link.Link, changeover.Changeover, changeover.Changeback
and inhibit.Inhibit.  Source: Q.704 (07/1996) clause 16.8 and as listed in each
row; Q.707 (11/1988) clause 5.5 for the signalling link test.
"""

from firmware.proto.machine import transitions

# name: (default ms, clause, what it does; the range the clause allows)
TIMERS = {
    "T1": (800, "16.8", "time-controlled changeover, 500 to 1200"),
    "T2": (2000, "16.8", "changeover acknowledgement, 700 to 2000; above T7 of Q.703"),
    "T3": (800, "16.8", "time-controlled diversion at changeback, 500 to 1200"),
    "T4": (800, "16.8", "changeback acknowledgement, first attempt, 500 to 1200"),
    "T5": (800, "16.8", "changeback acknowledgement, second attempt, 500 to 1200"),
    "T6": (800, "16.8", "controlled rerouting, 500 to 1200"),
    "T10": (45000, "16.8", "repetition of the route set test, 30000 to 60000"),
    "T12": (1000, "16.8", "uninhibit acknowledgement, 800 to 1500"),
    "T13": (1000, "16.8", "force uninhibit, 800 to 1500"),
    "T14": (2500, "16.8", "inhibition acknowledgement, 2000 to 3000"),
    "T15": (2500, "16.8", "start of the route set congestion test, 2000 to 3000"),
    "T16": (1700, "16.8", "route set congestion status update, 1400 to 2000"),
    "T17": (1000, "16.8", "from a failed alignment to the next, 800 to 1500"),
    "T19": (68000, "16.8", "no answer to a repeated TRA, 67000 to 69000"),
    "T20": (60000, "16.8", "restart of our own MTP, 59000 to 61000"),
    "T21": (64000, "16.8", "restart of an adjacent MTP, 63000 to 65000"),
    "T22": (240000, "16.8", "local inhibit test, 3 to 6 min"),
    "T23": (240000, "16.8", "remote inhibit test, 3 to 6 min"),
    "SLT_T1": (8000, "Q.707 5.5", "answer to the signalling link test, 4000 to 12000"),
    "SLT_T2": (60000, "Q.707 5.5", "next signalling link test, 30000 to 90000"),
}

# Signalling link management: 12.2, with the test of Q.707 2.2 before traffic.
INACTIVE, WAITING, ALIGNING, TESTING, ACTIVE = "INACTIVE", "WAITING", "ALIGNING", "TESTING", "ACTIVE"
LINK_TABLE = transitions((
    # states, input, action, next state, clause
    (INACTIVE, "activate", "_align", None, "12.2.2"),
    ((WAITING, ALIGNING, TESTING, ACTIVE), "deactivate", "_deactivate", INACTIVE, "12.2.4"),
    (WAITING, "T17", "_align", None, "12.2.3"),
    (ALIGNING, "in_service", "_test", TESTING, "12.2.2"),
    (WAITING, "in_service", "_found_in_service", TESTING, "ours: a failure that was told late, behind the start that followed it (a restart of level 3)"),
    (ALIGNING, "out_of_service", "_failed_alignment", WAITING, "12.2.3"),
    (TESTING, "SLTA", "_available", ACTIVE, "Q.707 2.2"),
    (ACTIVE, "SLTA", "_tested", None, "Q.707 2.2"),
    ((TESTING, ACTIVE), "SLT_T1", "_test_again", None, "Q.707 2.2"),
    ((TESTING, ACTIVE), "test_failed", "_test_failed", WAITING, "Q.707 2.2"),
    (ACTIVE, "SLT_T2", "_test", None, "Q.707 2.2"),
    (TESTING, "out_of_service", "_failed_alignment", WAITING, "12.2.3"),
    (ACTIVE, "out_of_service", "_failed", WAITING, "12.2.3"),
    ((TESTING, ACTIVE), "remote_processor_outage", "_far_outage", None, "3.2.6"),
    ((TESTING, ACTIVE), "remote_processor_recovered", "_far_recovered", None, "3.2.7"),
    (ACTIVE, "changeover_order", "_far_changed_over", WAITING, "5.3.2"),
))

# Changeover: clause 5.  RETRIEVING: MTP2 hands back what the far end has not got.
IDLE, BSNT_AWAITED, ACKNOWLEDGEMENT_AWAITED, RETRIEVING, TIMED = (
    "IDLE", "BSNT_AWAITED", "ACKNOWLEDGEMENT_AWAITED", "RETRIEVING", "TIMED")
CHANGEOVER_TABLE = transitions((
    (IDLE, "fail", "_begin", None, "5.3.1"),
    (IDLE, "block", "_begin_timed", TIMED, "5.6.2"),
    (IDLE, ("COO", "ECO"), "_late_order", None, "5.7"),
    (TIMED, "block", None, None, "5.6.2"),
    (TIMED, "fail", "_begin", None, "5.3.1"),
    (TIMED, ("COO", "ECO"), "_late_order", None, "5.7"),
    (TIMED, "unblock", "_resume", IDLE, "5.6.2"),
    (TIMED, "T1", "_timed_out", None, "5.6.2"),
    (BSNT_AWAITED, "bsnt", "_order", None, "5.4"),
    (BSNT_AWAITED, ("COO", "ECO"), "_early_order", None, "5.3.2"),
    (BSNT_AWAITED, "T2", "_order", None, "5.6.1"),
    (ACKNOWLEDGEMENT_AWAITED, ("COA", "ECA"), "_retrieve", RETRIEVING, "5.4, 5.5"),
    (ACKNOWLEDGEMENT_AWAITED, ("COO", "ECO"), "_crossing_order", RETRIEVING, "5.4"),
    (ACKNOWLEDGEMENT_AWAITED, "T2", "_retrieve_unsent", RETRIEVING, "5.7.2"),
    (RETRIEVING, ("COO", "ECO"), "_late_order", None, "5.7"),
    (RETRIEVING, "retrieved", "_collect", None, "5.5"),
    (RETRIEVING, ("retrieval_complete", "T1"), "_divert", IDLE, "5.5"),
))

# Changeback: clause 6.
CHANGEBACK_TABLE = transitions((
    (IDLE, "available", "_begin", None, "6.2"),
    ("DECLARED", "CBA", "_acknowledged", None, "6.3.4"),
    ("DECLARED", "T4", "_declare_again", None, "6.5.1"),
    ("DECLARED", "T5", "_release", IDLE, "6.5.1"),
    ("DECLARED", "unavailable", "_give_up", IDLE, "6.2"),
    (IDLE, "unavailable", None, None, "6.2"),
))

# Management inhibiting: clause 10.  The states are those of a request under way;
# whether the link is inhibited, and by whom, are two flags beside.
INHIBITING, UNINHIBITING, FORCING = "INHIBITING", "UNINHIBITING", "FORCING"
ANY = (IDLE, INHIBITING, UNINHIBITING, FORCING)
INHIBIT_TABLE = transitions((
    (IDLE, "inhibit", "_ask_inhibit", None, "10.2"),
    (INHIBITING, "LIA", "_inhibited", IDLE, "10.2"),
    (INHIBITING, "LID", "_denied", IDLE, "10.2"),
    (INHIBITING, "T14", "_repeat_inhibit", None, "10.2"),
    ((IDLE, FORCING), "uninhibit", "_ask_uninhibit", None, "10.3"),
    (UNINHIBITING, "LUA", "_uninhibited", IDLE, "10.3"),
    (UNINHIBITING, "T12", "_repeat_uninhibit", None, "10.3"),
    (IDLE, "force", "_ask_force", None, "10.3.2"),
    (FORCING, "T13", "_repeat_force", None, "10.3.2"),
    (ANY, "LIN", "_far_inhibits", None, "10.2"),
    ((IDLE, INHIBITING, UNINHIBITING), "LUN", "_far_uninhibits", None, "10.3"),
    (FORCING, "LUN", "_far_uninhibits", IDLE, "10.3.2"),
    (IDLE, "LFU", "_far_forces", None, "10.3.2"),
    (ANY, "LLT", "_far_tests_local", None, "10.5"),
    (ANY, "LRT", "_far_tests_remote", None, "10.5"),
    (ANY, "T22", "_test_local", None, "10.5"),
    (ANY, "T23", "_test_remote", None, "10.5"),
    (ANY, "link_lost", "_forget", IDLE, "10.4"),
))

# Restart of the adjacent point, one machine a linkset: clause 9.
DOWN, RESTARTING, UP = "DOWN", "RESTARTING", "UP"
LINKSET_TABLE = transitions((
    (DOWN, "first_link", "_begin_restart", RESTARTING, "9.3"),
    (DOWN, "TRA", "_early_tra", None, "9.3: it had the link before our own test of it was over"),
    (RESTARTING, "TRA", "_tra", None, "9.2, 9.3"),
    (RESTARTING, ("T21", "own_restart_done"), "_restarted", UP, "9.3"),
    ((RESTARTING, UP), "last_link", "_lost", DOWN, "9.3"),
    (UP, "TRA", "_unexpected_tra", None, "9.4"),
    ((DOWN, RESTARTING, UP), "T19", None, None, "9.4"),
))
