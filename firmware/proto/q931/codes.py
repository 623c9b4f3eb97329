"""Q.931 tables: message types, states, causes, locations, timers.

Editions: Q.931 (05/1998), ETSI EN 300 403-1 V1.3.2 (its annex of changes
decides where the two differ), Q.850 (05/1998) for causes and locations.
Element identifiers are in elements.py, beside their codecs.
"""

PROTOCOL_DISCRIMINATOR = 0x08           # 4.2

# Message types, 4.4, Table 4-2; HOLD and RETRIEVE: Q.932 7.
MESSAGES = {
    0x01: "ALERTING", 0x02: "CALL_PROCEEDING", 0x03: "PROGRESS", 0x05: "SETUP",
    0x07: "CONNECT", 0x0D: "SETUP_ACKNOWLEDGE", 0x0F: "CONNECT_ACKNOWLEDGE",
    0x24: "HOLD", 0x28: "HOLD_ACKNOWLEDGE", 0x30: "HOLD_REJECT",
    0x31: "RETRIEVE", 0x33: "RETRIEVE_ACKNOWLEDGE", 0x37: "RETRIEVE_REJECT",
    0x45: "DISCONNECT", 0x46: "RESTART", 0x4D: "RELEASE", 0x4E: "RESTART_ACKNOWLEDGE",
    0x5A: "RELEASE_COMPLETE", 0x62: "FACILITY", 0x6E: "NOTIFY", 0x75: "STATUS_ENQUIRY",
    0x7B: "INFORMATION", 0x7D: "STATUS",
}
MESSAGE_CODES = {}
for _code in MESSAGES:
    MESSAGE_CODES[MESSAGES[_code]] = _code

# Mandatory elements, 3.1.  Channel identification is mandatory in a SETUP from
# the network only; the cause of RELEASE and RELEASE_COMPLETE only where it is
# the first clearing message: the machines look after those three.
MANDATORY = {
    "SETUP": ("bearer_capability",),
    "PROGRESS": ("progress_indicator",),
    "DISCONNECT": ("cause",),
    "RESTART": ("restart_indicator",),
    "RESTART_ACKNOWLEDGE": ("restart_indicator",),
    "STATUS": ("cause", "call_state"),
    "NOTIFY": ("notification_indicator",),
}

# Call states, 2.1.  A state of the user side and of the network side with the
# same number belong together; the number travels in STATUS (4.5.7).
STATE_NAMES = {
    0: "NULL", 1: "CALL_INITIATED", 2: "OVERLAP_SENDING", 3: "OUTGOING_CALL_PROCEEDING",
    4: "CALL_DELIVERED", 6: "CALL_PRESENT", 7: "CALL_RECEIVED", 8: "CONNECT_REQUEST",
    9: "INCOMING_CALL_PROCEEDING", 10: "ACTIVE", 11: "DISCONNECT_REQUEST",
    12: "DISCONNECT_INDICATION", 15: "SUSPEND_REQUEST", 17: "RESUME_REQUEST",
    19: "RELEASE_REQUEST", 22: "CALL_ABORT", 25: "OVERLAP_RECEIVING",
}
REST0, REST1, REST2 = 0, 61, 62         # states of the global call reference, 4.5.7


def state_name(side, number):
    """"user", 3 -> "U3_OUTGOING_CALL_PROCEEDING"."""
    return "%s%d_%s" % ("U" if side == "user" else "N", number, STATE_NAMES[number])


def state_number(name):
    """"U3_OUTGOING_CALL_PROCEEDING" -> 3."""
    return int(name[1:name.index("_")])


