//! Opens the zip of a bundle that a stranger sent, and trusts nothing in it.
//!
//! A bundle's zip is a plain one: files only, with plain relative names, stored or deflated, one directly behind the other
//! from the first octet to the last. Whatever programs understand differently (names twice, data between the files, two
//! directories, links) is refused, so that everybody who opens the zip sees what the verdict is about.

use crate::evidence::bundle::Files;
use crate::evidence::bundle::verdict::{Finding, Reason};
use std::collections::BTreeSet;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use zip::read::{ArchiveOffset, Config, ZipFile};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// The most files that a bundle may have.
const MOST_FILES: usize = 10_000;
/// The most octets that its files may have together, and the most that the zip may have.
const MOST_OCTETS: u64 = 256 << 20;
/// The longest name of a file.
const LONGEST_NAME: usize = 255;
/// The record at the end of a zip that has no comment, and how it begins.
const END: usize = 22;
const END_MARK: [u8; 4] = *b"PK\x05\x06";

/// Why there are no files to look at.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the bundle cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The zip is not one that may be opened.
    #[error("{}", .0.message)]
    Refused(Finding),
}

pub(super) fn refused<T>(reason: Reason, file: &str, message: impl Into<String>) -> Result<T, Finding> {
    Err(Finding { file: file.to_owned(), reason, message: message.into() })
}

/// Reads the bundle in this file, if it is one of a person.
pub fn open_bundle(path: &Path) -> Result<Files, OpenError> {
    let mut octets = Vec::new();
    fs_err::File::open(path)?.take(MOST_OCTETS + 1).read_to_end(&mut octets)?;
    read_bundle(&octets).map_err(OpenError::Refused)
}

/// The files in the octets of a zip.
pub fn read_bundle(octets: &[u8]) -> Result<Files, Finding> {
    if octets.len() as u64 > MOST_OCTETS {
        return refused(Reason::ZipTooLarge, "", "The zip is larger than 256 MiB; no bundle is.");
    }
    let mut archive = open_zip(Cursor::new(octets)).map_err(|error| match error {
        OpenError::Refused(finding) => finding,
        OpenError::Io(why) => damaged("", &ZipError::Io(why)),
    })?;
    let mut files = Files::new();
    let mut left = MOST_OCTETS;
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).map_err(|e| damaged("", &e))?;
        let name = String::from_utf8_lossy(file.name_raw()).into_owned();
        if !name.ends_with('/') {
            let content = content(&name, &mut file, left)?;
            left -= content.len() as u64;
            files.insert(name, content);
        }
    }
    Ok(files)
}

/// Opens a zip of which everybody sees the same. No file of it is read.
pub(super) fn open_zip<R: Read + Seek>(mut reader: R) -> Result<ZipArchive<R>, OpenError> {
    let end = end_of(&mut reader)?;
    // What the zip begins with is its first file, not something that other programs would run or show.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let archive = ZipArchive::with_config(config, reader);
    let mut archive = archive.map_err(|e| OpenError::Refused(damaged("", &e)))?;
    look_at(&mut archive, &end).map_err(OpenError::Refused)?;
    Ok(archive)
}

fn look_at<R: Read + Seek>(archive: &mut ZipArchive<R>, end: &End) -> Result<(), Finding> {
    if archive.has_duplicate_names() {
        return refused(Reason::ZipDuplicate, "", "Two files in the zip have the same name.");
    }
    if archive.len() != end.files || archive.central_directory_start() != end.directory {
        return refused(
            Reason::ZipHidden,
            "",
            "The zip has two lists of its files; programs would show different ones.",
        );
    }
    check_names(archive)?;
    let mut places = Vec::new();
    for at in 0..archive.len() {
        let packed = archive.by_index_raw(at).map_err(|e| damaged("", &e))?;
        let name = String::from_utf8_lossy(packed.name_raw()).into_owned();
        check_kind(&name, &packed)?;
        let start = packed.data_start().unwrap_or_default();
        places.push((packed.header_start(), start.saturating_add(packed.compressed_size()), name));
    }
    check_places(places, end.directory)?;
    archive.validate_header_consistency().map_err(|_| Finding {
        file: String::new(),
        reason: Reason::ZipHidden,
        message:
            "The zip says different things of a file in its list and before the file; programs would show different \
                  ones."
                .to_owned(),
    })
}

/// What the last record of a zip says.
struct End {
    files: usize,
    directory: u64,
}

/// The record must be the last octets, and the list of files must stand directly before it: nothing is behind, nothing
/// between, and there are no second ones.
fn end_of<R: Read + Seek>(reader: &mut R) -> Result<End, OpenError> {
    let length = reader.seek(SeekFrom::End(0))?;
    let at = length.saturating_sub(END as u64);
    let (mut first, mut record) = ([0; 2], Vec::new());
    reader.seek(SeekFrom::Start(0))?;
    let begins = reader.read_exact(&mut first).is_ok() && first == *b"PK";
    reader.seek(SeekFrom::Start(at))?;
    reader.take(END as u64).read_to_end(&mut record)?;
    end_in(&record, at, begins).map_err(OpenError::Refused)
}

