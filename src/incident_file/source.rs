//! The `[[source]]` tables: where the customer list comes from.

use crate::model::incident::{Connection, FileSource, QuerySource, Source};
use crate::toml_file::{Located, Table, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The fields of a row that a heading can be mapped to.
const FIELDS: [&str; 10] =
    ["ref", "name", "email", "phone", "locale", "country", "region", "birth_date", "data_types", "role"];
const HOW: &str = "name the customer list, as [[source]] with file = \"customers.csv\", or with database and query";
/// The databases that can be asked, by the beginning of the connection string.
const SCHEMES: [&str; 5] = ["postgres", "postgresql", "mysql", "mariadb", "sqlite"];

pub(super) fn sources(folder: &Path, root: &mut Table<'_>) -> Vec<Source> {
    let Some(value) = root.required("source", HOW) else { return Vec::new() };
    let place = value.place.clone();
    let list = value.list().unwrap_or_default();
    if list.is_empty() {
        place.problem("no-source", format!("is empty, so there is nobody to tell; {HOW}"));
    }
    list.into_iter().filter_map(Value::table).filter_map(|table| source(folder, table)).collect()
}

fn source(folder: &Path, mut table: Table<'_>) -> Option<Source> {
    let columns = columns(table.table("columns"));
    let file = table.value("file");
    let queried = [table.value("database"), table.value("query")];
    if file.is_none() && queried.iter().any(Option::is_some) {
        return query_source(folder, table, columns).map(Source::Query);
    }
    if let Some(value) = queried.into_iter().flatten().next() {
        value.place.problem("two-sources", "stands beside `file`; a [[source]] is a file or a query, so make it two");
    }
    if file.is_none() {
        table.missing("file", HOW);
    }
    let path = file.and_then(Value::text).and_then(list_file);
    let sheet = table.value("sheet").and_then(Value::text).and_then(|text| filled("bad-sheet", text));
    let encoding = table.value("encoding").and_then(Value::text).and_then(encoding);
    let delimiter = table.value("delimiter").and_then(Value::text).and_then(delimiter);
    Some(Source::File(FileSource { path: folder.join(path?), encoding, delimiter, sheet, columns }))
}

fn query_source(folder: &Path, mut table: Table<'_>, columns: BTreeMap<String, String>) -> Option<QuerySource> {
    let how = "write database = \"env:NAME\" or \"file:PATH\" for where the connection string stands";
    let database = table.required("database", how).and_then(Value::text);
    let database = database.and_then(|text| text.parse("bad-database", |text| connection(folder, text)));
    let how = "write the SELECT that returns the customers, as query = \"\"\"…\"\"\"";
    let query = table.required("query", how).and_then(Value::text).and_then(|text| filled("bad-query", text));
    Some(QuerySource { database: database?, query: query?, columns })
}

/// A reference, or a connection string without a password. What is wrong is said without what was written.
fn connection(folder: &Path, text: &str) -> Result<Connection, String> {
    if let Some(name) = text.strip_prefix("env:") {
        return Ok(Connection::Env(name.to_owned()));
    }
    if let Some(path) = text.strip_prefix("file:") {
        return Ok(Connection::File(folder.join(path)));
    }
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| SCHEMES.contains(scheme)) else {
        return Err(format!(
            "must be env:NAME, file:PATH or a connection string that begins with {}",
            SCHEMES.map(|s| format!("{s}:")).join(", ")
        ));
    };
    if scheme == "sqlite" {
        let (path, options) = rest.split_once('?').map_or((rest, ""), |(path, options)| (path, options));
        let path: PathBuf = folder.join(path.strip_prefix("//").unwrap_or(path));
        let options = if options.is_empty() { String::new() } else { format!("?{options}") };
        return Ok(Connection::Written(format!("sqlite://{}{options}", path.display())));
    }
    // The last `@`: a password may hold one, and may hold a slash, which is a mistake that must not be printed.
    let has_password = rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    if has_password || rest.to_lowercase().contains("password") {
        return Err("holds a password, and this file is kept with the campaign; put the connection string into an \
                    environment variable (env:NAME) or a file that only you can read (file:PATH)"
            .to_owned());
    }
    Ok(Connection::Written(text.to_owned()))
}

fn filled(code: &'static str, text: Located<'_, &str>) -> Option<String> {
    text.parse(code, |text| if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) })
}

fn list_file(text: Located<'_, &str>) -> Option<String> {
    let extension = Path::new(text.value).extension().map(|e| e.to_string_lossy().to_lowercase());
    text.parse("bad-path", |path| match (path, extension.as_deref()) {
        ("", _) => Err("is empty; name the customer list".to_owned()),
        (_, Some("xls" | "xlsb" | "numbers")) => {
            Err("is a kind of workbook that is not read; save it as XLSX, or the sheet as CSV UTF-8".to_owned())
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
