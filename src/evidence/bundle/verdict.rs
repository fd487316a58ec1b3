//! What is said of a bundle: reasons to refuse it, warnings, what is proven, and what it does not show.

use super::campaign;
use super::manifest::Manifest;

/// Why a bundle is refused, or what its reader is warned of: a stable word that scripts may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    // The zip.
    NotAZip,
    ZipDamaged,
    ZipPath,
    ZipDuplicate,
    ZipLink,
    ZipTooMany,
    ZipTooLarge,
    ZipMethod,
    ZipEncrypted,
    ZipHidden,
    // Its files.
    BadSums,
    MissingFile,
    AddedFile,
    RenamedFile,
    ChangedFile,
    StrayFile,
    BadSeal,
    BadKey,
    OtherKey,
    BadManifest,
    BadCheckpoint,
    OtherCheckpoint,
    // Its facts.
    MissingEvent,
    UnlistedEvent,
    BadEvent,
    BadProof,
    OtherCampaign,
    OtherPerson,
    BadDisclosure,
    WrongDisclosure,
    PayloadUndisclosed,
    PayloadChanged,
    AttemptNotStarted,
    AttemptMissing,
    // Its trees.
    BadRecipient,
    NotARecipient,
    SealedTooLate,
    BadClosing,
    NotInClosing,
    FactWithheld,
    FactUnknown,
    // Its time stamps.
    AnchorMissing,
    BadAnchor,
    AnchorForked,
    BadTimestamp,
    OtherTimestamp,
    // What only the bundle of a campaign has.
    BadLog,
    BadPersons,
    BadSummary,
    // Warnings.
    ClockBack,
    EndedTwice,
    UnknownFile,
}

impl Reason {
    /// Each of them, once.
    pub const ALL: [Reason; 52] = [
        Reason::NotAZip,
        Reason::ZipDamaged,
        Reason::ZipPath,
        Reason::ZipDuplicate,
        Reason::ZipLink,
        Reason::ZipTooMany,
        Reason::ZipTooLarge,
        Reason::ZipMethod,
        Reason::ZipEncrypted,
        Reason::ZipHidden,
        Reason::BadSums,
        Reason::MissingFile,
        Reason::AddedFile,
        Reason::RenamedFile,
        Reason::ChangedFile,
        Reason::StrayFile,
        Reason::BadSeal,
        Reason::BadKey,
        Reason::OtherKey,
        Reason::BadManifest,
        Reason::BadCheckpoint,
        Reason::OtherCheckpoint,
        Reason::MissingEvent,
        Reason::UnlistedEvent,
        Reason::BadEvent,
        Reason::BadProof,
        Reason::OtherCampaign,
        Reason::OtherPerson,
        Reason::BadDisclosure,
        Reason::WrongDisclosure,
        Reason::PayloadUndisclosed,
        Reason::PayloadChanged,
        Reason::AttemptNotStarted,
        Reason::AttemptMissing,
        Reason::BadRecipient,
        Reason::NotARecipient,
        Reason::SealedTooLate,
        Reason::BadClosing,
        Reason::NotInClosing,
        Reason::FactWithheld,
        Reason::FactUnknown,
        Reason::AnchorMissing,
        Reason::BadAnchor,
        Reason::AnchorForked,
        Reason::BadTimestamp,
        Reason::OtherTimestamp,
        Reason::BadLog,
        Reason::BadPersons,
        Reason::BadSummary,
        Reason::ClockBack,
        Reason::EndedTwice,
        Reason::UnknownFile,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NotAZip => "not-a-zip",
            Reason::ZipDamaged => "zip-damaged",
            Reason::ZipPath => "zip-path",
            Reason::ZipDuplicate => "zip-duplicate",
            Reason::ZipLink => "zip-link",
            Reason::ZipTooMany => "zip-too-many",
            Reason::ZipTooLarge => "zip-too-large",
            Reason::ZipMethod => "zip-method",
            Reason::ZipEncrypted => "zip-encrypted",
            Reason::ZipHidden => "zip-hidden",
            Reason::BadSums => "bad-sums",
            Reason::MissingFile => "missing-file",
            Reason::AddedFile => "added-file",
            Reason::RenamedFile => "renamed-file",
            Reason::ChangedFile => "changed-file",
            Reason::StrayFile => "stray-file",
            Reason::BadSeal => "bad-seal",
            Reason::BadKey => "bad-key",
            Reason::OtherKey => "other-key",
            Reason::BadManifest => "bad-manifest",
            Reason::BadCheckpoint => "bad-checkpoint",
            Reason::OtherCheckpoint => "other-checkpoint",
            Reason::MissingEvent => "missing-event",
            Reason::UnlistedEvent => "unlisted-event",
            Reason::BadEvent => "bad-event",
            Reason::BadProof => "bad-proof",
            Reason::OtherCampaign => "other-campaign",
            Reason::OtherPerson => "other-person",
            Reason::BadDisclosure => "bad-disclosure",
            Reason::WrongDisclosure => "wrong-disclosure",
            Reason::PayloadUndisclosed => "payload-undisclosed",
            Reason::PayloadChanged => "payload-changed",
            Reason::AttemptNotStarted => "attempt-not-started",
            Reason::AttemptMissing => "attempt-missing",
            Reason::BadRecipient => "bad-recipient",
            Reason::NotARecipient => "not-a-recipient",
            Reason::SealedTooLate => "sealed-too-late",
            Reason::BadClosing => "bad-closing",
            Reason::NotInClosing => "not-in-closing",
            Reason::FactWithheld => "fact-withheld",
            Reason::FactUnknown => "fact-unknown",
            Reason::AnchorMissing => "anchor-missing",
            Reason::BadAnchor => "bad-anchor",
            Reason::AnchorForked => "anchor-forked",
            Reason::BadTimestamp => "bad-timestamp",
            Reason::OtherTimestamp => "other-timestamp",
            Reason::BadLog => "bad-log",
            Reason::BadPersons => "bad-persons",
            Reason::BadSummary => "bad-summary",
            Reason::ClockBack => "clock-back",
            Reason::EndedTwice => "ended-twice",
            Reason::UnknownFile => "unknown-file",
        }
    }
}

