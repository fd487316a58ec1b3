#!/usr/bin/env python3
"""Compares a campaign's log with what the receiver really got, and says each thing that does not fit.

    check_books.py LOG.csv LIST.csv STATUS.json COUNT (--record RECORD.jsonl | --dump FILE)

LOG is `campaign log --reveal --format csv`; COUNT is how many messages the sink says it took; RECORD is what
faulty_relay.py wrote, FILE what `smtp-sink -D` wrote. Email is the only channel.
"""

import argparse
import collections
import csv
import json
import sys


def read(args):
    attempts = collections.defaultdict(list)
    reference_of, contact_of = {}, {}
    with open(args.log, encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if line["event"] == "attempt":
                attempts[line["notice"]].append((int(line["attempt"]), line["class"]))
                reference_of[line["notice"]] = line["ref"]
                contact_of[line["notice"]] = line["contact"]
    delivered, refused, dropped = collections.Counter(), set(), collections.Counter()
    if args.record:
        for line in map(json.loads, open(args.record)):
            if line["event"] == "delivered":
                delivered[line["notice"]] += 1
            elif line["event"] == "dropped":
                dropped[line["stage"]] += 1
            elif line["code"] == 550:
                refused.add(line["address"])
    else:
        with open(args.dump, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("X-Forewarn-Notice:"):
                    delivered[line.split(":", 1)[1].strip()] += 1
    return attempts, reference_of, contact_of, delivered, refused, dropped


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log")
    parser.add_argument("list")
    parser.add_argument("status")
    parser.add_argument("count", type=int)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--record")
    source.add_argument("--dump")
    args = parser.parse_args()
    attempts, reference_of, contact_of, delivered, refused, dropped = read(args)
    with open(args.list, encoding="utf-8", newline="") as file:
        references = [line["reference"] for line in csv.DictReader(file)]
    with open(args.status) as file:
        status = json.load(file)

    faults = []

    def expect(name, holds, detail=""):
        print(f"  {'ok      ' if holds else 'MISMATCH'}  {name}{'' if holds else ': ' + str(detail)[:300]}")
        if not holds:
            faults.append(name)

    classes = collections.Counter(c for tries in attempts.values() for _, c in tries)
    accepted = {n for n, tries in attempts.items() if any(c == "accepted" for _, c in tries)}
    print("  log         " + ", ".join(f"{c} {n}" for c, n in sorted(classes.items())))
    repeated = {n: times for n, times in delivered.items() if times > 1}
    print(f"  receiver    {sum(delivered.values())} delivered, {len(delivered)} notices, {len(repeated)} more than once")
    if dropped:
        print("  dropped at  " + ", ".join(f"{stage} {n}" for stage, n in sorted(dropped.items())))

    expect("the sink's count is the receiver's record", args.count == sum(delivered.values()), args.count)
    expect("nothing arrived that is not in the log", not delivered.keys() - attempts.keys(), delivered.keys() - attempts.keys())
    expect("a notice for every person of the list, one each", sorted(reference_of.values()) == sorted(references),
           len(set(references) ^ set(reference_of.values())))
    expect("what the log says was accepted has arrived", not accepted - delivered.keys(), accepted - delivered.keys())
    expect("no notice is accepted twice, and none tried after that",
           all([c for _, c in sorted(tries)].index("accepted") == len(tries) - 1 for n, tries in attempts.items() if n in accepted),
           "see the log")
    lost = {n for n in attempts if n not in accepted and contact_of[n] not in refused}
    expect("only who was refused for good is not accepted", not lost,
           collections.Counter(sorted(attempts[n])[-1][1] for n in lost))
    wrongly = {n for n in accepted if contact_of[n] in refused}
    expect("nobody who was refused for good is accepted", not wrongly, wrongly)
    unexplained = []
    for notice, times in delivered.items():
        tries = sorted(attempts.get(notice, []))
        # Every delivery but the last needs an attempt of its own before it that the log calls unknown.
        unknown = sum(c == "unknown" for _, c in tries)
        could_arrive = unknown + (notice in accepted)
        if times > could_arrive or (times > 1 and unknown < times - 1):
            unexplained.append((notice, times, [c for _, c in tries]))
    expect("each repeat is preceded by unknown in the log", not unexplained, unexplained[:3])
    explained = sum(delivered.values()) - len(accepted)
    arrived_unknown = classes["unknown"]
    print(f"  count       {args.count} = {len(accepted)} accepted + {explained} that arrived and are unknown in the log "
          f"(of {arrived_unknown} unknown)")
    expect("count = accepted + some of the unknown", 0 <= explained <= arrived_unknown, explained)
    expect("no attempt is left open", "" not in classes, classes[""])
    expect("status: every person is in one place",
           status["persons"] == len(references)
           == sum(status[k] for k in ("satisfied", "in_flight", "needs_human", "unreachable", "excluded")), status)
    expect("status agrees with the log",
           (status["satisfied"], status["notices"]["accepted"], status["in_flight"], status["attempts"])
           == (len(accepted), len(accepted), 0, sum(classes.values())), status)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
