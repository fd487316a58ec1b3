#!/usr/bin/env python3
"""Kills forewarn wherever it stands, again and again, and balances the books after each round.

    tests/kill/run.py [--engine sqlite|postgres] [--kills 300] [--minutes M] [--seed N] [--rounds R] [--bin PATH]
                      [--reports]

A round is a fresh installation with some thousand made-up persons, sent by email and SMS to receivers of this program's
own, on the loopback. Round number n of `--seed N` is drawn from the seed N + n, so `--seed S --rounds 1` repeats the
round that the table shows with seed S (the same plan and the same faults; the moments differ by what the machine does).
It ends when so many processes were killed, so many minutes are over, or so many rounds are done; with exit code 1 when
the books of a round did not balance. README.md says what a round does and what its columns mean.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from round import Round  # noqa: E402
from installation import PROJECT  # noqa: E402
from plan import can_mount, draw, faketime  # noqa: E402
from postgres import Cluster, programs  # noqa: E402

COLUMNS = "{:>6} {:>8} {:>5} {:>6} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7} {:>5}  {}"
HEADING = ("seed", "engine", "kills", "faults", "persons", "received", "unknown", "repeats", "missing", "reports", "s", "verdict")


def describe(args):
    version = subprocess.run([args.bin, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{version}, {args.engine}, seed {args.seed}, in {args.folder}")
    if not can_mount():
        print("NOT DONE: a full disk, because that takes root (mount of a small tmpfs)")
    if faketime() is None:
        print("NOT DONE: steps of the clock, because libfaketime is not there (on Debian: apt-get install faketime)")
    print(COLUMNS.format(*HEADING), flush=True)


def one_round(args, seed, cluster):
    """Runs a round; its line of the table."""
    folder = args.folder / f"round-{seed}"
    began = time.monotonic()
    game = Round(folder, args.bin, draw(args.engine, seed, args.reports), seed, cluster)
    result = {"persons": "", "received": "", "unknown": "", "repeats": "", "missing": "", "reports": "", "faults": []}
    try:
        result = game.play()
    except Exception as error:  # whatever it is, this round has failed and the next one goes on
        (folder / "fault.txt").write_text(traceback.format_exc())
        result["faults"] = [f"{type(error).__name__}: {error}"]
    finally:
        game.close()
    print(COLUMNS.format(
        seed, args.engine, game.kills, sum(game.counts.values()), result["persons"], result["received"],
        result["unknown"], result["repeats"], result["missing"], result["reports"], round(time.monotonic() - began),
        "balanced" if not result["faults"] else "FAULT",
    ), flush=True)
    for fault in result["faults"]:
        print(f"       {fault}")
    if result["faults"]:
        again = f"tests/kill/run.py --engine {args.engine} --seed {seed} --rounds 1 --bin {args.bin}{' --reports' * args.reports}"
        print(f"       kept: {folder}; again: {again}", flush=True)
    elif not args.keep:
        shutil.rmtree(folder)
    return game, result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--reports", action="store_true", help="the webhook reports in every round, not in a third of them")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 90_000))
    parser.add_argument("--bin", type=Path, default=PROJECT / "target" / "release" / "forewarn")
    parser.add_argument("--folder", type=Path, help="where to work [a new folder for temporary files]")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all rounds")
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    if not args.bin.is_file():
        parser.error(f"{args.bin} is not there: cargo build --release, or name a binary with --bin")
    if args.engine == "postgres" and programs() is None:
        parser.error("PostgreSQL is not there (initdb, pg_ctl); on Debian: apt-get install postgresql")
    if args.folder:
        args.folder.mkdir(parents=True, exist_ok=True)
    else:
        args.folder = Path(tempfile.mkdtemp(prefix="forewarn-kill-"))
        args.folder.chmod(0o755)
    # Told to end, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(1))
    describe(args)
    sys.exit(rounds(args))


def rounds(args):
    end = time.monotonic() + args.minutes * 60 if args.minutes else float("inf")
    kills = faulty = done = persons = repeats = unknown = reports = 0
    others = {}
    with contextlib.ExitStack() as stack:
        cluster = None
        if args.engine == "postgres":
            cluster = Cluster(args.folder / "postgres")
            stack.callback(shutil.rmtree, cluster.folder, ignore_errors=True)
            stack.callback(cluster.stop, "immediate")
        while time.monotonic() < end and (done < args.rounds if args.rounds else args.minutes or kills < args.kills):
            game, result = one_round(args, args.seed + done, cluster)
            done += 1
            kills += game.kills
            faulty += bool(result["faults"])
            persons += result["persons"] or 0
            repeats += result["repeats"] or 0
            unknown += result["unknown"] or 0
            reports += result["reports"] or 0
            for name, count in game.counts.items():
                others[name] = others.get(name, 0) + count
    said = ", ".join(f"{name} {count}" for name, count in sorted(others.items()))
    print(f"{done} rounds, {kills} kills, {persons} persons, {unknown} unknown, {repeats} repeats explained by them, "
          f"{reports} reports; also: {said or 'nothing'}; {done - faulty} balanced, {faulty} not")
    if not faulty:
        with contextlib.suppress(OSError):
            args.folder.rmdir()
    print(json.dumps({"engine": args.engine, "rounds": done, "kills": kills, "faulty": faulty, "others": others}))
    return 1 if faulty else 0


if __name__ == "__main__":
    main()