fn end_in(record: &[u8], at: u64, begins: bool) -> Result<End, Finding> {
    if record.len() != END || !record.starts_with(&END_MARK) {
        if begins {
            let message = "The zip does not end with the end of its list: it was cut, or something was put behind it.";
            return refused(Reason::ZipHidden, "", message);
        }
        return refused(Reason::NotAZip, "", "The file is not a zip; a bundle is one.");
    }
    let number = |from: usize, to: usize| {
        let octets = record.get(from..to).unwrap_or_default();
        octets.iter().rev().fold(0u64, |number, octet| number << 8 | u64::from(*octet))
    };
    let (here, all, size, directory) = (number(8, 10), number(10, 12), number(12, 16), number(16, 20));
    let one_disk = number(4, 6) == 0 && number(6, 8) == 0 && here == all;
    if !one_disk || number(20, 22) != 0 || directory + size != at {
        let message = "The list of files does not stand directly before the end of the zip; something is hidden there.";
        return refused(Reason::ZipHidden, "", message);
    }
    let files = usize::try_from(all).unwrap_or(usize::MAX);
    if files > MOST_FILES {
        return refused(
            Reason::ZipTooMany,
            "",
            format!("The zip has {files} files; a bundle has {MOST_FILES} at most."),
        );
    }
    Ok(End { files, directory })
}

/// Names are plain, relative, and different even where capitals do not count.
fn check_names<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<(), Finding> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for raw in archive.file_names_raw() {
        let name = String::from_utf8_lossy(raw).into_owned();
        let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"._-+@/".contains(octet);
        // A folder without content, as some programs put one before its files, is let pass.
        let path = name.strip_suffix('/').unwrap_or(&name);
        let parts = || path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        if raw.len() > LONGEST_NAME || !raw.iter().all(plain) || !parts() {
            let message = format!(
                "The zip holds a file called {name:?}, which is no plain path below the bundle; unpacking it could write \
                 elsewhere."
            );
            return refused(Reason::ZipPath, &name, message);
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            let message = format!("The zip holds {name} twice, if capitals do not count; one would hide the other.");
            return refused(Reason::ZipDuplicate, &name, message);
        }
    }
    // A file must not be a folder of others.
    let inner =
        |name: &&String| seen.range(format!("{name}/")..).next().is_some_and(|n| n.starts_with(&format!("{name}/")));
    match seen.iter().find(inner) {
        Some(name) => refused(Reason::ZipPath, name, format!("In the zip, {name} is a file and a folder at once.")),
        None => Ok(()),
    }
}

fn check_kind<R: Read>(name: &str, file: &ZipFile<'_, R>) -> Result<(), Finding> {
    /// The kind of a file in its Unix mode; a regular file; none was written.
    const KIND: u32 = 0o170_000;
    const REGULAR: u32 = 0o100_000;
    let kind = file.unix_mode().unwrap_or_default() & KIND;
    let folder = name.ends_with('/') && file.compressed_size() == 0 && file.size() == 0;
    if !folder && (!file.is_file() || (kind != REGULAR && kind != 0)) {
        let message =
            format!("In the zip, {name} is a link, a folder with content, or something else that is no file.");
        return refused(Reason::ZipLink, name, message);
    }
    if file.encrypted() {
        return refused(
            Reason::ZipEncrypted,
            name,
            format!("In the zip, {name} is encrypted; nothing in a bundle is."),
        );
    }
    if !matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        let message = format!("In the zip, {name} is packed in a way that not every program can open.");
        return refused(Reason::ZipMethod, name, message);
    }
    Ok(())
}

/// The content, of which never more is read than was announced and is left.
pub(super) fn content<R: Read>(name: &str, file: &mut ZipFile<'_, R>, left: u64) -> Result<Vec<u8>, Finding> {
    let size = file.size();
    if size > left {
        let message = format!("With {name} the files in the zip have more octets than those of a bundle may have.");
        return refused(Reason::ZipTooLarge, name, message);
    }
    let mut content = Vec::new();
    // One octet more shows that there would be more.
    match file.by_ref().take(size + 1).read_to_end(&mut content) {
        Ok(_) if content.len() as u64 == size => Ok(content),
        Ok(_) => {
            let message = format!("In the zip, {name} is not as long as the zip says.");
            refused(Reason::ZipDamaged, name, message)
        }
        Err(why) => refused(Reason::ZipDamaged, name, format!("In the zip, {name} is damaged: {why}.")),
    }
}

/// The files stand one directly behind the other, from the first octet to the list.
fn check_places(mut places: Vec<(u64, u64, String)>, directory: u64) -> Result<(), Finding> {
    places.sort_unstable();
    let mut next = 0;
    for (start, end, name) in places {
        if start != next {
            let message = format!(
                "In the zip, {name} does not follow directly on the file before it; something is hidden there."
            );
            return refused(Reason::ZipHidden, &name, message);
        }
        next = end;
    }
    if next == directory {
        return Ok(());
    }
    refused(Reason::ZipHidden, "", "In the zip, something is hidden between the last file and the list of files.")
}

pub(super) fn damaged(name: &str, why: &ZipError) -> Finding {
    let message = format!("The zip is damaged, or not a plain one: {why}.");
    Finding { file: name.to_owned(), reason: Reason::ZipDamaged, message }
}
