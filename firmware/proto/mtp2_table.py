"""Q.703 tables: parameters of each variant, and the state table of one signalling link.

The states are those of the link state control (Figure 8) with the three of the
initial alignment control (Figure 9) in the place of "Initial alignment"; the
actions are methods of mtp2.MTP2Link.  Source: Q.703 (07/1996), clauses as
listed in each row; ANSI T1.111.3 for the second set of timers.
"""

from firmware.proto.machine import transitions

# name: (default, clause, what it does).  Times in ms at 64 kbit/s.
PARAMETERS = {
    "T1": (45000, "12.3", "aligned (not) ready, 40 to 50 s"),
    "T2": (10000, "12.3", "not aligned, 5 to 150 s"),
    "T3": (1500, "12.3", "aligned, 1 to 2 s"),
    "T4N": (8200, "12.3, 7.4", "normal proving period, 7.5 to 9.5 s"),
    "T4E": (500, "12.3, 7.4", "emergency proving period, 400 to 600 ms"),
    "T5": (100, "12.3, 9.3", "sending of SIB, 80 to 120 ms"),
    "T6": (5000, "12.3, 9.3", "congestion of the far end, 3 to 6 s"),
    "T7": (1500, "12.3, 5.3.1", "excessive delay of acknowledgement, 0.5 to 2 s (0.8 to 2 s with PCR)"),
    "T8": (100, "12.3, A.10.2", "interval of the errored interval monitor"),
    "TIN": (4, "10.3.4", "alignment error rate monitor, normal threshold"),
    "TIE": (1, "10.3.4", "alignment error rate monitor, emergency threshold"),
    "M": (5, "7.3, 10.3", "proving periods that may fail"),
    "SUERM_T": (64, "10.2.3", "signal unit errors that end the link"),
    "SUERM_D": (256, "10.2.3", "signal units that take one error back"),
    "EIM_TE": (793544, "A.10.2.3", "errored interval monitor, threshold at 1984 kbit/s"),
    "EIM_UE": (198384, "A.10.2.3", "up count of an interval with errors"),
    "EIM_DE": (11328, "A.10.2.3", "down count of an interval without"),
    "N1": (127, "6.4", "unacknowledged messages that force a retransmission"),
    "N2": (4096, "6.4", "unacknowledged octets that force a retransmission; ours, the clause gives a formula"),
    "QUEUE_CONGESTED": (128, "Q.704 11.2.3", "waiting messages that are congestion; ours"),
    "QUEUE_ABATED": (64, "Q.704 11.2.3", "waiting messages that end it; ours"),
    "QUEUE_FULL": (2048, "Q.704 11.2.3", "waiting messages beyond which new ones are dropped; ours"),
}

# T1.111.3 12.3 where it differs.
ANSI = {"T1": 13000, "T2": 11500, "T3": 11500, "T4N": 2300, "T4E": 600, "T6": 4000, "T7": 1000}

POWER_OFF = "POWER_OFF"
OUT_OF_SERVICE = "OUT_OF_SERVICE"
NOT_ALIGNED = "NOT_ALIGNED"                     # initial alignment, status 01 of Figure 9
ALIGNED = "ALIGNED"                             # 02
PROVING = "PROVING"                             # 03
ALIGNED_READY = "ALIGNED_READY"
ALIGNED_NOT_READY = "ALIGNED_NOT_READY"
IN_SERVICE = "IN_SERVICE"
PROCESSOR_OUTAGE = "PROCESSOR_OUTAGE"

ALIGNING = (NOT_ALIGNED, ALIGNED, PROVING)
READY = (ALIGNED_READY, ALIGNED_NOT_READY)
UP = (IN_SERVICE, PROCESSOR_OUTAGE)
NUMBERED = READY + UP                           # reception control is on
POWERED = (OUT_OF_SERVICE,) + ALIGNING + NUMBERED

