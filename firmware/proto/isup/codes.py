"""ISUP tables: timers with clause and default, causes, states of a circuit.

Source: Q.764 (12/1999) Annex A, Table A.1 (values and clauses); Q.850 for causes;
Q.118 for T6 and T9.  Where the table gives a range the value is ours and the range
stands behind.  A timer that needs something this machine does not have is listed
all the same, so that a configuration that names it is understood.
"""

# name: (default ms, clause of Q.764, runs from, ends with, at expiry)
TIMERS = {
    "T1": (15000, "2.3", "REL sent", "RLC", "REL again"),                                        # 15-60 s
    "T2": (180000, "2.4.1", "SUS (user) received", "RES", "release"),                            # 3 min
    "T3": (120000, "2.9.9", "OLM received", "-", "release"),                                     # 2 min
    "T4": (300000, "2.13.2", "user part unavailable", "UPA or any message", "UPT again"),        # 5-15 min
    "T5": (300000, "2.9.6", "first REL sent", "RLC", "RSC, maintenance, T17"),                   # 5-15 min
    "T6": (60000, "2.4.3, Q.118", "SUS (network) received", "RES or REL", "release"),            # 1-2 min
    "T7": (20000, "2.1.1.1", "latest address message sent", "ACM or CON", "release"),            # 20-30 s
    "T8": (10000, "2.1.8", "IAM that asks for a continuity check", "COT", "release"),            # 10-15 s
    "T9": (180000, "2.1.4, Q.118", "ACM received", "ANM", "release"),                            # 2-4 min
    "T10": (5000, "not used: the layer above knows where a number ends", "", "", ""),            # 4-6 s
    "T11": (15000, "2.1.4.8", "address complete, nothing known", "ACM sent", "ACM"),             # 15-20 s
    "T12": (15000, "2.8.2", "BLO sent", "BLA", "BLO again"),                                     # 15-60 s
    "T13": (300000, "2.8.2", "first BLO sent", "BLA", "BLO, maintenance, T13"),                  # 5-15 min
    "T14": (15000, "2.8.2", "UBL sent", "UBA", "UBL again"),                                     # 15-60 s
    "T15": (300000, "2.8.2", "first UBL sent", "UBA", "UBL, maintenance, T15"),                  # 5-15 min
    "T16": (15000, "2.9.3.1", "RSC sent", "RLC", "RSC again"),                                   # 15-60 s
    "T17": (300000, "2.9.3.1", "first RSC sent", "RLC", "RSC, maintenance, T17"),                # 5-15 min
    "T18": (15000, "2.8.2", "CGB sent", "CGBA", "CGB again"),                                    # 15-60 s
    "T19": (300000, "2.8.2", "first CGB sent", "CGBA", "CGB, maintenance, T19"),                 # 5-15 min
    "T20": (15000, "2.8.2", "CGU sent", "CGUA", "CGU again"),                                    # 15-60 s
    "T21": (300000, "2.8.2", "first CGU sent", "CGUA", "CGU, maintenance, T21"),                 # 5-15 min
    "T22": (15000, "2.9.3.2", "GRS sent", "GRA", "GRS again"),                                   # 15-60 s
    "T23": (300000, "2.9.3.2", "first GRS sent", "GRA", "GRS, maintenance, T23"),                # 5-15 min
    "T24": (2000, "2.1.8", "check tone applied", "tone comes back", "COT failed, T25"),          # under 2 s
    "T25": (5000, "2.1.8", "continuity failure", "-", "CCR"),                                    # 1-10 s
    "T26": (60000, "2.1.8", "repeated continuity failure", "-", "CCR"),                          # 1-3 min
    "T27": (240000, "2.1.8", "COT (failed) received", "CCR", "RSC"),                             # 4 min
    "T28": (10000, "2.8.3", "CQM sent", "CQR", "maintenance"),                                   # 10 s
    "T29": (500, "2.11.2", "congestion indication", "-", "next indication counts"),              # 300-600 ms
    "T30": (7000, "2.11.2", "congestion indication", "-", "one step more traffic"),              # 5-10 s
    "T31": (360000, "not used: no SCCP method end to end", "", "", ""),                          # over 6 min
    "T32": (4000, "not used: no SCCP method end to end", "", "", ""),                            # 3-5 s
    "T33": (12000, "2.1.6", "INR sent", "INF", "release"),                                       # 12-15 s
    "T34": (3000, "2.1.12", "segmentation announced", "SGM", "go on without"),                   # 2-4 s
    "T35": (15000, "2.2.4", "latest address message received", "enough digits", "ask; again: release"),    # 15-20 s
    "T36": (10000, "2.1.8", "CCR received", "COT or REL", "RSC"),                                # 10-15 s
    "T37": (3000, "not used: echo control is in this box", "", "", ""),                          # 2-4 s
    "T38": (60000, "not used: no international gateway", "", "", ""),
    "T39": (10000, "not used: no malicious call identification here", "", "", ""),               # 4-15 s
    "ACL": (5000, "2.10", "automatic congestion level received", "-", "all traffic"),            # 5 s
}

