#!/usr/bin/env python3
"""Runs a command and writes what it took.

    measure.py OUT.json COMMAND…

OUT gets wall seconds, CPU seconds, the largest resident memory in MB (10^6) and the exit code.
"""

import json
import resource
import subprocess
import sys
import time


def main():
    out, command = sys.argv[1], sys.argv[2:]
    begin = time.monotonic()
    code = subprocess.call(command)
    wall = time.monotonic() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(out, "w") as file:
        json.dump({
            "wall_s": round(wall, 3),
            "cpu_s": round(used.ru_utime + used.ru_stime, 3),
            "peak_rss_mb": round(used.ru_maxrss * 1024 / 1e6, 1),
            "code": code,
        }, file)
    return code


if __name__ == "__main__":
    sys.exit(main())
