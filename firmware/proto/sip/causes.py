"""SIP status codes and Q.850 causes: the two mapping tables, reason phrases, the Reason header.

RFC 3398 7.2.4.1 (SIP to ISUP: cause of the REL) and 8.2.6.1 (ISUP to SIP: status of the final
response); Reason: RFC 3326, in responses RFC 6432.  Values that RFC 3398 leaves open
are ours and marked so.
"""

from firmware.proto.sip.headers import find_parameter, parse_parameters
from firmware.proto.sip.text import number, quote, split_outside
from firmware.errors import RemoteError

# (status, reason phrase, Q.850 cause); causes of RFC 3398 8.2.6.1 unless marked
STATUS = (
    (100, "Trying", None), (180, "Ringing", None), (181, "Call Is Being Forwarded", None),
    (182, "Queued", None), (183, "Session Progress", None), (199, "Early Dialog Terminated", None),
    (200, "OK", None), (202, "Accepted", None),
    (300, "Multiple Choices", 23), (301, "Moved Permanently", 23), (302, "Moved Temporarily", 23),   # ours: 23
    (305, "Use Proxy", 23), (380, "Alternative Service", 23),
    (400, "Bad Request", 41), (401, "Unauthorized", 21), (402, "Payment Required", 21),
    (403, "Forbidden", 21), (404, "Not Found", 1), (405, "Method Not Allowed", 63),
    (406, "Not Acceptable", 79), (407, "Proxy Authentication Required", 21), (408, "Request Timeout", 102),
    (410, "Gone", 22), (412, "Conditional Request Failed", 127), (413, "Request Entity Too Large", 127),
    (414, "Request-URI Too Long", 127), (415, "Unsupported Media Type", 79), (416, "Unsupported URI Scheme", 127),
    (420, "Bad Extension", 127), (421, "Extension Required", 127), (422, "Session Interval Too Small", 127),
    (423, "Interval Too Brief", 127), (430, "Flow Failed", 41), (439, "First Hop Lacks Outbound Support", 127), (469, "Bad Info Package", 127),
    (480, "Temporarily Unavailable", 18), (481, "Call/Transaction Does Not Exist", 41),
    (482, "Loop Detected", 25), (483, "Too Many Hops", 25), (484, "Address Incomplete", 28),
    (485, "Ambiguous", 1), (486, "Busy Here", 17), (487, "Request Terminated", 16),                  # ours: 16
    (488, "Not Acceptable Here", 65),                                                # by Warning; ours: 65
    (489, "Bad Event", 127), (491, "Request Pending", 127), (493, "Undecipherable", 127),
    (500, "Server Internal Error", 41), (501, "Not Implemented", 79), (502, "Bad Gateway", 38),
    (503, "Service Unavailable", 41), (504, "Server Time-out", 102), (505, "Version Not Supported", 127),
    (513, "Message Too Large", 127),
    (600, "Busy Everywhere", 17), (603, "Decline", 21), (604, "Does Not Exist Anywhere", 1),
    (606, "Not Acceptable", 65),                                                     # by Warning; ours: 65
)
_PHRASE = {}
_CAUSE = {}
for _status, _phrase, _cause in STATUS:
    _PHRASE[_status] = _phrase
    if _cause is not None:
        _CAUSE[_status] = _cause
# a class of responses whose code is unknown counts as its x00: RFC 3261 8.1.3.2
_CLASS_CAUSE = {3: 23, 4: 41, 5: 41, 6: 17}

# (Q.850 cause, name in a Reason text, status); statuses of RFC 3398 7.2.4.1 unless marked
CAUSES = (
    (1, "Unallocated number", 404), (2, "No route to transit network", 404), (3, "No route to destination", 404),
    (16, "Normal call clearing", 480),            # BYE or CANCEL; as a final response ours: 480
    (17, "User busy", 486), (18, "No user responding", 408), (19, "No answer from user", 480),
    (20, "Subscriber absent", 480), (21, "Call rejected", 403), (22, "Number changed", 410),
    (23, "Redirection to new destination", 410), (25, "Exchange routing error", 483),               # ours
    (26, "Non-selected user clearing", 404), (27, "Destination out of order", 502),
    (28, "Invalid number format", 484), (29, "Facility rejected", 501), (31, "Normal, unspecified", 480),
    (34, "No circuit/channel available", 503), (38, "Network out of order", 503), (41, "Temporary failure", 503),
    (42, "Switching equipment congestion", 503), (44, "Requested circuit not available", 503),      # ours
    (47, "Resource unavailable", 503), (50, "Requested facility not subscribed", 503),              # ours
    (55, "Incoming calls barred within CUG", 403), (57, "Bearer capability not authorized", 403),
    (58, "Bearer capability not available", 503), (63, "Service or option not available", 503),     # 63 ours
    (65, "Bearer capability not implemented", 488), (70, "Only restricted digital", 488),
    (79, "Service or option not implemented", 501), (87, "User not member of CUG", 403),
    (88, "Incompatible destination", 503), (102, "Recovery on timer expiry", 504),
    (111, "Protocol error, unspecified", 500), (127, "Interworking, unspecified", 500),
)
_STATUS_OF = {}
_NAME = {}
for _cause, _name, _status in CAUSES:
    _STATUS_OF[_cause] = _status
    _NAME[_cause] = _name


def meaning(cause):
    """The name of a Q.850 cause, or "unknown cause"."""
    return _NAME.get(cause, "unknown cause")


def phrase(status):
    """Reason phrase of a status code."""
    return _PHRASE.get(status, "Unknown")


def cause_of_status(status):
    """Q.850 cause for a final response of 300 to 699."""
    cause = _CAUSE.get(status)
    return cause if cause is not None else _CLASS_CAUSE.get(status // 100, 31)


def status_of_cause(cause):
    """Status of the final response for a Q.850 cause; 480 for one the table lacks."""
    return _STATUS_OF.get(cause, 480)


def reason_value(cause):
    """Reason header value: Q.850;cause=16;text="..."."""
    name = _NAME.get(cause)
    return "Q.850;cause=%d" % cause + (";text=" + quote(name) if name else "")


def cause_of_reason(values):
    """Q.850 cause in Reason header values, or None.  A malformed Reason counts as absent."""
    for value in values:
        for piece in split_outside(value, ",") or ():
            protocol, _, rest = piece.partition(";")
            if protocol.strip().upper() == "Q.850":
                try:
                    cause = number(find_parameter(parse_parameters(";" + rest, "Reason"), "cause") or "", 127)
                except RemoteError:
                    cause = None
                if cause:
                    return cause
    return None
