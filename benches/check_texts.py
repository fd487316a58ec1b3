#!/usr/bin/env python3
"""Compares a campaign by SMS with what the gateway and the operator behind it really got.

    check_texts.py OPERATOR.log ACCESS.log LOG.csv STATUS.json LIST.csv [--before LOG.csv]

LOG is `campaign log --reveal --format csv`; --before is the log as it was before `campaign retry --reason-class unknown`:
then the notices tried since must be exactly those that were unknown in it.
"""

import argparse
import collections
import csv
import json
import re
import sys


def texts_at_operator(path):
    """How many whole texts came for each number, and how many parts in all. A text of several parts counts at its first."""
    texts, parts = collections.Counter(), 0
    with open(path, encoding="latin-1") as file:
        for line in file:
            found = re.search(r"Got message \d+: <\S+ (\S+) (text|ucs-2|udh) (\S*)", line)
            if not found:
                continue  # a line break inside a text
            parts += 1
            number, kind, header = found.groups()
            if kind != "udh" or header.endswith("%01"):
                texts[number] += 1
    return texts, parts


def attempts_in(path):
    attempts, contact_of, reference_of = collections.defaultdict(list), {}, {}
    with open(path, encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if line["event"] == "attempt":
                attempts[line["notice"]].append((int(line["attempt"]), line["class"]))
                # A cell that begins like a formula has an apostrophe before it.
                contact_of[line["notice"]] = line["contact"].lstrip("'")
                reference_of[line["notice"]] = line["ref"]
    return {n: [c for _, c in sorted(tries)] for n, tries in attempts.items()}, contact_of, reference_of


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("operator", "access", "log", "status", "list"):
        parser.add_argument(name)
    parser.add_argument("--before")
    args = parser.parse_args()
    texts, parts = texts_at_operator(args.operator)
    with open(args.access, encoding="latin-1") as file:
        taken = sum("send-SMS request added" in line for line in file)
    attempts, contact_of, reference_of = attempts_in(args.log)
    with open(args.list, encoding="utf-8", newline="") as file:
        references = sorted(line["reference"] for line in csv.DictReader(file))
    with open(args.status) as file:
        status = json.load(file)
    faults = 0

    def expect(name, holds, detail=""):
        nonlocal faults
        print(f"  {'ok      ' if holds else 'MISMATCH'}  {name}{'' if holds else ': ' + str(detail)[:300]}")
        faults += not holds

    classes = collections.Counter(c for tries in attempts.values() for c in tries)
    accepted = {n for n, tries in attempts.items() if "accepted" in tries}
    held = {n for n, tries in attempts.items() if tries[-1] == "unknown"}
    came = sum(texts.values())
    print("  log         " + ", ".join(f"{c} {n}" for c, n in sorted(classes.items())))
    print(f"  gateway     {taken} texts taken; operator: {came} texts for {len(texts)} numbers in {parts} parts; "
          f"{sum(n > 1 for n in texts.values())} numbers more than once")
    expect("what the gateway took has come to the operator", taken == came, (taken, came))
    expect("a notice for every person of the list, one each", sorted(reference_of.values()) == references)
    expect("no two notices share a number", len(set(contact_of.values())) == len(contact_of))
    expect("nothing came that is not in the log", not texts.keys() - set(contact_of.values()),
           len(texts.keys() - set(contact_of.values())))
    unexplained, missing, from_unknown = 0, 0, 0
    for notice, tries in attempts.items():
        arrived, surely, perhaps = texts[contact_of[notice]], tries.count("accepted"), tries.count("unknown")
        missing += arrived < surely
        unexplained += arrived > surely + perhaps
        from_unknown += arrived - surely
    expect("what the log says was accepted has come", missing == 0, missing)
    expect("nothing came beyond accepted and unknown", unexplained == 0, unexplained)
    print(f"  count       {came} = {classes['accepted']} accepted + {from_unknown} that arrived and are unknown in the log "
          f"(of {classes['unknown']} unknown)")
    if args.before:
        before, _, _ = attempts_in(args.before)
        unknown_before = {n for n, tries in before.items() if tries[-1] == "unknown"}
        tried_since = {n for n, tries in attempts.items() if len(tries) > len(before.get(n, []))}
        expect(f"retry sent exactly the {len(unknown_before)} that were unknown", tried_since == unknown_before,
               (len(tried_since), len(unknown_before)))
    else:
        repeated = sum(len(tries) > 1 for tries in attempts.values())
        expect("an unknown text is held: nobody was tried twice", repeated == 0, repeated)
    expect("accepted and held are all persons", len(accepted | held) == len(references) and not accepted & held,
           (len(accepted), len(held)))
    expect("status agrees: accepted, held, nobody in flight, persons",
           (status["notices"]["accepted"], status["notices"]["unknown"], status["needs_human"], status["in_flight"])
           == (len(accepted), len(held), len(held), 0),
           {k: status[k] for k in ("notices", "needs_human", "in_flight", "satisfied", "unreachable")})
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
