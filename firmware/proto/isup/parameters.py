"""ISUP parameters as a table: code, name, clause, length, codec.

decode(code, octets) and encode(name, value); the codecs and their values are in
contents.py.  Every parameter of Q.763 (12/1999) Table 5 stands here; those that
nothing of ours reads are passed on whole ("octets": hex).  Codes of T1.113.3
that ITU does not have are in ANSI.  Portable.
"""

from firmware.errors import LocalError, RemoteError
from firmware.proto.isup.contents import (
    CAUSE, MESSAGE_COMPATIBILITY, OCTETS, PARAMETER_COMPATIBILITY, RANGE, STATES, SUBSEQUENT, bad, bits, integer,
    number, words)

CATEGORIES = {0: "unknown", 1: "operator_french", 2: "operator_english", 3: "operator_german", 4: "operator_russian",
              5: "operator_spanish", 9: "national_operator", 10: "ordinary", 11: "priority", 12: "data", 13: "test",
              15: "payphone"}
MEDIA = {0: "speech", 2: "64k", 3: "3.1khz_audio", 4: "speech_64k_alternate", 5: "64k_speech_alternate",
         6: "64k_preferred", 7: "2x64k", 8: "384k", 9: "1536k", 10: "1920k"}
EVENTS = {1: "alerting", 2: "progress", 3: "inband", 4: "forwarded_busy", 5: "forwarded_no_reply",
          6: "forwarded_unconditional"}
REASONS = {0: "unknown", 1: "busy", 2: "no_reply", 3: "unconditional", 4: "deflection_alerting",
           5: "deflection", 6: "out_of_order"}

NATURE_OF_CONNECTION = bits(1, ("satellites", 0, 2, {}), ("continuity", 2, 2, {0: "none", 1: "this", 2: "previous"}),
                            ("echo", 4, 1, None))
FORWARD_CALL = bits(
    2, ("international", 0, 1, None), ("end_to_end", 1, 2, {}), ("interworking", 3, 1, None), ("end_to_end_info", 4, 1, None),
    ("isup", 5, 1, None), ("preference", 6, 2, {0: "preferred", 1: "not_required", 2: "required"}),
    ("isdn_access", 8, 1, None), ("sccp", 9, 2, {}))
BACKWARD_CALL = bits(
    2, ("charge", 0, 2, {0: "none", 1: "no_charge", 2: "charge"}), ("status", 2, 2, {0: "none", 1: "free", 2: "when_free"}),
    ("category", 4, 2, {0: "none", 1: "ordinary", 2: "payphone"}), ("end_to_end", 6, 2, {}), ("interworking", 8, 1, None),
    ("end_to_end_info", 9, 1, None), ("isup", 10, 1, None), ("holding", 11, 1, None), ("isdn_access", 12, 1, None),
    ("echo", 13, 1, None), ("sccp", 14, 2, {}))
_REDIRECTION = bits(2, ("indicator", 0, 3, {}), ("original_reason", 4, 4, REASONS), ("counter", 8, 3, {}),
                    ("reason", 12, 4, REASONS))


def _decode_redirection(octets):        # 3.45: the second octet may be missing
    return _REDIRECTION[0](bytes(octets) + bytes(max(0, 2 - len(octets))))


_FLAG = bits(1, ("flag", 0, 1, None))
_PLAIN_NUMBER = number("number", "inn", False, False)

