"""Holds what the webhook has reported against the receipts in the log, event by event and notice by notice.

Every event has a code of its own, which the log keeps. The stories (reporter.py) end the same in whatever order their
reports arrive, so what must have come of a notice follows from its events alone.
"""

import collections

# How the log calls an event; of a failure its class.
CALLED = {"queued": "progress", "delivered": "delivered", "acknowledged": "acknowledged", "complained": "complained"}
# A person of whom one of these stands in the log was told.
TELLING = {"delivered", "acknowledged", "complained"}
# What a notice can wait as that nobody is owed any more.
WAITING = {"queued", "deferred", "unknown"}


def called(event):
    return event.get("class", "temporary") if event["event"] == "failed" else CALLED[event["event"]]


class Reported:
    """The posts of the ledger, and the receipts of the log by notice."""

    def __init__(self, ledger, log):
        self.kind, self.events, self.notice = {}, {}, {}
        self.answered, self.refused = set(), set()
        for line in ledger:
            if line["event"] == "reported":
                self.kind[line["post"]] = line["kind"]
                self.notice[line["post"]] = line["notice"]
                self.events[line["post"]] = {event["code"]: event for event in line["events"]}
            elif line["event"] == "answered" and line["status"] is not None:
                (self.answered if 200 <= line["status"] < 300 else self.refused).add(line["post"])
        self.receipts = collections.defaultdict(list)
        for line in log:
            if line["event"] == "receipt":
                self.receipts[line["notice"]].append(line)

    def count(self):
        """The receipts in the log."""
        return sum(map(len, self.receipts.values()))

    def owed(self):
        """Events that must be in the log: code → (notice, event)."""
        return {code: (self.notice[post], event) for post, events in self.events.items() if self.kind[post] == "good"
                for code, event in events.items()}

    def heard(self, notice):
        """What the log says of a notice, in its words."""
        return {line["class"] for line in self.receipts.get(notice, [])}

    def told(self, notice):
        return bool(self.heard(notice) & TELLING)

    def failed(self, notice):
        return bool(self.heard(notice) - TELLING - {"progress"})

    def ends_as(self, notice):
        """Where its events leave a notice that its provider took; None where they leave it as it is."""
        heard = self.heard(notice)
        if "acknowledged" in heard:
            return "acknowledged"
        if "bad-address" in heard or self.failed(notice) and not self.told(notice):
            return "failed"
        if heard & TELLING:
            return "delivered"
        return "accepted" if heard else None

    def check(self, books):
        count = collections.Counter(line["code"] for lines in self.receipts.values() for line in lines)
        there = {line["code"]: (notice, line["class"]) for notice, lines in self.receipts.items() for line in lines}
        owed = self.owed()
        said = {code: (notice, called(event)) for code, (notice, event) in owed.items()}
        unanswered = {post for post in self.kind if self.kind[post] != "forged"} - self.answered
        books.expect("a report was never answered as taken", unanswered)
        books.expect("a report was answered as taken, and is not in the log", said.keys() - there.keys())
        books.expect("an event is in the log more than once", [code for code, n in count.items() if n > 1])
        books.expect("the log has a receipt that nobody reported", there.keys() - said.keys())
        books.expect("the log has another event or notice than was reported", [
            code for code in said.keys() & there.keys() if said[code] != there[code]])
        books.expect("a forged report was taken", [post for post in self.answered if self.kind[post] == "forged"])
        books.expect("a report was refused", [post for post in self.refused - self.answered if self.kind[post] == "good"])
        books.expect("a receipt is about no attempt at its route", [
            notice for notice in self.receipts if not any(t["route"] == "webhook" for t in books.tries.get(notice, []))])
        self.notices(books)
        self.sums(books)

    def notices(self, books):
        """The last that the log says of each notice: it is where its reports leave it."""
        wrong = []
        for notice, lines in self.receipts.items():
            wanted, last = self.ends_as(notice), books.last_state(notice)
            # What was queued again by `retry` is not failed by what came before; it goes its way.
            retried = books.round["retries"] and any(line["state"] == "queued" for line in lines)
            if last != wanted and not retried:
                wrong.append((notice, sorted(self.heard(notice)), last))
        books.expect("a notice does not stand where its reports leave it", wrong)

    def sums(self, books):
        """What `status` says of the reports of the route."""
        sums = next((r["reports"] for r in books.status["routes"] if r["name"] == "webhook"), None) or {}
        came, none = sums.get("came", 0), sums.get("no_such_notice", 0)
        tries = sum(line["event"] == "reported" and line["kind"] != "forged" for line in books.ledger)
        strangers = sum(kind == "stranger" for kind in self.kind.values())
        books.expect(f"status says {came} reports came, {len(self.answered)} were answered and {tries} sent",
                     int(not len(self.answered) <= came <= tries))
        books.expect(f"status says {none} reports are nobody's, {strangers} were sent", int(none < strangers))
        books.expect("reports wait at the end", sums.get("waiting", 0))
