#!/usr/bin/env python3
"""The most messages in any window of a length, by the receiver's clock.

    check_limits.py RECORD.jsonl PERSONS RATE/SECONDS…

RECORD is what faulty_relay.py wrote. A message counts at its MAIL and, separately, at its final dot; a window is
half-open, and every one that can hold the most begins at a message, so all are looked at.
"""

import json
import sys


def most_in_a_window(times, length):
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= length:
            first += 1
        most = max(most, last - first + 1)
    return most


def main():
    record, persons, limits = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    lines = [line for line in map(json.loads, open(record)) if line["event"] == "delivered"]
    faults = 0
    # A worker that was killed may have sent a few twice; nobody may be missing.
    if len({line["notice"] for line in lines}) != persons:
        print(f"  MISMATCH  {len({line['notice'] for line in lines})} notices arrived of {persons}")
        faults += 1
    print(f"            {len(lines)} messages for {persons} persons")
    for clock in ("at", "dot"):
        times = sorted(line[clock] for line in lines)
        begin = times[0]
        for limit in limits:
            rate, length = map(int, limit.split("/"))
            most = most_in_a_window(times, length)
            holds = most <= rate
            faults += not holds
            firsts = sum(time - begin < length for time in times)
            print(f"  {'ok      ' if holds else 'MISMATCH'}  at {'MAIL' if clock == 'at' else 'dot '}: at most {most} in any "
                  f"{length} s (limit {rate}, {100 * most / rate:.0f} % used); {firsts} in the first {length} s")
        print(f"            last after {times[-1] - begin:.3f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
