"""One question to a process of its own at the lowest priority: long reading and computing stays out of control's turns.

    answer = await ask("firmware.trace.forget", {"forms": [...]}, "/data/trace", most_s=None)

The module reads one JSON value from its standard input, writes one to its standard output and ends; it lowers its own priority.
"""

import asyncio
import contextlib
import json
import sys

from firmware.errors import LocalError

SAID = 300          # characters of the last words of one that failed


class Unanswered(LocalError):
    """The process ended without an answer; its last words are the text."""


async def ask(module, question, *arguments, most_s=None):
    """The answer of `python -m module arguments`.  Raises Unanswered where it fails, TimeoutError after most_s seconds; it never outlives the caller."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, stdin=asyncio.subprocess.PIPE,
                                                   stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        out, said = await asyncio.wait_for(process.communicate(json.dumps(question).encode()), most_s)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise Unanswered((lines or ["it ended without a word"])[-1][:SAID])
    return json.loads(out)
