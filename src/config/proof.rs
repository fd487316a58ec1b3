//! The `[proof]` table: who signs the evidence log, where its heads are kept outside the database, and who stamps them.

use super::read::reference;
use crate::model::time::{self, MINUTE, Micros};
use crate::secrets::SecretRef;
use crate::toml_file::{Table, Value};
use std::path::{Path, PathBuf};
use url::Url;

/// How often a growing log is stamped where the file does not say.
const EVERY: Micros = time::HOUR;
const OFTENEST: Micros = MINUTE;
const SELDOMEST: Micros = 31 * time::DAY;

/// How the evidence log is kept.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The key that signs its heads. A file that is not there is made when the log begins.
    pub key: SecretRef,
    /// Every signed head, a line each; best on another disk than the database.
    pub checkpoints: PathBuf,
    /// Who stamps heads with the time.
    pub timestamp: Option<Timestamp>,
}

/// A time-stamping authority (RFC 3161).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    pub url: Url,
    /// The certificates (PEM) that lead to it; nobody else is believed.
    pub ca_file: PathBuf,
    /// How often heads are stamped while facts come.
    pub every: Micros,
}

pub(super) fn proof(folder: &Path, mut table: Table<'_>) -> Option<Proof> {
    let key = match table.value("key") {
        None => Some(SecretRef::File(folder.join("log.key"))),
        Some(value) => value.text().and_then(|text| text.parse("bad-reference", |text| reference(folder, text))),
    };
    let checkpoints = match table.value("checkpoints") {
        None => Some(folder.join("checkpoints.log")),
        Some(value) => path(folder, value),
    };
    let timestamp = table.table("timestamp");
    let timestamp = if timestamp.is_present() { self::timestamp(folder, timestamp).map(Some) } else { Some(None) };
    Some(Proof { key: key?, checkpoints: checkpoints?, timestamp: timestamp? })
}

fn path(folder: &Path, value: Value<'_>) -> Option<PathBuf> {
    value.text()?.parse("bad-path", |text| match text {
        "" => Err("is empty; name a file, or take the key away".to_owned()),
        text => Ok(folder.join(text)),
    })
}

fn timestamp(folder: &Path, mut table: Table<'_>) -> Option<Timestamp> {
    let url = table.required("url", "write url = \"http://tsa.example.com\", the address of the authority");
    let url = url.and_then(Value::text).and_then(|text| text.parse("bad-url", url_of));
    let ca_file = table.required("ca_file", "write ca_file = \"tsa-ca.pem\", the authority's root certificate");
    let ca_file = ca_file.and_then(|value| path(folder, value));
    let every = match table.value("every") {
        None => Some(EVERY),
        Some(value) => value.text().and_then(|text| {
            text.parse("bad-duration", |text| match time::parse_duration(text) {
                Some(every) if (OFTENEST..=SELDOMEST).contains(&every) => Ok(every),
                Some(_) => Err("must be from 1m to 31d".to_owned()),
                None => Err("must be a duration as 30m, 1h or 1d".to_owned()),
            })
        }),
    };
    Some(Timestamp { url: url?, ca_file: ca_file?, every: every? })
}

/// An answer is signed and holds nothing secret, so it may come in clear text.
fn url_of(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "must be an address as http://tsa.example.com".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("must begin with http:// or https:// and a name".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(
            "must have no user, password or fragment: authorities that ask for a login are not supported".to_owned()
        );
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, parse};
    use super::*;

    const HEAD: &str = "[database]\nurl = \"sqlite://f.db\"\n[keys]\nmaster = \"file:k\"\n[sender]\norganisation = \"O\"\n\
        email = \"a@example.com\"\n[proof]\n";

    fn read(text: &str) -> Result<Config, Vec<&'static str>> {
        match parse(Path::new("/etc/forewarn/config.toml"), &format!("{HEAD}{text}")) {
            Ok(examined) => Ok(examined.value),
            Err(problems) => Err(problems.into_iter().map(|problem| problem.code).collect()),
        }
    }

    #[test]
    fn an_authority_is_read_with_what_need_not_be_said() {
        assert!(read("").is_ok_and(|config| config.proof.timestamp.is_none()));
        let text = "timestamp = { url = \"http://tsa.example.com/tsr?x=1\", ca_file = \"tsa-ca.pem\" }";
        let timestamp = read(text).ok().and_then(|config| config.proof.timestamp).unwrap();
        assert_eq!(timestamp.ca_file, Path::new("/etc/forewarn/tsa-ca.pem"));
        assert_eq!((timestamp.every, timestamp.url.as_str()), (time::HOUR, "http://tsa.example.com/tsr?x=1"));
        let daily = read(&text.replace(" }", ", every = \"1d\" }")).ok().and_then(|config| config.proof.timestamp);
        assert_eq!(daily.map(|timestamp| timestamp.every), Some(time::DAY));
    }

    #[test]
    fn what_cannot_be_an_authority_is_refused() {
        for (text, code) in [
            ("url = \"http://t\"", "missing-key"),
            ("ca_file = \"c\"", "missing-key"),
            ("url = \"t\", ca_file = \"c\"", "bad-url"),
            ("url = \"ftp://t\", ca_file = \"c\"", "bad-url"),
            ("url = \"http://u:p@t\", ca_file = \"c\"", "bad-url"),
            ("url = \"http://t\", ca_file = \"\"", "bad-path"),
            ("url = \"http://t\", ca_file = \"c\", every = \"1s\"", "bad-duration"),
            ("url = \"http://t\", ca_file = \"c\", every = \"often\"", "bad-duration"),
            ("url = \"http://t\", ca_file = \"c\", evry = \"1h\"", "unknown-key"),
        ] {
            let codes = read(&format!("timestamp = {{ {text} }}\n")).err().unwrap_or_default();
            assert_eq!(codes, [code], "{text}");
        }
    }
}
