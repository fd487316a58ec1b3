#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Verifies bundles of forewarn, offline: the proof of how one person was told of a data breach.

    python3 verify.py [--vkey KEY_OR_FILE] BUNDLE.zip [MORE.zip ...]      (or the folder it was unpacked to)

It needs Python 3.8 or newer and, for signatures and time stamps, the command `openssl` (3.0 or newer): nothing else, no
network. It shares no code with forewarn and is meant to be read. Formats: RFC 6962 / 9162 (Merkle trees), C2SP signed-note,
tlog-checkpoint and tlog-proof, and forewarn-bundle/1. Exit codes: 0 valid, 3 refused, 1 could not be checked.

What it does not look at: the order of attempts and their times, and whether the zip hides something between its files;
`forewarn proof verify` does.
"""

import base64
import datetime
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import zipfile

FORMAT = "forewarn-bundle/1"
MOST_FILES = 10_000
MOST_OCTETS = 256 << 20
NAMED = [
    "MANIFEST.json", "SHA256SUMS", "SEAL", "checkpoint", "log.vkey",
    "recipient/leaf.json", "recipient/proof.json", "closing/leaf.json", "closing/proof.json",
    "anchors/tsa-ca.pem", "certificate.html", "README.txt", "declaration.md", "verify/verify.py", "verify/verify.html",
]
PAYLOADS = {
    "message.eml": "msg_sha256", "message.txt": "msg_sha256", "script.txt": "msg_sha256", "exchange.txt": "exch_sha256",
}
FOLDERS = ["events", "disclosures", "payload", "recipient", "closing", "anchors"]


class Bad(Exception):
    """What is read is not what it should be; the text says why."""


class CannotCheck(Exception):
    """A tool that is needed is not there."""


# --- octets -----------------------------------------------------------------------------------------------------------

def sha256(octets):
    return hashlib.sha256(octets).digest()


def decimal(text):
    if not re.fullmatch(r"0|[1-9][0-9]{0,19}", text):
        raise Bad("a number is not in digits without a leading zero")
    return int(text)


def unbase64(text):
    """Base64 in its one form: padded, and no bit left over."""
    try:
        octets = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise Bad("not base64") from None
    if base64.b64encode(octets).decode("ascii") != text:
        raise Bad("not base64 in its one form")
    return octets


def is_hex(text, digits):
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{%d}" % digits, text) is not None


def plain_key(text):
    return all(" " <= c <= "~" and c not in '"\\' for c in text)


def check_values(value, depth):
    if type(value) is int and 0 <= value < 1 << 53 or type(value) is str:
        return
    if depth > 0 and type(value) is list:
        for inner in value:
            check_values(inner, depth - 1)
    elif depth > 0 and type(value) is dict and all(plain_key(key) for key in value):
        for inner in value.values():
            check_values(inner, depth - 1)
    else:
        raise Bad("a value that is no text, whole number, list or object, or is nested too deep")


def canonical(octets):
    """JSON in the one form that its octets may have: sorted keys, no spaces, whole numbers, shortest escapes."""
    if len(octets) >= 65_536:
        raise Bad("longer than 65,535 octets")
    try:
        value = json.loads(octets.decode("utf-8"))
        again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise Bad("not JSON") from None
    if again != octets:
        raise Bad("not JSON in canonical form")
    check_values(value, 16)
    return value


def canonical_object(octets):
    value = canonical(octets)
    if type(value) is not dict:
        raise Bad("not an object")
    return value


# --- Merkle trees (RFC 6962, RFC 9162 section 2.1.3.2) ------------------------------------------------------------------

def leaf_hash(octets):
    return sha256(b"\0" + octets)


def node_hash(left, right):
    return sha256(b"\1" + left + right)


def included(leaf, index, size, path, root):
    """Whether `path` leads from the leaf with this number to the root of the tree with this size."""
    if index >= size:
        return False
    place, last, value = index, size - 1, leaf_hash(leaf)
    for beside in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            value = node_hash(beside, value)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            value = node_hash(value, beside)
        place, last = place >> 1, last >> 1
    return last == 0 and value == root


def grown(old_size, old_root, size, root, path):
    """Whether `path` shows that the tree of this size begins with the older one (RFC 9162 section 2.1.4.2)."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not path and old_root == root
    if not path:
        return False
    place, last = old_size - 1, size - 1
    if old_size & (old_size - 1) == 0:
        path = [old_root] + path
    while place & 1:
        place, last = place >> 1, last >> 1
    old, new = path[0], path[0]
    for beside in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(beside, old), node_hash(beside, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, beside)
        place, last = place >> 1, last >> 1
    return last == 0 and old == old_root and new == root