# code: (name, clause, least octets, most octets, codec)
PARAMETERS = {
    0x01: ("call_reference", "3.8", 5, 6, OCTETS),
    0x02: ("transmission_medium", "3.54", 1, 1, words(MEDIA)),
    0x03: ("access_transport", "3.3", 1, 250, OCTETS),
    0x04: ("called_party_number", "3.9", 2, 20, number("called party number", "inn", False, False)),
    0x05: ("subsequent_number", "3.51", 1, 20, SUBSEQUENT),
    0x06: ("nature_of_connection", "3.35", 1, 1, NATURE_OF_CONNECTION),
    0x07: ("forward_call_indicators", "3.23", 2, 2, FORWARD_CALL),
    0x08: ("optional_forward_call_indicators", "3.38", 1, 1, bits(
        1, ("cug", 0, 2, {}), ("segmentation", 2, 1, None), ("connected_line_requested", 7, 1, None))),
    0x09: ("calling_party_category", "3.11", 1, 1, words(CATEGORIES)),
    0x0A: ("calling_party_number", "3.10", 2, 20, number("calling party number", "incomplete")),
    0x0B: ("redirecting_number", "3.44", 2, 20, number("redirecting number", None, True, False)),
    0x0C: ("redirection_number", "3.46", 2, 20, _PLAIN_NUMBER),
    0x0D: ("connection_request", "3.17", 7, 9, OCTETS),
    0x0E: ("information_request_indicators", "3.29", 2, 2, bits(
        2, ("calling_address", 0, 1, None), ("holding", 1, 1, None), ("category", 3, 1, None), ("charge", 4, 1, None),
        ("malicious", 7, 1, None))),
    0x0F: ("information_indicators", "3.28", 2, 2, bits(
        2, ("calling_address", 0, 2, {0: "not_included", 1: "not_available", 3: "included"}), ("hold", 2, 1, None),
        ("category", 5, 1, None), ("charge", 6, 1, None), ("solicited", 7, 1, {0: "solicited", 1: "unsolicited"}))),
    0x10: ("continuity_indicators", "3.18", 1, 1, bits(1, ("success", 0, 1, None))),
    0x11: ("backward_call_indicators", "3.5", 2, 2, BACKWARD_CALL),
    0x12: ("cause_indicators", "3.12", 2, 30, CAUSE),
    0x13: ("redirection_information", "3.45", 1, 2, (_decode_redirection, _REDIRECTION[1])),
    0x15: ("supervision_type", "3.13", 1, 1, bits(1, ("type", 0, 2, {0: "maintenance", 1: "hardware"}))),
    0x16: ("range_and_status", "3.43", 1, 33, RANGE),
    0x18: ("facility_indicator", "3.22", 1, 1, OCTETS),
    0x1A: ("cug_interlock_code", "3.15", 4, 4, OCTETS),
    0x1D: ("user_service_information", "3.57", 2, 13, OCTETS),
    0x1E: ("signalling_point_code", "3.50", 2, 4, OCTETS),
    0x20: ("user_to_user_information", "3.61", 1, 129, OCTETS),
    0x21: ("connected_number", "3.16", 2, 20, number("connected number")),
    0x22: ("suspend_resume_indicators", "3.52", 1, 1, bits(1, ("by", 0, 1, {0: "user", 1: "network"}))),
    0x23: ("transit_network_selection", "3.53", 1, 250, OCTETS),
    0x24: ("event_information", "3.21", 1, 1, bits(1, ("event", 0, 7, EVENTS), ("restricted", 7, 1, None))),
    0x25: ("circuit_assignment_map", "3.69", 5, 5, OCTETS),
    0x26: ("circuit_state_indicator", "3.14", 1, 32, STATES),
    0x27: ("automatic_congestion_level", "3.4", 1, 1, words({})),
    0x28: ("original_called_number", "3.39", 2, 20, number("original called number", None, True, False)),
    0x29: ("optional_backward_call_indicators", "3.37", 1, 1, bits(
        1, ("inband", 0, 1, None), ("diversion", 1, 1, None), ("segmentation", 2, 1, None), ("mlpp", 3, 1, None))),
    0x2A: ("user_to_user_indicators", "3.60", 1, 1, OCTETS),
    0x2B: ("origination_isc_point_code", "3.40", 2, 2, OCTETS),
    0x2C: ("generic_notification", "3.25", 1, 250, OCTETS),
    0x2D: ("call_history_information", "3.7", 2, 2, integer(2)),
    0x2E: ("access_delivery_information", "3.2", 1, 1, _FLAG),
    0x2F: ("network_specific_facility", "3.36", 1, 250, OCTETS),
    0x30: ("user_service_information_prime", "3.58", 2, 13, OCTETS),
    0x31: ("propagation_delay_counter", "3.42", 2, 2, integer(2)),
    0x32: ("remote_operations", "3.48", 1, 250, OCTETS),
    0x33: ("service_activation", "3.49", 1, 250, OCTETS),
    0x34: ("user_teleservice_information", "3.59", 2, 3, OCTETS),
    0x35: ("transmission_medium_used", "3.56", 1, 1, words(MEDIA)),
    0x36: ("call_diversion_information", "3.6", 1, 1, OCTETS),
    0x37: ("echo_control_information", "3.19", 1, 1, bits(
        1, ("outgoing", 0, 2, {}), ("incoming", 2, 2, {}), ("outgoing_request", 4, 2, {}), ("incoming_request", 6, 2, {}))),
    0x38: ("message_compatibility", "3.33", 1, 250, MESSAGE_COMPATIBILITY),
    0x39: ("parameter_compatibility", "3.41", 2, 250, PARAMETER_COMPATIBILITY),
    0x3A: ("mlpp_precedence", "3.34", 6, 6, OCTETS),
    0x3B: ("mcid_request", "3.31", 1, 1, bits(1, ("requested", 0, 1, None), ("holding", 1, 1, None))),
    0x3C: ("mcid_response", "3.32", 1, 1, bits(1, ("included", 0, 1, None), ("holding", 1, 1, None))),
    0x3D: ("hop_counter", "3.80", 1, 1, bits(1, ("count", 0, 5, {}))),
    0x3E: ("transmission_medium_prime", "3.55", 1, 1, words(MEDIA)),
    0x3F: ("location_number", "3.30", 2, 20, number("location number", "inn")),
    0x40: ("redirection_number_restriction", "3.47", 1, 1, OCTETS),
    0x43: ("call_transfer_reference", "3.65", 1, 1, OCTETS),
    0x44: ("loop_prevention", "3.67", 1, 1, OCTETS),
    0x45: ("call_transfer_number", "3.64", 2, 20, number("call transfer number", "inn")),
    0x4B: ("ccss", "3.63", 1, 1, _FLAG),
    0x4C: ("forward_gvns", "3.66", 1, 250, OCTETS),
    0x4D: ("backward_gvns", "3.62", 1, 250, OCTETS),
    0x4E: ("redirect_capability", "Table 5", 1, 250, OCTETS),
    0x5B: ("network_management_controls", "Table 5", 1, 250, OCTETS),
    0x65: ("correlation_id", "Table 5", 1, 250, OCTETS),
    0x66: ("scf_id", "Table 5", 1, 250, OCTETS),
    0x6E: ("call_diversion_treatment", "Table 5", 1, 250, OCTETS),
    0x6F: ("called_in_number", "Table 5", 2, 20, number("called IN number", None, True, False)),
    0x70: ("call_offering_treatment", "Table 5", 1, 250, OCTETS),
    0x71: ("charged_party_identification", "Table 5", 1, 250, OCTETS),
    0x72: ("conference_treatment", "Table 5", 1, 250, OCTETS),
    0x73: ("display_information", "Table 5", 1, 250, OCTETS),
    0x74: ("uid_action_indicators", "Table 5", 1, 250, OCTETS),
    0x75: ("uid_capability_indicators", "Table 5", 1, 250, OCTETS),
    0x77: ("redirect_counter", "Table 5", 1, 250, OCTETS),
    0x78: ("application_transport", "3.82", 1, 250, OCTETS),
    0x79: ("collect_call_request", "3.81", 1, 1, _FLAG),
    0x81: ("calling_geodetic_location", "Table 5", 1, 250, OCTETS),
    0xC0: ("generic_number", "3.26", 3, 21, number("generic number", "incomplete", True, True, True)),
    0xC1: ("generic_digits", "3.24", 2, 250, OCTETS),
}
# T1.113.3: what ANSI has beside the codes above (0xC0 is its generic address)
ANSI = {
    0xC2: ("operator_services_information", "T1.113.3", 1, 250, OCTETS),
    0xC3: ("egress_service", "T1.113.3", 1, 250, OCTETS),
    0xC4: ("jurisdiction", "T1.113.3", 3, 3, OCTETS),
    0xC5: ("carrier_identification", "T1.113.3", 3, 4, OCTETS),
    0xC6: ("business_group", "T1.113.3", 6, 6, OCTETS),
    0xC7: ("generic_name", "T1.113.3", 1, 16, OCTETS),
    0xE1: ("notification_indicator", "T1.113.3", 1, 2, OCTETS),
    0xE5: ("circuit_group_characteristic", "T1.113.3", 1, 1, OCTETS),
    0xE6: ("circuit_validation_response", "T1.113.3", 1, 1, bits(1, ("success", 0, 1, None))),
    0xE7: ("outgoing_trunk_group_number", "T1.113.3", 3, 3, OCTETS),
    0xE8: ("circuit_identification_name", "T1.113.3", 1, 26, OCTETS),
    0xE9: ("clli_code", "T1.113.3", 11, 11, OCTETS),
    0xEA: ("originating_line_information", "T1.113.3", 1, 1, words({})),
    0xEB: ("charge_number", "T1.113.3", 2, 12, number("charge number", None, False, False)),
    0xEC: ("service_code", "T1.113.3", 1, 1, words({})),
    0xED: ("special_processing_request", "T1.113.3", 1, 1, words({})),
    0xEE: ("carrier_selection", "T1.113.3", 1, 1, words({})),
    0xEF: ("network_transport", "T1.113.3", 1, 250, OCTETS),
}
# The Chinese national message MPM carries it as a fixed part of two octets, so its code never travels;
# the figure 0xFE is a vendor's (Dialogic SS7 Protocols ISUP Programmer's Manual, issue 15, page 179).
CHINA = {0xFE: ("charge_information", "YDN 038", 2, 2, integer(2))}

