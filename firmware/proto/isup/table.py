"""The call processing table of an ISUP circuit.

A row: (states, inputs, action, next state, clause).  States are in codes.py:

    we send IAM         IDLE -> (OUT_WAIT_COT ->) OUT_WAIT_ACM -> OUT_WAIT_ANM -> OUT_ANSWERED
    the far end does    IDLE -> (IN_WAIT_COT ->) IN_PRESENT -> IN_WAIT_ANM -> IN_ANSWERED
    we clear            WAIT_RLC -> IDLE
    the far end clears  FAR_RELEASED -> IDLE
    something is odd    RESETTING -> IDLE

Inputs are messages (upper case), primitives of the layer above (lower case),
timers.  Actions are methods of circuit.Circuit.  What is not listed: a primitive
raises LocalError, a message is unreasonable (2.9.5.1, Circuit.illegal).
Source: Q.764 (12/1999) 2; YDN 038 for CCL, MPM and OPR.
"""

from firmware.proto.isup.codes import (
    CHECKING, CLEARING, FAR_RELEASED, IDLE, IN_ANSWERED, IN_LOOP, IN_PRESENT, IN_RECHECK, IN_WAIT_ANM, IN_WAIT_COT,
    IN_WAIT_SGM, INCOMING, OUT_ANSWERED, OUT_RECHECK, OUT_RECHECK_WAIT, OUT_WAIT_ACM, OUT_WAIT_ANM, OUT_WAIT_COT, OUTGOING,
    RESETTING, WAIT_RLC)
from firmware.proto.machine import transitions

_CALLS = OUTGOING + INCOMING
_ANSWERED = (OUT_ANSWERED, IN_ANSWERED)
_BACKWARD = (OUT_WAIT_ANM, OUT_ANSWERED)
_ALL = _CALLS + CHECKING + CLEARING + (IDLE, RESETTING)

