#!/usr/bin/env python3
"""Holds together what two people at the desk did, what arrived, and the campaign's status.

    check_desk.py OUTBOX STATUS.json RECORD…

No case was handed out twice; every corrected contact received exactly one notice; nobody is in flight or needs a human.
"""

import collections
import json
import pathlib
import sys


def main():
    outbox, status, *records = sys.argv[1:]
    handed = [json.loads(line) for name in records for line in open(name, encoding="utf-8")]
    faults = []
    twice = [case for case, n in collections.Counter((h["ref"], h["opened_at"]) for h in handed).items() if n > 1]
    faults += [f"{len(twice)} cases were handed out twice"] if twice else []
    got = collections.Counter()
    for file in pathlib.Path(outbox).rglob("*"):
        if file.is_file():
            # A long name puts the address of an email on the next line.
            text = file.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").replace("\n ", " ")
            for line in text.splitlines():
                if line.startswith("To: "):
                    got[line[4:].rsplit("<", 1)[-1].rstrip(">")] += 1
                    break
    corrected = [h["address"] for h in handed if h["address"]]
    wrong = [address for address in corrected if got[address] != 1]
    faults += [f"{len(wrong)} of {len(corrected)} corrected contacts did not receive exactly one notice"] if wrong else []
    with open(status, encoding="utf-8") as file:
        told = json.load(file)
    parts = [told[part] for part in ("satisfied", "in_flight", "needs_human", "unreachable", "excluded")]
    if sum(parts) != told["persons"] or told["in_flight"] or told["needs_human"]:
        faults.append(f"persons {told['persons']}, of them {parts}")
    by = collections.Counter(h["by"] for h in handed)
    ways = collections.Counter(h["way"] for h in handed)
    print(f"  worked off  {len(handed)} cases: " + ", ".join(f"{n} by {name}" for name, n in sorted(by.items())))
    print("  how         " + ", ".join(f"{way} {n}" for way, n in sorted(ways.items())))
    print(f"  corrected   {len(corrected)} contacts; persons {told['persons']} = " + " + ".join(map(str, parts)))
    for fault in faults:
        print(f"  {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