/// One thing that was found, for a reader without technical knowledge. It holds no value that was disclosed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file that is meant; empty where it is the zip.
    pub file: String,
    pub reason: Reason,
    /// A sentence that names the file.
    pub message: String,
}

/// The key that the bundle is signed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// As it is published: `NAME+ID+BASE64`.
    pub vkey: String,
    /// The SHA-256 of that text.
    pub fingerprint: String,
    /// Whether it is the key that the reader gave, and not only one that came with the bundle.
    pub known: bool,
}

/// A commitment that the bundle does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undisclosed {
    /// The file of the leaf.
    pub file: String,
    pub label: String,
}

/// The verdict on a bundle.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Why the bundle proves nothing; it is valid where there is none.
    pub refused: Vec<Finding>,
    pub warnings: Vec<Finding>,
    /// What is proven, in sentences. They hold only where nothing is refused.
    pub proven: Vec<String>,
    /// What the bundle leaves out, in sentences.
    pub not_shown: Vec<String>,
    pub undisclosed: Vec<Undisclosed>,
    pub signer: Option<Signer>,
    pub manifest: Option<Manifest>,
    /// Where it is the bundle of a campaign: what that says of itself, and its sums.
    pub campaign: Option<campaign::manifest::Manifest>,
    pub summary: Option<campaign::summary::Summary>,
}

impl Verdict {
    pub fn is_valid(&self) -> bool {
        self.refused.is_empty()
    }

    /// The verdict on what is not even a bundle.
    pub fn refusal(finding: Finding) -> Verdict {
        Verdict { refused: vec![finding], ..Verdict::default() }
    }

    pub(super) fn refuse(&mut self, reason: Reason, file: &str, message: impl Into<String>) {
        self.refused.push(Finding { file: file.to_owned(), reason, message: message.into() });
    }

    pub(super) fn warn(&mut self, reason: Reason, file: &str, message: impl Into<String>) {
        self.warnings.push(Finding { file: file.to_owned(), reason, message: message.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let mut words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
        assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }
}