# Causes that the machine uses, Q.850 2.2.7
NORMAL = 16
NO_ANSWER = 19
INVALID_NUMBER_FORMAT = 28
NORMAL_UNSPECIFIED = 31
NO_CIRCUIT = 34
NETWORK_OUT_OF_ORDER = 38
TEMPORARY_FAILURE = 41
CONGESTION = 42
CIRCUIT_NOT_AVAILABLE = 44
BEARER_NOT_IMPLEMENTED = 65
MESSAGE_NOT_IMPLEMENTED = 97
PARAMETER_NOT_IMPLEMENTED = 99
TIMER_EXPIRY = 102
PARAMETER_MESSAGE_DISCARDED = 110

# Call states of a circuit (the machine's own names for the moments of Q.764 2.1 to 2.3)
IDLE = "IDLE"
OUT_WAIT_COT = "OUT_WAIT_COT"           # IAM sent, our check tone is on the circuit
OUT_WAIT_ACM = "OUT_WAIT_ACM"
OUT_WAIT_ANM = "OUT_WAIT_ANM"
OUT_ANSWERED = "OUT_ANSWERED"
IN_WAIT_COT = "IN_WAIT_COT"             # IAM received, its continuity check is not over
IN_WAIT_SGM = "IN_WAIT_SGM"
IN_PRESENT = "IN_PRESENT"
IN_WAIT_ANM = "IN_WAIT_ANM"             # ACM sent
IN_ANSWERED = "IN_ANSWERED"
FAR_RELEASED = "FAR_RELEASED"           # REL received, the layer above has not let go
WAIT_RLC = "WAIT_RLC"                   # REL sent
RESETTING = "RESETTING"                 # RSC sent, or part of a GRS sent
IN_RECHECK = "IN_RECHECK"               # continuity failed: T27 waits for CCR
IN_LOOP = "IN_LOOP"                     # CCR received: the loop is on
OUT_RECHECK_WAIT = "OUT_RECHECK_WAIT"   # T25 or T26
OUT_RECHECK = "OUT_RECHECK"             # CCR sent, our check tone is on the circuit

OUTGOING = (OUT_WAIT_COT, OUT_WAIT_ACM, OUT_WAIT_ANM, OUT_ANSWERED)
INCOMING = (IN_WAIT_COT, IN_WAIT_SGM, IN_PRESENT, IN_WAIT_ANM, IN_ANSWERED)
CHECKING = (IN_RECHECK, IN_LOOP, OUT_RECHECK_WAIT, OUT_RECHECK)
CLEARING = (FAR_RELEASED, WAIT_RLC)
# How the layer above calls the moments of a call; what is not here is being set up
LEG_STATES = {OUT_WAIT_ANM: "alerting", IN_WAIT_ANM: "alerting", OUT_ANSWERED: "answered", IN_ANSWERED: "answered",
              FAR_RELEASED: "releasing", WAIT_RLC: "releasing"}


def timers_ms(changes=None):
    """{name: ms} with the changes of the configuration."""
    values = {}
    for name in TIMERS:
        values[name] = TIMERS[name][0]
    values.update(changes or {})
    return values