# --- keys and signed notes (C2SP signed-note) ---------------------------------------------------------------------------

def is_name(text):
    return text != "" and not any(c.isspace() or c == "+" or c < " " or "\x7f" <= c <= "\x9f" for c in text)


class Key:
    """A log's key as it is published: NAME+ID+BASE64. The base64 may have plus signs of its own."""

    def __init__(self, text):
        parts = text.split("+", 2)
        if len(parts) != 3 or not is_name(parts[0]) or not is_hex(parts[1], 8):
            raise Bad("a key is written NAME+ID+BASE64")
        self.text, self.name = text, parts[0]
        typed = unbase64(parts[2])
        if len(typed) != 33 or typed[0] != 1:
            raise Bad("not an Ed25519 key of a log")
        self.id = sha256(self.name.encode("utf-8") + b"\n" + typed)[:4]
        if self.id.hex() != parts[1]:
            raise Bad("the id of the key is not that of its name and octets")
        self.octets = typed[1:]
        self.fingerprint = sha256(text.encode("utf-8")).hex()

    def has_signed(self, message, signature):
        if len(signature) != 64:
            return False
        spki = bytes.fromhex("302a300506032b6570032100") + self.octets
        pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(spki) + b"\n-----END PUBLIC KEY-----\n"
        with tempfile.TemporaryDirectory() as folder:
            for name, octets in [("key", pem), ("message", message), ("signature", signature)]:
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(octets)
            command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin", "-in", "message"]
            try:
                run = subprocess.run(command + ["-sigfile", "signature"], cwd=folder, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, check=False)
            except OSError as error:
                raise CannotCheck("the command openssl cannot be run: %s" % error) from None
        if run.returncode == 0:
            return True
        if b"Verification Failure" in run.stdout:
            return False
        raise CannotCheck("openssl cannot check Ed25519 signatures here; version 3.0 or newer can: %r" % run.stdout)


def open_note(octets, key):
    """The text of a note that the key has signed."""
    try:
        note = octets.decode("utf-8")
    except ValueError:
        raise Bad("not UTF-8") from None
    end = note.rfind("\n\n")
    if len(octets) > 1 << 20 or any(c < " " and c != "\n" for c in note) or end < 0 or not note.endswith("\n"):
        raise Bad("not a text, an empty line and lines of signatures")
    text, lines = note[:end + 1], note[end + 2:-1].split("\n")
    if len(lines) > 100:
        raise Bad("too many signatures")
    signed = False
    for line in lines:
        dash, _, rest = line.partition(" ")
        name, space, signature = rest.partition(" ")
        if dash != "\u2014" or not space or not is_name(name):
            raise Bad("a line that is no signature")
        signature = unbase64(signature)
        if len(signature) <= 4:
            raise Bad("a line that is no signature")
        # Lines of other keys are passed over; a wrong one of this key spoils the note.
        if name == key.name and signature[:4] == key.id and not signed:
            if not key.has_signed(text.encode("utf-8"), signature[4:]):
                raise Bad("the signature is wrong")
            signed = True
    if not signed:
        raise Bad("that key has not signed it")
    return text


def read_checkpoint(octets, key):
    """Origin, size and root of a signed head of a log (C2SP tlog-checkpoint)."""
    lines = open_note(octets, key)[:-1].split("\n")
    if len(lines) < 3 or "" in lines:
        raise Bad("not a name, a size and a root")
    root = unbase64(lines[2])
    if len(root) != 32:
        raise Bad("the root is not 32 octets")
    return lines[0], decimal(lines[1]), root


