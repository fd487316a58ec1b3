#!/usr/bin/env python3
"""The books notice what they are there to notice: a small round that balances, spoilt in one way at a time.

    python3 tests/kill/test_books.py
"""

import copy
import json
import tempfile
import unittest
from pathlib import Path

from books import Books

AT = "2026-11-24T03:00:{:02}.000Z"
EPOCH = 1795489200.0  # the same minute


def attempt(ref, channel, route, no, second, cls, state):
    contact = f"{ref}@example.com" if channel == "email" else f"+1555{ref}"
    return {"event": "attempt", "at": AT.format(second), "ref": ref, "channel": channel, "contact": contact, "route": route,
            "attempt": no, "class": cls, "state": state, "code": "", "notice": f"{channel}-{ref}"}


def receipt(event, route, ref, channel, second, key):
    notice = "" if route == "gateway" else f"{channel}-{ref}"
    to = f"{ref}@example.com" if channel == "email" else f"+1555{ref}"
    return {"event": event, "route": route, "at": EPOCH + second, "mono": 1000.0 + second, "to": to, "notice": notice, "key": key}


def arrived(route, second):
    return {"event": "arrived", "route": route, "at": EPOCH + second, "mono": 1000.0 + second}


def sound():
    """Two persons. The email of the first is unknown at first and comes twice; the second one's SMS is held."""
    return {
        "list": ["reference", "a", "b"],
        "log": [
            attempt("a", "email", "relay", 1, 2, "unknown", "unknown"),
            attempt("a", "email", "relay", 2, 6, "accepted", "accepted"),
            attempt("b", "email", "relay", 1, 2, "accepted", "accepted"),
            attempt("a", "sms", "webhook", 1, 8, "accepted", "accepted"),
            attempt("b", "sms", "gateway", 1, 9, "unknown", "unknown"),
        ],
        "ledger": [
            arrived("relay", 1), receipt("taken", "relay", "a", "email", 1, "<a>"),
            arrived("relay", 5), receipt("taken", "relay", "a", "email", 5, "<a>"),
            arrived("relay", 2), receipt("taken", "relay", "b", "email", 2, "<b>"),
            arrived("webhook", 8), receipt("taken", "webhook", "a", "sms", 8, "k1"),
            arrived("gateway", 9), receipt("taken", "gateway", "b", "sms", 9, ""),
        ],
        "status": {
            "persons": 2, "satisfied": 1, "in_flight": 0, "needs_human": 1, "unreachable": 0, "excluded": 0, "attempts": 5,
            "notices": {"accepted": 3, "unknown": 1, "queued": 0},
            "routes": [{"name": "relay", "sent": 2}, {"name": "webhook", "sent": 1}, {"name": "gateway", "sent": 0}],
        },
        "doctor": {"findings": [{"level": "ok", "about": "config", "message": ""}]},
        "round": {"when": "always", "graceful": False, "steps": [], "retries": 0, "limits": {"relay": [[3, 5]]}},
    }


def faults_of(round_):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "list1.csv").write_text("\n".join(round_["list"]) + "\n")
        for name in ("log", "ledger"):
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in round_[name]))
        for name in ("status", "doctor", "round"):
            (folder / f"{name}.json").write_text(json.dumps(round_[name]))
        return Books(folder).balance()


def heard(ref, second, code, cls, state):
    return {**attempt(ref, "sms", "webhook", 1, second, cls, state), "event": "receipt", "code": code}


def posted(post, kind, ref, *events, answers=(204,)):
    """Lines of the ledger: a post of (code, event, class) about a person's text, and how each try was answered."""
    said = [{"code": code, "event": event, **({"class": cls} if cls else {})} for code, event, cls in events]
    about = {"route": "webhook", "post": post, "kind": kind, "at": EPOCH + 10, "mono": 1010.0}
    return [line for status in answers for line in (
        {**about, "event": "reported", "notice": f"sms-{ref}" if ref else "", "events": said},
        {**about, "event": "answered", "reached": True, "status": status})]


