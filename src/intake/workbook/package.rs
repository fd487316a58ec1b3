//! The parts of a workbook file: unpacked as they are read, with a bound on each, and taken apart as XML.

use super::WorkbookProblem;
use fs_err::File;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

/// No part that is small in every honest workbook is larger than this.
const SMALL: u64 = 64 * 1024 * 1024;
/// The largest sheet that a spreadsheet program can hold is well below this.
const LARGEST: u64 = 16 * 1024 * 1024 * 1024;
/// How many times its packed size a larger part may unpack to: sheets of figures reach some tens.
const MOST_RATIO: u64 = 200;
/// Longest text between two tags; a cell holds 32,767 characters.
const LONGEST_PIECE: u64 = 8 * 1024 * 1024;

/// The ZIP file that a workbook is.
pub(super) struct Package(ZipArchive<BufReader<File>>);

impl Package {
    pub(super) fn open(file: File) -> Result<Package, WorkbookProblem> {
        let damaged = |_| WorkbookProblem::Damaged { part: "the ZIP file cannot be opened".to_owned() };
        ZipArchive::new(BufReader::new(file)).map(Package).map_err(damaged)
    }

    pub(super) fn has(&self, part: &str) -> bool {
        self.0.index_for_name(part).is_some()
    }

    /// The part, to be read as XML.
    pub(super) fn xml(&mut self, part: &str) -> Result<Xml<'_>, WorkbookProblem> {
        let damaged = || WorkbookProblem::Damaged { part: part.to_owned() };
        let Some(index) = self.0.index_for_name(part) else { return Err(damaged()) };
        let file = match self.0.by_index(index) {
            Ok(file) => file,
            Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => return Err(WorkbookProblem::Protected),
            Err(_) => return Err(damaged()),
        };
        let most = file.compressed_size().saturating_mul(MOST_RATIO).clamp(SMALL, LARGEST);
        let counted = Rc::new(Counted::default());
        let bounded = Bounded { inner: file, most, counted: counted.clone() };
        let mut reader = quick_xml::Reader::from_reader(BufReader::with_capacity(64 * 1024, bounded));
        reader.config_mut().expand_empty_elements = true;
        Ok(Xml { reader, buffer: Vec::new(), counted, part: part.to_owned() })
    }
}

/// What was unpacked of a part.
#[derive(Default)]
struct Counted {
    whole: Cell<u64>,
    /// Since the last tag.
    piece: Cell<u64>,
    too_large: Cell<bool>,
}

/// Ends with an error where a part is larger than it may be.
struct Bounded<R> {
    inner: R,
    most: u64,
    counted: Rc<Counted>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        for count in [&self.counted.whole, &self.counted.piece] {
            count.set(count.get() + read as u64);
        }
        if self.counted.whole.get() > self.most || self.counted.piece.get() > LONGEST_PIECE {
            self.counted.too_large.set(true);
            return Err(io::Error::other("larger than it may be"));
        }
        Ok(read)
    }
}

/// A part as a stream of tags and texts. An empty element comes as its beginning and its end.
pub(super) struct Xml<'p> {
    reader: quick_xml::Reader<BufReader<Bounded<ZipFile<'p, BufReader<File>>>>>,
    buffer: Vec<u8>,
    counted: Rc<Counted>,
    part: String,
}

/// What stands in a part next.
pub(super) enum Node {
    Begin(Tag),
    /// The name without its prefix.
    End(String),
    /// A piece of text, with what was escaped as it was meant.
    Text(String),
}

/// The beginning of an element.
pub(super) struct Tag(BytesStart<'static>);

impl Tag {
    /// The name without its prefix.
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// An attribute by its name without prefix.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        let found = attributes.flatten().find(|a| a.key.local_name().into_inner() == name)?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(|value| value.into_owned())
    }

    /// As [`Tag::get`], for the whole name with its prefix.
    pub(super) fn get_exactly(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        let found = attributes.flatten().find(|a| a.key.into_inner() == name)?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(|value| value.into_owned())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.trim().parse().ok()
    }

    /// Whether the attribute says yes; XLSX writes `1` or `true`.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name).as_deref(), Some("1" | "true" | "on"))
    }
}

impl Xml<'_> {
    /// What comes next; `None` at the end of the part.
    pub(super) fn next(&mut self) -> Result<Option<Node>, WorkbookProblem> {
        loop {
            self.counted.piece.set(0);
            self.buffer.clear();
            return Ok(Some(match self.reader.read_event_into(&mut self.buffer) {
                Ok(Event::Start(tag)) => Node::Begin(Tag(tag.into_owned())),
                Ok(Event::End(tag)) => Node::End(tag.local_name().into_inner().to_owned()),
                Ok(Event::Text(text)) => Node::Text(text.xml10_content().into_owned()),
                Ok(Event::CData(text)) => Node::Text(text.xml10_content().into_owned()),
                Ok(Event::GeneralRef(entity)) => Node::Text(meant(&entity)),
                Ok(Event::Eof) => return Ok(None),
                Ok(Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => continue,
                // A document type could define entities that grow; no workbook has one.
                Ok(Event::DocType(_)) | Err(_) => return Err(self.failed()),
            }));
        }
    }

    /// Raw pieces between the signs `<`, for what is looked for in a whole part: nothing is taken apart.
    pub(super) fn pieces(mut self, mut look: impl FnMut(&[u8])) -> Result<(), WorkbookProblem> {
        let mut piece = Vec::new();
        loop {
            piece.clear();
            self.counted.piece.set(0);
            match self.reader.get_mut().read_until(b'<', &mut piece) {
                Ok(0) => return Ok(()),
                Ok(_) => look(&piece),
                Err(_) => return Err(self.failed()),
            }
        }
    }

    fn failed(&self) -> WorkbookProblem {
        let part = self.part.clone();
        if self.counted.too_large.get() {
            return WorkbookProblem::TooLarge { part };
        }
        WorkbookProblem::Damaged { part: format!("{part}, byte {}", self.reader.buffer_position()) }
    }
}

/// The character of a reference such as `&amp;` or `&#10;`; an unknown one stands as it was.
fn meant(entity: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = entity.resolve_char_ref() {
        return character.to_string();
    }
    let name: &str = entity;
    match quick_xml::escape::resolve_predefined_entity(name) {
        Some(text) => text.to_owned(),
        None => format!("&{name};"),
    }
}
