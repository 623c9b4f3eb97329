"""All spans, whoever carries them: each order goes to the framers of the board or to the bearers.

Adapter "lines": what the local API and the turn-up speak to."""

from firmware.links.adapter import Adapter

BOARD = {"kind": "board"}


class AllLines(Adapter):
    """framers: Framers; bearers: Bearers."""

    name = "lines"

    def __init__(self, framers, bearers):
        self._framers, self._bearers = framers, bearers

    def _of(self, span):
        return self._bearers if span in self._bearers.wanted else self._framers

    def lines(self):
        """{span: {"loop", "code_sent", "code_received", "bearer": {"kind", ...}}}."""
        return {**{span: {**row, "bearer": BOARD} for span, row in self._framers.lines().items()}, **self._bearers.lines()}

    async def loop(self, span, kind, timeslot=None, by="us"):
        """Set or end a loop.  by: "us" or line_orders.TURN_UP."""
        return await self._of(span).loop(span, kind, timeslot, by)

    async def send_code(self, span, code):
        """Send a loop code; None ends it."""
        return await self._of(span).send_code(span, code)

    async def listen(self, span, sensitivity):
        """Another receive sensitivity for a while, where a line interface has one."""
        return await self._framers.listen(span, sensitivity)

    async def force(self, span, rai, ais, by="us"):
        """Send RAI or AIS whatever comes in.  by: as of a loop."""
        return await self._of(span).force(span, rai, ais, by)
