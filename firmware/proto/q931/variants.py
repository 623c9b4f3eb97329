"""The dialects of Q.931 as data: what each has otherwise than EN 300 403-1.

    etsi    EN 300 403-1 (Q.931), user and network side
    ni2     National ISDN-2 primary rate (Bellcore GR/TR-1268, SR-4994), user and network side
    5ess    AT&T and Lucent 5ESS custom (TR 41459, 235-900-342), both sides
    dms100  Nortel DMS-100 custom (NIS-A211-1), both sides
    qsig    ISO/IEC 11572 = ECMA-143 basic call between private exchanges: side "network" is side A of
            ISO/IEC 11572, "user" is side B; both run the same tables

The Bellcore, AT&T and Nortel documents cost money and were not at hand: what
stands here agrees with libpri 1.6 on the wire (tests/proto/test_q931_variants_libpri.py),
and what was decided without a document says "ours".  Timers are those of
codes.TIMERS unless a row of "timers" says otherwise.
"""

# Settings, and the values of etsi.
ETSI = {
    # The same state table on both sides: that of the user side, states 1 to 4 for who sent SETUP, 6 to 9 for who got it.
    "symmetrical": False,
    # Digits may follow SETUP (5.1.3); else numbers are whole in both directions, whatever the elements say.
    "overlap": True,
    "sending_complete": True,           # whether SETUP carries Sending complete
    "channel_in_setup": ("user",),      # sides on which a SETUP must name a channel (3.1.14)
    "not_implemented": (),              # messages answered with STATUS 97
    # 4.5.1: an unknown element 0000 xxxx fails its message (96); an unknown one in a clearing message is told (99).
    "comprehension": True,
    "unknown_in_clearing": True,
    "clear_with_tone": True,            # DISCONNECT may come before an announcement (5.4.2)
    # A number of unknown type goes out with the unknown plan.
    "unknown_plan_of_unknown_type": False,
    "maintenance": None,                # protocol discriminator of SERVICE
    # How the caller's name travels, by side that sends: "display", "typed_display" (with the octet
    # that says "calling party name"), "facility_qsig", "facility_ni", None (not at all)
    "caller_name": {"user": None, "network": "display"},
    "location": {"user": 1, "network": 2},      # of our causes, Q.850 2.2.3
    "timers": {},
}


def _other(**changes):
    row = dict(ETSI)
    row.update(changes)
    return row


_HOLD = ("HOLD", "HOLD_ACKNOWLEDGE", "HOLD_REJECT", "RETRIEVE", "RETRIEVE_ACKNOWLEDGE", "RETRIEVE_REJECT")
_OVERLAP_AND_HOLD = ("SETUP_ACKNOWLEDGE",) + _HOLD


def _american(**changes):
    """What the three North American ones share."""
    row = _other(
        overlap=False, sending_complete=False, channel_in_setup=("user", "network"),
        not_implemented=_OVERLAP_AND_HOLD, unknown_in_clearing=False, clear_with_tone=False,
        unknown_plan_of_unknown_type=True, maintenance=0x03,
        caller_name={"user": "typed_display", "network": "typed_display"})
    row.update(changes)
    return row


VARIANTS = {
    "etsi": ETSI,
    # A name is sent as a display, which libpri reads in SETUP; one in a Facility is read.
    "ni2": _american(maintenance=0x43),
    # ours: these two date from before comprehension was asked for, so an unknown element never costs a call.
    "5ess": _american(comprehension=False),
    "dms100": _american(comprehension=False),
    "qsig": _other(
        symmetrical=True, sending_complete=False, channel_in_setup=("user", "network"), clear_with_tone=False,
        not_implemented=_HOLD,
        caller_name={"user": "facility_qsig", "network": "facility_qsig"}, location={"user": 1, "network": 1},
        timers={"T310": 110000}),       # ISO/IEC 11572: 110 s to 120 s
}
# NTT's INS-Net 1500.  Its interface documents were not at hand: what is known of them is that numbers go whole and that supplementary
# services of Q.932 are not offered on a primary rate; for the rest Q.931.  "ours", all of it; the far end of the tests is libpri's EuroISDN on a J1.
VARIANTS["ins1500"] = _other(overlap=False, sending_complete=False, not_implemented=_OVERLAP_AND_HOLD,
                             caller_name={"user": None, "network": None})
NAMES = ("etsi", "ni2", "5ess", "dms100", "qsig", "ins1500")
