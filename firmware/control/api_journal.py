"""The part of the local API that is about what is kept.

    GET  /v1/set_aside                 {"count", "rows"}: what could not be carried out or written for a fault of ours, oldest first
    POST /v1/set_aside/clear           a person has seen to it
"""

import asyncio


class JournalAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api, self._house = api, api.house

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("set_aside",), self.set_aside), ("POST", ("set_aside", "clear"), self.clear)]

    async def set_aside(self, query, body):
        kept = self._house.stores.set_aside
        return {"count": kept.count, "rows": await asyncio.to_thread(kept.rows)}

    async def clear(self, query, body):
        self._house.stores.set_aside.clear()
        return {"ok": True}
