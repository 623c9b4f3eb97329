"""Full density: 4,096 channels that do everything, in the real media process.

    results(short=False) -> rows as in bench.py; writes build/bench-density.svg, build/bench-density-paced.svg
    python -m firmware.media.bench_density [--short] [real] [paced]

Two runs (bench_density_run.py tells what the channels do and how it is proved):

    dsp.full_density.*   in real time.  Channels are added until there are 4,096 or the engine's admission refuses one; the run is
                         made with as many as it took, and what 4,096 would need is told by proportion.  The board and the far
                         ends are on the same processors and take their part of them.
    dsp.paced_density.*  all 4,096, in a world PACE times slower than time: the board hands over 10 ms of sound each 30 ms,
                         and its own work and the far ends' are done while the tick is not.  So the tick has the
                         processors to itself, as with a board and far ends outside, and what it takes by the clock and of the
                         processors is measured without them.  It says what the box needs for 4,096 channels; it does not say
                         that this machine carries them beside its load, which is dsp.full_density.channels.  A tick is
                         long when it took more than 10 ms.  Cores are of the world: processor time of the ticks by their
                         10 ms, and of media's other threads by the same time, which is too much of those that go by the clock (disk).
                         Packets: the far ends have a network of their own (bench_far.py), since on loopback the sender does
                         the receiver's work.  What the kernel's threads do to bring packets to media is in receive_cores, apart
                         from cores, as a card's interrupts would be, and in box_cores with them, for which the aim is; a card's driver is in neither.
                         Where such a network is not granted all is on loopback, as in real time, and the note of cores says so:
                         then the way of media's packets into the far ends' sockets is in the tick's time, and that of as many
                         others into its own in the load's.
"""

import asyncio
import json
import math
import sys

import numpy

from dsp import echo, level, noise, vad
from firmware.media import bench, bench_folder
from firmware.media.bench_density_run import Density

PACE = 3
SVG, PACED_SVG = bench.ROOT / "build" / "bench-density.svg", bench.ROOT / "build" / "bench-density-paced.svg"


def plot(points, fixed, pace):
    """Cost per channel over the number of channels, as SVG text: of all of media, in a slow world of its ticks."""
    key, name, world = ("cores", "all of media", "") if pace == 1 else ("tick_cores", "all of the tick", f"; a world {pace} times slower")
    series = [(name, "#1f6f8b", [p[key] * 1e6 / p["channels"] for p in points]),
              ("without its fixed part", "#6b8e23", [(p[key] - fixed[key]) * 1e6 / p["channels"] for p in points]),
              ("voice functions", "#c2571a", [p["voice_cores"] * 1e6 / p["channels"] for p in points])]
    step = next(step for step in (50, 100, 200, 500, 1000, 2000, 5000) if step * 5 >= max(max(values) for _, _, values in series))
    octaves = math.log2(points[-1]["channels"] / points[0]["channels"]) or 1
    x = lambda i: 80 + 520 * math.log2(points[i]["channels"] / points[0]["channels"]) / octaves
    y = lambda v: 300 - 260 * v / (5 * step)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="660" height="370" font-family="sans-serif" font-size="12">',
           '<rect width="660" height="370" fill="white"/>',
           f'<text x="80" y="20">Processor time per channel, microseconds a second{world}</text>',
           '<path d="M80 40V300H620" fill="none" stroke="#444"/>']
    for i, p in enumerate(points):
        near = i and x(i) - x(i - 1) < 40
        out.append(f'<text x="{x(i):.0f}" y="{332 if near else 318}" text-anchor="middle">{p["channels"]}</text>')
    for v in range(0, 6 * step, step):
        out.append(f'<path d="M80 {y(v):.0f}H620" stroke="#ddd"/><text x="72" y="{y(v) + 4:.0f}" text-anchor="end">{v}</text>')
    for place, (name, colour, values) in enumerate(series):
        line = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(values))
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{(60, 245, 465)[place]}" y="355" fill="{colour}">{name}: {values[-1]:.0f} at {points[-1]["channels"]}</text>')
    return "\n".join(out + ["</svg>", ""])


def state_octets():
    """DSP state of one channel with all functions, the engine's rows and far-end memory with it: (octets, note)."""
    from dsp import dtmf, plc, tone
    parts = {"echo 64 ms": echo.octets_per_channel(), "noise": noise.slot_octets(), "vad": vad.slot_octets(),
             "level": level.SLOT_OCTETS, "dtmf": len(dtmf.new_state(64)) / 64, "modem tones, answer": 192, "plc": len(plc.new_state(64)) / 64,
             "tones": 2 * len(tone.new_state(64)) / 64, "far-end samples": 2 * 160, "rows": 2 * 80 + 2 * 160}
    return sum(parts.values()), ", ".join(f"{name} {value:.0f}" for name, value in parts.items())


