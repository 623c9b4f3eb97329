"""The whole state of the switchboard as octets: JSON, compressed, made beside the control loop.

With 1,800 calls it is 4 MB of JSON, 150 ms of one encoder call that nothing can interrupt.  So pack() encodes a few
entries at a time and rests between them: another thread waits for the interpreter a millisecond or two at most.
"""

import json
import time
import zlib

BATCH = 16          # entries in one call of the encoder, about 1 ms; measured
REST_S = 0.001


def pieces(value, levels=2):
    """A value's JSON text in pieces: dicts to a depth entry by entry, lists by the batch."""
    if isinstance(value, dict) and levels:
        comma = "{"
        for key in value:
            yield comma + _text(str(key)) + ":"
            yield from pieces(value[key], levels - 1)
            comma = ","
        yield "}" if value else "{}"
    elif isinstance(value, list) and len(value) > BATCH:
        for start in range(0, len(value), BATCH):
            yield ("," if start else "[") + _text(value[start:start + BATCH])[1:-1]
        yield "]"
    else:
        yield _text(value)


def _text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pack(data, rest=time.sleep):
    """Octets of plain data.  rest(seconds): called now and then; None where nobody waits."""
    compressor = zlib.compressobj(1)
    octets, since = [], 0
    for piece in pieces(data):
        octets.append(compressor.compress(piece.encode("utf-8", "replace")))
        since += len(piece)
        if rest is not None and since > 20000:
            rest(REST_S)
            since = 0
    octets.append(compressor.flush())
    return b"".join(octets)


def unpack(octets):
    """The data of pack()."""
    return json.loads(zlib.decompress(octets))