def read_proof(octets):
    """Index, hashes and the octets of the checkpoint of a C2SP tlog-proof."""
    if len(octets) > 1 << 20:
        raise Bad("too large")
    head, empty, checkpoint = octets.partition(b"\n\n")
    try:
        lines = head.decode("utf-8").split("\n")
        checkpoint.decode("utf-8")
    except ValueError:
        raise Bad("not UTF-8") from None
    if not empty or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Bad("not of that format")
    lines = lines[1:]
    if lines and lines[0].startswith("extra "):
        unbase64(lines[0][6:])
        lines = lines[1:]
    if not lines or not lines[0].startswith("index ") or len(lines) > 65:
        raise Bad("no index")
    path = [unbase64(line) for line in lines[1:]]
    if any(len(beside) != 32 for beside in path):
        raise Bad("a hash is not 32 octets")
    return decimal(lines[0][6:]), path, checkpoint


# --- the files of a bundle ------------------------------------------------------------------------------------------------

def read_folder(folder):
    files = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            with open(path, "rb") as file:
                files[os.path.relpath(path, folder).replace(os.sep, "/")] = file.read(MOST_OCTETS)
            if len(files) > MOST_FILES:
                raise Bad("zip-too-many")
    return files


def read_zip(path):
    files, seen, left = {}, set(), MOST_OCTETS
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_FILES:
            raise Bad("zip-too-many")
        for entry in entries:
            # `orig_filename` is the name as it stands in the zip; `filename` may have been made harmless.
            name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
            parts = (name[:-1] if name.endswith("/") else name).split("/")
            if not re.fullmatch(r"[A-Za-z0-9._+@/-]{1,255}", name) or any(part in ("", ".", "..") for part in parts):
                raise Bad("zip-path")
            if name.lower() in seen:
                raise Bad("zip-duplicate")
            seen.add(name.lower())
            if name.endswith("/") and entry.file_size == 0:
                continue
            if name.endswith("/") or kind not in (0, stat.S_IFREG):
                raise Bad("zip-link")
            if entry.flag_bits & 1:
                raise Bad("zip-encrypted")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Bad("zip-method")
            if entry.file_size > left:
                raise Bad("zip-too-large")
            with archive.open(entry) as file:
                octets = file.read(entry.file_size + 1)
            if len(octets) != entry.file_size:
                raise Bad("zip-damaged")
            left -= len(octets)
            files[name] = octets
    return files


def place(path):
    """What a file is: (kind, number of the fact, label, or size of the head that was stamped)."""
    number = r"(0|[1-9][0-9]{0,19})"
    if path in NAMED:
        return "named", None, None
    for kind, pattern in [
        ("event", "events/%s()\\.json" % number),
        ("proof", "events/%s()\\.tlog-proof" % number),
        ("disclosure", "disclosures/%s/(.+)\\.json" % number),
        ("payload", "payload/%s/(.+)" % number),
    ]:
        found = re.fullmatch(pattern, path)
        if found and (kind != "payload" or found[2] in PAYLOADS):
            return kind, int(found[1]), PAYLOADS[found[2]] if kind == "payload" else found[2]
    found = re.fullmatch("anchors/%s\\.(tsr|checkpoint|consistency|json|tlog-proof)" % number, path)
    if found:
        return "stamp", None, int(found[1])
    found = re.fullmatch("recipient/disclosures/(.+)\\.json", path)
    if found:
        return "recipient", None, found[1]
    stray = path.split("/")[0] in FOLDERS and "/" in path
    return "stray" if stray else "unknown", None, None


# --- the verdict ----------------------------------------------------------------------------------------------------------

