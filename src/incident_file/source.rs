//! The `[[source]]` tables: where the customer list comes from.

use crate::model::incident::FileSource;
use crate::toml_file::{Located, Table, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// The fields of a row that a heading can be mapped to.
const FIELDS: [&str; 10] =
    ["ref", "name", "email", "phone", "locale", "country", "region", "birth_date", "data_types", "role"];
const HOW: &str = "name the customer list, as [[source]] with file = \"customers.csv\"";

pub(super) fn sources(folder: &Path, root: &mut Table<'_>) -> Vec<FileSource> {
    let Some(value) = root.required("source", HOW) else { return Vec::new() };
    let place = value.place.clone();
    let list = value.list().unwrap_or_default();
    if list.is_empty() {
        place.problem("no-source", format!("is empty, so there is nobody to tell; {HOW}"));
    }
    list.into_iter().filter_map(Value::table).filter_map(|table| source(folder, table)).collect()
}

fn source(folder: &Path, mut table: Table<'_>) -> Option<FileSource> {
    let from_database = [table.value("database"), table.value("query")];
    if let Some(value) = from_database.into_iter().flatten().next() {
        value.place.problem("later-version", "reads from a database, which comes with a later version; export to CSV");
        table.value("file");
    } else if table.value("file").is_none() {
        table.missing("file", HOW);
    }
    let path = table.value("file").and_then(Value::text).and_then(list_file);
    if let Some(value) = table.value("sheet") {
        value.place.problem("later-version", "chooses a sheet of a workbook, which comes with a later version");
    }
    let encoding = table.value("encoding").and_then(Value::text).and_then(encoding);
    let delimiter = table.value("delimiter").and_then(Value::text).and_then(delimiter);
    let columns = columns(table.table("columns"));
    Some(FileSource { path: folder.join(path?), encoding, delimiter, columns })
}

fn list_file(text: Located<'_, &str>) -> Option<String> {
    let extension = Path::new(text.value).extension().map(|e| e.to_string_lossy().to_lowercase());
    let code = match extension.as_deref() {
        Some("xlsx" | "xls" | "xlsm" | "ods") => "later-version",
        _ => "bad-path",
    };
    text.parse(code, |path| match (path, code) {
        ("", _) => Err("is empty; name the customer list".to_owned()),
        (_, "later-version") => {
            Err("is a workbook, which comes with a later version; save the sheet as CSV UTF-8".to_owned())
        }
        (path, _) => Ok(path.to_owned()),
    })
}

fn encoding(text: Located<'_, &str>) -> Option<String> {
    text.parse("unknown-encoding", |label| match encoding_rs::Encoding::for_label(label.as_bytes()) {
        Some(encoding) => Ok(encoding.name().to_owned()),
        None => Err("is no known encoding; write UTF-8, UTF-16LE, GB18030, windows-1252, Shift_JIS".to_owned()),
    })
}

fn delimiter(text: Located<'_, &str>) -> Option<char> {
    text.parse("bad-delimiter", |text| {
        let mut signs = text.chars();
        match (text, signs.next(), signs.next()) {
            ("tab", ..) => Ok('\t'),
            (_, Some(sign), None) if sign.is_ascii() && !"\"\r\n\0".contains(sign) => Ok(sign),
            _ => Err("must be one ASCII sign such as `,` or `;`, or tab".to_owned()),
        }
    })
}

fn columns(mut table: Table<'_>) -> BTreeMap<String, String> {
    let mut columns: BTreeMap<String, String> = BTreeMap::new();
    for field in FIELDS {
        let heading = table.value(field).and_then(Value::text);
        let heading = heading.and_then(|text| {
            text.parse("bad-column", |heading| {
                if heading.trim().is_empty() {
                    return Err("is empty; write the heading as it stands in the list".to_owned());
                }
                if let Some((other, _)) = columns.iter().find(|(_, h)| *h == heading) {
                    return Err(format!("names the heading that `{other}` has; a column is one field"));
                }
                Ok(heading.to_owned())
            })
        });
        columns.extend(heading.map(|h| (field.to_owned(), h)));
    }
    columns
}
