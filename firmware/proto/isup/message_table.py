"""ISUP messages as a table: code, mandatory fixed part, mandatory variable part, whether an optional part follows.

Source: Q.763 (12/1999) Table 4 (codes) and the table of each message; T1.113.3 for ANSI; the three
Chinese messages (YDN 038) by a vendor's table (Dialogic, see parameters.CHINA).
Messages whose body is a national or an end-to-end matter are "raw": kept whole.
Portable.
"""

_BLOCK = ((), ("range_and_status",), False)
_GROUP = (("supervision_type",), ("range_and_status",), False)
_EMPTY = ((), (), False)                # message type only: Table 39
_OPTIONAL = ((), (), True)

# name: (code, clause or table of Q.763, fixed, variable, optional part)
ITU = {
    "IAM": (0x01, "Table 32", ("nature_of_connection", "forward_call_indicators", "calling_party_category",
                               "transmission_medium"), ("called_party_number",), True),
    "SAM": (0x02, "Table 35", (), ("subsequent_number",), True),
    "INR": (0x03, "Table 31", ("information_request_indicators",), (), True),
    "INF": (0x04, "Table 30", ("information_indicators",), (), True),
    "COT": (0x05, "Table 28", ("continuity_indicators",), (), False),
    "ACM": (0x06, "Table 21", ("backward_call_indicators",), (), True),
    "CON": (0x07, "Table 27", ("backward_call_indicators",), (), True),
    "FOT": (0x08, "Table 37") + _OPTIONAL,
    "ANM": (0x09, "Table 22") + _OPTIONAL,
    "REL": (0x0C, "Table 33", (), ("cause_indicators",), True),
    "SUS": (0x0D, "Table 38", ("suspend_resume_indicators",), (), True),
    "RES": (0x0E, "Table 38", ("suspend_resume_indicators",), (), True),
    "RLC": (0x10, "Table 34") + _OPTIONAL,
    "CCR": (0x11, "Table 39") + _EMPTY,
    "RSC": (0x12, "Table 39") + _EMPTY,
    "BLO": (0x13, "Table 39") + _EMPTY,
    "UBL": (0x14, "Table 39") + _EMPTY,
    "BLA": (0x15, "Table 39") + _EMPTY,
    "UBA": (0x16, "Table 39") + _EMPTY,
    "GRS": (0x17, "Table 41") + _BLOCK,
    "CGB": (0x18, "Table 40") + _GROUP,
    "CGU": (0x19, "Table 40") + _GROUP,
    "CGBA": (0x1A, "Table 40") + _GROUP,
    "CGUA": (0x1B, "Table 40") + _GROUP,
    "FAR": (0x1F, "Table 4", ("facility_indicator",), (), True),
    "FAA": (0x20, "Table 4", ("facility_indicator",), (), True),
    "FRJ": (0x21, "Table 4", ("facility_indicator",), ("cause_indicators",), True),
    "LPA": (0x24, "Table 39") + _EMPTY,
    "PAM": (0x28, "Table 4", (), (), "raw"),
    "GRA": (0x29, "Table 25") + _BLOCK,
    "CQM": (0x2A, "Table 41") + _BLOCK,
    "CQR": (0x2B, "Table 26", (), ("range_and_status", "circuit_state_indicator"), False),
    "CPG": (0x2C, "Table 23", ("event_information",), (), True),
    "USR": (0x2D, "Table 36", (), ("user_to_user_information",), True),
    "UCIC": (0x2E, "Table 39") + _EMPTY,
    "CFN": (0x2F, "Table 29", (), ("cause_indicators",), True),
    "OLM": (0x30, "Table 39") + _EMPTY,
    "CRG": (0x31, "Table 4", (), (), "raw"),
    "NRM": (0x32, "Table 4") + _OPTIONAL,
    "FAC": (0x33, "Table 4") + _OPTIONAL,
    "UPT": (0x34, "Table 4") + _OPTIONAL,
    "UPA": (0x35, "Table 4") + _OPTIONAL,
    "IDR": (0x36, "Table 4") + _OPTIONAL,
    "IRS": (0x37, "Table 4") + _OPTIONAL,
    "SGM": (0x38, "Table 4") + _OPTIONAL,
    "LOP": (0x40, "Table 4") + _OPTIONAL,
    "APM": (0x41, "Table 4") + _OPTIONAL,
    "PRI": (0x42, "Table 4") + _OPTIONAL,
    "SDN": (0x43, "Table 4") + _OPTIONAL,
}

# T1.113.3: an IAM names the bearer in full; some messages of ITU do not exist
ANSI = {}
for _name in ("INR", "INF", "COT", "ACM", "FOT", "ANM", "REL", "SUS", "RES", "RLC", "CCR", "RSC", "BLO", "UBL", "BLA", "UBA",
              "GRS", "CGB", "CGU", "CGBA", "CGUA", "LPA", "PAM", "GRA", "CQM", "CQR", "CPG", "UCIC", "CFN", "FAC", "USR"):
    ANSI[_name] = ITU[_name]
ANSI["IAM"] = (0x01, "T1.113.3", ("nature_of_connection", "forward_call_indicators", "calling_party_category"),
               ("user_service_information", "called_party_number"), True)
ANSI["CRA"] = (0xE9, "T1.113.3") + _EMPTY
ANSI["CRM"] = (0xEA, "T1.113.3", ("nature_of_connection",), (), True)
ANSI["CVR"] = (0xEB, "T1.113.3", ("circuit_validation_response", "circuit_group_characteristic"), (), True)
ANSI["CVT"] = (0xEC, "T1.113.3") + _EMPTY
ANSI["EXM"] = (0xED, "T1.113.3") + _OPTIONAL

CHINA = dict(ITU)
CHINA["CCL"] = (0xFC, "YDN 038: calling party clear, forward, answered") + _OPTIONAL
CHINA["MPM"] = (0xFD, "YDN 038: metering pulse, backward, answered", ("charge_information",), (), True)
CHINA["OPR"] = (0xFE, "YDN 038: operator, both ways, answered") + _OPTIONAL

TABLES = {"itu": ITU, "ansi": ANSI, "china": CHINA}
NAMES = {}
for _variant in TABLES:
    NAMES[_variant] = {}
    for _name in TABLES[_variant]:
        NAMES[_variant][TABLES[_variant][_name][0]] = _name

# 2.9.5.3: never answered with CFN
NEVER_CONFUSED = ("CFN", "RLC", "GRS", "GRA", "CGB", "CGBA", "CGU", "CGUA", "CQM", "CQR", "UPA", "UPT")
# Messages about circuits, not about a call
GROUP_MESSAGES = ("GRS", "GRA", "CGB", "CGBA", "CGU", "CGUA", "CQM", "CQR")
CIRCUIT_MESSAGES = ("BLO", "BLA", "UBL", "UBA", "RSC", "UCIC", "CCR", "LPA")
