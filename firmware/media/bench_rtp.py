"""RTP by the packet: `results()` for `make bench`.

1,000 streams both ways (500 relayed calls) through the real process, the load on the other processor (bench.py); the
processor time of its tick, kernel and loopback included, by the packet that came or went; then 2,000 streams both ways, in the clear, and with
SRTP at half of them.  SRTP by suite: what libsrtp2 adds to one stream both ways, in processor time of the call alone.
"""

import asyncio
import json

from firmware.media import _engine, admission, bench, bench_folder

CALLS = 500
STREAMS = 2000                  # both ways: 1,000 relayed calls, what the issue asks of one machine
PACKETS_A_CALL = 200            # a second: two legs, 50 in and 50 out each


def results():
    """Rows for build/bench.json."""
    octets, source = bench.speech()
    with bench_folder.folder() as folder:
        (_, _, figures), (_, _, streams), (_, _, secured) = asyncio.run(bench.Bench(folder, octets).run([
            ("relayed", CALLS, bench.relayed_calls), ("relayed", STREAMS // 2, bench.relayed_calls), ("secured", STREAMS // 4, bench.secured_calls)]))
    tick_s = figures["threads"].get("tick", 0) * figures["took_s"]
    packets = figures["packets_in"] + figures["packets_out"]
    theirs = PACKETS_A_CALL * bench.RTPENGINE_RELAYED
    rate = packets / tick_s
    rows = [{"name": "media.rtp_packets_per_core_second", "value": round(rate), "unit": "packets/s", "reference": "rtpengine 10.5 in user space, other machine",
             "reference_value": theirs, "ratio": round(rate / theirs, 3),
             "note": f"{source}; {packets / figures['took_s']:.0f} packets/s took {tick_s / figures['took_s']:.3f} of a core, {figures['lost']} lost, "
                     f"{figures['concealed']} samples concealed; tick mean {figures['tick']['mean_ms']} ms, p99 {figures['tick']['p99_ms']} ms"}]
    rows.append({"name": "sip.streams_2000.cores", "of": "sip.rtpengine_streams_2000.cores", "value": round(streams["threads"].get("tick", 0), 4), "unit": "cores",
                 "reference": "rtpengine 10.5 in user space, other machine", "reference_value": round(STREAMS // 2 / bench.RTPENGINE_RELAYED, 3),
                 "ratio": round(streams["threads"].get("tick", 0) / (STREAMS // 2 / bench.RTPENGINE_RELAYED), 3),
                 "note": f"{STREAMS} streams both ways, {streams['lost']} lost; tick mean {streams['tick']['mean_ms']} ms, p99 {streams['tick']['p99_ms']} ms"})
    rows.append({"name": "sip.streams_2000_half_srtp.cores", "value": round(secured["threads"].get("tick", 0), 4), "unit": "cores",
                 "reference": "as many streams in the clear", "reference_value": round(streams["threads"].get("tick", 0), 4),
                 "ratio": round(secured["threads"].get("tick", 0) / streams["threads"].get("tick", 0), 3),
                 "note": f"{bench.SRTP_SUITE}, {secured['lost']} lost; tick mean {secured['tick']['mean_ms']} ms, p99 {secured['tick']['p99_ms']} ms"})
    rows += [{"name": "sip.streams_2000.lost_percent", "value": round(100 * streams["lost"] / streams["packets_in"], 3), "unit": "%"},
             {"name": "sip.streams_2000_half_srtp.lost_percent", "value": round(100 * secured["lost"] / secured["packets_in"], 3), "unit": "%"}]
    for suite, ns in admission.measure_srtp().items():
        share = ns * 100 / 1e9
        rows.append({"name": f"media.srtp_core_share_per_stream.{suite}", "value": round(share, 6), "unit": "cores", "reference": "the same stream in the clear",
                     "reference_value": round(tick_s / figures["took_s"] / (2 * CALLS), 6), "ratio": None,
                     "note": f"{ns * admission.TICKS_A_PACKET / 1000:.2f} us for a packet each way; keys {_engine.SRTP_KEY_OCTETS[suite]} octets"})
    return rows


if __name__ == "__main__":
    print(json.dumps(results(), indent=1))
