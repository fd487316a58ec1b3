//! Where each file of a bundle stands.

use super::super::decimal;

pub const MANIFEST: &str = "MANIFEST.json";
pub const SUMS: &str = "SHA256SUMS";
pub const SEAL: &str = "SEAL";
pub const CHECKPOINT: &str = "checkpoint";
/// The log's key as it is published, and a line end.
pub const VKEY: &str = "log.vkey";
pub const RECIPIENT_LEAF: &str = "recipient/leaf.json";
pub const RECIPIENT_PROOF: &str = "recipient/proof.json";
pub const CLOSING_LEAF: &str = "closing/leaf.json";
pub const CLOSING_PROOF: &str = "closing/proof.json";
/// The certificates that lead to the authority whose time stamps are here.
pub const TSA_CA: &str = "anchors/tsa-ca.pem";
pub const VERIFY_PY: &str = "verify/verify.py";
pub const VERIFY_HTML: &str = "verify/verify.html";

/// The label under which an attempt's leaf commits to the SHA-256 of its message, and that of its exchange.
pub const MESSAGE_LABEL: &str = "msg_sha256";
pub const EXCHANGE_LABEL: &str = "exch_sha256";

/// What people read. Seal and sums cover these files; nothing else is checked of them.
const FOR_PEOPLE: [&str; 5] = ["certificate.html", "README.txt", "declaration.md", VERIFY_PY, VERIFY_HTML];

/// What a payload is called, and the label of the value that is its digest.
const PAYLOADS: [(&str, &str); 4] = [
    ("message.eml", MESSAGE_LABEL),
    ("message.txt", MESSAGE_LABEL),
    ("script.txt", MESSAGE_LABEL),
    ("exchange.txt", EXCHANGE_LABEL),
];

/// The octets of leaf `index`.
pub fn event(index: u64) -> String {
    format!("events/{index}.json")
}

/// The proof that leaf `index` is in the log.
pub fn event_proof(index: u64) -> String {
    format!("events/{index}.tlog-proof")
}

/// What opens a commitment of leaf `index`.
pub fn disclosure(index: u64, label: &str) -> String {
    format!("disclosures/{index}/{label}.json")
}

/// What an attempt handed over or was told: `message.eml`, `message.txt`, `script.txt`, `exchange.txt`.
pub fn payload(index: u64, name: &str) -> String {
    format!("payload/{index}/{name}")
}

/// The files of leaf `index` whose digest may be the value under this label.
pub(super) fn payloads(index: u64, label: &str) -> impl Iterator<Item = String> {
    PAYLOADS.iter().filter(move |(_, own)| *own == label).map(move |(name, _)| payload(index, name))
}

/// What opens a commitment of the person's leaf in the tree of recipients.
pub fn recipient_disclosure(label: &str) -> String {
    format!("recipient/disclosures/{label}.json")
}

/// A file of the time stamp over the head of so many facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// The answer of the authority, as it came.
    Reply,
    /// The head, as it was stamped.
    Head,
    /// That the head of the bundle is that one, grown.
    Consistency,
    /// The fact about the stamp, and the proof that it is in the log.
    Fact,
    FactProof,
}

impl Stamp {
    const ALL: [(Stamp, &'static str); 5] = [
        (Stamp::Reply, "tsr"),
        (Stamp::Head, "checkpoint"),
        (Stamp::Consistency, "consistency"),
        (Stamp::Fact, "json"),
        (Stamp::FactProof, "tlog-proof"),
    ];

    fn ending(self) -> &'static str {
        Stamp::ALL.iter().find(|(stamp, _)| *stamp == self).map_or("", |(_, ending)| ending)
    }
}

/// Where a file of a time stamp stands.
pub fn stamp(size: u64, file: Stamp) -> String {
    format!("anchors/{size}.{}", file.ending())
}

/// What a file is, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'p> {
    Event(u64),
    EventProof(u64),
    Disclosure {
        index: u64,
        label: &'p str,
    },
    Payload {
        index: u64,
        label: &'static str,
    },
    RecipientDisclosure(&'p str),
    Stamp {
        size: u64,
    },
    /// It has a name of its own, and is looked at by that.
    Named,
    /// In a folder of the format, and not called as its files are.
    Stray,
    /// The format does not know it.
    Unknown,
}

pub(super) fn place_of(path: &str) -> Place<'_> {
    let named =
        [MANIFEST, SUMS, SEAL, CHECKPOINT, VKEY, RECIPIENT_LEAF, RECIPIENT_PROOF, CLOSING_LEAF, CLOSING_PROOF, TSA_CA];
    if named.contains(&path) || FOR_PEOPLE.contains(&path) {
        return Place::Named;
    }
    let Some((folder, rest)) = path.split_once('/') else { return Place::Unknown };
    let place = match folder {
        "events" => event_place(rest),
        "disclosures" => rest.split_once('/').and_then(|(index, file)| {
            Some(Place::Disclosure { index: decimal(index)?, label: file.strip_suffix(".json")? })
        }),
        "payload" => rest.split_once('/').and_then(|(index, file)| {
            let (_, label) = PAYLOADS.iter().find(|(name, _)| *name == file)?;
            Some(Place::Payload { index: decimal(index)?, label })
        }),
        "recipient" => {
            let label = rest.strip_prefix("disclosures/").and_then(|file| file.strip_suffix(".json"));
            label.map(Place::RecipientDisclosure)
        }
        "anchors" => rest.split_once('.').and_then(|(size, ending)| {
            let known = Stamp::ALL.iter().any(|(_, own)| *own == ending);
            Some(Place::Stamp { size: decimal(size).filter(|_| known)? })
        }),
        "closing" => None,
        _ => return Place::Unknown,
    };
    place.unwrap_or(Place::Stray)
}

fn event_place(file: &str) -> Option<Place<'_>> {
    if let Some(index) = file.strip_suffix(".json") {
        return decimal(index).map(Place::Event);
    }
    decimal(file.strip_suffix(".tlog-proof")?).map(Place::EventProof)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_place() {
        for (path, want) in [
            (event(7).as_str(), Place::Event(7)),
            (event_proof(7).as_str(), Place::EventProof(7)),
            (disclosure(7, "addr").as_str(), Place::Disclosure { index: 7, label: "addr" }),
            (payload(7, "message.eml").as_str(), Place::Payload { index: 7, label: MESSAGE_LABEL }),
            (payload(7, "exchange.txt").as_str(), Place::Payload { index: 7, label: EXCHANGE_LABEL }),
            (recipient_disclosure("to.0").as_str(), Place::RecipientDisclosure("to.0")),
            ("closing/proof.json", Place::Named),
            ("verify/verify.html", Place::Named),
            ("events/07.json", Place::Stray),
            ("events/7.txt", Place::Stray),
            ("events/7", Place::Stray),
            ("payload/7/other.eml", Place::Stray),
            ("payload/message.eml", Place::Stray),
            ("disclosures/7/addr", Place::Stray),
            ("closing/x.json", Place::Stray),
            ("recipient/x.json", Place::Stray),
            (stamp(9, Stamp::Reply).as_str(), Place::Stamp { size: 9 }),
            (stamp(9, Stamp::FactProof).as_str(), Place::Stamp { size: 9 }),
            (TSA_CA, Place::Named),
            ("anchors/09.tsr", Place::Stray),
            ("anchors/9.ots", Place::Stray),
            ("witnesses/1.txt", Place::Unknown),
            ("Manifest.json", Place::Unknown),
        ] {
            assert_eq!(place_of(path), want, "{path}");
        }
    }
}
