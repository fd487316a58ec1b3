//! `MANIFEST.json`: whose bundle it is, under which head of the log, and which facts it shows.

use super::super::canonical::{CannotWrite, NotCanonical, Object, Value, Writer, read_object};
use super::FORMAT;

const KIND: &str = "person";

/// How many digits the name of a person in the log has.
const SUBJECT_DIGITS: usize = 32;

/// Whom a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The person whose bundle this is.
    Person,
    /// The whole campaign.
    Campaign,
}

impl About {
    pub fn as_str(self) -> &'static str {
        match self {
            About::Person => "person",
            About::Campaign => "campaign",
        }
    }
}

/// A fact that the bundle shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The number of its leaf in the log, from 0.
    pub index: u64,
    pub about: About,
}

/// The manifest of the bundle of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub campaign: String,
    /// The size of the log under whose head all is proven.
    pub checkpoint: u64,
    /// By number of the leaf, each once.
    pub events: Vec<Listed>,
    /// When the bundle was made: RFC 3339, UTC.
    pub made: String,
    /// The log's name.
    pub origin: String,
    /// The person's random name in the log: 32 small hexadecimal digits.
    pub subject: String,
    /// What the bundle leaves out, and why, in sentences.
    pub withheld: Vec<String>,
}

/// Why a manifest cannot be used.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
    #[error("of another format than {FORMAT}; a newer forewarn may read it")]
    OtherFormat,
    #[error("not a list of what the bundle holds: {0}")]
    Wrong(&'static str),
}

impl Manifest {
    /// The file. It is refused where there are so many facts that it would have 64 KiB or more: some 1,900.
    pub fn to_octets(&self) -> Result<String, CannotWrite> {
        Writer::object(|manifest| {
            manifest.text("campaign", &self.campaign);
            manifest.number("checkpoint", self.checkpoint);
            manifest.objects("events", &self.events, |event, listed| {
                event.text("about", listed.about.as_str());
                event.number("index", listed.index);
            });
            manifest.text("format", FORMAT);
            manifest.text("kind", KIND);
            manifest.text("made", &self.made);
            manifest.text("origin", &self.origin);
            manifest.text("subject", &self.subject);
            manifest.texts("withheld", self.withheld.iter().map(String::as_str));
        })
    }

    /// Reads the file to the octet: what is accepted is what [`Manifest::to_octets`] writes.
    pub fn parse(octets: &[u8]) -> Result<Manifest, ManifestError> {
        let object = read_object(octets)?;
        if object.text("format") != Some(FORMAT) {
            return Err(ManifestError::OtherFormat);
        }
        let wrong = ManifestError::Wrong;
        let manifest = read(&object).map_err(wrong)?;
        if manifest.to_octets().is_ok_and(|again| again.as_bytes() == octets) {
            return Ok(manifest);
        }
        Err(wrong("it has entries that the format does not know, or is of another kind than `person`"))
    }
}

fn read(object: &Object) -> Result<Manifest, &'static str> {
    let text = |key: &str| object.text(key).map(str::to_owned);
    let checkpoint = object.number("checkpoint").ok_or("`checkpoint` is no number")?;
    let subject = text("subject").filter(|subject| {
        subject.len() == SUBJECT_DIGITS && subject.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    });
    let events = object.list("events").unwrap_or_default().iter().map(listed).collect::<Option<Vec<Listed>>>();
    let events = events.ok_or("an entry of `events` is not {\"about\",\"index\"}")?;
    if !events.is_sorted_by(|a, b| a.index < b.index) {
        return Err("`events` are not in the order of their numbers, each once");
    }
    if events.last().is_some_and(|last| last.index >= checkpoint) {
        return Err("`events` names a fact that comes after the checkpoint");
    }
    let withheld = object.list("withheld").unwrap_or_default().iter().map(|text| text.as_text().map(str::to_owned));
    Ok(Manifest {
        campaign: text("campaign").filter(|id| !id.is_empty()).ok_or("`campaign` is no text")?,
        checkpoint,
        events,
        made: text("made").ok_or("`made` is no text")?,
        origin: text("origin").ok_or("`origin` is no text")?,
        subject: subject.ok_or("`subject` is not 32 small hexadecimal digits")?,
        withheld: withheld.collect::<Option<_>>().ok_or("`withheld` is no list of texts")?,
    })
}

fn listed(value: &Value) -> Option<Listed> {
    let object = value.as_object()?;
    let about = match object.text("about")? {
        "person" => About::Person,
        "campaign" => About::Campaign,
        _ => return None,
    };
    Some(Listed { index: object.number("index")?, about })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            campaign: "2026-001-abcde".to_owned(),
            checkpoint: 10,
            events: vec![Listed { index: 0, about: About::Campaign }, Listed { index: 9, about: About::Person }],
            made: "2026-11-25T14:00:00Z".to_owned(),
            origin: "example.com/log".to_owned(),
            subject: "0123456789abcdef".repeat(2),
            withheld: vec!["The message: it was erased.".to_owned()],
        }
    }

    #[test]
    fn it_is_written_as_the_format_says_and_read_back() {
        let octets = manifest().to_octets().unwrap();
        assert_eq!(
            octets,
            r#"{"campaign":"2026-001-abcde","checkpoint":10,"events":[{"about":"campaign","index":0},{"about":"person","index":9}],"format":"forewarn-bundle/1","kind":"person","made":"2026-11-25T14:00:00Z","origin":"example.com/log","subject":"0123456789abcdef0123456789abcdef","withheld":["The message: it was erased."]}"#
        );
        assert_eq!(Manifest::parse(octets.as_bytes()), Ok(manifest()));
    }

    #[test]
    fn everything_else_is_refused() {
        let good = manifest().to_octets().unwrap();
        for (from, to) in [
            ("{\"campaign", " {\"campaign"),
            ("bundle/1", "bundle/2"),
            ("\"kind\":\"person\"", "\"kind\":\"campaign\""),
            ("\"kind\"", "\"kinds\""),
            ("\"index\":9", "\"index\":0"),
            ("\"index\":9", "\"index\":10"),
            ("\"index\":9", "\"index\":\"9\""),
            ("\"person\",\"index\"", "\"nobody\",\"index\""),
            ("\"index\":9", "\"index\":9,\"more\":1"),
            ("0123456789abcdef\"", "0123456789abcde\""),
            ("89abcdef\"", "89ABCDEF\""),
            ("[\"The message", "[1,\"The message"),
            ("2026-001-abcde", ""),
            ("\"checkpoint\":10", "\"checkpoint\":\"10\""),
            (",\"withheld\"", ",\"with\":1,\"withheld\""),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from}");
            assert!(Manifest::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
