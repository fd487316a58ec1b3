#!/usr/bin/env python3
"""A mail relay, a webhook and an SMS gateway that fail on command and write down what they took.

    receivers.py LEDGER.jsonl SEED [--bad SHARE] [--delay SECONDS] [--report SECRET]

It prints its ports as one JSON line, then obeys JSON lines on stdin, one per change, until stdin ends:

    {"relay": {"drop": 0.1, "hang": 0.02, "refuse": 0.1}, "http": {"drop": 0.1}}      shares of what arrives
    {"relay": {"down": true}}                                                         nobody listens any more
    {"ports": [4711, 4712]}                                                           reports are taken there

and answers each with how many reports it has still to deliver. With --report the webhook reports what became of each
message, signed with that secret (reporter.py).

The ledger has a line for every message that began to arrive (`arrived`), was taken (`taken`), was taken before under the
same key (`again`), was refused for good (`refused`) or for now (`later`), or lost its connection (`dropped`); and two
for each try to report (`reported`; then `answered`, where `status` is null if no answer came). `at` is the wall clock,
`mono` the monotonic one. A line is on its way to the file before the sender can know.

A share of the recipients (--bad) is refused for good, by the hash of the address, the same each run. Nothing is ever
taken and then answered as refused: a receiver that lies cannot be told from a sender that repeats. Between taking and
saying so up to --delay seconds pass: a sender that is killed then cannot know.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import socket
import struct
import sys
import time
import urllib.parse

from reporter import Reporter

SMTP_STAGES = ["mail", "rcpt", "data", "middle", "dot-before", "dot-after"]
HTTP_STAGES = ["head", "before", "after", "garbage"]


class Dropped(Exception):
    """The connection ends here, on purpose."""


class Ledger:
    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")

    def write(self, event, route, **fields):
        line = {"event": event, "route": route, "at": time.time(), "mono": time.monotonic(), **fields}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()


class Faults:
    """What is to go wrong at one receiver just now."""

    def __init__(self, seed):
        self.lots = random.Random(seed)
        self.shares = {}

    def obey(self, shares):
        self.shares = shares

    def happens(self, what):
        share = self.shares.get(what, 0)
        return share > 0 and self.lots.random() < share

    async def hang(self):
        await asyncio.sleep(self.lots.uniform(0.3, 3))


def is_bad(address, share):
    return int.from_bytes(hashlib.sha256(address.encode()).digest()[:4], "big") / 2**32 < share


class Listener:
    """A server that can go down and come back on its port."""

    def __init__(self, faults, ledger, args):
        self.faults, self.ledger, self.bad, self.delay = faults, ledger, args.bad, args.delay
        self.writers, self.server, self.port = set(), None, 0

    async def listen(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, limit=2**22, backlog=512)
        self.port = self.server.sockets[0].getsockname()[1]

    async def obey(self, shares):
        down = shares.get("down", False)
        self.faults.obey(shares)
        if down and self.server:
            self.server.close()
            self.server = None
            for writer in list(self.writers):
                self.reset(writer)
        elif not down and not self.server:
            await self.listen()

    async def think(self):
        if self.delay:
            await asyncio.sleep(self.faults.lots.uniform(0, self.delay))

    def reset(self, writer):
        connection = writer.get_extra_info("socket")
        if not writer.transport.is_closing() and self.faults.lots.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def serve(self, reader, writer):
        self.writers.add(writer)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self.talk(reader, writer)
        except Dropped:
            self.reset(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()


class Relay(Listener):
    async def talk(self, reader, writer):
        async def say(text):
            writer.write(text.encode() + b"\r\n")
            await writer.drain()

        recipient, fault, begun = None, None, False
        await say("220 relay.invalid ESMTP")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                await say("250-relay.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
            elif verb == b"MAIL":
                self.ledger.write("arrived", "relay")
                fault, recipient = self.draw(), None
                begun = await self.goes_on(fault, "mail", say)
                if begun:
                    await say("250 2.1.0 ok")
            elif verb == b"RCPT":
                address = line[8:].split()[0][1:-1].decode()
                if not begun:
                    await say("503 5.5.1 MAIL first")
                elif is_bad(address, self.bad):
                    self.ledger.write("refused", "relay", to=address)
                    await say("550 5.1.1 no such mailbox")
                elif await self.goes_on(fault, "rcpt", say):
                    recipient = address
                    await say("250 2.1.5 ok")
            elif verb == b"DATA":
                if recipient is None:
                    await say("503 5.5.1 no recipient")
                elif await self.goes_on(fault, "data", say):
                    await say("354 go on")
                    await self.message(reader, recipient, fault, say)
            elif verb in (b"RSET", b"NOOP"):
                await say("250 2.0.0 ok")
            elif verb == b"QUIT":
                await say("221 2.0.0 bye")
                return
            else:
                await say("502 5.5.2 not known here")

    def draw(self):
        """(what, at which stage) of the next message."""
        for what in ("drop", "hang", "refuse"):
            if self.faults.happens(what):
                return what, self.faults.lots.choice(SMTP_STAGES)
        return None

    async def goes_on(self, fault, stage, say):
        """False when the stage was answered with a refusal."""
        what, where = fault or (None, None)
        if where != stage:
            return True
        if what == "drop":
            self.ledger.write("dropped", "relay", stage=stage)
            raise Dropped
        if what == "hang":
            await self.faults.hang()
            if self.faults.lots.random() < 0.5:
                self.ledger.write("dropped", "relay", stage=stage + ", after a while")
                raise Dropped
            return True
        self.ledger.write("later", "relay", stage=stage)
        if self.faults.lots.random() < 0.2:
            await say("421 4.3.2 going away")
            raise Dropped
        await say("451 4.3.0 try again later")
        return False

    async def message(self, reader, recipient, fault, say):
        body = b""
        if fault in (("drop", "middle"), ("hang", "middle")):
            body = await reader.readexactly(500)
            await self.goes_on(fault, "middle", say)
        body += await reader.readuntil(b"\r\n.\r\n")
        headers = {}
        for line in body[: body.index(b"\r\n\r\n")].split(b"\r\n"):
            name, colon, value = line.partition(b":")
            if colon and not line[:1].isspace():
                headers[name.lower()] = value.strip().decode()
        if fault == ("refuse", "middle"):
            fault = ("refuse", "dot-before")
        if not await self.goes_on(fault, "dot-before", say):
            return
        notice, key = headers.get(b"x-forewarn-notice", ""), headers.get(b"message-id", "")
        self.ledger.write("taken", "relay", to=recipient, notice=notice, key=key)
        if fault and fault[0] != "refuse":
            await self.goes_on(fault, "dot-after", say)
        await self.think()
        await say("250 2.0.0 taken")


class Web(Listener):
    """POST /hook is a webhook that takes nothing twice under one key; GET /cgi-bin/sendsms answers as Kannel does."""

    def __init__(self, *rest):
        super().__init__(*rest)
        self.keys, self.names, self.reporter = {}, {}, None

    async def talk(self, reader, writer):
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            except asyncio.IncompleteReadError:
                return
            method, target = head[0].split(" ")[:2]
            headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:] if line)}
            url = urllib.parse.urlsplit(target)
            values = dict(urllib.parse.parse_qsl(url.query))
            hook = url.path == "/hook"
            route = "webhook" if hook else "gateway"
            if hook and method != "POST" or not hook and "to" not in values:  # the question of a doctor
                await self.answer(writer, 405 if hook else 400, "" if hook else "Missing receiver number, rejected")
                continue
            self.ledger.write("arrived", route)
            fault = self.draw()
            self.drop_if(fault == ("drop", "head"), route, "head")
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if hook:
                values = json.loads(body)
            await self.take(writer, route, values, headers.get("idempotency-key", ""), fault)

    def draw(self):
        for what in ("drop", "hang", "refuse"):
            if self.faults.happens(what):
                return what, self.faults.lots.choice(HTTP_STAGES)
        return None

    def drop_if(self, now, route, stage):
        if now:
            self.ledger.write("dropped", route, stage=stage)
            raise Dropped

    async def take(self, writer, route, values, key, fault):
        hook, to = route == "webhook", values["to"]
        what, stage = fault or (None, None)
        if what == "hang":
            await self.faults.hang()
            what = self.faults.lots.choice(["drop", None])
        if is_bad(to, self.bad):
            self.ledger.write("refused", route, to=to)
            await self.answer(writer, 422 if hook else 400, '{"class":"bad-address"}' if hook else "receiver unknown")
            return
        if what == "refuse":
            self.ledger.write("later", route, stage=stage)
            if stage == "after":
                await self.answer(writer, 429 if hook else 503, "" if hook else "Temporal failure, try again later.",
                                  "Retry-After: 1\r\n")
            else:
                await self.answer(writer, 503, '{"class":"temporary"}' if hook else "Temporal failure, try again later.")
            return
        self.drop_if(what == "drop" and stage in ("head", "before"), route, "before")
        content = hashlib.sha256(json.dumps([to, values.get("text")]).encode()).hexdigest()[:16]
        notice = values.get("notice", "")
        if hook and key in self.keys:
            same = self.keys[key] == (notice, content)
            self.ledger.write("again" if same else "misused", route, to=to, notice=notice, key=key)
        else:
            self.keys[key] = (notice, content)
            name = self.names[key] = f"m-{len(self.names) + 1}"
            self.ledger.write("taken", route, to=to, notice=notice, key=key, id=name if hook else "")
            if self.reporter and "report_to" in values:
                await self.reporter.taken(notice, name, values["report_to"])
        await self.think()
        self.drop_if(what == "drop" and stage == "after", route, "after")
        if what == "drop":  # garbage: taken, and the answer is the page of a proxy
            await self.answer(writer, 502, "<html>Bad gateway</html>", "Content-Type: text/html\r\n")
        elif hook:
            await self.answer(writer, 200, json.dumps({"id": self.names[key]}))
        else:
            await self.answer(writer, 202, "0: Accepted for delivery")

    async def answer(self, writer, status, body, more=""):
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{more}\r\n{body}".encode())
        await writer.drain()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger")
    parser.add_argument("seed")
    parser.add_argument("--bad", type=float, default=0.0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--report", metavar="SECRET")
    args = parser.parse_args()
    if os.geteuid() == 0:
        os.nice(-5)  # its clock judges the limits: it must not wait behind those it judges
    ledger = Ledger(args.ledger)
    receivers = {
        "relay": Relay(Faults(args.seed + "relay"), ledger, args),
        "http": Web(Faults(args.seed + "http"), ledger, args),
    }
    for receiver in receivers.values():
        await receiver.listen()
    if args.report:
        receivers["http"].reporter = Reporter(ledger, args.seed, args.report)
    print(json.dumps({name: receiver.port for name, receiver in receivers.items()}), flush=True)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        reporter = receivers["http"].reporter
        for name, what in json.loads(line).items():
            if name == "ports":
                reporter.ports = what
            else:
                await receivers[name].obey(what)
        print(json.dumps(reporter.owed if reporter else 0), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
