"""A fresh installation in a folder of its own, its commands, and processes that can be killed on the way."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# What reports are signed with.
HOOK_SECRET = "whsec_" + base64.b64encode(b"forewarn-kill-tests-only").decode()
# At so many workers reports are taken in; the others send and handle what those took.
LISTENERS = 3
# A command that takes longer hangs; even an import waits for a database that is restarted, but not for ever.
PATIENCE = 120

INCIDENT_TAIL = """
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [{{ channel = "{first}" }}, {{ channel = "{second}", when = "{when}", after = "{after}" }}]
on_unknown = {{ email = "resend", sms = "hold" }}
retry = {{ first = "1s", max = "2s" }}
give_up_after = "2h"
"""

ROUTE = """
[[route]]
name = "{name}"
channel = "{channel}"
provider = "{provider}"
weight = 100
limits = {limits}
settings = {settings}
"""


def is_away(answer):
    """Refused only because the database does not answer just now."""
    return any(problem.get("code") == "database-unreachable" for problem in (answer or {}).get("refused", []))


def free_ports(count):
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Failed(Exception):
    """Something that must hold in every round did not."""


class Installation:
    def __init__(self, folder, binary, database, ports, plan, event):
        self.folder, self.binary, self.plan, self.event = folder, binary, plan, event
        self.environment = {k: v for k, v in os.environ.items() if k != "FOREWARN_CONFIG"}
        self.kills = 0
        self.pids = set()
        self.ports = free_ports(min(LISTENERS, plan.workers)) if plan.reports else []
        self.listening = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.errors = open(folder / "stderr.txt", "ab")
        made = subprocess.run([binary, "init", "--dir", folder], capture_output=True, text=True)
        if made.returncode != 0:
            raise Failed(f"forewarn init: {made.stderr}")
        self.write_config(database, ports)
        self.lists = 0
        self.add_list(0, plan.persons)

    def write_config(self, database, ports):
        path = self.folder / "config.toml"
        text = path.read_text().split("[[route]]")[0]
        hook = ""
        if self.plan.reports:
            # Where `serve` listens; the others on the ports behind it. Reports go to any of them.
            at = f"127.0.0.1:{self.ports[0]}"
            text += f'\n[server]\nlisten = "{at}"\npublic_url = "http://{at}"\n'
            hook = ', receipts = true, hook_secret = "file:hook_secret"'
            self.secret_file("hook_secret", HOOK_SECRET)
        text = text.replace('url = "sqlite://forewarn.db"', f'url = "{database}"')
        http = f"http://127.0.0.1:{ports['http']}"
        gateway = f'{{ base_url = "{http}", username = "u", password = "file:password", max_messages = 9 }}'
        routes = [
            ("relay", "email", "smtp", f'{{ host = "127.0.0.1", port = {ports["relay"]}, tls = "none" }}'),
            ("webhook", "sms", "webhook", f'{{ base_url = "{http}/hook", idempotent = true{hook} }}'),
            ("gateway", "sms", "kannel", gateway),
        ]
        for name, channel, provider, settings in routes:
            if name in self.plan.routes:
                limits = ", ".join(f'{{ rate = {rate}, per = "{per}s" }}' for rate, per in self.plan.limits[name])
                text += ROUTE.format(name=name, channel=channel, provider=provider, limits=f"[{limits}]", settings=settings)
        path.write_text(text)
        self.secret_file("password", "secret")

    def secret_file(self, name, text):
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(0o600)

    def add_list(self, first, rows):
        """Adds persons `first`.. to the incident, in a list of their own."""
        made = subprocess.run(
            [sys.executable, PROJECT / "benches" / "make_list.py", str(first + rows)],
            capture_output=True, text=True, check=True,
        ).stdout.splitlines(keepends=True)
        self.lists += 1
        (self.folder / f"list{self.lists}.csv").write_text("".join(made[:1] + made[1 + first :]))
        text = (PROJECT / "examples" / "incident.toml").read_text().split("\n[campaign]")[0]
        first, second = ("sms", "email") if self.plan.texts_first else ("email", "sms")
        text += INCIDENT_TAIL.format(first=first, second=second, when=self.plan.when, after=self.plan.after)
        for number in range(1, self.lists + 1):
            text += f'\n[[source]]\nfile = "list{number}.csv"\n'
        (self.folder / "incident.toml").write_text(text)

    def start(self, *arguments, out=subprocess.DEVNULL):
        """A process of forewarn in this installation."""
        command = [self.binary, "--config", self.folder / "config.toml", *arguments]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=self.errors, env=self.environment
        )
        self.pids.add(process.pid)
        return process

    def start_worker(self):
        """A worker; where it can, it takes in reports too."""
        free = [port for port in self.ports if port not in self.listening or self.listening[port].poll() is not None]
        if not free:
            return self.start("worker")
        port = free[0]
        listen = ["serve"] if port == self.ports[0] else ["worker", "--listen", f"127.0.0.1:{port}"]
        self.listening[port] = self.start(*listen)
        return self.listening[port]

    def tidy_up(self):
        """libfaketime leaves shared memory behind in each process that is killed."""
        self.errors.close()
        for pid in self.pids:
            for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
                Path("/dev/shm", name).unlink(missing_ok=True)

    def kill(self, process):
        """SIGKILL; true when it was still alive."""
        if process.poll() is not None:
            return False
        process.kill()
        killed = process.wait() == -signal.SIGKILL
        self.kills += killed
        return killed

    def killed(self, after, *arguments):
        """A command that is killed so many seconds after its start, unless it ended before."""
        process = self.start(*arguments)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            pass
        killed = self.kill(process)
        self.event("killed" if killed else "too late to kill", command=" ".join(map(str, arguments)), after=round(after, 3))
        return killed

    def json(self, *arguments):
        """The answer of a command, or None and its exit code."""
        process = self.start("--json", *arguments, out=subprocess.PIPE)
        try:
            out, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"`forewarn {' '.join(arguments)}` took longer than {PATIENCE} s") from None
        answer = json.loads(out) if out.strip() else None
        return answer if process.returncode == 0 else None, process.returncode, answer

    def insist(self, *arguments, seconds=60):
        """As `json`, again and again until it works: databases come back and disks are emptied."""
        end = time.monotonic() + seconds
        while True:
            good, code, answer = self.json(*arguments)
            if good is not None:
                return good
            if code == 3 and not is_away(answer) or time.monotonic() > end:
                raise Failed(f"`forewarn {' '.join(arguments)}`: exit code {code}, {json.dumps(answer)[:300]}")
            time.sleep(0.3)

    def campaign(self):
        """The only campaign as `campaign list` shows it, or None."""
        found = self.insist("campaign", "list")["campaigns"]
        if len(found) > 1:
            raise Failed(f"one incident became {len(found)} campaigns")
        return found[0] if found else None

    def status(self):
        return self.insist("campaign", "status", self.id)

    def create(self, *more):
        return ("campaign", "create", str(self.folder / "incident.toml"), "--by", "alice", *more)

    def bring_to_start(self, kill):
        """Creates, approves and starts; `kill(arguments)` may kill each command first, any number of times."""
        kill(self.create())
        self.insist(*self.create())
        self.id = self.campaign()["campaign"]
        kill(("campaign", "approve", self.id, "--by", "bob"))
        self.insist("campaign", "approve", self.id, "--by", "bob")
        self.go(kill, "start")

    def go(self, kill, verb):
        """`start` or `resume`, until it runs."""
        kill(("campaign", verb, self.id))
        if self.campaign()["state"] not in ("running", "finished"):
            self.insist("campaign", verb, self.id)