_VARIANTS = {"itu": PARAMETERS, "ansi": dict(PARAMETERS), "china": dict(PARAMETERS)}
_VARIANTS["ansi"].update(ANSI)
_VARIANTS["china"].update(CHINA)
CODES = {}
for _table in _VARIANTS.values():
    for _code in _table:
        CODES[_table[_code][0]] = _code


def name_of(variant, code):
    """The name of a parameter, or None: unknown in that variant."""
    row = _VARIANTS[variant].get(code)
    return None if row is None else row[0]


def decode(variant, code, octets):
    """Decode the contents of a known parameter.  Raises RemoteError(cause=100)."""
    name, _, least, most, codec = _VARIANTS[variant][code]
    if not least <= len(octets) <= most:
        raise bad("%s of %d octets, %d to %d are allowed" % (name, len(octets), least, most))
    try:
        return codec[0](octets)
    except IndexError:
        raise bad("%s ends too early" % name)


def encode(variant, name, value):
    """Encode the contents of a parameter.  Raises LocalError."""
    code = CODES.get(name)
    row = _VARIANTS[variant].get(code)
    if row is None:
        raise LocalError("ISUP (%s) has no parameter %r" % (variant, name))
    try:
        octets = row[4][1](value)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RemoteError) as error:
        raise LocalError("%s: %r cannot be encoded: %r" % (name, value, error))
    if not row[2] <= len(octets) <= row[3]:
        raise LocalError("%s of %d octets, %d to %d are allowed" % (name, len(octets), row[2], row[3]))
    return octets