class Bundle:
    """The files of a bundle, and what is found of them."""

    def __init__(self, files, trusted):
        self.files, self.trusted = files, trusted
        self.refused, self.notes, self.proven = [], [], []
        self.key = self.manifest = self.head = self.recipient = self.closing = None
        self.facts, self.disclosed = {}, {}

    def refuse(self, code, file, why):
        self.refused.append((code, file, why))

    def required(self, path, code="missing-file"):
        octets = self.files.get(path)
        if octets is None and not any(file == path for _, file, _ in self.refused):
            self.refuse(code, path, "it is missing")
        return octets

    def verify(self):
        self.check_sums()
        for path in self.files:
            kind = place(path)[0]
            if kind == "stray":
                self.refuse("stray-file", path, "it stands where files of facts stand, but is not called as one")
            elif kind == "unknown":
                self.notes.append("%s: not known here, nothing of it was checked" % path)
        self.check_key()
        self.check_seal()
        self.check_manifest()
        self.check_head()
        if self.manifest:
            self.check_events()
            self.check_disclosures()
            self.check_payloads()
            self.check_recipient()
            self.check_closing()
            self.check_anchors()
            self.notes += ["withheld, as the bundle says: %s" % why for why in self.manifest["withheld"]]

    # 2: the sums name exactly the files there are
    def check_sums(self):
        octets = self.required("SHA256SUMS")
        if octets is None:
            return
        sums, before = {}, ""
        for number, line in enumerate(octets.split(b"\n")[:-1] if octets.endswith(b"\n") or not octets else [b""], 1):
            found = re.fullmatch(b"([0-9a-f]{64})  (.+)", line, re.DOTALL)
            try:
                path = found[2].decode("utf-8") if found else ""
            except ValueError:
                path = ""
            if path.encode("utf-8") <= before.encode("utf-8") or path in ("SHA256SUMS", "SEAL"):
                return self.refuse("bad-sums", "SHA256SUMS", "line %d is no sum in its place" % number)
            sums[path], before = found[1].decode("ascii"), path
        own = {path: sha256(octets).hex() for path, octets in self.files.items() if path not in ("SHA256SUMS", "SEAL")}
        added = {path: digest for path, digest in own.items() if path not in sums}
        for path, digest in sums.items():
            if path in own:
                if own[path] != digest:
                    self.refuse("changed-file", path, "its digest is not the one in SHA256SUMS")
                continue
            renamed = next((other for other in sorted(added) if added[other] == digest), None)
            if renamed is None:
                self.refuse("missing-file", path, "SHA256SUMS names it, and it is not there")
            else:
                del added[renamed]
                self.refuse("renamed-file", path, "its content is there as %s" % renamed)
        for path in sorted(added):
            self.refuse("added-file", path, "SHA256SUMS does not name it")

    # 3: the key
    def check_key(self):
        octets = self.required("log.vkey")
        if octets is None:
            return
        try:
            text = octets.decode("utf-8")
            if not text.endswith("\n"):
                raise Bad("no line end")
            self.key = Key(text[:-1])
        except (Bad, ValueError) as why:
            return self.refuse("bad-key", "log.vkey", "it holds no key of a log: %s" % why)
        if self.trusted and self.trusted.text != self.key.text:
            self.refuse("other-key", "log.vkey", "it is not the key you gave, whose fingerprint is %s"
                        % self.trusted.fingerprint)

    def check_seal(self):
        seal, sums = self.key and self.required("SEAL"), self.files.get("SHA256SUMS")
        if seal is None or sums is None or self.key is None:
            return
        try:
            if open_note(seal, self.key) != "forewarn bundle\nsha256 %s\n" % sha256(sums).hex():
                raise Bad("it seals other sums: files were changed, and the sums made again")
        except Bad as why:
            self.refuse("bad-seal", "SEAL", str(why))

    def check_manifest(self):
        octets = self.required("MANIFEST.json")
        if octets is None:
            return
        try:
            it = canonical_object(octets)
            keys = ["campaign", "checkpoint", "events", "format", "kind", "made", "origin", "subject", "withheld"]
            if sorted(it) != keys or it["format"] != FORMAT or it["kind"] != "person":
                raise Bad("not of the format %s" % FORMAT)
            if type(it["events"]) is not list or type(it["withheld"]) is not list or type(it["checkpoint"]) is not int:
                raise Bad("an entry is not what it should be")
            texts = [it["campaign"], it["made"], it["origin"]] + it["withheld"]
            if not all(type(text) is str for text in texts) or not it["campaign"] or not is_hex(it["subject"], 32):
                raise Bad("an entry is not what it should be")
            before = -1
            for event in it["events"]:
                if type(event) is not dict or sorted(event) != ["about", "index"] or type(event["index"]) is not int:
                    raise Bad("an entry of `events` is not what it should be")
                if event["about"] not in ("person", "campaign") or not before < event["index"] < it["checkpoint"]:
                    raise Bad("an entry of `events` is not what it should be, or not in its place")
                before = event["index"]
            self.manifest = it
        except Bad as why:
            self.refuse("bad-manifest", "MANIFEST.json", str(why))

    # 4: the signed head of the log
    def check_head(self):
        octets = self.key and self.required("checkpoint")
        if octets is None or self.manifest is None:
            return
        try:
            origin, size, root = read_checkpoint(octets, self.key)
        except Bad as why:
            return self.refuse("bad-checkpoint", "checkpoint", str(why))
        if origin != self.manifest["origin"] or size != self.manifest["checkpoint"]:
            self.refuse("other-checkpoint", "checkpoint", "it is of another log, or another size, than the manifest says")
        elif origin != self.key.name:
            self.refuse("bad-checkpoint", "checkpoint", "the key is not called as the log is")
        else:
            self.head = size, root

    # 5 and 6: every fact is in the log, and about whom it should be
    def check_events(self):
        for listed in self.manifest["events"]:
            index, path = listed["index"], "events/%d.json" % listed["index"]
            octets = self.required(path, "missing-event")
            if octets is not None:
                self.check_event(index, path, octets, listed["about"])
            proof = self.required("events/%d.tlog-proof" % index, "missing-event")
            if proof is not None:
                self.check_proof(index, path, octets, proof)
        listed = {listed["index"] for listed in self.manifest["events"]}
        for path in self.files:
            kind, index, _ = place(path)
            if index is not None and index not in listed:
                code = "unlisted-event" if kind in ("event", "proof") else "stray-file"
                self.refuse(code, path, "it is of a fact that MANIFEST.json does not name")

    def check_event(self, index, path, octets, about):
        try:
            leaf = canonical_object(octets)
            if type(leaf.get("ev")) is not str or type(leaf.get("t")) is not str or leaf.get("v") != 1:
                raise Bad("it does not say what happened and when, in version 1 of the form")
        except Bad as why:
            return self.refuse("bad-event", path, str(why))
        if leaf.get("camp") != self.manifest["campaign"]:
            self.refuse("other-campaign", path, "the fact is of another campaign")
        if leaf.get("subj") != (self.manifest["subject"] if about == "person" else None):
            self.refuse("other-person", path, "the fact is about somebody else than MANIFEST.json says")
        self.facts[index] = about, leaf

    def check_proof(self, index, event, leaf, octets):
        path = "events/%d.tlog-proof" % index
        try:
            own, hashes, checkpoint = read_proof(octets)
            if own != index:
                raise Bad("it is the proof of fact %d" % own)
        except Bad as why:
            return self.refuse("bad-proof", path, str(why))
        if "checkpoint" in self.files and checkpoint != self.files["checkpoint"]:
            return self.refuse("other-checkpoint", path, "it holds another head of the log than the file checkpoint")
        if self.head and leaf is not None and not included(leaf, index, self.head[0], hashes, self.head[1]):
            self.refuse("bad-proof", event, "the fact is not in the log, at least not by its proof")

    # 7: what is disclosed is what the facts are bound to
    def check_disclosures(self):
        for path, octets in self.files.items():
            kind, index, label = place(path)
            if kind == "disclosure" and index in self.facts:
                value = self.disclose(path, octets, label, self.facts[index][1])
                if value is not None:
                    self.disclosed[index, label] = value
        for index, (_, leaf) in sorted(self.facts.items()):
            for label in leaf["com"] if type(leaf.get("com")) is dict else []:
                if (index, label) not in self.disclosed:
                    self.notes.append("not disclosed: %s of events/%d.json" % (label, index))

    def disclose(self, path, octets, label, leaf):
        try:
            parts = canonical(octets)
            if type(parts) is not list or len(parts) != 3 or not is_hex(parts[0], 64):
                raise Bad("not a salt, a label and a value")
            if parts[1] != label or not plain_key(label) or len(label) > 128:
                raise Bad("its label is not that of the file")
        except Bad as why:
            return self.refuse("bad-disclosure", path, str(why))
        com = leaf.get("com")
        if type(com) is not dict or com.get(label) != sha256(octets).hex():
            return self.refuse("wrong-disclosure", path, "it is not what the fact is bound to")
        return parts[2]

    # 8: the payloads have the digests that were disclosed
    def check_payloads(self):
        for path, octets in self.files.items():
            kind, index, label = place(path)
            if kind == "payload" and index in self.facts:
                if (index, label) not in self.disclosed:
                    self.refuse("payload-undisclosed", path, "what its digest must be is not disclosed")
                elif self.disclosed[index, label] != sha256(octets).hex():
                    self.refuse("payload-changed", path, "its digest is another than was disclosed")

    # 10 and 11: the trees
    def open_tree(self, folder, event, bad, outside):
        """The person's leaf in a tree whose root is a fact, the number of that fact, and the fact."""
        leaf_path, proof_path = folder + "/leaf.json", folder + "/proof.json"
        octets, proof = self.files.get(leaf_path), self.files.get(proof_path)
        if octets is None and proof is None:
            self.notes.append("not shown: %s/" % folder)
            return None
        if octets is None or proof is None:
            self.refuse(bad, leaf_path if octets is None else proof_path, "it is missing; the other means nothing alone")
            return None
        path = leaf_path
        try:
            leaf = canonical_object(octets)
            if type(leaf.get("ord")) is not int or leaf.get("v") != 1:
                raise Bad("it does not say whose leaf it is, in version 1 of the form")
            if leaf.get("subj") != self.manifest["subject"]:
                self.refuse("other-person", path, "it is of another person")
            path = proof_path
            it = canonical_object(proof)
            numbers = [it.get("index"), it.get("seal"), it.get("size")]
            if sorted(it) != ["index", "path", "root", "seal", "size"] or any(type(n) is not int for n in numbers):
                raise Bad("not a path to a root")
            hashes = it["path"] if type(it["path"]) is list and len(it["path"]) <= 64 else [None]
            if not all(is_hex(text, 64) for text in hashes + [it["root"]]):
                raise Bad("not a path to a root")
            about, fact = self.facts.get(it["seal"], (None, {}))
            if about != "campaign" or fact["ev"] != event:
                raise Bad("it leads to a fact that is not there, or is no %s" % event)
            if fact.get("root") != it["root"] or fact.get("n") != it["size"]:
                raise Bad("it leads to another root than the fact says")
        except Bad as why:
            self.refuse(bad, path, str(why))
            return None
        hashes = [bytes.fromhex(text) for text in hashes]
        if not included(octets, it["index"], it["size"], hashes, bytes.fromhex(it["root"])):
            self.refuse(outside, leaf_path, "the person is not in the tree, at least not by the proof")
            return None
        return leaf, it["seal"], fact

    def check_recipient(self):
        self.recipient = self.open_tree("recipient", "campaign.seal", "bad-recipient", "not-a-recipient")
        if self.recipient:
            seal = self.recipient[1]
            if any(about == "person" and leaf["ev"] == "attempt.started" and index < seal
                   for index, (about, leaf) in self.facts.items()):
                self.refuse("sealed-too-late", "recipient/proof.json", "an attempt had begun before the list was sealed")
            else:
                self.proven.append("the person was on the list of those to be told before the first attempt (fact %d)" % seal)
        opened = set()
        for path, octets in self.files.items():
            kind, _, label = place(path)
            if kind == "recipient" and self.recipient:
                if self.disclose(path, octets, label, self.recipient[0]) is not None:
                    opened.add(label)
            elif kind == "recipient" and "recipient/leaf.json" not in self.files:
                self.refuse("stray-file", path, "recipient/leaf.json is not there")
        com = self.recipient[0].get("com") if self.recipient else None
        for label in com if type(com) is dict else []:
            if label not in opened:
                self.notes.append("not disclosed: %s of recipient/leaf.json" % label)

    def check_closing(self):
        self.closing = self.open_tree("closing", "campaign.close", "bad-closing", "not-in-closing")
        if not self.closing:
            return
        leaf, close, fact = self.closing
        if self.recipient and self.recipient[0]["ord"] != leaf["ord"]:
            self.refuse("other-person", "closing/leaf.json", "it is of another person than recipient/leaf.json")
        size, told = fact.get("size"), leaf.get("ev")
        if type(size) is not int or size > close:
            return self.refuse("bad-closing", "events/%d.json" % close, "it does not say of which facts it tells")
        if type(told) is not list or any(type(n) is not int or n >= size for n in told) or told != sorted(set(told)):
            return self.refuse("bad-closing", "closing/leaf.json", "`ev` is no list of numbers of facts below %d" % size)
        shown = [index for index, (about, _) in sorted(self.facts.items()) if about == "person" and index < size]
        for index in sorted(set(told) - set(shown)):
            self.refuse("fact-withheld", "events/%d.json" % index, "closing/leaf.json names it, the bundle does not show it")
        for index in sorted(set(shown) - set(told)):
            self.refuse("fact-unknown", "events/%d.json" % index, "the closing tree does not know it")
        self.proven.append("no fact about the person before fact %d is left out (fact %d)" % (size, close))

    # 7: heads of the log that a time-stamping authority has stamped
    def check_anchors(self):
        sizes = sorted({size for kind, _, size in map(place, self.files) if kind == "stamp"})
        authority = self.files.get("anchors/tsa-ca.pem")
        if not sizes and authority is not None:
            self.refuse("stray-file", "anchors/tsa-ca.pem", "there is no time stamp that it could be for")
        if not sizes or not self.head:
            return
        if authority is None:
            self.refuse("anchor-missing", "anchors/tsa-ca.pem", "without it nobody knows who has stamped")
        for size in sizes:
            path = "anchors/%d." % size
            missing = [end for end in ("checkpoint", "tsr", "consistency") if path + end not in self.files]
            missing += [end for end, other in (("json", "tlog-proof"), ("tlog-proof", "json"))
                        if path + end not in self.files and path + other in self.files and not missing]
            for end in missing:
                self.refuse("anchor-missing", path + end, "a time stamp means nothing without it")
            if not missing:
                self.check_anchor(size, path, authority)

    def check_anchor(self, size, path, authority):
        note, reply, fact = self.files[path + "checkpoint"], self.files[path + "tsr"], None
        try:
            origin, own, root = read_checkpoint(note, self.key)
            if (origin, origin, own) != (self.manifest["origin"], self.key.name, size):
                raise Bad("it is a head of another log or size")
            lines = self.files[path + "consistency"].decode("ascii").split("\n")
            if lines[0] != "old %d" % size or len(lines) < 2 or lines.pop() != "":
                raise Bad("its .consistency is not `old %d` and a hash a line" % size)
            hashes = [unbase64(line) for line in lines[1:]]
            if any(len(beside) != 32 for beside in hashes):
                raise Bad("a hash is not 32 octets")
        except (Bad, ValueError) as why:
            return self.refuse("bad-anchor", path + "checkpoint", str(why))
        if not grown(size, root, self.head[0], self.head[1], hashes):
            return self.refuse("anchor-forked", path + "consistency", "the log that was stamped is not the beginning of this one")
        try:
            if path + "json" in self.files:
                index, hashes, checkpoint = read_proof(self.files[path + "tlog-proof"])
                leaf = self.files[path + "json"]
                if checkpoint != self.files["checkpoint"] or not included(leaf, index, self.head[0], hashes, self.head[1]):
                    raise Bad("the fact about the time stamp is not in the log")
                it, fact = canonical_object(leaf), index
                if (it.get("ev"), it.get("size"), it.get("sha256")) != ("anchor", size, sha256(reply).hex()):
                    raise Bad("the fact is about something else")
        except Bad as why:
            return self.refuse("bad-anchor", path + "json", str(why))
        # What is refused already proves nothing: openssl need not be asked.
        if authority is None or self.refused:
            return
        try:
            at = stamped_at(note, reply, authority)
        except Bad as why:
            code = "other-timestamp" if str(why) == OTHER_DIGEST else "bad-timestamp"
            return self.refuse(code, path + "tsr", str(why))
        self.proven.append("the log had its first %d facts by %s, says the authority of anchors/tsa-ca.pem" % (size, at))
        if fact is not None:
            self.proven.append("what has a higher number than %d came into the log after that" % fact)


