#!/usr/bin/env python3
"""Holds the log and status of a round against the list and against what the receivers wrote down, notice by notice.

    books.py FOLDER      balances the books of a folder that a failed round has left, again

A fault is a sentence; no fault is the proof. What is checked stands in `balance`, one check a line.
"""

import collections
import csv
import datetime
import json
import sys
from pathlib import Path

from reported import WAITING, Reported

# The log is written in milliseconds and cuts them off.
ROUNDING = 0.001
# Slots that were reserved before the clock was stepped are used within this time.
HORIZON = 1.5


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def most_in_a_window(times, length):
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= length:
            first += 1
        most = max(most, last - first + 1)
    return most


class Books:
    def __init__(self, folder):
        folder = Path(folder)
        self.round = json.loads((folder / "round.json").read_text())
        self.status = json.loads((folder / "status.json").read_text())
        self.doctor = json.loads((folder / "doctor.json").read_text())
        self.ledger = lines(folder / "ledger.jsonl")
        self.references = set()
        for path in folder.glob("list*.csv"):
            with open(path, encoding="utf-8", newline="") as file:
                self.references.update(line["reference"] for line in csv.DictReader(file))
        self.tries = collections.defaultdict(list)
        self.notices = collections.defaultdict(dict)
        self.contact = {}
        log = lines(folder / "log.jsonl")
        for line in log:
            if line["event"] == "attempt":
                self.tries[line["notice"]].append(line)
                self.contact[line["notice"]] = line["contact"]
                self.notices[line["ref"]].setdefault(line["channel"], set()).add(line["notice"])
        for tries in self.tries.values():
            tries.sort(key=lambda line: line["attempt"])
        self.faults = []
        self.reports = Reported(self.ledger, log) if self.round.get("reports") else None
        self.receipts()

    def receipts(self):
        """What was taken, by notice. The gateway is told no notice: there the number says whose it is."""
        by_number = {self.contact[n]: n for n, tries in self.tries.items() if tries[0]["channel"] == "sms"}
        self.taken = collections.defaultdict(list)
        self.refused, self.stray = set(), 0
        self.arrived = collections.defaultdict(list)
        for line in self.ledger:
            if line["event"] == "taken":
                notice = line["notice"] or by_number.get(line["to"], "")
                self.stray += notice not in self.tries
                self.taken[notice].append(line)
            elif line["event"] == "refused":
                self.refused.add(line["to"])
            elif line["event"] == "arrived":
                self.arrived[line["route"]].append(line["mono"])
        for receipts in self.taken.values():
            receipts.sort(key=lambda line: line["at"])

    def expect(self, name, faults):
        """`faults`: those to whom it does not apply, or how many they are."""
        count = faults if isinstance(faults, int) else len(faults)
        if count:
            shown = "" if isinstance(faults, int) else f": {list(faults)[:3]}"
            self.faults.append(f"{name} ({count}){shown[:400]}")
        return count

    def classes(self, notice, route=None):
        return [line["class"] for line in self.tries[notice] if route in (None, line["route"])]

    def balance(self):
        accepted = {n for n in self.tries if "accepted" in self.classes(n)}
        unknown = sum(self.classes(n).count("unknown") for n in self.tries)
        missing = self.expect("a person is missing from the log", self.missing())
        missing += self.expect("accepted in the log, but no receiver has it", self.accepted_not_received())
        self.expect("a receiver has what the log does not know", self.stray)
        self.expect("a receiver has more than the log's accepted and unknown", self.more_than_logged())
        self.expect("a repeat without an unknown before it", self.unexplained())
        self.expect("repeated on a route that declares idempotency", self.repeated_under_keys())
        self.expect("held for a person to decide, and sent again without one", self.sent_though_held())
        self.expect("a key or Message-ID stands for two notices, or a notice has two", self.mixed_keys())
        self.expect("tried again after it was accepted", [n for n in accepted if self.classes(n).index("accepted")
                                                          != len(self.tries[n]) - 1])
        self.expect("attempts are not numbered 1, 2, …", [n for n, t in self.tries.items()
                                                          if [x["attempt"] for x in t] != list(range(1, len(t) + 1))])
        self.expect("an attempt is left open", [n for n in self.tries if "" in self.classes(n)])
        self.expect("accepted for an address that is always refused", [n for n in accepted
                                                                       if self.contact[n] in self.refused])
        self.expect("a bad address that no receiver called bad", [n for n in self.tries if "bad-address" in
                                                                  self.classes(n) and self.contact[n] not in self.refused])
        if self.round["graceful"]:
            self.expect("nobody was killed, and a worker is gone", self.workers_gone())
        self.sums(accepted)
        if self.reports:
            self.reports.check(self)
        self.limits()
        self.expect("forewarn doctor finds something", [f["about"] + ": " + f["message"] for f in
                                                        self.doctor["findings"] if f["level"] == "bad"])
        received = sum(len(r) for r in self.taken.values())
        repeats = sum(len(r) - 1 for r in self.taken.values())
        return {"persons": len(self.references), "received": received, "unknown": unknown, "repeats": repeats,
                "missing": missing, "reports": self.reports.count() if self.reports else 0, "faults": self.faults}

    def missing(self):
        """Persons without every notice that the ladder owes them, exactly one each, or with another one."""
        found = []
        first, second = ("sms", "email") if self.round.get("texts_first") else ("email", "sms")
        for reference in self.references:
            mine = self.notices.get(reference, {})
            there = {channel: len(notices) for channel, notices in mine.items()}
            owed = self.owes_second(next(iter(mine[first]))) if first in mine else "no"
            if there != {first: 1, second: 1} and owed == "yes" or there != {first: 1} and owed == "no" or \
                    there not in ({first: 1}, {first: 1, second: 1}):
                found.append(reference)
        return found + [r for r in self.notices if r not in self.references]

    def owes_second(self, notice):
        """Whether the ladder goes on after this notice: yes, no, or perhaps, where that depends on which came first."""
        last, route = self.classes(notice)[-1], self.tries[notice][-1]["route"]
        told = failed = False
        if self.reports:
            told, failed = self.reports.told(notice), self.reports.failed(notice)
        if last == "bad-address":
            return "yes"
        if last != "accepted" and not (self.reports and self.reports.heard(notice)):
            return "no"
        if self.round["when"] == "always":
            return "yes"
        # A route that reports leaves the next step waiting, until it was delivered.
        if not self.reports or route != "webhook":
            return "no"
        return "perhaps" if told else "yes"

    def last_state(self, notice):
        """What the log says last: an early receipt was applied behind the outcome it had come before."""
        tries = self.tries[notice]
        receipts = self.reports.receipts.get(notice, []) if self.reports else []
        if receipts and receipts[-1]["state"] not in WAITING:
            return receipts[-1]["state"]
        return tries[-1]["state"]

    def accepted_not_received(self):
        return [n for n, tries in self.tries.items() for line in tries if line["class"] == "accepted"
                and not any(r["route"] == line["route"] for r in self.taken[n])]

    def more_than_logged(self):
        found = []
        for notice, receipts in self.taken.items():
            for route, count in collections.Counter(r["route"] for r in receipts).items():
                here = self.classes(notice, route) if notice in self.tries else []
                if count > here.count("accepted") + here.count("unknown"):
                    found.append((notice, route, count, here))
        return found

    def unexplained(self):
        found = []
        for notice, receipts in self.taken.items():
            doubts = sorted(seconds(t["at"]) for t in self.tries.get(notice, []) if t["class"] == "unknown")
            for before, receipt in enumerate(receipts):
                # With a clock that is stepped only the number can be compared.
                known = doubts if self.round["steps"] else [at for at in doubts if at <= receipt["at"] + ROUNDING]
                if before > len(known):
                    found.append((notice, before, receipt["at"], doubts))
        return found

    def repeated_under_keys(self):
        counts = collections.Counter((r["route"], n) for n, rs in self.taken.items() for r in rs if r["route"] == "webhook")
        return [n for (_, n), count in counts.items() if count > 1]

    def sent_though_held(self):
        allowed = 1 + self.round["retries"]
        return [(n, [r["route"] for r in rs]) for n, rs in self.taken.items()
                if n in self.tries and self.tries[n][0]["channel"] == "sms" and len(rs) > allowed]

    def mixed_keys(self):
        notices_of, ids_of = collections.defaultdict(set), collections.defaultdict(set)
        for notice, receipts in self.taken.items():
            for receipt in receipts:
                if receipt["key"]:
                    notices_of[receipt["key"]].add(notice)
                if receipt["route"] == "relay":
                    ids_of[notice].add(receipt["key"])
        misused = [line["key"] for line in self.ledger if line["event"] == "misused"]
        return misused + [k for m in (notices_of, ids_of) for k, v in m.items() if len(v) > 1]

    def workers_gone(self):
        return [n for n, tries in self.tries.items() for line in tries if line["code"] == "worker-gone"]

    def sums(self, accepted):
        status = self.status
        places = {k: status[k] for k in ("satisfied", "in_flight", "needs_human", "unreachable", "excluded")}
        self.expect(f"persons are not in one place each: {status['persons']} of {len(self.references)}, {places}",
                    int(not len(self.references) == status["persons"] == sum(places.values())))
        self.expect("somebody is still in flight", places["in_flight"])
        counts = {"accepted", "delivered", "acknowledged"}
        told = sum(any(self.last_state(n) in counts for ns in mine.values() for n in ns) for mine in self.notices.values())
        self.expect(f"satisfied {places['satisfied']}, but only {told} were told", max(0, places["satisfied"] - told))
        states = collections.Counter(map(self.last_state, self.tries))
        shown = {state: n for state, n in status["notices"].items() if n}
        self.expect(f"status says {shown}, the log {dict(states)}", int(not self.same_states(shown, dict(states))))
        attempts = sum(map(len, self.tries.values()))
        self.expect(f"status says {status['attempts']} attempts, the log {attempts}", int(status["attempts"] != attempts))
        by_route = collections.Counter(t["route"] for ts in self.tries.values() for t in ts if t["class"] == "accepted")
        sent = {r["name"]: r["sent"] for r in status["routes"] if r["sent"]}
        self.expect(f"status says sent {sent}, the log {dict(by_route)}", int(sent != dict(by_route)))

    def same_states(self, shown, states):
        """Of a step that is owed no more the log knows nothing, or how its last attempt had ended."""
        if not self.reports:
            return shown == states
        settled = lambda sums: {state: n for state, n in sums.items() if state not in WAITING | {"suppressed"}}
        gone = sum(states.get(state, 0) - shown.get(state, 0) for state in WAITING)
        more = sum(shown.get(state, 0) > states.get(state, 0) for state in WAITING)
        without = sum(len(mine) < 2 for mine in self.notices.values())
        return settled(shown) == settled(states) and not more and gone <= shown.get("suppressed", 0) <= gone + without

    def limits(self):
        """Every window by the receiver's clock. What comes right after a step of ours is judged apart from before."""
        steps = [0.0, *self.round["steps"], float("inf")]
        for route, limits in self.round["limits"].items():
            for rate, per in limits:
                for begin, end in zip(steps, steps[1:]):
                    times = sorted(t for t in self.arrived[route] if begin + HORIZON <= t < end)
                    most = most_in_a_window(times, per)
                    self.expect(f"{most} at route {route} within {per} s, the limit is {rate}", max(0, most - rate))


def main():
    result = Books(sys.argv[1]).balance()
    for fault in result.pop("faults"):
        print("FAULT  " + fault)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
