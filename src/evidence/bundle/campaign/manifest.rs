//! `MANIFEST.json` in the bundle of a campaign.

use super::super::super::canonical::{CannotWrite, Object, Value, Writer, read_object};
use super::super::FORMAT;
use super::super::manifest::ManifestError;

const KIND: &str = "campaign";

/// The manifest of the bundle of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub campaign: String,
    /// The size of the log, and how many leaves the bundle stands for.
    pub checkpoint: u64,
    /// The fact that closed the campaign last.
    pub closing: Option<u64>,
    /// When the bundle was made: RFC 3339, UTC.
    pub made: String,
    /// The log's name.
    pub origin: String,
    /// The facts that sealed the persons who are listed, in the order of their lists.
    pub seals: Vec<u64>,
    /// What the bundle leaves out, and why, in sentences.
    pub withheld: Vec<String>,
}

impl Manifest {
    /// The file.
    pub fn to_octets(&self) -> Result<String, CannotWrite> {
        Writer::object(|manifest| {
            manifest.text("campaign", &self.campaign);
            manifest.number("checkpoint", self.checkpoint);
            manifest.numbers("closing", self.closing);
            manifest.text("format", FORMAT);
            manifest.text("kind", KIND);
            manifest.text("made", &self.made);
            manifest.text("origin", &self.origin);
            manifest.numbers("seals", self.seals.iter().copied());
            manifest.texts("withheld", self.withheld.iter().map(String::as_str));
        })
    }

    /// Reads the file to the octet: what is accepted is what [`Manifest::to_octets`] writes.
    pub fn parse(octets: &[u8]) -> Result<Manifest, ManifestError> {
        let object = read_object(octets)?;
        if object.text("format") != Some(FORMAT) {
            return Err(ManifestError::OtherFormat);
        }
        let manifest = read(&object).map_err(ManifestError::Wrong)?;
        if manifest.to_octets().is_ok_and(|again| again.as_bytes() == octets) {
            return Ok(manifest);
        }
        Err(ManifestError::Wrong("it has entries that the format does not know, or is of another kind than `campaign`"))
    }
}

fn read(object: &Object) -> Result<Manifest, &'static str> {
    let text = |key: &str| object.text(key).map(str::to_owned);
    let numbers =
        |key: &str| object.list(key).unwrap_or_default().iter().map(Value::as_number).collect::<Option<Vec<u64>>>();
    let closing =
        numbers("closing").filter(|closing| closing.len() < 2).ok_or("`closing` is not one number or none")?;
    let seals = numbers("seals").ok_or("`seals` are no numbers")?;
    if !seals.is_sorted_by(|a, b| a < b) {
        return Err("`seals` are not in their order, each once");
    }
    let withheld = object.list("withheld").unwrap_or_default().iter().map(|text| text.as_text().map(str::to_owned));
    Ok(Manifest {
        campaign: text("campaign").filter(|id| !id.is_empty()).ok_or("`campaign` is no text")?,
        checkpoint: object.number("checkpoint").ok_or("`checkpoint` is no number")?,
        closing: closing.first().copied(),
        made: text("made").ok_or("`made` is no text")?,
        origin: text("origin").ok_or("`origin` is no text")?,
        seals,
        withheld: withheld.collect::<Option<_>>().ok_or("`withheld` is no list of texts")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_one_form() {
        let manifest = Manifest {
            campaign: "2026-001-abcde".to_owned(),
            checkpoint: 10,
            closing: Some(9),
            made: "2026-11-25T14:00:00Z".to_owned(),
            origin: "example.com/log".to_owned(),
            seals: vec![2, 5],
            withheld: vec!["The names.".to_owned()],
        };
        let octets = manifest.to_octets().unwrap();
        assert_eq!(Manifest::parse(octets.as_bytes()), Ok(manifest));
        for (from, to) in [
            ("[2,5]", "[5,2]"),
            ("[9]", "[9,10]"),
            ("[9]", "[\"9\"]"),
            ("bundle/1", "bundle/2"),
            ("\"kind\":\"campaign\"", "\"kind\":\"person\""),
            ("2026-001-abcde", ""),
            ("{\"campaign", " {\"campaign"),
        ] {
            assert!(Manifest::parse(octets.replacen(from, to, 1).as_bytes()).is_err(), "{from} {to}");
        }
    }
}
