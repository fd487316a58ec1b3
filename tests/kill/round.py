"""One round: create, send, break things at random moments, run to the end, balance the books."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from books import Books, lines, seconds
from installation import HOOK_SECRET, Failed, Installation
from plan import faketime

CALM = {"relay": {}, "http": {}}
# The longest that a round may go on breaking things, and the longest that sending to the end may take after it.
ACTION_TIME = 120
END_TIME = 240
# A worker that was started while its database was away may end by itself.
STARTING = 3.0
# How long a kill waits for workers to send something.
SLOW_START = 4.0
# The disk of a round that fills it: doctor wants 100 MB free at the end.
DISK_MB = 192
# Longer than the leases of workers, so that others take over from one that was stopped.
BEYOND_LEASE = 40


class Worker:
    def __init__(self, process):
        self.process, self.began, self.wall = process, time.monotonic(), time.time()


class Round:
    def __init__(self, folder, binary, plan, seed, cluster):
        self.folder, self.plan, self.cluster = folder, plan, cluster
        self.lots = random.Random(f"round {seed}")
        self.counts, self.steps, self.faults = {}, [], []
        self.retries = 0
        self.workers = []
        self.trouble = (0.0, 0.0)
        self.typical = {"create": 0.6}
        self.mounted = None
        self.seen = 0
        folder.mkdir(parents=True)
        self.events = open(folder / "events.jsonl", "w", encoding="utf-8")
        self.talk_lock = threading.Lock()
        script = Path(__file__).with_name("receivers.py")
        self.owed = 0
        self.receivers = subprocess.Popen(
            [sys.executable, script, folder / "ledger.jsonl", str(seed), "--bad", str(plan.bad), "--delay", str(plan.delay),
             *(["--report", HOOK_SECRET] if plan.reports else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        ports = json.loads(self.receivers.stdout.readline())
        self.site = Installation(folder, binary, self.database(seed), ports, plan, self.event)
        if plan.reports:
            self.receive({"ports": self.site.ports})
        if plan.clock:
            (folder / "clock").write_text("+0")
            self.site.environment.update({
                "LD_PRELOAD": faketime(), "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1",
            })

    @property
    def kills(self):
        return self.site.kills

    def database(self, seed):
        if self.plan.engine == "postgres":
            self.cluster.heal()
            self.cluster.create_database(f"round_{seed}")
            return self.cluster.url(f"round_{seed}")
        if not self.plan.disk:
            return "sqlite://forewarn.db"
        self.mounted = self.folder / "disk"
        self.mounted.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", self.mounted], check=True)
        return "sqlite://disk/forewarn.db"

    def close(self):
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()
        self.receivers.stdin.close()
        self.receivers.wait()
        self.receivers.stdout.close()
        if self.plan.engine == "postgres":
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                self.cluster.drop_database(self.site_database())
        if self.mounted:
            subprocess.run(["umount", "-l", self.mounted], check=False)
        self.events.close()
        self.site.tidy_up()

    def site_database(self):
        return "round_" + self.folder.name.rsplit("-", 1)[1]

    # What happens

    def event(self, what, **fields):
        self.events.write(json.dumps({"at": round(time.time(), 3), "event": what, **fields}) + "\n")
        self.events.flush()

    def count(self, what, **fields):
        self.counts[what] = self.counts.get(what, 0) + 1
        self.event(what, **fields)

    def receive(self, shares):
        with self.talk_lock:
            self.receivers.stdin.write(json.dumps(shares) + "\n")
            self.receivers.stdin.flush()
            self.owed = json.loads(self.receivers.stdout.readline())

    def chance(self, share):
        return self.lots.random() < share

    def nap(self, least, most):
        time.sleep(self.lots.uniform(least, most))

    @contextlib.contextmanager
    def in_trouble(self):
        """While the database is away or cannot write."""
        self.trouble = (time.monotonic(), float("inf"))
        try:
            yield
        finally:
            self.trouble = (self.trouble[0], time.monotonic())

    # The course

    def play(self):
        self.site.bring_to_start(self.kill_some if not self.plan.graceful else lambda _: None)
        end = time.monotonic() + ACTION_TIME
        names, weights = zip(*self.plan.actions().items())
        acted = 0
        while time.monotonic() < end and (acted < 12 if self.plan.graceful else self.kills < self.plan.kills):
            self.keep_workers()
            self.nap(0.2 * self.plan.gap, 1.8 * self.plan.gap)
            getattr(self, self.lots.choices(names, weights)[0])()
            acted += 1
            if acted % 6 == 0 and self.is_over(self.site.status()):
                break
        self.receive(CALM)
        for worker in self.workers:
            self.terminate(worker)
        self.send_to_the_end()
        for _ in range(self.plan.retries):
            self.retry()
            self.send_to_the_end()
        return self.balance()

    def kill_some(self, arguments):
        """Kills a command on its way, up to three times, each at a moment of its own."""
        verb = arguments[1]
        for _ in range(self.lots.choice([0, 1, 1, 2, 3])):
            self.site.killed(self.lots.uniform(0, 1.1 * self.typical.get(verb, 0.1)), *arguments)

    def keep_workers(self):
        for worker in list(self.workers):
            code = worker.process.poll()
            if code is not None:
                self.workers.remove(worker)
                began, ended = self.trouble
                if not began - STARTING < worker.began < ended + 0.5:
                    self.faults.append(f"a worker ended by itself with exit code {code}")
                self.event("ended by itself", code=code)
        while len(self.workers) < self.plan.workers:
            self.workers.append(Worker(self.site.start_worker()))

    def at_rest(self, status):
        waiting = sum(status["notices"].get(state, 0) for state in ("queued", "deferred", "sending"))
        return status["in_flight"] == 0 and waiting == 0

    def send_to_the_end(self):
        end = time.monotonic() + END_TIME
        while not self.is_over(status := self.site.status()):
            if time.monotonic() > end:
                raise Failed(f"not at its end after {END_TIME} s, {self.owed} reports owed: {json.dumps(status)[:600]}")
            if self.plan.reports:
                self.listen_to_the_end(end)
            else:
                self.site.insist("worker", "--once")
            # Where a lease must run out first, or a wait is not over yet.
            time.sleep(0.3)

    def is_over(self, status):
        """Nobody waits, every report was answered, and none waits for its notice."""
        if not self.at_rest(status):
            return False
        self.receive({})
        return self.owed == 0 and not any((route["reports"] or {}).get("waiting") for route in status["routes"])

    def listen_to_the_end(self, end):
        worker = Worker(self.site.start_worker())
        while worker.process.poll() is None and time.monotonic() < end:
            time.sleep(0.5)
            if self.is_over(self.site.status()):
                break
        if worker.process.poll() is not None:
            raise Failed(f"a worker that was to listen to the end ended with exit code {worker.process.returncode}")
        self.terminate(worker)

    def balance(self):
        site = self.site
        site.insist("campaign", "log", site.id, "--reveal", "--format", "jsonl", "--out", str(self.folder / "log.jsonl"))
        (self.folder / "status.json").write_text(json.dumps(site.status()))
        _, code, doctor = site.json("doctor")
        (self.folder / "doctor.json").write_text(json.dumps(doctor))
        (self.folder / "round.json").write_text(json.dumps({
            "when": self.plan.when, "texts_first": self.plan.texts_first, "reports": self.plan.reports, "graceful": self.plan.graceful, "steps": self.steps, "retries": self.retries,
            "limits": {route: limits for route, limits in self.plan.limits.items() if route in self.plan.routes},
            "plan": vars(self.plan),
        }))
        result = Books(self.folder).balance()
        if code != 0:
            result["faults"].append(f"forewarn doctor ended with exit code {code}")
        if b"panicked" in (self.folder / "stderr.txt").read_bytes():
            result["faults"].append("something panicked, see stderr.txt")
        result["faults"] = self.faults + result["faults"]
        return result

    # What is done to it

    def somebody(self):
        """Mostly one that has been there for a while, so that it has notices in its hands."""
        by_age = sorted(self.workers, key=lambda worker: worker.began)
        return self.lots.choice(by_age if self.chance(0.3) else by_age[: (len(by_age) + 1) // 2])

    def while_something_arrives(self):
        """Waits until receivers have got something since the last kill; a worker that only just starts has not."""
        ledger, end = self.folder / "ledger.jsonl", time.monotonic() + SLOW_START
        while ledger.stat().st_size < self.seen + 2_000 and time.monotonic() < end:
            time.sleep(0.02)
        self.seen = ledger.stat().st_size
        self.nap(0, 0.1)

    def kill_worker(self):
        if self.workers:
            if self.chance(0.6):
                self.while_something_arrives()
            worker = self.somebody()
            self.workers.remove(worker)
            self.event("killed" if self.site.kill(worker.process) else "gone before it was killed")

    def kill(self):
        self.kill_worker()
        if self.chance(0.3):
            self.nap(0, 0.4)

    def kill_two(self):
        self.kill_worker()
        self.kill_worker()

    def rest(self):
        self.nap(0.2, 1)

    def look(self):
        """Reading disturbs nobody."""
        verb = self.lots.choice(["status", "log", "show"])
        self.site.killed(self.lots.uniform(0, 0.1), "campaign", verb, self.site.id)

    def terminate(self, worker):
        """What is on the wire ends and is recorded: the worker leaves nothing behind."""
        self.count("term")
        worker.process.terminate()
        try:
            code = worker.process.wait(60)
        except subprocess.TimeoutExpired:
            raise Failed("a worker did not end within 60 s of SIGTERM") from None
        began, ended = self.trouble
        started_in_trouble = began - STARTING < worker.began < ended + 0.5
        # One that was told before it listens to signals dies of it; it has taken nothing yet.
        too_young = code == -signal.SIGTERM and time.monotonic() - worker.began < STARTING
        if code != 0 and not too_young and not started_in_trouble:
            self.faults.append(f"a worker ended with exit code {code} on SIGTERM")
        if self.plan.engine == "sqlite" and code == 0 and self.left_behind(worker):
            self.faults.append("a worker that was told to stop left notices `sending`")

    def left_behind(self, worker):
        """Open attempts that this worker began; those of one that was killed before it may still be there."""
        if self.plan.clock or not self.site.status()["notices"].get("sending", 0):
            return False
        log = self.folder / "at-term.jsonl"
        self.site.insist("campaign", "log", self.site.id, "--format", "jsonl", "--out", str(log))
        return any(line["event"] == "attempt" and line["state"] == "sending" and seconds(line["at"]) > worker.wall for line in lines(log))

    def term(self):
        worker = self.somebody()
        self.workers.remove(worker)
        self.terminate(worker)

    def stop(self):
        self.stopped(self.lots.uniform(0.2, 2), False)

    def kill_stopped(self):
        self.stopped(self.lots.uniform(0.1, 1), True)

    def stopped(self, seconds, kill):
        worker = self.somebody()
        self.count("stop", seconds=round(seconds, 2))
        with contextlib.suppress(ProcessLookupError):
            worker.process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            if kill:
                self.workers.remove(worker)
                self.site.kill(worker.process)
            else:
                worker.process.send_signal(signal.SIGCONT)

    def stop_beyond_lease(self):
        """The others go on, and are killed too; what it had is theirs when it wakes up."""
        worker = self.somebody()
        self.count("stop beyond lease")
        worker.process.send_signal(signal.SIGSTOP)
        self.workers.remove(worker)
        until = time.monotonic() + BEYOND_LEASE
        while time.monotonic() < until:
            self.keep_workers()
            self.nap(1, 5)
            if self.chance(0.5) and not self.plan.graceful:
                self.kill_worker()
        with contextlib.suppress(ProcessLookupError):
            worker.process.send_signal(signal.SIGCONT)
        self.workers.append(worker)
        self.nap(0.5, 2)

    def pause(self):
        self.paused(lambda _: None)

    def kill_pause(self):
        self.paused(self.kill_some)

    def paused(self, kill, then=None):
        self.count("pause")
        pause = ("campaign", "pause", self.site.id, "--reason", "a look at something")
        kill(pause)
        if self.site.campaign()["state"] == "running":
            began = time.monotonic()
            self.site.insist(*pause)
            self.typical["pause"] = time.monotonic() - began
        if self.chance(0.3) and not self.plan.graceful:
            self.kill_worker()
        if then and self.site.campaign()["state"] == "paused":
            then(kill)
        self.nap(0, 0.5)
        self.site.go(kill, "resume")

    def grow(self):
        """A second list for the campaign that is paused."""
        if self.site.lists > 1:
            return self.kill() if not self.plan.graceful else None
        self.paused(self.kill_some if not self.plan.graceful else lambda _: None, self.take_more)

    def take_more(self, kill):
        self.count("grow")
        self.site.add_list(self.plan.persons, self.plan.more_persons)
        kill(self.site.create())
        self.site.insist(*self.site.create())
        approve = ("campaign", "approve", self.site.id, "--by", "bob")
        kill(approve)
        self.site.insist(*approve)

    def kill_retry(self):
        self.retries += 1
        self.kill_some(("campaign", "retry", self.site.id, "--reason-class", "unknown"))

    def retry(self):
        self.retries += 1
        arguments = ("campaign", "retry", self.site.id, "--reason-class", "unknown")
        if not self.plan.graceful:
            self.kill_some(arguments)
        self.site.insist(*arguments)

    def weather(self):
        """How the receivers fail from now on; often not at all."""
        def some():
            shares = {what: self.lots.choice([0, 0, 0.01, 0.05, 0.2]) for what in ("drop", "refuse")}
            return {**shares, "hang": self.lots.choice([0, 0, 0.01, 0.03])}

        shares = {"relay": some(), "http": some()} if self.chance(0.7) else CALM
        self.count("weather", **shares)
        self.receive(shares)

    def down(self):
        who = self.lots.choice(["relay", "http"])
        self.count("receiver down", who=who)
        self.receive({who: {"down": True}})
        self.nap(0.2, 1)
        if self.chance(0.4) and not self.plan.graceful:
            self.kill_worker()
            self.keep_workers()
        self.nap(0.1, 1)
        self.receive({who: {}})
        # A worker lets a route that failed rest for 15 s and more; a new one does not know of it.
        if not self.plan.graceful:
            self.kill_worker()

    def disk_full(self):
        """Every last block, so that a commit fails, perhaps in the middle."""
        self.count("disk full")
        filler = self.mounted / "filler"
        with self.in_trouble():
            try:
                with open(filler, "wb", buffering=0) as file:
                    while file.write(b"\0" * (1 << 20)):
                        pass
            except OSError:
                self.event("full")
            self.nap(0.2, 1)
            if self.chance(0.5) and not self.plan.graceful:
                self.kill_worker()
                self.keep_workers()
                self.nap(0.1, 0.5)
            if self.chance(0.3):
                self.site.killed(self.lots.uniform(0.1, 0.6), "campaign", "status", self.site.id)
            filler.unlink()

    def clock_step(self):
        """All processes of this installation see it; the receivers do not."""
        offset = int((self.folder / "clock").read_text())
        step = self.lots.choice([-8, -3, -1, 1, 5, 60, 3600])
        self.count("clock step", seconds=step)
        self.steps.append(time.monotonic())
        fresh = self.folder / "clock.new"
        fresh.write_text(f"{offset + step:+d}")
        os.replace(fresh, self.folder / "clock")

    def database_restart(self):
        self.database_away("restart", self.cluster.restart)

    def database_kill(self):
        def kill():
            self.cluster.stop("immediate")
            self.nap(0, 2)
            self.cluster.start()
        self.database_away("kill", kill)

    def backend_kill(self):
        """One of its processes; PostgreSQL then ends all others and recovers."""
        def kill():
            serving = self.cluster.processes()
            if serving:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.lots.choice(serving), signal.SIGKILL)
            time.sleep(0.5)
            self.cluster.wait_until_ready()
        self.database_away("backend kill", kill)

    def database_away(self, how, do):
        self.count("database " + how)
        with self.in_trouble():
            do()
