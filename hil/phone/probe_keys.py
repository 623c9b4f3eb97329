"""What a person does at the probe telephone in a call besides talking: keys, and flashing the hook, as analog gateways pass them on.

    phone.press("913912345678")            # events of RFC 4733, where its payload_types have 101
    phone.press("!")                       # event 16: a hook flash
    phone.info("application/hook-flash", b"signal=hf")       # any INFO of the dialog; "info" {"status"} follows

Imports nothing of the product."""

EVENTS = {digit: code for code, digit in enumerate("0123456789*#ABCD!")}        # RFC 4733 3.2


class Keys:
    """A part of ProbePhone."""

    def press(self, digits):
        """One event after the other, 100 ms each and 60 ms apart; returns when all are sent."""
        for digit in digits:
            self.stream.press(EVENTS[digit]).wait(10)

    def info(self, kind, body):
        """INFO in the present call.  kind: of its body."""
        with self._changed:
            call = self._call
            call.sequence += 1
            self._request("INFO", call.invite.uri("contact"), [
                ("from", self._with_tag(call.invite.get("to"), call.tag)), ("to", call.invite.get("from")), ("call-id", call.invite.get("call-id")),
                ("cseq", f"{call.sequence} INFO"), *[("route", value) for value in call.invite.all("record-route")], ("content-type", kind)],
                lambda answer: self._note("info", status=answer.status if answer is not None else 408), body)
