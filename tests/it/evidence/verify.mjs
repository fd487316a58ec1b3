// Verifies a C2SP tlog-proof with nothing but Node.js: node verify.mjs PROOF LEAF VKEY
// Written for the tests from the specifications alone; the same calls are there in browsers.
import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";

const { subtle } = webcrypto;
const [proofFile, leafFile, vkey] = process.argv.slice(2);
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const sha256 = async (...parts) => new Uint8Array(await subtle.digest("SHA-256", Buffer.concat(parts)));
const leafHash = (octets) => sha256(Uint8Array.of(0), octets);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);
const fail = (why) => {
  console.log(`INVALID: ${why}`);
  process.exit(1);
};

// Keys and ids: NAME+ID+BASE64, split at the first two plus signs.
const [, name, id, octets] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey) ?? fail("no key");
const typed = bytes(octets);
const keyId = (await sha256(Buffer.from(`${name}\n`), typed)).slice(0, 4);
if (typed[0] !== 1 || Buffer.from(keyId).toString("hex") !== id) fail("the key is not what its id says");
const key = await subtle.importKey("raw", typed.slice(1), { name: "Ed25519" }, false, ["verify"]);

// The proof, and the checkpoint in it.
const proof = readFileSync(proofFile, "utf8");
const [head, ...notes] = proof.split("\n\n");
const [header, ...lines] = head.split("\n");
if (header !== "c2sp.org/tlog-proof@v1") fail("no proof");
if (lines[0].startsWith("extra ")) lines.shift();
const index = BigInt(/^index (0|[1-9][0-9]*)$/.exec(lines.shift())?.[1] ?? fail("no index"));
const path = lines.map(bytes);
const text = `${notes[0]}\n`;
const signatures = notes[1].trimEnd().split("\n").map((line) => line.split(" "));
const mine = signatures.find(([dash, who, what]) => dash === "—" && who === name && Buffer.compare(bytes(what).slice(0, 4), keyId) === 0);
if (!mine) fail("not signed by that key");
if (!(await subtle.verify({ name: "Ed25519" }, key, bytes(mine[2]).slice(4), Buffer.from(text)))) fail("the signature is wrong");
const [origin, size, root] = text.split("\n");
if (origin !== name) fail("another log");

// The way to the root (RFC 9162, 2.1.3.2).
let fn = index;
let sn = BigInt(size) - 1n;
if (fn > sn) fail("no such leaf");
let hash = await leafHash(readFileSync(leafFile));
for (const beside of path) {
  if (sn === 0n) fail("the path is too long");
  if ((fn & 1n) === 1n || fn === sn) {
    hash = await nodeHash(beside, hash);
    while ((fn & 1n) === 0n && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
  } else {
    hash = await nodeHash(hash, beside);
  }
  [fn, sn] = [fn >> 1n, sn >> 1n];
}
if (sn !== 0n || Buffer.compare(hash, bytes(root)) !== 0) fail("the leaf is not in the log");
console.log(`VALID: leaf ${index} of ${size}`);
