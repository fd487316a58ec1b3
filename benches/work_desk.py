#!/usr/bin/env python3
"""One person at the desk: takes one case after the other and works each to its end, until the queue is empty.

    work_desk.py FOREWARN CONFIG CAMPAIGN NAME RECORD

Everything goes through the command line. What is done with a case depends on its reference alone, so that every
disposition and every reason comes up. Each line of RECORD is what was handed out and what was done, as JSON. After each
case the sum of persons must be true.
"""

import json
import subprocess
import sys
import zlib

FOREWARN, CONFIG, CAMPAIGN, NAME, RECORD = sys.argv[1:6]

# What a call can bring to light; after the first ones the case stays open and is worked on.
ENDINGS = [
    "informed", "informed-representative", "no-answer", "voicemail", "call-back-agreed", "message-left", "technical-fault",
    "other-language", "wrong-number", "disconnected", "deceased", "minor", "wants-writing", "do-not-call",
    "refused-to-listen", "suspected-fraud", "correct-email", "correct-phone", "informed-otherwise", "unreachable",
    "declined", "not-affected", "deceased-without-kin", "withdrawn", "duplicate",
]
CLOSED_AFTER = {
    "do-not-call": "declined", "refused-to-listen": "declined", "wants-writing": "informed-otherwise",
    "deceased": "deceased-without-kin", "suspected-fraud": "unreachable", "wrong-number": "unreachable",
    "disconnected": "unreachable",
}


def forewarn(*words, by=True):
    command = [FOREWARN, "--config", CONFIG, "--json", *words] + (["--by", NAME] if by else [])
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        sys.exit(f"{NAME}: {' '.join(words[:2])} ended with {done.returncode}: {done.stderr}")
    return done.returncode, json.loads(done.stdout)


def must(*words, by=True):
    code, answer = forewarn(*words, by=by)
    if code != 0:
        sys.exit(f"{NAME}: {' '.join(words[:2])} was refused: {answer}")
    return answer


def sum_holds():
    status = must("campaign", "status", CAMPAIGN, by=False)
    parts = sum(status[part] for part in ("satisfied", "in_flight", "needs_human", "unreachable", "excluded"))
    if status["persons"] != parts:
        sys.exit(f"{NAME}: the sum does not hold: {status}")
    return status


def end(reference, known):
    """What is done with the case, until it is over or waits for somebody else."""
    luck = zlib.crc32(reference.encode())
    way = ENDINGS[luck % len(ENDINGS)]
    number = luck % 10_000_000
    if way == "correct-email":
        address = f"corrected.{number}.{NAME}@desk.example"
        must("desk", "correct", reference, "--email", address)
        return way, address
    if way == "correct-phone":
        address = f"+49151{number:08}"
        must("desk", "correct", reference, "--phone", address)
        return way, address
    if way in ("informed-otherwise", "unreachable", "declined", "not-affected", "deceased-without-kin", "withdrawn", "duplicate"):
        must("desk", "close", reference, "--reason", way, "--note", "as agreed")
        return way, None
    words = ["desk", "call", reference, "--disposition", way, "--note", "said on the telephone"]
    if way == "other-language":
        words += ["--language", "en"]
    called = must(*words)
    if called["standing"] == "needs_human" and way in CLOSED_AFTER:
        must("desk", "close", reference, "--reason", CLOSED_AFTER[way])
    return way, None


def main():
    with open(RECORD, "a", encoding="utf-8") as record:
        while True:
            case = must("desk", "next", "--campaign", CAMPAIGN)
            if "ref" not in case:
                return
            way, address = end(case["ref"], case)
            sum_holds()
            line = {"by": NAME, "ref": case["ref"], "opened_at": case["case"]["opened_at"], "way": way, "address": address}
            record.write(json.dumps(line) + "\n")
            record.flush()


main()
