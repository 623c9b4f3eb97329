"""The agent's page's event stream: /desk/live, server-sent events.

    me         the agent's row and messages, rendered
    now        {"call", "known", "state"}: which call the agent has, or does after-call work for; the page fetches the rest by itself

One agent's parts are rendered when the house changes and the agent's own facts did."""

import asyncio
import json
import time

from webui.live import GATHER_S, _body
from webui.render import render


class DeskLive:
    """live: webui.live.Live, whose waiting for changes is shared."""

    def __init__(self, live):
        self.live, self.house = live, live.house

    def facts(self, agent):
        """(version, {"row", "messages", "now", "away", "zone"}) of an agent.  Runs in a thread."""
        version, state = self.house.state()
        state = state or {}
        row = next((row for row in state.get("agents") or () if row["name"] == agent), None)
        mine = (row or {}).get("call") or (row or {}).get("wrapped")
        call = next((one for one in state.get("calls") or () if one["call"] == mine), None)
        now = {"call": mine, "state": (row or {}).get("state"), "known": (call or {}).get("customer"), "undone": (row or {}).get("undone")}
        messages = [one for one in state.get("broadcasts") or () if agent in one["agents"]]
        return version, {"row": row, "messages": messages, "now": now, "away": self.house.away, "zone": (state.get("system") or {}).get("timezone", "UTC"),
                         "reasons": state.get("break_reasons") or []}

    async def stream(self, receive, send, language, agent, still):
        """Answer one ASGI request until the browser goes away, or may not see it any more.  still: see Application.still."""
        await send({"type": "http.response.start", "status": 200, "headers": [
            (b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]})
        gone = asyncio.ensure_future(self.live._disconnected(receive))
        shown, version = {}, None
        try:
            while not gone.done() and await still():
                version, facts = await asyncio.to_thread(self.facts, agent)
                parts = {"me": json.dumps(await asyncio.to_thread(render, "part_desk_me.html", language, agent=agent, **facts)), "now": json.dumps(facts["now"])}
                lines = [f"event: {part}\ndata: {text}\n\n" for part, text in parts.items() if shown.get(part) != text]
                if lines:
                    await send(_body(f"event: clock\ndata: {time.time_ns() // 1_000_000}\n\n" + "".join(lines)))
                    shown = parts
                await asyncio.sleep(GATHER_S)
                if await self.live._changed(version, gone) == version:
                    await send(_body(": still here\n\n"))
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