def sound_reports():
    """Texts first, and email where they are not delivered: one arrives, one fails, one is acknowledged behind an email."""
    return {
        "list": ["reference", "a", "b", "c", "d"],
        "log": [
            attempt("a", "sms", "webhook", 1, 2, "accepted", "accepted"),
            heard("a", 3, "R1", "progress", "accepted"), heard("a", 4, "R2", "delivered", "delivered"),
            attempt("b", "sms", "webhook", 1, 2, "accepted", "accepted"), heard("b", 4, "R3", "bad-address", "failed"),
            attempt("b", "email", "relay", 1, 5, "accepted", "accepted"),
            attempt("c", "sms", "webhook", 1, 2, "unknown", "unknown"),
            attempt("c", "email", "relay", 1, 5, "accepted", "accepted"),
            heard("c", 6, "R4", "delivered", "delivered"), heard("c", 7, "R5", "acknowledged", "acknowledged"),
            attempt("d", "sms", "webhook", 1, 2, "accepted", "accepted"),
            attempt("d", "email", "relay", 1, 6, "accepted", "accepted"),
        ],
        "ledger": [
            *(receipt("taken", "webhook", ref, "sms", 2, f"k{ref}") for ref in "abcd"),
            *(receipt("taken", "relay", ref, "email", 5, f"<{ref}>") for ref in "bcd"),
            *posted("p-1", "good", "a", ("R1", "queued", None), answers=(None, 503, 204)),
            *posted("p-2", "good", "a", ("R2", "delivered", None), answers=(204, 204)),
            *posted("p-3", "good", "b", ("R3", "failed", "bad-address")),
            *posted("p-4", "good", "c", ("R5", "acknowledged", None), ("R4", "delivered", None)),
            *posted("p-5", "stranger", "", ("R6", "delivered", None)),
            *posted("p-6", "forged", "d", ("R7", "failed", "bad-address"), answers=(401,)),
        ],
        "status": {
            "persons": 4, "satisfied": 4, "in_flight": 0, "needs_human": 0, "unreachable": 0, "excluded": 0, "attempts": 7,
            "notices": {"accepted": 4, "delivered": 1, "acknowledged": 1, "failed": 1, "suppressed": 1, "unknown": 0},
            "routes": [{"name": "relay", "sent": 3, "reports": None},
                       {"name": "webhook", "sent": 3, "reports": {"came": 7, "waiting": 0, "no_such_notice": 1}}],
        },
        "doctor": {"findings": []},
        "round": {"when": "not-delivered", "texts_first": True, "reports": True, "graceful": False, "steps": [], "retries": 0,
                  "limits": {}},
    }


