"""The plan of a simulated day: the house's configuration, who works when, who calls when.

    plan = Plan(seed=1, scale=1.0)      1.0: 1,000 agents, 110,000 calls, 40 queues behind 10 numbers
    plan.configuration                  as a person would load it
    plan.calls()                        [(ms of the day, caller, number, queue wanted)] in order of time
    plan.shifts                         {agent: [(from_ms, to_ms, "available"|"on_break", reason)]}

Calls are a Poisson process whose rate changes with the hour as the agents on duty do, but for the hour RUSH: it brings
120 % of what they can take, so that queues form.  All figures of this page are invented, but for the sizes of the mission.
"""

import random

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
BEGIN_MS = 1_763_395_200_000            # 2025-11-18 00:00 in Shanghai, a Tuesday
AGENTS, CALLS, NUMBERS, CHOICES = 1000, 110_000, 10, 4         # 40 queues
RUSH, RUSH_LOAD = 11, 1.2
HANDLE_S = 175                          # talk, hold, after-call work and ringing, as tests/day/world.py draws them
SHIFTS = ((0, 8, 0.03), (6, 14, 0.12), (8, 16, 0.42), (10, 18, 0.30), (16, 24, 0.13))   # hours, share of the agents
STRATEGIES = ("longest_idle", "least_occupied", "round_robin", "most_skilled", "fewest_customers", "weighted_share", "ring_all",
              "least_calls", "linear", "longest_idle")


def flow(number):
    """The flow of one number: a greeting, a menu of its four queues, an end."""
    queues = {str(choice + 1): "q%d%d" % (number, choice) for choice in range(CHOICES)}
    return {"version": 1, "languages": ["zh_CN", "en"], "start": "greeting", "nodes": {
        "greeting": {"type": "play", "prompts": ["greeting"], "next": "menu"},
        "menu": {"type": "menu", "prompts": ["menu"], "timeout_s": 5, "attempts": 3, "exhausted": queues["4"], "choices": queues},
        **{name: {"type": "queue", "queue": name, "overflow": "goodbye"} for name in queues.values()},
        "goodbye": {"type": "hangup", "prompts": ["goodbye"]}}}


class Plan:
    """scale: of agents and calls; the shape of the day stays.  hours: those in which somebody calls."""

    def __init__(self, seed=1, scale=1.0, hours=range(24)):
        self.seed, self.scale, self.hours = seed, scale, hours
        self.agents = ["a%d" % n for n in range(max(20, round(AGENTS * scale)))]
        self.numbers = ["021508010%02d" % n for n in range(max(1, round(NUMBERS * scale)))]
        self.spans = max(2, round(64 * scale))
        self.configuration = self._configuration()
        self.shifts = self._shifts()

    def _configuration(self):
        queues, numbers = [], len(self.numbers)
        for number in range(numbers):
            for choice in range(CHOICES):
                row = {"name": "q%d%d" % (number, choice), "strategy": STRATEGIES[(number * CHOICES + choice) % len(STRATEGIES)], "announce_position_s": 45,
                       "max_wait_s": 600, "priority": 5 if choice == 1 else 0, "service_level_s": 20,
                       "service_level_abandons": ("ignore", "negative", "positive")[number % 3]}
                if choice == 0:
                    row["overflow"] = [{"when": "wait", "limit": 120, "to": "queue", "target": "q%d3" % number}]
                elif choice == 2:
                    row["skills"], row["relax"] = {"expert": 3}, [{"after_s": 60, "less": 3}]
                elif choice == 3:
                    row["max_waiting"] = max(5, round(100 * self.scale))
                if number == 3:
                    row["last_agent_days"] = 1
                queues.append(row)
        agents = [{"name": name, "line": name, "wrap_up_s": 25, "initial_status": "logged_out",
                   "skills": {"expert": 5} if n % 3 == 0 else {},
                   "queues": [{"queue": "q%d%d" % (n % numbers, choice), "level": 1, "weight": 1 + n % 7} for choice in range(CHOICES)]
                   + [{"queue": "q%d%d" % ((n + 1) % numbers, choice), "level": 2, "weight": 1 + n % 7} for choice in (1, 3) if numbers > 1]}
                  for n, name in enumerate(self.agents)]
        return {"site": {"name": "A day", "country": "cn", "timezone": "Asia/Shanghai", "languages": ["zh_CN", "en"]},
                "spans": [{"span": span + 1, "trunk_group": "carrier"} for span in range(self.spans)],
                "trunk_groups": [{"name": "carrier"}],
                "numbers": [{"number": number, "application": "ivr", "target": "f%d" % n} for n, number in enumerate(self.numbers)],
                "ivr": {"f%d" % n: flow(n) for n in range(numbers)},
                "break_reasons": [{"name": "lunch"}, {"name": "pause"}],
                "queues": queues, "agents": agents, "lines": [{"name": name, "password": "secret-" + name} for name in self.agents]}

    def _shifts(self):
        rng, shifts, first = random.Random("%d shifts" % self.seed), {}, 0
        for index, (begin, end, share) in enumerate(SHIFTS):
            last = len(self.agents) if index == len(SHIFTS) - 1 else first + max(2, round(share * len(self.agents)))
            for name in self.agents[first:last]:
                since, until = begin * HOUR_MS + rng.randrange(60_000), end * HOUR_MS - 1 - rng.randrange(60_000)
                pieces = []
                for after_h, minutes, reason in ((2, 15, "pause"), (4, 30, "lunch"), (6, 15, "pause")):
                    at = begin * HOUR_MS + after_h * HOUR_MS + rng.randrange(45 * 60_000)
                    if at // HOUR_MS == RUSH:
                        at += HOUR_MS + rng.randrange(10 * 60_000)      # nobody leaves in the rush
                    pieces += [(since, at, "available", None), (at, at + minutes * 60_000, "on_break", reason)]
                    since = at + minutes * 60_000
                shifts[name] = pieces + [(since, until, "available", None)]
            first = last
        return shifts

    def on_duty(self, hour):
        """How many agents are there in the middle of an hour, breaks included."""
        at = hour * HOUR_MS + HOUR_MS // 2
        return sum(pieces[0][0] <= at < pieces[-1][1] for pieces in self.shifts.values())

    def rates(self):
        """Calls of each hour, expected."""
        duty = [self.on_duty(hour) for hour in range(24)]
        rush = RUSH_LOAD * duty[RUSH] * 3600 / HANDLE_S
        rest = CALLS * len(self.agents) / AGENTS - rush
        return [rush if hour == RUSH else rest * duty[hour] / (sum(duty) - duty[RUSH]) for hour in range(24)]

    def calls(self):
        """See the module's docstring.  A tenth of the callers call again some other time of the day."""
        rng, made = random.Random("%d calls" % self.seed), []
        for hour, expected in enumerate(self.rates()):
            at = float(hour * HOUR_MS)
            while expected and hour in self.hours:
                at += rng.expovariate(expected / HOUR_MS)
                if at >= (hour + 1) * HOUR_MS:
                    break
                again = made and rng.random() < 0.1
                caller = rng.choice(made)[1] if again else "13%09d" % rng.randrange(10**9)
                choice = rng.choices(range(CHOICES), (4, 2, 2, 2))[0]
                made.append((int(at), caller, rng.randrange(len(self.numbers)), choice))
        return made
