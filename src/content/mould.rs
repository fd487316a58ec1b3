//! Emails are poured, not rendered: nearly all of a notice is the same for everybody.
//!
//! People differ in *shape* (which values are there, which role, how many kinds of data) and in the values themselves.
//! For each shape Handlebars fills the templates in once, with marks where values stand. What lies between the marks
//! is constant and is written in its transfer encoding once; per person only the lines that hold a value are.
//!
//! Invariant: a poured text is octet for octet what the template gives for the person. The templates' grammar makes it
//! so: a value is printed or asked whether it is empty, nothing else (see [`super::resolve`]).

use super::transfer::{Transfer, header_text};
use super::write::escape_html;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Around the number of a value; no source can hold control characters.
const MARK: char = '\u{5}';
const END: char = '\u{6}';
/// Shapes kept for one language: a page or two of memory each. Others are made anew each time.
const MOST: usize = 128;
/// Octets that `Subject: ` takes of its line.
const SUBJECT_COLUMN: usize = 9;

/// What stands in a mould for the value of this number.
pub(super) fn mark(number: usize) -> String {
    format!("{MARK}{number}{END}")
}

/// The moulds made so far, by shape.
#[derive(Default)]
pub(super) struct Moulds(RwLock<HashMap<Vec<u8>, Arc<Mould>>>);

impl Moulds {
    /// The mould of this shape; made by `make` when it is the first.
    pub(super) fn of<E>(&self, shape: &[u8], make: impl FnOnce() -> Result<Mould, E>) -> Result<Arc<Mould>, E> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner).get(shape).cloned();
        if let Some(mould) = kept {
            return Ok(mould);
        }
        let mould = Arc::new(make()?);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST {
            all.insert(shape.to_vec(), Arc::clone(&mould));
        }
        Ok(mould)
    }
}

/// The email of one shape.
pub(super) struct Mould {
    subject: Vec<Bit>,
    /// The header's text, where no value stands in it.
    subject_header: Option<String>,
    pub(super) text: Body,
    pub(super) html: Body,
}

/// A stretch of text: constant, or the value of this number.
enum Bit {
    Fixed(String),
    Gap(usize),
}

/// One part of the email.
pub(super) struct Body(Vec<Piece>);

enum Piece {
    /// Whole lines, as they are and in quoted-printable.
    Fixed { plain: String, quoted: Vec<u8> },
    /// A line with a value in it, and its end.
    Line(Vec<Bit>),
}

impl Mould {
    /// From what the templates gave with marks for values.
    pub(super) fn new(subject: &str, text: &str, html: &str) -> Mould {
        let subject = bits(subject);
        let constant = !subject.iter().any(|bit| matches!(bit, Bit::Gap(_)));
        let subject_header = constant.then(|| header_text(&one_blank_each(&fill(&subject, &[])), SUBJECT_COLUMN));
        let mut text = text.trim_end().to_owned();
        text.push('\n');
        Mould { subject, subject_header, text: Body::new(&text), html: Body::new(html) }
    }

