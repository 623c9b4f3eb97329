"""The live page's event stream: /live, server-sent events.

At the start a browser gets every part of the page; after each change of the
house it gets the parts that differ.  A part is rendered once for each
language, however many browsers look.  Changes are gathered for GATHER_S, so a
busy hour costs no more than a quiet one.
"""

import asyncio
import json
import time

from webui.render import render

PARTS = ("alarms", "thresholds", "spans", "queues", "agents", "calls")
GATHER_S = 0.15
KEEPALIVE_S = 5          # also: how long rights that were taken away still show what stands on a page where nothing changes


class Live:
    """Renders the parts and streams them.  house: webui.house.House."""

    def __init__(self, house):
        self.house = house
        self._rendered = {}   # (language, domain) -> (version, {part: html})
        self._lock = asyncio.Lock()
        self._wake = None
        self._waiter = None

    def parts(self, language, domain=None):
        """{part: html} of now.  domain: (agents, queues) that may be seen, None: all.  Runs in a thread."""
        version, state = self.house.state()
        known = self._rendered.get((language, domain))
        if known and known[0] == version:
            return version, known[1]
        zone = ((state or {}).get("system") or {}).get("timezone", "UTC")
        parts = {part: render(f"part_{part}.html", language, state=cut(state or {}, domain), away=self.house.away, zone=zone)
                 for part in PARTS}
        if len(self._rendered) > 200:
            self._rendered.clear()
        self._rendered[language, domain] = (version, parts)
        return version, parts

    async def stream(self, receive, send, language, domain, still):
        """Answer one ASGI request until the browser goes away, or may not see it any more.  still: see Application.still."""
        await send({"type": "http.response.start", "status": 200, "headers": [
            (b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no")]})
        gone = asyncio.ensure_future(self._disconnected(receive))
        shown, version = {}, None
        try:
            while not gone.done() and await still():
                version, parts = await asyncio.to_thread(self.parts, language, domain)
                lines = [f"event: {part}\ndata: {json.dumps(html)}\n\n"
                         for part, html in parts.items() if shown.get(part) != html]
                if lines:
                    clock = f"event: clock\ndata: {time.time_ns() // 1_000_000}\n\n"
                    await send(_body(clock + f"id: {version}\n" + "".join(lines)))
                    shown = dict(parts)
                await asyncio.sleep(GATHER_S)
                if await self._changed(version, gone) == version:
                    await send(_body(": still here\n\n"))
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()

    async def _changed(self, version, gone):
        """Wait for the next change, the keep-alive or the end; one thread waits for all browsers."""
        if self.house.version != version:
            return self.house.version
        if self._wake is None or self._wake.is_set():
            self._wake = asyncio.Event()
            loop, wake = asyncio.get_running_loop(), self._wake
            loop.run_in_executor(None, self._wait_in_thread, version, loop, wake)
        waiting = asyncio.ensure_future(self._wake.wait())
        await asyncio.wait((waiting, gone), timeout=KEEPALIVE_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return self.house.version

    def _wait_in_thread(self, version, loop, wake):
        self.house.wait(version, KEEPALIVE_S)
        loop.call_soon_threadsafe(wake.set)

    @staticmethod
    async def _disconnected(receive):
        while (await receive())["type"] != "http.disconnect":
            pass


def cut(state, domain):
    """A state with the agents, queues and calls of a domain."""
    if domain is None:
        return state
    agents, queues = domain
    return {**state, "agents": [row for row in state.get("agents") or () if row["name"] in agents],
            "thresholds": [row for row in state.get("thresholds") or () if row["queue"] in queues],
            "queues": [row for row in state.get("queues") or () if row["name"] in queues],
            "calls": [row for row in state.get("calls") or () if {row.get("agent"), row.get("offered_agent")} & agents or row.get("queue") in queues]}


def _body(text):
    return {"type": "http.response.body", "body": text.encode(), "more_body": True}
