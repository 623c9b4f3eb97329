"""Q.921 tables: parameters, states, and the state table of one data link.

States and actions are those of Annex B for a fixed TEI; the actions are methods
of q921.Q921Link.  Source: Q.921 (09/1997), clauses as listed in each row.
"""

from firmware.proto.machine import transitions

# name: (default ms or count, clause 5.9, what it does)
PARAMETERS = {
    "T200": (1000, "5.9.1", "acknowledgement of a frame"),
    "T203": (10000, "5.9.8", "longest silence on a link that is up"),
    "N200": (3, "5.9.2", "retransmissions"),
    "N201": (260, "5.9.3", "octets of an information field"),
    "K": (7, "5.9.5", "I frames without acknowledgement, primary rate"),
}

TEI_ASSIGNED = "TEI_ASSIGNED"                                # state 4
AWAITING_ESTABLISHMENT = "AWAITING_ESTABLISHMENT"            # state 5
AWAITING_RELEASE = "AWAITING_RELEASE"                        # state 6
MULTIPLE_FRAME_ESTABLISHED = "MULTIPLE_FRAME_ESTABLISHED"    # state 7
TIMER_RECOVERY = "TIMER_RECOVERY"                            # state 8

UP = (MULTIPLE_FRAME_ESTABLISHED, TIMER_RECOVERY)
NOT_UP = (TEI_ASSIGNED, AWAITING_ESTABLISHMENT, AWAITING_RELEASE)
ALL = NOT_UP + UP

TABLE = transitions((
    # states, input, action, next state, clause
    (TEI_ASSIGNED, "dl_establish_request", "_establish_by_layer_3", AWAITING_ESTABLISHMENT, "5.5.1.1"),
    (AWAITING_ESTABLISHMENT, "dl_establish_request", "_establish_again", None, "B.4 state 5"),
    (AWAITING_RELEASE, "dl_establish_request", "_save_establish", None, "B.5 state 6"),
    (UP, "dl_establish_request", "_establish_by_layer_3", AWAITING_ESTABLISHMENT, "5.7.1"),
    (TEI_ASSIGNED, "dl_release_request", "_confirm_release", None, "5.5.3.1"),
    (AWAITING_ESTABLISHMENT, "dl_release_request", "_save_release", None, "B.4 state 5"),
    (AWAITING_RELEASE, "dl_release_request", "_cancel_saved", None, "B.5 state 6"),
    (UP, "dl_release_request", "_release", AWAITING_RELEASE, "5.5.3.1"),
    ((AWAITING_ESTABLISHMENT,) + UP, "dl_data_request", "_queue", None, "5.6.1"),
    ((TEI_ASSIGNED, AWAITING_RELEASE), "dl_data_request", "_refuse_data", None, "5.6.1"),

    (TEI_ASSIGNED, "SABME", "_accept_establishment", MULTIPLE_FRAME_ESTABLISHED, "5.5.1.2"),
    (AWAITING_ESTABLISHMENT, "SABME", "_answer_ua", None, "5.5.5.1"),
    (AWAITING_RELEASE, "SABME", "_answer_dm", None, "5.5.5.2"),
    (UP, "SABME", "_accept_reestablishment", MULTIPLE_FRAME_ESTABLISHED, "5.7.1"),
    ((TEI_ASSIGNED, AWAITING_ESTABLISHMENT), "DISC", "_answer_dm", None, "5.5.4, 5.5.5.2"),
    (AWAITING_RELEASE, "DISC", "_answer_ua", None, "5.5.5.1"),
    (UP, "DISC", "_accept_release", TEI_ASSIGNED, "5.5.3.2"),
    ((TEI_ASSIGNED,) + UP, "UA", "_unsolicited_ua", None, "5.5.4, 5.8.7"),
    (AWAITING_ESTABLISHMENT, "UA", "_established", None, "5.5.1.2"),
    (AWAITING_RELEASE, "UA", "_released", None, "5.5.3.1"),
    (TEI_ASSIGNED, "DM", "_dm_tei_assigned", None, "5.5.4"),
    (AWAITING_ESTABLISHMENT, "DM", "_dm_awaiting_establishment", None, "5.5.1.2"),
    (AWAITING_RELEASE, "DM", "_released", None, "5.5.3.1"),
    (MULTIPLE_FRAME_ESTABLISHED, "DM", "_dm_established", None, "5.8.7"),
    (TIMER_RECOVERY, "DM", "_dm_timer_recovery", AWAITING_ESTABLISHMENT, "5.8.7"),
    (UP, "FRMR", "_frmr", AWAITING_ESTABLISHMENT, "5.8.6"),

    (MULTIPLE_FRAME_ESTABLISHED, "I", "_information", None, "5.6.2"),
    (TIMER_RECOVERY, "I", "_information_recovery", None, "5.6.2"),
    (MULTIPLE_FRAME_ESTABLISHED, "RR", "_rr", None, "5.6.3"),
    (MULTIPLE_FRAME_ESTABLISHED, "REJ", "_rej", None, "5.6.4"),
    (MULTIPLE_FRAME_ESTABLISHED, "RNR", "_rnr", None, "5.6.5"),
    (TIMER_RECOVERY, ("RR", "REJ"), "_ready_recovery", None, "5.6.7"),
    (TIMER_RECOVERY, "RNR", "_rnr_recovery", None, "5.6.7"),
    (ALL, "UI", "_unit_data", None, "5.2.2"),
    # All other frames are discarded outside of multiple frame operation (5.5.4).
    (NOT_UP, ("I", "RR", "RNR", "REJ", "FRMR"), "_discard", None, "5.5.4"),
    (ALL, "XID", "_discard", None, "5.4"),

    (AWAITING_ESTABLISHMENT, "T200", "_repeat_sabme", None, "5.5.1.3"),
    (AWAITING_RELEASE, "T200", "_repeat_disc", None, "5.5.3.3"),
    (MULTIPLE_FRAME_ESTABLISHED, "T200", "_recover", TIMER_RECOVERY, "5.6.7"),
    (TIMER_RECOVERY, "T200", "_enquire_again", None, "5.6.7"),
    (MULTIPLE_FRAME_ESTABLISHED, "T203", "_recover", TIMER_RECOVERY, "5.10.3"),
    # Ours, not Q.921's: a primary rate link is to stay up (EN 300 402 10.1).
    (TEI_ASSIGNED, "KEEP_UP", "_establish_by_layer_3", AWAITING_ESTABLISHMENT, "ours"),

    (NOT_UP, "frame_error", "_report_frame_error", None, "5.8.5"),
    (UP, "frame_error", "_frame_error", AWAITING_ESTABLISHMENT, "5.8.5"),
))