def measure(short=False, pace=1):
    """One run: (Density, points, proof)."""
    with bench_folder.folder() as folder:
        run = Density(folder, short, pace)
        points = asyncio.run(run.run())
        return run, points, run.proof()


def outline(run, full):
    """What was measured, in words."""
    return (f"{run.source}; far ends {'in a network of their own' if run.network else 'on loopback'}; {run.made[0]} timeslots, {run.made[1]} RTP streams both ways, {len(run.recorded)} recordings, "
            f"{full['took_s']:.0f} s; threads " + ", ".join(f"{name} {share:.3f}" for name, share in full["threads"].items() if share > 0.005)
            + f"; packets {full['load']['sent']} in {full['load']['received']} out; the load came late {full['load']['late']} times")


def line(points, key):
    """The row of a line through the steps, by their relative distances: what a tick costs however few its channels are, code and tables to be fetched again among it."""
    n, cost = (numpy.array([p[name] for p in points], float) for name in ("channels", key))
    each, once = numpy.polyfit(n, cost, 1, w=1 / cost)
    return ("growth_once_us", once * 1e4, "us a tick", None, None, f"of a line through the steps, beside {each * 1e4:.2f} us a tick and channel; no step is further from it than {abs(1 - (once + each * n) / cost).max() * 100:.0f} %")


def growth(run, points, key):
    """Rows of the cost per channel at each step, beyond the fixed part.  key: of a point."""
    cost = lambda p: (p[key] - run.fixed[key]) / p["channels"]
    low, high = min(points, key=cost), max(points, key=cost)
    rows = [("growth_spread", cost(high) / cost(low), "dearest to cheapest step", "aim", 1.15,
             f"cost per channel beyond the fixed part, {len(points)} steps: " + ", ".join(f"{cost(p) * 1e6:.0f} us/s at {p['channels']} (cancellers asked to spare in {p['spared']} of {p['ticks']} ticks)" for p in (high, low)))]
    if len(points) > 2:
        rows.append(line(points, key))
    for p in {p["channels"]: p for p in points}.values():
        rows.append((f"at_{p['channels']}.us_per_channel", p[key] * 1e6 / p["channels"], "us/s", "voice functions alone",
                     p["voice_cores"] * 1e6 / p["channels"], f"late {p['late']}, p99.9 {p['tick']['p999_ms']} ms; beyond the fixed part {cost(p) * 1e6:.0f}; cancellers asked to spare in {p['spared']} of {p['ticks']} ticks"))
    return rows


def real_rows(run, points, proof):
    """In real time: (name, value, unit, reference, its value, note)."""
    full, tick, answers = points[-1], points[-1]["tick"], points[-1]["answers_ms"]
    sharing = f"helpers at work {full['helped_cores']:.3f} of the time; cancellers asked to spare in {full['spared']} ticks"
    rows = [("channels", full["channels"], "channels", "aim", 4096, run.refusal or "nobody was refused"),
            ("cores_for_4096", full["cores"] * 4096 / full["channels"], "cores", "aim", 1.2, "by proportion"),
            ("late_ticks", full["late"], "ticks", "aim", 0, f"{full['late'] - full['late_by_host']} by its own work, {full['late_by_host']} while the tick was kept from its processor"),
            ("late_ticks_own", full["late"] - full["late_by_host"], "ticks", "aim", 0, "the tick's thread had computed for 8 ms or more"),
            ("late_ticks_by_host", full["late_by_host"], "ticks", None, None, "it had not"),
            ("stolen_cores", full["stolen_cores"], "cores", None, None, "what the hypervisor gave to others meanwhile, as it tells"),
            ("load_late", full["load"]["late"], "times", None, None, "the far ends and the board themselves came over 5 ms late"),
            ("load_cores", full["load"]["work_ns"] / full["took_s"] / 1e9, "cores", None, None, "what they took of the same processors"),
            ("fixed_cores", run.fixed["cores"], "cores", None, None, "the process with its board and no channel"),
            ("cores", full["cores"], "cores", "aim", 1.2, outline(run, full)),
            ("voice_cores", full["voice_cores"], "cores", "aim", 0.8, "expansion, echo, noise, level, VAD, DTMF, 2100 Hz: processor time"),
            ("tick_p999_ms", tick["p999_ms"], "ms", "80 % of the tick", 8.0, f"p50 {tick['p50_ms']}, p99 {tick['p99_ms']}, longest {tick['longest_ms']}; by the clock; {sharing}"),
            ("tick_cpu_p999_ms", tick["cpu_p999_ms"], "ms", None, None, f"of the tick's thread, without what the host took; p99 {tick['cpu_p99_ms']}, longest {tick['cpu_longest_ms']}"),
            ("command_p99_ms", answers[int(len(answers) * 0.99)], "ms", None, None, f"of {len(answers)} commands, there and back; longest {answers[-1]:.1f}"),
            ("legs_dearer_than_priced", run.admission["dearer"], "times", None, None, f"reserved {run.admission['reserved_us']} us a tick, worked {run.admission['busy_us']}, limit {run.admission['limit_us']}"),
            ("recordings", len(run.recorded), "recordings", "aim", 1000, f"{proof['recorded_octets'][0]} octets; timeslots {run.made[0]}, RTP streams {run.made[1]}")]
    return rows + growth(run, points, "cores")


