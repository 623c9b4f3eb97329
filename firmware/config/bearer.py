"""What carries a span, in its row of the configuration: the board description's choice, or one that is made here.

The fields and their check are those of boardconfig/bearers.py, whose "bearers" say the same, one line a span."""

from boardconfig import bearers
from firmware.config.field import IMPACT_SPAN, Section, Switch, Text, Whole

DESCRIBED = "described"
ENDPOINT = r"(\d{1,3}(\.\d{1,3}){3}:\d{1,5})?"

BEARER = Section("what carries the span", {
    "kind": Text("described: as the description of the board says (boardconfig), else the board itself; cesopsn: timeslots over UDP "
                 "(RFC 5086); satop: the whole E1 over UDP (RFC 4553); dahdi: a span of a card that Linux drives through DAHDI", choices=(DESCRIBED, *bearers.KINDS), default=DESCRIBED, impact=IMPACT_SPAN),
    "dahdi_span": Whole("dahdi: the number of the card's span, as lsdahdi shows it", 0, bearers.DAHDI_SPANS[1], default=bearers.DEFAULTS["dahdi_span"],
                        impact=IMPACT_SPAN),
    "local": Text("address and UDP port of this box, where packets come in", pattern=ENDPOINT, hint="for example 192.0.2.10:2142",
                  default=bearers.DEFAULTS["local"], impact=IMPACT_SPAN),
    "remote": Text("address and UDP port of the far end; packets of others are thrown away", pattern=ENDPOINT,
                   hint="for example 192.0.2.20:2142", default=bearers.DEFAULTS["remote"], impact=IMPACT_SPAN),
    "timeslots": Text("cesopsn: the timeslots in a packet, in their order; the same at both ends", pattern=r"[0-9, -]{1,100}",
                      hint="for example 1-31 or 1-15,17-31", default=bearers.DEFAULTS["timeslots"], impact=IMPACT_SPAN),
    "cas": Switch("with the ABCD bits of channel-associated signalling", default=bearers.DEFAULTS["cas"], impact=IMPACT_SPAN),
    "packet_ms": Whole("how much a packet holds; the same at both ends", *bearers.PACKET_MS, unit="ms", default=bearers.DEFAULTS["packet_ms"],
                       impact=IMPACT_SPAN),
    "jitter_ms": Whole("how late a packet may come and still be heard; it delays what is heard by as much", *bearers.JITTER_MS, unit="ms",
                       default=bearers.DEFAULTS["jitter_ms"], impact=IMPACT_SPAN),
    "rtp": Switch("with an RTP header; the same at both ends", default=bearers.DEFAULTS["rtp"], impact=IMPACT_SPAN),
    "rtp_payload_type": Whole("the payload type of that header", *bearers.RTP_TYPES, default=bearers.DEFAULTS["rtp_payload_type"],
                              impact=IMPACT_SPAN)}, impact=IMPACT_SPAN)


def check(config):
    """Errors between bearers and spans."""
    return bearers.check_bearers([(f"spans[{i}].bearer", row["span"], row["bearer"], row) for i, row in enumerate(config["spans"])
                                  if row["enabled"] and row["bearer"]["kind"] != DESCRIBED], config["spans"])


def in_force(config, described):
    """({span: bearer with the span's type and crc4} of the spans in service that the board does not carry, [ConfigError]).

    described: "bearers" of the board's description.  A line there that does not fit its span is an error, and its span is the board's."""
    lines = {row["span"]: (n, bearers.complete(row)) for n, row in enumerate(described)}
    found, errors, taken = {}, [], {}
    rows = [row for row in config["spans"] if row["enabled"]]
    for row in sorted(rows, key=lambda row: row["bearer"]["kind"] == DESCRIBED):
        number, bearer = row["span"], dict(row["bearer"])
        if bearer["kind"] == DESCRIBED:
            if number not in lines:
                continue
            place, bearer = lines[number]
            wrong = bearers.check_bearers([(f"bearers[{place}]", number, bearer, row)], config["spans"])
            if not wrong and bearer["kind"] != "board" and bearers.end_of(bearer) in taken:
                wrong = [bearers.ConfigError(f"bearers[{place}]", f"{bearers.end_of(bearer)} is that of span {taken[bearers.end_of(bearer)]} too")]
            if wrong:
                errors += wrong
                continue
        if bearer["kind"] != "board":
            taken[bearers.end_of(bearer)] = number
            found[number] = {**bearer, "type": row["type"], "crc4": bool(row["crc4"])}
    return dict(sorted(found.items())), errors
