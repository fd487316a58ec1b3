#!/usr/bin/env python3
"""Holds together what a provider has reported, the campaign's log and its status.

    check_reports.py POSTED.jsonl LOG.jsonl STATUS.json DOCTOR.json

Every event is in the log once, however often it was posted, with the state that it leads to; nothing else is; every
notice of the status stands where its events have brought it; the books that `doctor` counts add up.
"""

import collections
import json
import sys

# Event, its class in the log, and where it leaves a notice that was accepted.
LEADS_TO = {
    "delivered": ("delivered", "delivered"),
    "acknowledged": ("acknowledged", "acknowledged"),
    "failed": ("bad-address", "failed"),
    "queued": ("progress", "accepted"),
}


def lines(name):
    with open(name, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def main():
    posted, log, status, doctor = sys.argv[1:]
    wanted = {event["notice"]: event for event in lines(posted)}
    seen, attempts, faults = collections.Counter(), collections.Counter(), []
    for line in lines(log):
        if line["event"] == "attempt":
            attempts[line["notice"]] += 1
        if line["event"] != "receipt":
            continue
        notice = line["notice"]
        seen[notice] += 1
        event = wanted.get(notice)
        # What was applied with its attempt's outcome says so in its state all the same.
        if event is None or (line["class"], line["state"]) != LEADS_TO[event["event"]]:
            faults.append(f"notice {notice}: {line['class']} {line['state']}, posted {event and event['event']}")
    faults += [f"notice {notice}: {n} receipts" for notice, n in seen.items() if n != 1]
    missing = wanted.keys() - seen.keys()
    faults += [f"{len(missing)} events are in no receipt"] if missing else []
    states = collections.Counter(LEADS_TO[wanted[n]["event"]][1] if n in wanted else "accepted" for n in attempts)
    with open(status, encoding="utf-8") as file:
        told = json.load(file)
    stands = {state: n for state, n in told["notices"].items() if n}
    if stands != dict(states):
        faults.append(f"notices stand at {stands}, and should at {dict(states)}")
    parts = [told[part] for part in ("satisfied", "in_flight", "needs_human", "unreachable", "excluded")]
    if sum(parts) != told["persons"] or told["in_flight"] or told["needs_human"] != states["failed"]:
        faults.append(f"persons {told['persons']}, of them {parts}")
    with open(doctor, encoding="utf-8") as file:
        findings = json.load(file)
    bad = [f["message"] for f in findings["findings"] if f["about"].startswith(("campaign", "reports")) and f["level"] == "bad"]
    faults += bad
    early = sum(event["early"] for event in wanted.values())
    doubled = sum(event["times"] > 1 for event in wanted.values())
    print(f"  events      {len(wanted)}, {doubled} of them twice, {early} before the outcome; notices {dict(states)}")
    for fault in faults[:20]:
        print(f"  {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
