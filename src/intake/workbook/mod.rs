//! Workbooks: the rows of one sheet of an XLSX or ODS file, as a stream.
//!
//! What a person sees on the screen is not all that is in a sheet, and not always what is in it. So whatever could
//! surprise is said: hidden rows (taken in like the others), merged cells, formulas without a stored result, error
//! values, numbers that the spreadsheet has rounded. A sheet is chosen only where there is no choice.
//!
//! The sheet is read as it is unpacked, never as a whole; the texts that XLSX keeps apart are held, because rows refer
//! to them in any order. Every part has a bound on its size, also when it is unpacked. Deliberately absent: `calamine`,
//! which knows no hidden rows, cannot tell a formula without a result from an empty cell, and holds a whole ODS sheet.

mod formats;
mod ods;
mod package;
mod rows;
mod xlsx;
mod xlsx_sheet;

use super::error::OpenError;
use super::table::{Broken, Ending, Opened, Outlet, TableReader};
use crate::model::incident::FileSource;
use crate::model::problem::Problem;
use fs_err::File;
use package::Package;
use rows::Rows;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Seek as _};
use std::path::PathBuf;
use thiserror::Error;

const ZIP: &[u8] = b"PK\x03\x04";
/// The container of old Excel files, and of new ones with a password.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0";

/// Why a workbook cannot be read.
#[derive(Debug, Error)]
pub enum WorkbookProblem {
    #[error("the workbook is protected with a password; save a copy without one, and name that")]
    Protected,
    #[error("this kind of workbook is not read (XLS or XLSB); save it as XLSX, or the sheet as CSV UTF-8")]
    OldKind,
    #[error("this is a ZIP file and no workbook; name an XLSX or ODS file, or a text file")]
    NotAWorkbook,
    #[error("the workbook is damaged ({part}); open it in a spreadsheet program and save it again")]
    Damaged { part: String },
    #[error(
        "the workbook is refused: {part} unpacks to more than a list can need, as in a file made to do harm; save the \
         sheet as CSV UTF-8"
    )]
    TooLarge { part: String },
    #[error("there is no sheet {wanted:?}; the sheets are {sheets}")]
    NoSuchSheet { wanted: String, sheets: String },
    #[error("several sheets have rows: {sheets}; say which one holds the list, as sheet = \"NAME\"")]
    SeveralSheets { sheets: String },
    #[error("no sheet has a row (sheets: {sheets}); look whether this is the right file")]
    NoRows { sheets: String },
}

/// A sheet as it stands in the workbook's list of sheets.
struct Sheet {
    name: String,
    hidden: bool,
    has_rows: bool,
}

/// Whether a file that begins so is a workbook, of whatever kind.
pub(super) fn is_one(head: &[u8]) -> bool {
    head.starts_with(ZIP) || head.starts_with(OLE)
}

/// Opens the sheet that `source` means, on a thread of its own.
pub(super) fn open(mut file: File, source: &FileSource) -> Result<(Opened, TableReader), OpenError> {
    let path = source.path.clone();
    for (key, given) in [("encoding", source.encoding.is_some()), ("delimiter", source.delimiter.is_some())] {
        if given {
            return Err(OpenError::NotForWorkbooks { path, key });
        }
    }
    let unreadable = |source| OpenError::Unreadable { path: path.clone(), source };
    file.rewind().map_err(unreadable)?;
    let mut head = [0; 4];
    file.read_exact(&mut head).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if head == OLE {
        let protected = holds_encrypted_package(&mut file).map_err(unreadable)?;
        let problem = if protected { WorkbookProblem::Protected } else { WorkbookProblem::OldKind };
        return Err(OpenError::Workbook { path, problem });
    }
    let wanted = source.sheet.clone();
    TableReader::open(&source.path, move |outlet| read(file, path, wanted.as_deref(), outlet))
}

fn read(mut file: File, path: PathBuf, wanted: Option<&str>, outlet: &mut Outlet) -> Result<Ending, Broken> {
    let digest = digest(&mut file).map_err(|source| OpenError::Unreadable { path: path.clone(), source })?;
    let notices = sheet_rows(file, wanted, outlet).map_err(|stop| match stop {
        Stop::Problem(problem) => OpenError::Workbook { path, problem }.into(),
        Stop::Broken(broken) => broken,
    })?;
    Ok(Ending { digest, notices })
}