ROWS = (
    # We originate
    (IDLE, "setup_request", "send_iam", None, "2.1.1.1, 2.1.2.1, 2.1.8"),
    ((OUT_WAIT_COT, OUT_WAIT_ACM), "information_request", "send_sam", None, "2.1.2.1"),
    (OUT_WAIT_ACM, "ACM", "address_complete", OUT_WAIT_ANM, "2.1.4.1"),
    (OUT_WAIT_ACM, "CON", "connected", OUT_ANSWERED, "2.1.4.2"),
    (OUT_WAIT_ANM, "ACM", "address_complete", None, "ours: a second ACM, taken as progress"),
    (OUT_WAIT_ANM, "ANM", "answered", OUT_ANSWERED, "2.1.7.1"),
    (_BACKWARD, "CPG", "call_progress", None, "2.1.5"),
    ((OUT_WAIT_ACM, OUT_WAIT_ANM, OUT_ANSWERED), "INR", "answer_inr", None, "2.1.6"),
    ((IN_PRESENT, IN_WAIT_ANM, IN_ANSWERED), "INF", "information_received", None, "2.1.6"),
    ((IN_PRESENT, IN_WAIT_ANM), "information_demand", "send_inr", None, "2.1.6"),
    (OUT_WAIT_ACM, "T7", "setup_timeout", WAIT_RLC, "2.1.1.1"),
    (OUT_WAIT_ANM, "T9", "no_answer", WAIT_RLC, "2.1.4.1"),
    (OUT_WAIT_ACM, "T8", None, None, "ours: the check was over before"),
    (_BACKWARD + INCOMING, ("T33", "T3"), "timeout", WAIT_RLC, "2.1.6, 2.9.9"),
    ((OUT_WAIT_ACM, OUT_WAIT_ANM), "OLM", "overloaded", None, "2.9.9: T3"),
    ((OUT_WAIT_COT, OUT_WAIT_ACM), "UCIC", "take_ucic", IDLE, "2.12"),

    # Continuity: our check
    (OUT_WAIT_COT, "continuity_result", "check_done", None, "2.1.8"),
    (OUT_WAIT_COT, "T24", "check_failed", OUT_RECHECK_WAIT, "2.1.8"),
    (OUT_WAIT_ACM, "continuity_result", "previous_check_done", None, "2.1.8"),
    (OUT_RECHECK_WAIT, ("T25", "T26"), "send_ccr", OUT_RECHECK, "2.1.8"),
    (OUT_RECHECK_WAIT, "check_request", "send_ccr", OUT_RECHECK, "2.1.8"),
    (IDLE, "check_request", "send_ccr", OUT_RECHECK, "2.1.8, 2.8.1: maintenance test"),
    (OUT_RECHECK, "LPA", "loop_confirmed", None, "2.1.8 (national)"),
    (OUT_RECHECK, "continuity_result", "recheck_done", None, "2.1.8"),
    (OUT_RECHECK, "T24", "recheck_failed", OUT_RECHECK_WAIT, "2.1.8"),
    # ... and the far end's
    (IN_WAIT_COT, "COT", "continuity_received", None, "2.1.8"),
    (IN_WAIT_COT, "SAM", "keep_digits", None, "2.1.2.2"),
    (IN_WAIT_COT, "SGM", "keep_segment", None, "2.1.12"),
    (IN_WAIT_COT, "T8", "continuity_timeout", WAIT_RLC, "2.1.8"),
    ((IDLE, IN_RECHECK, IN_LOOP), "CCR", "take_ccr", IN_LOOP, "2.1.8"),
    (IN_LOOP, "COT", "recheck_received", None, "2.1.8"),
    (IN_LOOP, "T36", "reset", RESETTING, "2.1.8"),
    (IN_RECHECK, "T27", "reset_maintenance", RESETTING, "2.1.8"),

    # The far end originates
    (IDLE, "IAM", "take_iam", None, "2.1.1.2"),
    ((OUT_WAIT_COT, OUT_WAIT_ACM), "IAM", "dual_seizure", None, "2.9.1.4"),
    ((OUT_RECHECK_WAIT, OUT_RECHECK, IN_RECHECK), "IAM", "take_iam_after_check", None, "2.9.1.4"),
    (IN_PRESENT, "SAM", "more_digits", None, "2.1.2.2"),
    ((IN_WAIT_ANM, IN_ANSWERED), "SAM", "late_digits", None, "2.1.2.2: behind the end of the number"),
    (IN_WAIT_SGM, "SGM", "segment", None, "2.1.12"),
    (IN_WAIT_SGM, "SAM", "keep_digits", None, "2.1.2.2"),
    (IN_WAIT_SGM, "T34", "present", None, "2.1.12"),
    ((OUT_WAIT_ANM, OUT_ANSWERED), "SGM", "backward_segment", None, "2.1.12"),
    ((OUT_WAIT_ANM, OUT_ANSWERED), "T34", "segment_missing", None, "2.1.12"),
    (IN_PRESENT, "SGM", None, None, "2.1.12: after T34 it is thrown away"),
    (IN_PRESENT, "setup_ack_request", "wait_for_digits", None, "2.1.2.2"),
    (IN_PRESENT, "proceeding_request", "send_acm", IN_WAIT_ANM, "2.1.4.1"),
    (IN_WAIT_ANM, "proceeding_request", None, None, "ours: T11 was before"),
    (IN_PRESENT, "alerting_request", "send_acm_free", IN_WAIT_ANM, "2.1.4.1"),
    (IN_WAIT_ANM, "alerting_request", "send_cpg_alerting", None, "2.1.5"),
    (IN_PRESENT, "progress_request", "send_acm_progress", IN_WAIT_ANM, "2.1.4.1, 2.1.5"),
    ((IN_WAIT_ANM, IN_ANSWERED), "progress_request", "send_cpg", None, "2.1.5"),
    (IN_PRESENT, "setup_response", "send_con", IN_ANSWERED, "2.1.4.2"),
    (IN_WAIT_ANM, "setup_response", "send_anm", IN_ANSWERED, "2.1.7.1"),
    (IN_PRESENT, "T11", "interworking_acm", IN_WAIT_ANM, "2.1.4.8"),
    (IN_PRESENT, "T35", "digits_timeout", None, "2.2.4"),
    ((IN_WAIT_SGM, IN_PRESENT, IN_WAIT_ANM, IN_ANSWERED, OUT_WAIT_ACM, OUT_WAIT_ANM, OUT_ANSWERED), "segment_request",
     "send_sgm", None, "2.1.12"),

    # While the call is there
    (_ANSWERED, "SUS", "suspend_received", None, "2.4.1, 2.4.3"),
    (_ANSWERED, "RES", "resume_received", None, "2.4.2, 2.4.3"),
    (_ANSWERED, "suspend_request", "send_sus", None, "2.4"),
    (_ANSWERED, "resume_request", "send_res", None, "2.4"),
    (_ANSWERED, ("T2", "T6"), "suspend_timeout", WAIT_RLC, "2.4.1, 2.4.3"),
    ((IN_WAIT_ANM, IN_ANSWERED), "FOT", "forward_transfer", None, "2.1.10"),
    ((OUT_WAIT_ANM, OUT_ANSWERED), "forward_transfer_request", "send_fot", None, "2.1.10"),
    (_CALLS, ("USR", "FAC", "APM", "NRM", "PRI", "IDR", "IRS", "SDN", "LOP", "FAR", "FAA", "FRJ", "PAM", "CRG", "EXM"),
     "passed", None, "Q.730, Q.765: services of the layer above"),
    ((OUT_WAIT_ACM, OUT_WAIT_ANM, OUT_ANSWERED, IN_PRESENT, IN_WAIT_ANM, IN_ANSWERED), "message_request", "send_message",
     None, "2.9.5.3: pass on; Q.730"),
    (_CALLS + CLEARING, "CFN", "confused", None, "2.9.5.2"),
    # China
    (IN_ANSWERED, "CCL", "calling_cleared", None, "YDN 038: release controlled by the called party"),
    (OUT_ANSWERED, "MPM", "metered", None, "YDN 038"),
    (IN_ANSWERED, "charge_request", "send_mpm", None, "YDN 038"),
    (_ANSWERED, "OPR", "operator", None, "YDN 038"),
    (_ANSWERED, "operator_request", "send_opr", None, "YDN 038"),

    # Clearing
    (_CALLS, "release_request", "send_rel", WAIT_RLC, "2.3.1"),
    (_CALLS, "clear_request", "clear_request_rel", None, "2.3.1, Q.118; YDN 038: who controls the release"),
    (_CALLS, "REL", "far_released", FAR_RELEASED, "2.3.1"),
    (IDLE, "REL", "answer_rel", None, "2.9.5.1 a"),
    (FAR_RELEASED, "REL", None, None, "2.3.1: RLC will come"),
    (FAR_RELEASED, ("release_request", "clear_request"), "send_rlc", IDLE, "2.3.1"),
    (FAR_RELEASED, "cannot_release", "remove_from_service", None, "2.9.6: BLO, then RLC on BLA"),
    (WAIT_RLC, "REL", "collision", None, "2.3.1 e"),
    (WAIT_RLC, "RLC", "release_complete", IDLE, "2.3.1"),
    (WAIT_RLC, "T1", "repeat_rel", None, "2.9.6"),
    (WAIT_RLC, "T5", "release_failed", RESETTING, "2.9.6"),
    (WAIT_RLC, ("release_request", "clear_request", "cannot_release"), None, None, "ours: clearing goes on"),
    ((IDLE, RESETTING) + CHECKING, ("release_request", "clear_request"), None, None, "ours: the call is over"),
    (CHECKING, "REL", "check_over", IDLE, "2.1.8"),
    (OUT_RECHECK, "RLC", None, None, "ours: of a release before"),
    (IDLE, "RLC", None, None, "2.9.5.1 b"),
    (_CALLS, "RLC", "released_without_rel", WAIT_RLC, "2.9.5.1 c"),

    # Reset
    (_ALL, "RSC", "take_rsc", IDLE, "2.9.3.1"),
    (_ALL, "group_reset", "group_reset", IDLE, "2.9.3.2"),
    (tuple([s for s in _ALL if s != RESETTING]), "reset_request", "reset", RESETTING, "2.9.3.1"),
    (_ALL, "group_reset_request", "group_reset_sent", RESETTING, "2.9.3.2"),
    (RESETTING, "group_reset_confirmed", "reset_confirmed", IDLE, "2.9.3.2"),
    (RESETTING, "RLC", "reset_confirmed", IDLE, "2.9.3.1"),
    (RESETTING, "REL", "answer_rel", None, "2.3.1"),
    (RESETTING, "T16", "repeat_rsc", None, "2.9.3.1"),
    (RESETTING, "T17", "reset_failed", None, "2.9.3.1"),
    (RESETTING, "reset_request", None, None, "ours: under way"),
    ((RESETTING, WAIT_RLC, FAR_RELEASED), ("ACM", "CON", "ANM", "CPG", "SAM", "SUS", "RES", "COT", "IAM", "CCR", "USR", "FOT",
                                          "INR", "INF", "SGM", "OLM"), None, None, "2.3.1: thrown away"),
)

TABLE = transitions(ROWS)
