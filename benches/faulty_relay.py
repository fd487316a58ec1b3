#!/usr/bin/env python3
"""A mail relay that fails on purpose and writes down what really happened, in front of a server that takes everything.

    faulty_relay.py PORT RECORD.jsonl [--next HOST:PORT] [--refuse SHARE] [--drop SHARE]

It speaks ESMTP with PIPELINING. A share of the recipients is refused at RCPT, chosen by the hash of the address: half
of these for good (550), half on their first two tries (450). A share of the messages loses its connection, at MAIL, at
RCPT, at DATA, in the middle of the message, after the final dot before the message is handed on, or after it is handed
on but before the reply: in the last case it arrived, and the sender cannot know.

A message counts as delivered when the server behind has said 250 to it (without --next: when it is here whole). The
record has a line for each recipient refused, connection dropped and message delivered; times are this process's
monotonic clock, at MAIL and at the final dot. It is written before the sender can know. Replies repeat the address, as
those of many relays do.
"""

import argparse
import asyncio
import hashlib
import json
import time

STAGES = ["mail", "rcpt", "data", "middle", "dot-before", "dot-after"]


class Dropped(Exception):
    pass


class Next:
    """A connection to the server behind."""

    def __init__(self, host, port):
        self.host, self.port = host, port
        self.reader = self.writer = None

    async def reply(self):
        while True:
            line = await self.reader.readline()
            if not line:
                raise ConnectionError("the server behind closed the connection")
            if line[3:4] != b"-":
                return int(line[:3])

    async def deliver(self, sender, recipient, body):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
            await self.reply()
            self.writer.write(b"EHLO faulty-relay.invalid\r\n")
            await self.reply()
        self.writer.write(b"MAIL FROM:" + sender + b"\r\nRCPT TO:" + recipient + b"\r\nDATA\r\n")
        for expected in (250, 250, 354):
            if await self.reply() != expected:
                raise ConnectionError("the server behind refused")
        self.writer.write(body)
        if await self.reply() != 250:
            raise ConnectionError("the server behind refused the message")

    def close(self):
        if self.writer is not None:
            self.writer.close()


class Relay:
    def __init__(self, args, record):
        self.args, self.record = args, record
        self.tries = {}
        self.messages = 0

    def write(self, **fields):
        self.record.write(json.dumps(fields) + "\n")
        self.record.flush()

    def verdict(self, address):
        """What RCPT is answered."""
        share = int.from_bytes(hashlib.sha256(address.encode()).digest()[:4], "big") / 2**32
        if share < self.args.refuse / 2:
            return f"550 5.1.1 <{address}>: no such mailbox, {address.upper()}\r\n".encode()
        self.tries[address] = self.tries.get(address, 0) + 1
        if share < self.args.refuse and self.tries[address] <= 2:
            return f"450 4.2.0 <{address}>: try again later\r\n".encode()
        return f"250 2.1.5 <{address}> ok\r\n".encode()

    def next_fault(self):
        """Where the connection of the next message is lost, by its number: spread evenly, and the same each run."""
        self.messages += 1
        if not self.args.drop:
            return None
        every = round(1 / self.args.drop)
        if self.messages % every:
            return None
        return STAGES[self.messages // every % len(STAGES)]

    async def serve(self, reader, writer):
        behind = Next(*self.args.next) if self.args.next else None
        try:
            await self.talk(reader, writer, behind)
        except Dropped as stage:
            self.write(event="dropped", stage=str(stage), at=time.monotonic())
            writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if behind:
                behind.close()
            writer.close()

    async def talk(self, reader, writer, behind):
        sender = recipient = fault = began = None
        writer.write(b"220 faulty-relay.invalid ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-faulty-relay.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")
            elif verb == b"MAIL":
                began, fault = time.monotonic(), self.next_fault()
                self.drop_if(fault == "mail", fault)
                sender, recipient = line[10:].split()[0], None
                writer.write(b"250 2.1.0 ok\r\n")
            elif verb == b"RCPT":
                self.drop_if(fault == "rcpt", fault)
                address = line[8:].split()[0]
                said = self.verdict(address[1:-1].decode())
                if said[:1] == b"2":
                    recipient = address
                else:
                    self.write(event="refused", address=address[1:-1].decode(), code=int(said[:3]), at=began)
                writer.write(said)
            elif verb == b"DATA":
                self.drop_if(fault == "data", fault)
                if recipient is None:
                    writer.write(b"503 5.5.1 no recipient\r\n")
                    continue
                writer.write(b"354 go on\r\n")
                await writer.drain()
                await self.message(reader, writer, behind, (sender, recipient, fault, began))
            elif verb in (b"RSET", b"NOOP"):
                writer.write(b"250 2.0.0 ok\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                await writer.drain()
                return
            else:
                writer.write(b"502 5.5.2 not known here\r\n")
            await writer.drain()

    def drop_if(self, now, stage):
        if now:
            raise Dropped(stage)

    async def message(self, reader, writer, behind, transaction):
        sender, recipient, fault, began = transaction
        if fault == "middle":
            await reader.readexactly(1000)
        self.drop_if(fault == "middle", fault)
        body = await reader.readuntil(b"\r\n.\r\n")
        ended = time.monotonic()
        self.drop_if(fault == "dot-before", fault)
        if behind:
            await behind.deliver(sender, recipient, body)
        notice = ""
        for line in body[: body.index(b"\r\n\r\n")].split(b"\r\n"):
            if line.lower().startswith(b"x-forewarn-notice:"):
                notice = line.split(b":", 1)[1].strip().decode()
        self.write(
            event="delivered", address=recipient[1:-1].decode(), notice=notice, octets=len(body) - 3, at=began, dot=ended
        )
        self.drop_if(fault == "dot-after", fault)
        writer.write(b"250 2.0.0 taken for " + recipient + b"\r\n")
        await writer.drain()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("record")
    parser.add_argument("--next", type=lambda text: (text.rsplit(":", 1)[0], int(text.rsplit(":", 1)[1])))
    parser.add_argument("--refuse", type=float, default=0.0)
    parser.add_argument("--drop", type=float, default=0.0)
    args = parser.parse_args()
    with open(args.record, "a") as record:
        relay = Relay(args, record)
        server = await asyncio.start_server(relay.serve, "127.0.0.1", args.port, limit=2**22, backlog=256)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
