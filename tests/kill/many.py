#!/usr/bin/env python3
"""Many workers on one PostgreSQL, two of which are killed every few seconds, and the books are balanced at the end.

    tests/kill/many.py [--persons 100000] [--workers 8] [--every 5] [--rate 1000] [--seed N] [--bin PATH] [--keep]

Each person gets an email and a text: twice as many notices as persons. The texts go to a webhook that declares
idempotency. Both routes are limited, to so many a second and nine times as many in ten. What is checked stands in
books.py; the exit code is 1 when anything does not hold.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from books import most_in_a_window  # noqa: E402
from installation import PROJECT  # noqa: E402
from plan import Plan  # noqa: E402
from postgres import Cluster  # noqa: E402
from round import Round  # noqa: E402


def plan(args):
    limits = {route: [(args.rate, 1), (9 * args.rate, 10)] for route in ("relay", "webhook")}
    return Plan(
        engine="postgres", persons=args.persons, more_persons=0, workers=args.workers, kills=10**9, gap=args.every,
        routes=["relay", "webhook"], limits=limits, when="always", after="0s", bad=0.01, delay=0.01, retries=0,
        graceful=False, fail=False, disk=False, clock=False, stops=False,
    )


def play(game, args):
    game.site.bring_to_start(lambda _: None)
    lots = random.Random(args.seed)
    while not game.at_rest(status := game.site.status()):
        game.keep_workers()
        time.sleep(args.every)
        alive = [worker for worker in game.workers if worker.process.poll() is None]
        for worker in lots.sample(alive, min(2, len(alive))):
            game.site.kill(worker.process)
            game.workers.remove(worker)
        print(f"  killed {game.kills:3}, attempts {status['attempts']}, satisfied {status['satisfied']}", flush=True)
    for worker in game.workers:
        game.terminate(worker)
    game.send_to_the_end()
    return game.balance()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--every", type=float, default=5)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 90_000))
    parser.add_argument("--bin", type=Path, default=PROJECT / "target" / "release" / "forewarn")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    # Told to end, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="forewarn-many-"))
    folder.chmod(0o755)
    print(f"{args.persons} persons, {args.workers} workers, two killed every {args.every} s, seed {args.seed}, in {folder}")
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        cluster = Cluster(folder / "postgres")
        stack.callback(cluster.stop, "immediate")
        game = Round(folder / f"round-{args.seed}", args.bin.resolve(), plan(args), args.seed, cluster)
        stack.callback(game.close)
        result = play(game, args)
    print(f"{game.kills} kills in {time.monotonic() - began:.0f} s; {json.dumps({k: v for k, v in result.items() if k != 'faults'})}")
    arrived = {"relay": [], "webhook": []}
    with open(game.folder / "ledger.jsonl", encoding="utf-8") as ledger:
        for line in map(json.loads, ledger):
            if line["event"] == "arrived":
                arrived[line["route"]].append(line["mono"])
    for route, times in arrived.items():
        most = {per: most_in_a_window(sorted(times), per) for _, per in game.plan.limits[route]}
        print(f"{route}: limits {game.plan.limits[route]}, at most {most} by its own clock")
    for fault in result["faults"]:
        print("FAULT  " + fault)
    print("balanced" if not result["faults"] else f"kept: {folder}")
    if not result["faults"] and not args.keep:
        shutil.rmtree(folder)
    sys.exit(1 if result["faults"] else 0)


if __name__ == "__main__":
    main()