    /// The subject as it is read, and as the header holds it.
    pub(super) fn subject(&self, values: &[Cow<'_, str>]) -> (String, Cow<'_, str>) {
        let subject = one_blank_each(&fill(&self.subject, values));
        let header = match &self.subject_header {
            Some(header) => Cow::Borrowed(header.as_str()),
            None => Cow::Owned(header_text(&subject, SUBJECT_COLUMN)),
        };
        (subject, header)
    }
}

fn one_blank_each(subject: &str) -> String {
    subject.split([' ', '\n']).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The values as the HTML part prints them.
pub(super) fn escaped<'a>(values: &'a [Cow<'_, str>]) -> Vec<Cow<'a, str>> {
    values.iter().map(|value| escape_html(value)).collect()
}

impl Body {
    fn new(marked: &str) -> Body {
        let mut pieces = Vec::new();
        let mut constant = String::new();
        for line in marked.split_inclusive('\n') {
            let bits = bits(line);
            if bits.iter().all(|bit| matches!(bit, Bit::Fixed(_))) {
                constant.push_str(line);
            } else {
                pieces.extend(fixed(std::mem::take(&mut constant)));
                pieces.push(Piece::Line(bits));
            }
        }
        pieces.extend(fixed(constant));
        Body(pieces)
    }

    /// The part as it is read.
    pub(super) fn plain(&self, values: &[Cow<'_, str>]) -> String {
        let constant = |piece: &Piece| match piece {
            Piece::Fixed { plain, .. } => plain.len(),
            Piece::Line(_) => 160,
        };
        let mut out = String::with_capacity(self.0.iter().map(constant).sum());
        for piece in &self.0 {
            match piece {
                Piece::Fixed { plain, .. } => out.push_str(plain),
                Piece::Line(bits) => fill_into(bits, values, &mut out),
            }
        }
        out
    }

    /// The same in quoted-printable, as [`Transfer::write`] writes it.
    pub(super) fn quoted(&self, values: &[Cow<'_, str>], out: &mut Vec<u8>) {
        let mut line = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Fixed { quoted, .. } => out.extend_from_slice(quoted),
                Piece::Line(bits) => {
                    line.clear();
                    fill_into(bits, values, &mut line);
                    Transfer::QuotedPrintable.write(&line, out);
                }
            }
        }
    }
}

fn fixed(plain: String) -> Option<Piece> {
    if plain.is_empty() {
        return None;
    }
    let mut quoted = Vec::new();
    Transfer::QuotedPrintable.write(&plain, &mut quoted);
    quoted.shrink_to_fit();
    Some(Piece::Fixed { plain, quoted })
}

fn fill(bits: &[Bit], values: &[Cow<'_, str>]) -> String {
    let mut out = String::new();
    fill_into(bits, values, &mut out);
    out
}

fn fill_into(bits: &[Bit], values: &[Cow<'_, str>], out: &mut String) {
    for bit in bits {
        match bit {
            Bit::Fixed(text) => out.push_str(text),
            Bit::Gap(number) => out.push_str(values.get(*number).map_or("", |value| value)),
        }
    }
}

/// Cuts a text at its marks.
fn bits(marked: &str) -> Vec<Bit> {
    let mut out = Vec::new();
    for (at, part) in marked.split(MARK).enumerate() {
        let (gap, literal) = match part.split_once(END) {
            Some((number, rest)) if at > 0 => (number.parse().ok(), rest),
            Some(_) | None => (None, part),
        };
        out.extend(gap.map(Bit::Gap));
        if !literal.is_empty() {
            out.push(Bit::Fixed(literal.to_owned()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_poured_is_what_the_whole_text_gives(
            lines in proptest::collection::vec(("[a-zé=. ]{0,90}", proptest::option::of(0usize..3), "[. a<]{0,9}"), 0..8),
            values in proptest::collection::vec("[\\PC\n]{0,120}", 3),
            ends in any::<bool>(),
        ) {
            let text = |value: &dyn Fn(usize) -> String| {
                let lines = lines.iter().map(|(a, gap, b)| format!("{a}{}{b}", gap.map(value).unwrap_or_default()));
                lines.collect::<Vec<_>>().join("\n") + if ends { "\n" } else { "" }
            };
            let body = Body::new(&text(&mark));
            let whole = text(&|number| values[number].clone());
            let values: Vec<Cow<'_, str>> = values.iter().map(|v| Cow::Borrowed(v.as_str())).collect();
            prop_assert_eq!(&body.plain(&values), &whole);
            let (mut poured, mut written) = (Vec::new(), Vec::new());
            body.quoted(&values, &mut poured);
            Transfer::QuotedPrintable.write(&whole, &mut written);
            prop_assert_eq!(String::from_utf8(poured).unwrap(), String::from_utf8(written).unwrap());
        }
    }

    #[test]
    fn a_subject_without_values_is_written_once() {
        let mould = Mould::new(" Notice  for\nall ", "text", "html");
        assert_eq!(mould.subject_header.as_deref(), Some("Notice for all"));
        let mould = Mould::new(&format!("For {}", mark(1)), "text", "html");
        let values = [Cow::Borrowed("x"), Cow::Borrowed("José  M")];
        let (subject, header) = mould.subject(&values);
        assert_eq!((subject.as_str(), header.as_ref()), ("For José M", "=?utf-8?Q?For_Jos=C3=A9_M?="));
    }

    #[test]
    fn no_more_shapes_are_kept_than_allowed() {
        let moulds = Moulds::default();
        for shape in 0..=u8::MAX {
            let made = moulds.of(&[shape], || Ok::<_, ()>(Mould::new("s", "t", "h")));
            assert_eq!(made.unwrap().text.plain(&[]), "t\n");
        }
        assert_eq!(moulds.0.read().unwrap().len(), MOST);
        assert!(moulds.of(&[0], || Err(())).is_ok(), "kept, not made again");
        assert!(moulds.of(&[255], || Err(())).is_err());
    }
}