# Causes that the machines use, Q.850 2.2.7
UNALLOCATED_NUMBER = 1
CHANNEL_UNACCEPTABLE = 6
NORMAL_CALL_CLEARING = 16
NO_USER_RESPONDING = 18
NO_ANSWER = 19
DESTINATION_OUT_OF_ORDER = 27
INVALID_NUMBER_FORMAT = 28
RESPONSE_TO_STATUS_ENQUIRY = 30
NORMAL_UNSPECIFIED = 31
NO_CIRCUIT_AVAILABLE = 34
NETWORK_OUT_OF_ORDER = 38
TEMPORARY_FAILURE = 41
REQUESTED_CIRCUIT_NOT_AVAILABLE = 44
BEARER_NOT_IMPLEMENTED = 65
FACILITY_NOT_IMPLEMENTED = 69
INVALID_CALL_REFERENCE = 81
CHANNEL_DOES_NOT_EXIST = 82
INCOMPATIBLE_DESTINATION = 88
MANDATORY_ELEMENT_MISSING = 96
MESSAGE_NOT_IMPLEMENTED = 97
ELEMENT_NOT_IMPLEMENTED = 99
INVALID_ELEMENT_CONTENTS = 100
MESSAGE_NOT_COMPATIBLE = 101
RECOVERY_ON_TIMER_EXPIRY = 102

# Progress descriptions, 4.5.23
NOT_END_TO_END_ISDN = 1
DESTINATION_NOT_ISDN = 2
ORIGINATION_NOT_ISDN = 3
INBAND_INFORMATION = 8

# Timers, clause 9: Table 9-1 (network side) and Table 9-2 (user side).
# name: (network ms, user ms, running in, at expiry).  None: that side has none.
# Where a table gives a range, the value is ours and the range stands behind.
# A class of timers that this machine does not need is listed all the same, so
# that a configuration which names it is understood: "not used" says so.
TIMERS = {
    "T301": (180000, 180000, "N7, U4", "clear, cause 19"),                      # 3 min or more
    "T302": (12000, 15000, "N2, U25", "layer 3 user decides; again: cause 28"), # N: 10-15 s
    "T303": (4000, 4000, "N6, U1", "SETUP once more; then clear"),
    "T304": (20000, 30000, "N25, U2", "clear"),
    "T305": (30000, 30000, "N12, U11", "RELEASE"),
    "T306": (30000, None, "N12 with tone", "RELEASE"),
    "T307": (180000, None, "not used: no suspension on a primary rate", ""),
    "T308": (4000, 4000, "N19, U19", "RELEASE once more; then give up the timeslot"),
    "T309": (90000, 90000, "any, D channel down", "clear, cause 27"),           # 6-90 s; optional on the user side: 0 there is none
    "T310": (30000, 60000, "N9, U3", "clear"),                                  # U: 30-120 s
    "T312": (6000, None, "not used: point to point only", ""),
    "T313": (None, 4000, "U8", "DISCONNECT"),
    "T314": (4000, 4000, "not used: no segmentation", ""),
    "T316": (120000, 120000, "restart requested", "RESTART once more, then alarm"),
    "T317": (100000, 100000, "not used: a restart is answered in the same step", ""),
    "T318": (None, 4000, "not used: no suspension on a primary rate", ""),
    "T319": (None, 4000, "not used: no suspension on a primary rate", ""),
    "T320": (30000, None, "not used: packet mode", ""),
    "T321": (30000, 30000, "not used: D channel back-up (Annex F)", ""),
    "THOLD": (4000, 4000, "HOLD sent (EN 300 196-1)", "the layer above is told"),
    "TRETRIEVE": (4000, 4000, "RETRIEVE sent (EN 300 196-1)", "the layer above is told"),
    "TECT": (10000, 10000, "explicit call transfer asked for (EN 300 369-1)", "the layer above is told"),      # ours
    "TJOIN": (5000, None, "a user has asked for his calls to be joined (EN 300 369-1)", "return error: not available"),      # ours
    "TMCID": (10000, 10000, "malicious call identification asked for (EN 300 130-1)", "the layer above is told"),      # ours
    "T322": (4000, 4000, "status enquiry", "STATUS_ENQUIRY again; then clear, cause 41"),
}
N316_RESTARTS = 2                       # 5.5.1.1: restart attempts
N322_ENQUIRIES = 3                      # 5.8.10: "implementation dependent"; ours


def timers_ms(side, changes=None):
    """{name: ms} of one side, with the changes of the configuration."""
    values = {}
    for name in TIMERS:
        value = TIMERS[name][1 if side == "user" else 0]
        if value is not None:
            values[name] = value
    values.update(changes or {})
    return values
