"""What a round will be like: drawn from its seed, before anything runs."""

import dataclasses
import glob
import os
import random
import shutil

FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def faketime():
    """The library that steps the clock of one process, or None."""
    found = glob.glob(FAKETIME)
    return found[0] if found else None


def can_mount():
    return os.geteuid() == 0 and shutil.which("mount") is not None


@dataclasses.dataclass
class Plan:
    engine: str
    persons: int
    more_persons: int
    workers: int
    kills: int
    gap: float
    routes: list
    limits: dict
    when: str
    after: str
    bad: float
    delay: float
    retries: int
    graceful: bool
    fail: bool
    disk: bool
    clock: bool
    stops: bool
    # The webhook reports what became of its texts, and workers listen for that.
    reports: bool = False
    # Texts go out first, and email follows where they are not delivered (or in any case).
    texts_first: bool = False

    def actions(self):
        """What may happen at each moment, and how likely against one another."""
        found = {"term": 2, "pause": 2, "stop": 1, "look": 1}
        if not self.graceful:
            found.update({"kill": 14, "kill_pause": 2, "kill_stopped": 1})
            if self.retries:
                found["kill_retry"] = 1
            if self.engine == "postgres":
                found.update({"database_restart": 1, "database_kill": 1, "backend_kill": 1, "kill_two": 4})
        else:
            found["rest"] = 6
        if self.more_persons:
            found["grow"] = 2
        if self.fail:
            found.update({"weather": 4, "down": 2})
        if self.disk:
            found["disk_full"] = 6
        if self.clock:
            found["clock_step"] = 6
        if self.stops:
            found["stop_beyond_lease"] = 1
        return found


def draw(engine, seed, reports=False):
    """The same for the same seed, also where a machine cannot do all of it. `reports`: in any case."""
    lots = random.Random(f"plan {seed}")
    kills = lots.randint(8, 14)
    gap = lots.choice([0.15, 0.4, 0.8])
    persons = lots.choice([800, 1500, 2500])
    limited = lots.random() < 0.6
    span = max(4.0, kills * (gap + 0.5))
    routes = ["relay", *lots.choice([["webhook"], ["gateway"], ["webhook", "gateway"]])]
    limits = {}
    for name in ("relay", "webhook", "gateway"):
        rate = round(persons / span * 5)
        paced = [(rate, 5)] if name == "relay" else [(max(rate, 200), 5)]
        wide = [(round(rate * 3.2), 20)] if lots.random() < 0.4 else []
        limits[name] = paced + wide if limited else []
    always = lots.random() < 0.7
    plan = Plan(
        engine=engine, persons=persons, more_persons=lots.choice([0, 0, 400]),
        workers=lots.choice([2, 4, 8]) if engine == "postgres" else 1,
        kills=kills, gap=gap, routes=routes, limits=limits,
        when="always" if always else "not-delivered", after="0s" if always else "1s",
        bad=0.05 if always else 0.5, delay=lots.choice([0, 0.02, 0.1] if limited else [0.05, 0.1, 0.2]),
        retries=lots.choice([0, 0, 1, 1]),
        graceful=lots.random() < 0.08, fail=lots.random() < 0.6,
        disk=lots.random() < 0.25, clock=lots.random() < 0.2, stops=lots.random() < 0.2,
    )
    plan.disk &= engine == "sqlite" and can_mount()
    plan.clock &= faketime() is not None
    plan.stops &= engine == "postgres"
    plan.reports |= reports
    plan.texts_first &= plan.reports
    if plan.reports:
        # Reports that were signed by a clock an hour away are refused for good.
        plan.clock = False
        plan.routes = ["relay", "webhook"] + (["gateway"] if len(plan.routes) == 3 else [])
        if plan.texts_first:
            # Long enough for most reports to come before the next step, and short enough for some to come behind it.
            plan.after = "0s" if plan.when == "always" else "2s"
    return plan