TABLE = transitions((
    # states, input, action, next state, clause
    (POWER_OFF, "power_on", "_power_on", OUT_OF_SERVICE, "Fig. 8"),
    (OUT_OF_SERVICE, "start", "_start", NOT_ALIGNED, "7.3"),
    (ALIGNING + NUMBERED, "stop", "_stop", OUT_OF_SERVICE, "Fig. 8"),
    # 7.2: what decides between the two proving periods
    (OUT_OF_SERVICE, "emergency", "_mark_emergency", None, "7.2"),
    (NOT_ALIGNED, "emergency", "_mark_emergency", None, "7.2"),
    (ALIGNED, "emergency", "_emergency_aligned", None, "7.3"),
    (PROVING, "emergency", "_emergency_proving", None, "7.3"),
    ((OUT_OF_SERVICE,) + ALIGNING, "emergency_ceases", "_cancel_emergency", None, "7.2"),
    # 8: processor outage
    ((OUT_OF_SERVICE,) + ALIGNING, "local_processor_outage", "_mark_outage", None, "Fig. 8"),
    ((OUT_OF_SERVICE,) + ALIGNING, "local_processor_recovered", "_cancel_outage", None, "Fig. 8"),
    (ALIGNED_READY, "local_processor_outage", "_outage", ALIGNED_NOT_READY, "8"),
    (ALIGNED_NOT_READY, "local_processor_recovered", "_recovered", ALIGNED_READY, "8"),
    (UP, "local_processor_outage", "_outage", PROCESSOR_OUTAGE, "8"),
    (PROCESSOR_OUTAGE, "local_processor_recovered", "_recovered_in_service", None, "8"),
    (READY, "SIPO", "_remote_outage_first", PROCESSOR_OUTAGE, "8"),
    (IN_SERVICE, "SIPO", "_remote_outage", PROCESSOR_OUTAGE, "8"),
    (PROCESSOR_OUTAGE, "SIPO", "_remote_outage", None, "8"),
    (PROCESSOR_OUTAGE, "FISU_MSU", "_remote_recovered", None, "8"),
    (PROCESSOR_OUTAGE, "flush_buffers", "_flush", None, "8"),

    # 7.3: initial alignment
    (NOT_ALIGNED, ("SIO", "SIN"), "_align", ALIGNED, "7.3"),
    (NOT_ALIGNED, "SIE", "_align_emergency", ALIGNED, "7.3"),
    (NOT_ALIGNED, "T2", "_alignment_not_possible", OUT_OF_SERVICE, "7.3"),
    (ALIGNED, "SIN", "_prove", PROVING, "7.3"),
    (ALIGNED, "SIE", "_prove_emergency", PROVING, "7.3"),
    (ALIGNED, "T3", "_alignment_not_possible", OUT_OF_SERVICE, "7.3"),
    ((ALIGNED, PROVING), "SIOS", "_alignment_not_possible", OUT_OF_SERVICE, "7.3"),
    (PROVING, "SIE", "_shorten_proving", None, "7.3"),
    (PROVING, "SIO", "_align_again", ALIGNED, "7.3"),
    (PROVING, "abort_proving", "_abort_proving", None, "7.3, 10.3"),
    (PROVING, "T4", "_proved", None, "7.3"),

    # the link state control behind it
    (ALIGNED_READY, "FISU_MSU", "_in_service", IN_SERVICE, "Fig. 8"),
    (ALIGNED_NOT_READY, "FISU_MSU", "_in_service_outage", PROCESSOR_OUTAGE, "Fig. 8"),
    (IN_SERVICE, "FISU_MSU", None, None, "Fig. 8"),
    (READY, "SIO", "_lost_sio", OUT_OF_SERVICE, "Fig. 8"),
    (READY, "SIOS", "_lost_sios", OUT_OF_SERVICE, "Fig. 8"),
    (READY, "T1", "_lost_t1", OUT_OF_SERVICE, "Fig. 8"),
    (UP, "SIO", "_lost_sio", OUT_OF_SERVICE, "Fig. 8"),
    (UP, "SIN", "_lost_sin", OUT_OF_SERVICE, "Fig. 8"),
    (UP, "SIE", "_lost_sie", OUT_OF_SERVICE, "Fig. 8"),
    (UP, "SIOS", "_lost_sios", OUT_OF_SERVICE, "Fig. 8"),
    (NUMBERED, "link_failure", "_lost", OUT_OF_SERVICE, "Fig. 8"),

    # 9: flow control; 5.3.1: delay of the acknowledgement
    (UP, "SIB", "_far_busy", None, "9.3"),
    (UP, "T6", "_lost_t6", OUT_OF_SERVICE, "9.3"),
    (UP, "T7", "_lost_t7", OUT_OF_SERVICE, "5.3.1"),
    (UP, "T5", "_repeat_sib", None, "9.3"),
    (NUMBERED, "congestion_accept", "_congestion_accept", None, "9.2"),
    (NUMBERED, "congestion_discard", "_congestion_discard", None, "9.2"),
    (NUMBERED, "no_congestion", "_no_congestion", None, "9.4"),
    (NUMBERED, "T8", "_interval", None, "A.10.2"),

    # messages and their retrieval
    (POWERED, "message", "_queue", None, "5.2"),
    ((OUT_OF_SERVICE, PROCESSOR_OUTAGE), "retrieve_bsnt", "_retrieve_bsnt", None, "Fig. 8"),
    ((OUT_OF_SERVICE, PROCESSOR_OUTAGE), "retrieve", "_retrieve", None, "Fig. 8"),
))

REQUESTS = ("power_on", "start", "stop", "emergency", "emergency_ceases", "local_processor_outage",
            "local_processor_recovered", "flush_buffers", "congestion_accept", "congestion_discard",
            "no_congestion", "message", "retrieve_bsnt", "retrieve")