OTHER_DIGEST = "it stamps something else than the head beside it"


def stamped_at(note, reply, authority):
    """When an authority stamped this note, as openssl verifies it at that very time."""
    def openssl(arguments, folder):
        try:
            run = subprocess.run(["openssl", "ts"] + arguments, cwd=folder, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, check=False)
        except OSError as error:
            raise CannotCheck("the command openssl cannot be run: %s" % error) from None
        return run.returncode, run.stdout.decode("utf-8", "replace")

    with tempfile.TemporaryDirectory() as folder:
        for name, octets in [("note", note), ("reply", reply), ("roots", authority)]:
            with open(os.path.join(folder, name), "wb") as file:
                file.write(octets)
        code, said = openssl(["-reply", "-in", "reply", "-text"], folder)
        found = re.search("Time stamp: ([A-Z][a-z]{2}) +([0-9]+) ([0-9:]{8})(?:[.][0-9]+)? ([0-9]{4}) GMT", said)
        if code != 0 or not found:
            raise Bad("it is no answer of a time-stamping authority")
        months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
        hour, minute, second = map(int, found[3].split(":"))
        moment = (int(found[4]), months.index(found[1]) + 1, int(found[2]), hour, minute, second)
        try:
            at = datetime.datetime(*moment, tzinfo=datetime.timezone.utc)
        except ValueError:
            raise Bad("its time is none") from None
        arguments = ["-verify", "-attime", str(int(at.timestamp())), "-data", "note", "-in", "reply", "-CAfile", "roots"]
        code, said = openssl(arguments, folder)
        if "message imprint mismatch" in said:
            raise Bad(OTHER_DIGEST)
        if code != 0 or "Verification: OK" not in said:
            raise Bad("openssl does not verify it with anchors/tsa-ca.pem")
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def sentence(index, leaf):
    """A fact about the person in words."""
    attempt = "attempt %s by %s to contact %s" % tuple(leaf.get(key, "?") for key in ("n", "chan", "contact"))
    words = {
        "attempt.started": "%s began" % attempt,
        "attempt.ended": "%s ended: %s" % (attempt, leaf.get("res", "?")),
        "receipt": "a report came back on %s: %s" % (attempt, leaf.get("res", "?")),
        "note": "noted: %s" % leaf.get("act", "?"),
    }
    return "fact %d, %s: %s" % (index, leaf["t"], words.get(leaf["ev"], leaf["ev"]))


