#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Verifies the bundle of a whole campaign of forewarn, offline: the facts of it, and what they add up to.

    python3 verify_campaign.py [--vkey KEY_OR_FILE] BUNDLE.zip      (beside verify.py, which came with it)

It needs Python 3.8 or newer and, for the signatures, the command `openssl` (3.0 or newer): nothing else, no network. It
shares no code with forewarn and is meant to be read. What is in the files: README.txt of the bundle. The memory it takes
grows with the number of persons. Exit codes: 0 valid, 3 refused, 1 could not be checked.
"""

import json
import os
import re
import sys
import zipfile
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from verify import Bad, CannotCheck, Key, canonical, canonical_object, is_hex, leaf_hash, node_hash, open_note
from verify import read_checkpoint, sha256

LARGEST = 64 << 20
MOST_BUCKETS = 96
WIDTHS = [1, 5, 15, 60, 360, 1440, 10080, 43200, 525600]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Refused(Exception):
    """A reason, as `forewarn proof verify` names it, and a sentence."""

    def __init__(self, reason, message):
        super().__init__("%s: %s" % (reason, message))
        self.reason = reason


def need(holds, reason, message):
    if not holds:
        raise Refused(reason, message)


class Tree:
    """A Merkle tree that grows (RFC 6962): the roots of its full subtrees, the largest first."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def push(self, height, value):
        need(self.size % (1 << height) == 0, "bad-log", "a subtree stands where none of its size can")
        place = self.size >> height
        while place & 1:
            value, place = node_hash(self.peaks.pop(), value), place >> 1
        self.peaks.append(value)
        self.size += 1 << height

    def root(self):
        if not self.peaks:
            return sha256(b"")
        value = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            value = node_hash(left, value)
        return value


