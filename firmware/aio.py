"""The asyncio surface that CPython and MicroPython share.

The only importer of asyncio in the portable packages (proto, call, acd, ivr).
Protocol machines take the time as a parameter and need none of this; it is
for the scenario tests and for code that must wait.
"""

import asyncio
import time

sleep_ms = getattr(asyncio, "sleep_ms", None)
if sleep_ms is None:
    async def sleep_ms(milliseconds):
        """Wait for a number of milliseconds."""
        await asyncio.sleep(milliseconds / 1000)

create_task = asyncio.create_task
gather = asyncio.gather
Event = asyncio.Event
Lock = asyncio.Lock
CancelledError = asyncio.CancelledError

if hasattr(time, "ticks_ms"):
    def monotonic_ms():
        """Milliseconds of a clock that never steps back."""
        return time.ticks_ms()
else:
    def monotonic_ms():
        """Milliseconds of a clock that never steps back."""
        return time.monotonic_ns() // 1000000


class Queue:
    """An unbounded first-in first-out queue (MicroPython's asyncio has none)."""

    def __init__(self):
        self._items = []
        self._ready = Event()

    def put_nowait(self, item):
        """Add an item; a waiting get() returns."""
        self._items.append(item)
        self._ready.set()

    async def get(self):
        """Take the oldest item, waiting for one."""
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        return self._items.pop(0)