def paced_rows(run, points, proof):
    """In the slow world: (name, value, unit, reference, its value, note)."""
    full, tick, load = points[-1], points[-1]["tick"], points[-1]["load"]
    world = f"not real time: of a world {run.pace} times slower, by its seconds"
    sharing = f"helpers at work {full['helped_cores']:.3f} of the time; cancellers asked to spare in {full['spared']} of {full['ticks']} ticks"
    rows = [("channels", full["channels"], "channels", "aim", 4096, f"not real time: each 10 ms of the world take {10 * run.pace} ms; what this machine carries beside its load is dsp.full_density.channels"),
            ("long_ticks", tick["over_10_ms"], "ticks", "aim", 0, f"took more than 10 ms by the clock, of {full['ticks']}"),
            ("tick_p999_ms", tick["p999_ms"], "ms", "80 % of the tick", 8.0, f"p50 {tick['p50_ms']}, p99 {tick['p99_ms']}, longest {tick['longest_ms']}; by the clock; {sharing}"),
            ("cores", full["cores"], "cores", None, None, f"media's own; {world}; {outline(run, full)}"),
            ("receive_cores", full["receive_cores"], "cores", None, None, f"the kernel's threads that bring {load['sent']} packets to media"),
            ("box_cores", full["cores"] + full["receive_cores"], "cores", "aim", 1.2, "with them: a card's packets come on the box's processors, too"),
            ("tick_cores", full["tick_cores"], "cores", None, None, f"processor time of all threads of the tick; {world}"),
            ("voice_cores", full["voice_cores"], "cores", "aim", 0.8, f"expansion, echo, noise, level, VAD, DTMF, 2100 Hz: processor time; {world}"),
            ("kernel_cores", full["kernel_cores"], "cores", None, None, "the kernel's own threads for packets (ksoftirqd), in no other figure"),
            ("load_cores", load["work_ns"] / full["took_s"] / 1e9, "cores", None, None, "what board and far ends would take in real time"),
            ("load_send_cores", load["send_ns"] / full["took_s"] / 1e9, "cores", None, None, f"of it, sending {load['sent']} packets"),
            ("stolen_cores", full["stolen_cores"], "cores", None, None, "what the hypervisor gave to others meanwhile, as it tells"),
            ("fixed_cores", run.fixed["tick_cores"], "cores", None, None, "ticks with the board and no channel"),
            ("recordings", len(run.recorded), "recordings", "aim", 1000, f"{proof['recorded_octets'][0]} octets; timeslots {run.made[0]}, RTP streams {run.made[1]}")]
    return rows + growth(run, points, "tick_cores")


RUNS = {"real": ("dsp.full_density.", 1, real_rows, SVG), "paced": ("dsp.paced_density.", PACE, paced_rows, PACED_SVG)}


def results(short=False, kinds=tuple(RUNS)):
    """Rows for build/bench.json.  kinds: of RUNS."""
    rows = []
    for kind in kinds:
        prefix, pace, told, svg = RUNS[kind]
        run, points, proof = measure(short, pace)
        if not short:
            svg.parent.mkdir(parents=True, exist_ok=True)
            svg.write_text(plot(points, run.fixed, pace))
        rows += [(prefix + name, *rest) for name, *rest in told(run, points, proof) + [(name, *values[:2], None, None, values[2]) for name, values in proof.items()]]
    octets, parts = state_octets()
    rows.append(("dsp.state_bytes_per_channel", octets, "octets", "aim", 12288, parts))
    return [{"name": name, "value": round(float(value), 3), "unit": unit, "reference": reference,
             "reference_value": reference_value, "ratio": round(float(value) / reference_value, 3) if reference_value else None,
             "note": text} for name, value, unit, reference, reference_value, text in rows]


if __name__ == "__main__":
    print(json.dumps(results("--short" in sys.argv, [kind for kind in RUNS if kind in sys.argv] or tuple(RUNS)), indent=1))