/// Why the reading of a sheet ends early.
enum Stop {
    Problem(WorkbookProblem),
    Broken(Broken),
}

impl From<WorkbookProblem> for Stop {
    fn from(problem: WorkbookProblem) -> Stop {
        Stop::Problem(problem)
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Stop {
        Stop::Broken(broken)
    }
}

/// Hands the rows of the sheet over; what is to be said of the whole.
fn sheet_rows(file: File, wanted: Option<&str>, outlet: &mut Outlet) -> Result<Vec<Problem>, Stop> {
    let mut package = Package::open(file)?;
    if package.has("content.xml") {
        let sheets = ods::sheets(&mut package)?;
        let (at, notice) = chosen(&sheets, wanted)?;
        let mut rows = Rows::new(outlet, "ODS", &sheets[at].name, notice, Vec::new());
        ods::read(&mut package, at, &mut rows)?;
        return Ok(rows.finish()?);
    }
    let workbook = xlsx::Workbook::open(&mut package)?;
    let (at, notice) = chosen(&workbook.sheets, wanted)?;
    let merged = workbook.merged(&mut package, at)?;
    let mut rows = Rows::new(outlet, "XLSX", &workbook.sheets[at].name, notice, merged);
    workbook.read(&mut package, at, &mut rows)?;
    Ok(rows.finish()?)
}

/// The sheet to read, and what is to be said where nobody chose it.
fn chosen(sheets: &[Sheet], wanted: Option<&str>) -> Result<(usize, Option<Problem>), WorkbookProblem> {
    let named = |keep: fn(&Sheet) -> bool| {
        let name = |sheet: &Sheet| format!("{:?}{}", sheet.name, if sheet.hidden { " (hidden)" } else { "" });
        sheets.iter().filter(|sheet| keep(sheet)).map(name).collect::<Vec<_>>().join(", ")
    };
    if let Some(wanted) = wanted {
        let exact = sheets.iter().position(|sheet| sheet.name == wanted);
        let near = || sheets.iter().position(|s| s.name.trim().to_lowercase() == wanted.trim().to_lowercase());
        return match exact.or_else(near) {
            Some(at) => Ok((at, None)),
            None => Err(WorkbookProblem::NoSuchSheet { wanted: wanted.to_owned(), sheets: named(|_| true) }),
        };
    }
    let mut with_rows = sheets.iter().enumerate().filter(|(_, sheet)| sheet.has_rows);
    match (with_rows.next(), with_rows.next()) {
        (None, _) => Err(WorkbookProblem::NoRows { sheets: named(|_| true) }),
        (Some(_), Some(_)) => Err(WorkbookProblem::SeveralSheets { sheets: named(|sheet| sheet.has_rows) }),
        (Some((at, sheet)), None) => {
            let message = format!(
                "the workbook has the sheets {}; only {:?} has rows, and it was read{}",
                named(|_| true),
                sheet.name,
                if sheet.hidden { " although it is hidden" } else { "" }
            );
            let says = sheets.len() > 1 || sheet.hidden;
            Ok((at, says.then(|| Problem::new("sheet-chosen", "", message))))
        }
    }
}

/// Hexadecimal SHA-256 of the file's bytes; the file stands at its beginning again.
fn digest(file: &mut File) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut block = vec![0; 64 * 1024];
    loop {
        match file.read(&mut block)? {
            0 => break,
            read => digest.update(&block[..read]),
        }
    }
    file.rewind()?;
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether an OLE file has the stream in which encrypted workbooks are kept; names there are UTF-16.
fn holds_encrypted_package(file: &mut File) -> io::Result<bool> {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut window: Vec<u8> = Vec::new();
    let mut block = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(false);
        }
        window.extend_from_slice(&block[..read]);
        if window.windows(name.len()).any(|some| some == name) {
            return Ok(true);
        }
        window.drain(..window.len().saturating_sub(name.len()));
    }
}
