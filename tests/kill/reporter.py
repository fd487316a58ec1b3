"""Delivery reports as a provider sends them: signed, sometimes twice or out of order, and again until they are taken.

What is reported of a message is drawn once, by its number; `SCRIPTS` are the stories. The end of each is the same in
whatever order its reports arrive, so that the books can say what must have come of it.
"""

import asyncio
import base64
import contextlib
import datetime
import hashlib
import hmac
import json
import random
import time

# What is reported of one message, in the order in which it happened, and how many messages of a hundred go that way.
SCRIPTS = [
    (38, [("delivered", None)]),
    (12, [("queued", None), ("delivered", None)]),
    (12, [("failed", "bad-address")]),
    (6, [("failed", None)]),
    (6, [("failed", "temporary"), ("delivered", None)]),
    (6, [("delivered", None), ("failed", "bad-address")]),
    (6, [("delivered", None), ("acknowledged", None)]),
    (4, [("complained", None)]),
    (4, [("queued", None)]),
    (6, []),
]
# Whoever does not get an answer by then hangs up and comes again.
PATIENCE = 3.0
# How long after the message its reports come: soon, or when the next step has begun.
SOON, LATE = (0.0, 0.4), (2.0, 5.0)
# How long the answer to a message waits for a report that is to come before it.
EARLY = 1.0
# Posts on their way at once.
AT_ONCE = 24


def chance(lots, share):
    return lots.random() < share


class Reporter:
    """Reports to whoever listens on one of `ports`; each of them may be away at any moment."""

    def __init__(self, ledger, seed, secret):
        self.ledger, self.lots = ledger, random.Random(f"reports {seed}")
        self.key = base64.b64decode(secret[len("whsec_"):])
        self.ports, self.path = [], None
        self.events = self.posts = 0
        self.owed = 0
        self.gate = asyncio.Semaphore(AT_ONCE)
        self.tasks = set()

    def posts_about(self, notice, message):
        """The posts about a message, each a list of events."""
        lots, happened = self.lots, time.time() - 2
        weights, stories = zip(*SCRIPTS)
        story = lots.choices(stories, weights)[0]
        # Where reports name the message by our token it is found at once; by its id only when the reply was recorded.
        by_id = chance(lots, 0.15)
        events = []
        for number, (event, reason) in enumerate(story):
            self.events += 1
            name = {"id": message} if by_id else {"notice": notice, **({"id": message} if chance(lots, 0.7) else {})}
            at = datetime.datetime.fromtimestamp(happened + number, datetime.timezone.utc).isoformat()
            events.append({**name, "event": event, **({"class": reason} if reason else {}), "code": f"R{self.events}",
                           "at": at, "event_id": f"e-{self.events}"})
        if chance(lots, 0.3):
            lots.shuffle(events)
        if len(events) > 1 and chance(lots, 0.2):
            return [events]
        return [[event] for event in events]

    async def taken(self, notice, message, report_to):
        """Starts to report about a message; where that is to be early, the sender hears of its message after it."""
        self.path = report_to.split("/", 3)[3]
        posts, early = self.posts_about(notice, message), chance(self.lots, 0.15)
        first = None
        for number, events in enumerate(posts):
            wait = self.lots.uniform(*(LATE if chance(self.lots, 0.2) else SOON))
            again = self.lots.choice(["same", "fresh"]) if chance(self.lots, 0.12) else None
            task = self.begin(events, notice, "good", 0 if early else wait + 0.1 * number, again)
            first = first or (task if early else None)
        if chance(self.lots, 0.06):
            self.begin([self.stranger()], "", "stranger", self.lots.uniform(*SOON), None)
        if chance(self.lots, 0.04):
            self.events += 1
            made_up = {"notice": notice, "event": "failed", "class": "bad-address", "code": f"R{self.events}"}
            self.begin([made_up], notice, "forged", self.lots.uniform(*SOON), None)
        if first:
            await asyncio.wait([first], timeout=EARLY)

    def stranger(self):
        """About a message of somebody else, who shares the account."""
        self.events += 1
        token = "".join(self.lots.choice("0123456789abcdef") for _ in range(36))
        return {"notice": token, "event": self.lots.choice(["delivered", "failed"]), "code": f"R{self.events}"}

    def begin(self, events, notice, kind, wait, again):
        self.owed += 1
        task = asyncio.create_task(self.report(events, notice, kind, wait, again))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def report(self, events, notice, kind, wait, again):
        await asyncio.sleep(wait)
        self.posts += 1
        post = f"p-{self.posts}"
        await self.until_answered(post, events, notice, kind)
        if again:
            # The provider did not note the answer: the very same message, or a new one about the same events.
            await asyncio.sleep(self.lots.uniform(0, 1))
            await self.until_answered(post if again == "same" else post + "-again", events, notice, kind)
        self.owed -= 1

    async def until_answered(self, post, events, notice, kind):
        body = json.dumps(events if len(events) > 1 else events[0]).encode()
        wait = 0.1
        while True:
            async with self.gate:
                self.ledger.write("reported", "webhook", post=post, kind=kind, notice=notice, events=events)
                reached, status = await self.post(post, body, kind == "forged")
                self.ledger.write("answered", "webhook", post=post, kind=kind, reached=reached, status=status)
            if status is not None and (200 <= status < 300 or kind == "forged" and status == 401):
                return
            await asyncio.sleep(self.lots.uniform(wait / 2, wait))
            wait = min(wait * 2, 1.5)

    async def post(self, post, body, forged):
        """Whether somebody was there, and the status of the answer, or None."""
        stamp = str(int(time.time()))
        key = b"somebody else's" if forged else self.key
        signed = hmac.new(key, b".".join([post.encode(), stamp.encode(), body]), hashlib.sha256).digest()
        head = (f"POST /{self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
                f"webhook-id: {post}\r\nwebhook-timestamp: {stamp}\r\n"
                f"webhook-signature: v1,{base64.b64encode(signed).decode()}\r\nContent-Length: {len(body)}\r\n\r\n")
        reader = writer = status = None
        # Whoever is killed may be gone, or have taken the report without another word.
        with contextlib.suppress(OSError, asyncio.TimeoutError, IndexError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.lots.choice(self.ports))
            writer.write(head.encode() + body)
            status = int((await asyncio.wait_for(reader.readline(), PATIENCE)).split()[1])
        if writer:
            writer.close()
        return writer is not None, status