class TestBooks(unittest.TestCase):
    def spoilt(self, fault, spoil, round_=None):
        round_ = copy.deepcopy(round_ or sound())
        spoil(round_)
        faults = faults_of(round_)["faults"]
        self.assertTrue(any(f.startswith(fault) for f in faults), f"{fault!r} is not among {faults}")

    def test_a_sound_round_balances(self):
        result = faults_of(sound())
        self.assertEqual(result, {"persons": 2, "received": 5, "unknown": 2, "repeats": 1, "missing": 0, "reports": 0,
                                  "faults": []})

    def test_somebody_is_missing(self):
        self.spoilt("a person is missing", lambda r: r["list"].append("c"))
        self.spoilt("a person is missing", lambda r: r["log"].pop(3))
        self.spoilt("accepted in the log, but no receiver", lambda r: r["ledger"].pop(5))
        # Taken, but by another route than the log says.
        self.spoilt("accepted in the log, but no receiver", lambda r: r["ledger"][7].update(route="gateway", notice=""))

    def test_receivers_know_more_than_the_log(self):
        stray = receipt("taken", "relay", "z", "email", 9, "<z>")
        self.spoilt("a receiver has what the log does not know", lambda r: r["ledger"].append(stray))
        third = receipt("taken", "relay", "a", "email", 7, "<a>")
        self.spoilt("a receiver has more than", lambda r: r["ledger"].append(third))

    def test_repeats(self):
        # The doubt came only after the repeat: it cannot have been the reason for it.
        self.spoilt("a repeat without an unknown", lambda r: r["log"][0].update(at=AT.format(7)))
        again = receipt("taken", "webhook", "a", "sms", 9, "k2")
        self.spoilt("repeated on a route that declares", lambda r: r["ledger"].append(again))
        held = receipt("taken", "gateway", "b", "sms", 12, "")
        self.spoilt("held for a person to decide", lambda r: r["ledger"].append(held))
        misused = {**receipt("taken", "webhook", "a", "sms", 9, "k1"), "event": "misused"}
        self.spoilt("a key or Message-ID stands for two", lambda r: r["ledger"].append(misused))
        self.spoilt("a key or Message-ID stands for two", lambda r: r["ledger"][3].update(key="<other>"))
        self.spoilt("tried again after it was accepted", lambda r: r["log"].append(
            attempt("b", "email", "relay", 2, 20, "temporary", "deferred")))

    def test_a_log_with_holes(self):
        self.spoilt("attempts are not numbered", lambda r: r["log"].pop(0))
        self.spoilt("an attempt is left open", lambda r: r["log"][4].update({"class": "", "state": "sending"}))

    def test_sums_that_do_not_add_up(self):
        self.spoilt("persons are not in one place", lambda r: r["status"].update(satisfied=2))
        self.spoilt("somebody is still in flight", lambda r: r["status"].update(in_flight=1, needs_human=0))
        self.spoilt("status says {'accepted': 2", lambda r: r["status"]["notices"].update(accepted=2))
        self.spoilt("status says 4 attempts", lambda r: r["status"].update(attempts=4))
        self.spoilt("status says sent", lambda r: r["status"]["routes"][0].update(sent=3))

    def test_limits(self):
        self.spoilt("4 at route relay within 5 s", lambda r: r["ledger"].append(arrived("relay", 5.9)))
        # Right after a step of the clock nothing is said, a while later it is.
        def stepped(seconds):
            round_ = sound()
            round_["round"]["steps"] = [1004.9]
            round_["ledger"] += [arrived("relay", 5.0 + seconds) for _ in range(4)]
            return any("at route relay" in f for f in faults_of(round_)["faults"])
        self.assertEqual((stepped(0.5), stepped(2)), (False, True))

    def test_the_graceful_and_the_doctor(self):
        def gone(r):
            r["round"].update(graceful=True)
            r["log"][0].update(code="worker-gone")
        self.spoilt("nobody was killed", gone)
        self.spoilt("forewarn doctor", lambda r: r["doctor"]["findings"].append({"level": "bad", "about": "x", "message": "y"}))
        self.spoilt("accepted for an address that is always refused", lambda r: r["ledger"].append(
            {"event": "refused", "route": "relay", "to": "b@example.com"}))

    def test_sound_reports_balance(self):
        result = faults_of(sound_reports())
        self.assertEqual(result, {"persons": 4, "received": 7, "unknown": 1, "repeats": 0, "missing": 0, "reports": 5,
                                  "faults": []})

    def test_reports(self):
        def spoilt(fault, spoil):
            self.spoilt(fault, spoil, sound_reports())

        def without(code):
            return lambda r: r.update(log=[line for line in r["log"] if line["code"] != code])

        def change(code, **fields):
            return lambda r: [line.update(fields) for line in r["log"] if line["code"] == code]

        spoilt("a report was answered as taken, and is not in the log", without("R1"))
        spoilt("a report was answered as taken, and is not in the log", without("R5"))
        spoilt("an event is in the log more than once", lambda r: r["log"].append(r["log"][1]))
        spoilt("the log has a receipt that nobody", lambda r: r["log"].append(heard("d", 9, "R9", "progress", "accepted")))
        spoilt("the log has a receipt that nobody", lambda r: r["log"].append(heard("d", 9, "R6", "delivered", "delivered")))
        spoilt("the log has a receipt that nobody", lambda r: r["log"].append(heard("d", 9, "R7", "bad-address", "failed")))
        spoilt("the log has another event", change("R3", **{"class": "temporary"}))
        spoilt("the log has another event", change("R1", notice="sms-d"))
        spoilt("a notice does not stand", change("R2", state="accepted"))
        spoilt("a notice does not stand", change("R3", state="delivered"))
        spoilt("a notice does not stand", change("R5", state="delivered"))
        spoilt("a receipt is about no attempt", lambda r: r["log"][0].update(route="gateway"))
        spoilt("a report was never answered", lambda r: [line.update(status=503) for line in r["ledger"]
                                                         if line.get("post") == "p-5" and line["event"] == "answered"])
        spoilt("a forged report was taken", lambda r: r["ledger"][-1].update(status=204))
        spoilt("status says 4 reports came", lambda r: r["status"]["routes"][1]["reports"].update(came=4))
        spoilt("status says 9 reports came", lambda r: r["status"]["routes"][1]["reports"].update(came=9))
        spoilt("status says 0 reports are nobody's", lambda r: r["status"]["routes"][1]["reports"].update(no_such_notice=0))
        spoilt("reports wait", lambda r: r["status"]["routes"][1]["reports"].update(waiting=1))

    def test_the_next_step_behind_reports(self):
        def spoilt(fault, spoil):
            self.spoilt(fault, spoil, sound_reports())

        def without_email(ref):
            return lambda r: r.update(log=[x for x in r["log"] if (x["ref"], x["channel"]) != (ref, "email")])

        spoilt("a person is missing", without_email("b"))  # it failed
        spoilt("a person is missing", without_email("d"))  # nothing was reported
        # Whether the email of a delivered text had begun before the report is open.
        round_ = sound_reports()
        without_email("c")(round_)
        self.assertFalse([f for f in faults_of(round_)["faults"] if f.startswith("a person is missing")])
        spoilt("status says {", lambda r: r["status"]["notices"].update(suppressed=2))
        spoilt("status says {", lambda r: r["status"]["notices"].update(delivered=2, suppressed=0))
        spoilt("satisfied 5, but only 4", lambda r: r["status"].update(satisfied=5))


if __name__ == "__main__":
    unittest.main()