class Campaign:
    """What is found of a bundle."""

    def __init__(self, archive, trusted):
        self.archive, self.proven = archive, []
        self.tree, self.facts, self.about = Tree(), {}, defaultdict(list)
        self.kinds, self.begun, self.minutes = Counter(), Counter(), {}
        self.attempts, self.receipts = defaultdict(Counter), defaultdict(Counter)
        self.begun_at, self.accepted_at = [], []
        self.digests = {}
        names = [entry.orig_filename for entry in archive.infolist()]
        need(len(set(name.lower() for name in names)) == len(names), "zip-duplicate", "two files have the same name")
        plain = re.compile(r"[A-Za-z0-9._+@/-]{1,255}")
        safe = all(plain.fullmatch(n) and not {"", ".", ".."} & set(n.split("/")) for n in names)
        need(safe, "zip-path", "a file is called what no file of a bundle is")
        self.names = sorted(names)
        self.key = self.read_key(trusted)
        self.manifest = self.read_manifest()
        self.head = self.read_head()

    def read(self, name):
        try:
            info = self.archive.getinfo(name)
            need(info.file_size <= LARGEST, "zip-too-large", "%s is larger than it may be" % name)
            octets = self.archive.read(name)
        except KeyError:
            raise Refused("missing-file", "%s is missing" % name) from None
        except (zipfile.BadZipFile, ValueError, OSError, EOFError) as why:
            raise Refused("zip-damaged", "%s: %s" % (name, why)) from None
        self.digests[name] = sha256(octets).hex()
        return octets

    def read_key(self, trusted):
        try:
            key = Key(self.read("log.vkey").decode("utf-8").rstrip("\n"))
        except (Bad, ValueError) as why:
            raise Refused("bad-key", "log.vkey: %s" % why) from None
        need(trusted is None or trusted.text == key.text, "other-key", "log.vkey is not the key you gave")
        return key

    def read_manifest(self):
        try:
            manifest = canonical_object(self.read("MANIFEST.json"))
        except Bad as why:
            raise Refused("bad-manifest", "MANIFEST.json is %s" % why) from None
        kinds = {"campaign": str, "checkpoint": int, "closing": list, "format": str, "kind": str, "made": str,
                 "origin": str, "seals": list, "withheld": list}
        sound = manifest.keys() == kinds.keys() and all(type(manifest[key]) is kind for key, kind in kinds.items())
        sound = sound and manifest["format"] == "forewarn-bundle/1" and manifest["kind"] == "campaign"
        need(sound and len(manifest["closing"]) < 2, "bad-manifest", "MANIFEST.json is not that of a campaign's bundle")
        return manifest

    def read_head(self):
        try:
            origin, size, root = read_checkpoint(self.read("checkpoint"), self.key)
        except Bad as why:
            raise Refused("bad-checkpoint", "checkpoint: %s" % why) from None
        same = origin == self.manifest["origin"] and size == self.manifest["checkpoint"]
        need(same, "other-checkpoint", "checkpoint is of another log or size than MANIFEST.json says")
        return size, root

    def check_sums(self):
        """Every file is as it was summed, and the sums are as they were sealed."""
        sums = self.read("SHA256SUMS")
        try:
            sealed = open_note(self.read("SEAL"), self.key)
        except Bad as why:
            raise Refused("bad-seal", "SEAL: %s" % why) from None
        want = "forewarn bundle\nsha256 %s\n" % sha256(sums).hex()
        need(sealed == want, "bad-seal", "SEAL seals other sums")
        listed = {}
        for line in sums.decode("utf-8", "replace").splitlines():
            digest, gap, name = line[:64], line[64:66], line[66:]
            need(is_hex(digest, 64) and gap == "  " and name not in listed, "bad-sums", "SHA256SUMS has another form")
            listed[name] = digest
        for name in self.names:
            if name in ("SHA256SUMS", "SEAL"):
                continue
            need(name in listed, "added-file", "%s was added" % name)
            if name not in self.digests:
                self.read(name)
            need(self.digests[name] == listed[name], "changed-file", "%s was changed" % name)
        for name in listed:
            need(name in self.digests, "missing-file", "%s is missing" % name)
        self.proven.append("All %d files are as the key of the log sealed them." % len(self.names))

    def parts(self, folder, ending):
        pattern = re.compile(r"%s/([0-9]{12})\.%s" % (folder, ending))
        found = [(int(match[1]), name) for name in self.names for match in [pattern.fullmatch(name)] if match]
        return sorted(found)

    def read_log(self):
        """All lines lead to the root that is signed; on the way every fact is counted."""
        for first, name in self.parts("log", "jsonl"):
            need(first == self.tree.size, "bad-log", "%s does not continue the log" % name)
            octets = self.read(name)
            need(octets.endswith(b"\n"), "bad-log", "%s ends in the middle of a line" % name)
            for line in octets[:-1].split(b"\n"):
                if line.startswith(b"{"):
                    self.fact(self.tree.size, line)
                    self.tree.push(0, leaf_hash(line))
                    continue
                height, _, digits = line.decode("ascii", "replace").partition(" ")
                need(height in ("0", "8", "16") and is_hex(digits, 64), "bad-log", "a line of %s is none" % name)
                self.tree.push(int(height), bytes.fromhex(digits))
        same = (self.tree.size, self.tree.root()) == self.head
        need(same, "bad-log", "log/ is not the log whose head is signed: a fact was changed, left out, added or moved")

    def fact(self, number, line):
        try:
            leaf = canonical_object(line)
        except Bad as why:
            raise Refused("bad-event", "fact %d is %s" % (number, why)) from None
        sound = type(leaf.get("ev")) is str and type(leaf.get("t")) is str and leaf.get("v") == 1
        need(sound, "bad-event", "fact %d does not say what happened and when" % number)
        if "camp" not in leaf:
            return
        need(leaf["camp"] == self.manifest["campaign"], "other-campaign", "fact %d is of another campaign" % number)
        kind, channel, outcome = leaf["ev"], leaf.get("chan", ""), leaf.get("res", "")
        self.kinds[kind] += 1
        if "subj" in leaf:
            need(is_hex(leaf["subj"], 32), "bad-event", "fact %d is about a person without a name" % number)
            self.about[leaf["subj"]].append((number, kind == "attempt.started"))
        if kind == "attempt.started":
            self.begun[channel] += 1
            self.begun_at = [min(self.begun_at + [leaf["t"]])]
        elif kind == "attempt.ended":
            self.attempts[channel][outcome] += 1
            if outcome == "accepted":
                times = self.accepted_at + [leaf["t"]]
                self.accepted_at = [min(times), max(times)]
                self.minute(leaf["t"])[0][channel] += 1
        elif kind == "receipt":
            self.receipts[channel][outcome] += 1
            if outcome in ("delivered", "acknowledged"):
                self.minute(leaf["t"])[1][channel] += 1
        if kind in ("campaign.seal", "campaign.close") or "com" in leaf and "subj" not in leaf:
            self.facts[number] = leaf

    def minute(self, time):
        at = datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        return self.minutes.setdefault((at - EPOCH) // timedelta(minutes=1), (Counter(), Counter()))

    def read_persons(self):
        persons = []
        for first, name in self.parts("persons", "txt"):
            need(first == len(persons), "bad-persons", "%s does not continue the persons" % name)
            for line in self.read(name).decode("ascii", "replace").splitlines():
                words = line.split(" ")
                sound = len(words) == 3 and words[0].isdigit() and is_hex(words[1], 32)
                sound = sound and (words[2] == "-" or is_hex(words[2], 64))
                rises = not persons or persons[-1][0] < int(words[0]) if sound else False
                need(sound and rises, "bad-persons", "a line of %s is no person" % name)
                persons.append((int(words[0]), words[1], None if words[2] == "-" else bytes.fromhex(words[2])))
        return persons

    def named(self, number, kind, reason):
        fact = self.facts.get(number, {})
        need(fact.get("ev") == kind, reason, "MANIFEST.json names fact %s, which is no `%s`" % (number, kind))
        return fact

    def check_persons(self, persons):
        seals, sealed = self.manifest["seals"], []
        sizes = [self.named(seal, "campaign.seal", "bad-recipient").get("n", 0) for seal in seals]
        later = [n for n, fact in self.facts.items() if fact["ev"] == "campaign.seal" and seals and n > seals[0]]
        need(all(n in seals for n in later), "bad-recipient", "a list was sealed that MANIFEST.json does not name")
        if not persons:
            return sum(sizes)
        for seal, size in zip(seals, sizes):
            tree = Tree()
            for _, _, leaf in persons[len(sealed):len(sealed) + size]:
                need(leaf is not None, "bad-recipient", "a person who was sealed has no leaf")
                tree.push(0, leaf)
            same = tree.size == size and tree.root().hex() == self.facts[seal].get("root")
            need(same, "bad-recipient", "persons/ are not those who were sealed by fact %d" % seal)
            sealed += [seal] * size
        need(all(leaf is None for _, _, leaf in persons[len(sealed):]), "bad-persons", "more persons than were sealed")
        strangers = self.about.keys() - {name for _, name, _ in persons}
        need(not strangers, "other-person", "%d persons of the log are not in persons/" % len(strangers))
        for at, (_, name, _) in enumerate(persons):
            began = [number for number, begins in self.about.get(name, []) if begins][:1]
            on_time = not began or not seals or at < len(sealed) and began[0] > sealed[at]
            need(on_time, "sealed-too-late", "somebody was told before the list was sealed")
        if sealed:
            self.proven.append("The %d persons are exactly those who were sealed, before they were told." % len(sealed))
        self.check_closing(persons)
        return sum(sizes)

    def check_closing(self, persons):
        closings = [number for number, fact in self.facts.items() if fact["ev"] == "campaign.close"]
        need(self.manifest["closing"] == closings[-1:], "bad-closing", "MANIFEST.json does not name the last closing")
        if not closings:
            return
        fact = self.facts[closings[-1]]
        n, size, tree = fact.get("n"), fact.get("size"), Tree()
        for number, name, _ in persons[:n]:
            facts = [index for index, _ in self.about.get(name, []) if index < size]
            leaf = {"ev": facts, "ord": number, "subj": name, "v": 1}
            tree.push(0, leaf_hash(json.dumps(leaf, separators=(",", ":")).encode("ascii")))
        same = tree.size == n and tree.root().hex() == fact.get("root")
        need(same, "bad-closing", "the facts about the persons are not those that the closing names: one is withheld")
        standings = sum(value for key, value in fact.items() if key.startswith("p."))
        need(standings == n, "bad-closing", "the closing says where %d of %d persons stood" % (standings, n))
        self.proven.append("For each of %d persons, no fact before number %d is left out." % (n, size))

    def check_disclosures(self):
        for name in self.names:
            match = re.fullmatch(r"disclosures/(0|[1-9][0-9]*)/(.+)\.json", name)
            if not match:
                continue
            octets, fact = self.read(name), self.facts.get(int(match[1]))
            need(fact is not None, "stray-file", "%s belongs to no fact of the campaign" % name)
            try:
                opened = canonical(octets)
            except Bad as why:
                raise Refused("bad-disclosure", "%s is %s" % (name, why)) from None
            sound = type(opened) is list and len(opened) == 3 and opened[1] == match[2]
            need(sound, "bad-disclosure", "%s discloses something else" % name)
            same = fact.get("com", {}).get(match[2]) == sha256(octets).hex()
            need(same, "wrong-disclosure", "%s is not what fact %s is bound to" % (name, match[1]))

    def progress(self):
        if not self.minutes:
            return {"buckets": [], "minutes": 0}
        first, last = min(self.minutes), max(self.minutes)
        width = next((w for w in WIDTHS if last // w - first // w < MOST_BUCKETS), WIDTHS[-1])
        buckets = {}
        for minute in sorted(self.minutes):
            accepted, confirmed = buckets.setdefault(minute // width * width, (Counter(), Counter()))
            accepted.update(self.minutes[minute][0])
            confirmed.update(self.minutes[minute][1])
        time = lambda minute: (EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")
        shown = [{"accepted": a, "confirmed": c, "from": time(minute)} for minute, (a, c) in sorted(buckets.items())]
        return {"buckets": shown, "minutes": width}

    def closing(self):
        closings = [fact for _, fact in sorted(self.facts.items()) if fact["ev"] == "campaign.close"]
        if not closings:
            return None
        notices = defaultdict(dict)
        for key, value in closings[-1].items():
            if key.startswith("n."):
                channel, _, state = key[2:].partition(".")
                notices[channel][state] = value
        persons = {key[2:]: value for key, value in closings[-1].items() if key.startswith("p.")}
        return {"at": closings[-1]["t"], "notices": notices, "persons": persons}

    def check_summary(self, persons):
        own = {
            "attempts": self.attempts, "begun": self.begun, "closing": self.closing(), "facts": self.kinds,
            "first_accepted": (self.accepted_at or [None])[0], "first_begun": (self.begun_at or [None])[0],
            "last_accepted": (self.accepted_at or [None])[-1], "persons": persons, "progress": self.progress(),
            "receipts": self.receipts,
        }
        try:
            said = json.loads(self.read("summary.json"))
        except ValueError:
            raise Refused("bad-summary", "summary.json is no JSON") from None
        need(json.loads(json.dumps(own)) == said, "bad-summary", "summary.json is not what the facts add up to")
        for channel, counts in sorted(self.attempts.items()):
            told = ", ".join("%d %s" % (n, outcome) for outcome, n in sorted(counts.items()))
            self.proven.append("Attempts by %s that ended, as the log says: %s." % (channel, told))
        if own["closing"]:
            told = ", ".join("%d %s" % (n, standing) for standing, n in sorted(own["closing"]["persons"].items()))
            self.proven.append("Where everybody stood at the closing: %s." % told)

    def verify(self):
        self.read_log()
        self.check_disclosures()
        persons = self.read_persons()
        self.check_summary(self.check_persons(persons))
        self.check_sums()


def main(arguments):
    trusted = None
    if arguments[:1] == ["--vkey"] and len(arguments) > 1:
        given, arguments = arguments[1], arguments[2:]
        if os.path.exists(given):
            with open(given, encoding="utf-8") as file:
                given = file.read(65_536)
        try:
            trusted = Key(given.strip())
        except Bad as why:
            raise CannotCheck("--vkey is neither a key nor a file with one: %s" % why) from None
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise CannotCheck(__doc__)
    path = arguments[0]
    if not os.path.exists(path):
        raise CannotCheck("there is no file %s" % path)
    try:
        with zipfile.ZipFile(path) as archive:
            campaign = Campaign(archive, trusted)
            campaign.verify()
    except Refused as why:
        print("REFUSED: %s proves nothing as it is.\nrefused: %s" % (path, why))
        return 3
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, TypeError, AttributeError) as why:
        print("REFUSED: %s proves nothing as it is.\nrefused: zip-damaged: %s" % (path, why))
        return 3
    print("VALID: %s" % path)
    print("Campaign %s of the log %s." % (campaign.manifest["campaign"], campaign.manifest["origin"]))
    print("Signed by the key with the fingerprint %s." % campaign.key.fingerprint)
    for line in campaign.proven:
        print("- " + line)
    for line in campaign.manifest["withheld"]:
        print("- Not shown: %s" % line)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotCheck as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