def told(name, bundle):
    """The verdict on a bundle, for a terminal."""
    lines = ["%s: %s" % ("REFUSED" if bundle.refused else "VALID", name)]
    lines += ["  refused: %s: %s: %s" % found for found in bundle.refused]
    if not bundle.refused:
        it, size = bundle.manifest, bundle.head[0]
        lines.append("  campaign %s, person %s, made %s" % (it["campaign"], it["subject"], it["made"]))
        lines.append("  proven: %d files are as they were sealed, and %d facts are in the log %s of %d facts"
                     % (len(bundle.files), len(bundle.facts), it["origin"], size))
        lines += ["  proven: %s" % sentence(index, leaf) for index, (about, leaf) in sorted(bundle.facts.items())
                  if about == "person"]
        lines += ["  proven: %s" % text for text in bundle.proven]
    if bundle.key:
        lines.append("  key: %s" % bundle.key.text)
        lines.append("  fingerprint: %s%s" % (bundle.key.fingerprint, "" if bundle.trusted else
                     " (of the key in the bundle; compare it with the one that the sender published elsewhere)"))
    lines += ["  note: %s" % text for text in bundle.notes]
    # What a stranger put into a bundle must not command the terminal.
    return "\n".join("".join(c if c.isprintable() else "\ufffd" for c in line) for line in lines)


def verify(path, trusted):
    try:
        files = read_folder(path) if os.path.isdir(path) else read_zip(path)
    except FileNotFoundError:
        raise CannotCheck("there is no file %s" % path) from None
    except Exception as why:  # Whatever a damaged zip makes Python stumble over.
        bundle = Bundle({}, trusted)
        bundle.refuse(str(why) if isinstance(why, Bad) else "zip-damaged", path, "the zip cannot be opened safely")
        return bundle
    bundle = Bundle(files, trusted)
    bundle.verify()
    return bundle


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
    if not arguments or arguments[0].startswith("-"):
        raise CannotCheck(__doc__)
    code = 0
    for path in arguments:
        bundle = verify(path, trusted)
        print(told(path, bundle))
        code = 3 if bundle.refused else code
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotCheck as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
