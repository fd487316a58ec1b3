//! The files of one template set, as text: those the binary carries, with the operator's own laid over them.
//!
//! The only place of `content` that touches the disk. A campaign keeps a snapshot of what was loaded here, so that a
//! later change of a file cannot change what was approved.

use crate::model::nearest::nearest;
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// No template is that large; a wrong folder in `[paths] templates` may hold anything.
const LARGEST_FILE: u64 = 1 << 20;

/// Path inside the set (`en/sms.hbs`, always with `/`) to its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateFiles(pub BTreeMap<String, String>);

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("there is no template set {name:?}{}; there are: {}", hint(.nearest), .known.join(", "))]
    UnknownSet { name: String, nearest: Option<String>, known: Vec<String> },
    #[error("there is no folder {}; make it, or correct [paths] templates in the configuration", .path.display())]
    NoFolder { path: PathBuf },
    #[error("cannot read template file {}", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("template file {} is not UTF-8; save it as UTF-8", .path.display())]
    NotUtf8 { path: PathBuf },
    #[error("template file {} is larger than 1 MiB; is this a template?", .path.display())]
    TooLarge { path: PathBuf },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|n| format!(" (did you mean {n:?}?)")).unwrap_or_default()
}

impl TemplateFiles {
    /// The set of that name. `overlay` is the folder named in `[paths] templates`; its files win one by one.
    pub fn load(set: &str, overlay: Option<&Path>) -> Result<TemplateFiles, LoadError> {
        let mut files = TemplateFiles::default();
        let known = TemplateFiles::sets(overlay)?;
        if !known.iter().any(|k| k == set) {
            return Err(LoadError::UnknownSet { name: set.to_owned(), nearest: nearest(set, &known), known });
        }
        if let Some(dir) = BUILT_IN.get_dir(set) {
            collect_built_in(dir, set, &mut files)?;
        }
        if let Some(dir) = overlay.map(|o| o.join(set)).filter(|d| d.is_dir()) {
            collect_overlay(&dir, "", &mut files)?;
        }
        Ok(files)
    }

    /// The names of all sets, sorted: folders of the binary and of the overlay.
    pub fn sets(overlay: Option<&Path>) -> Result<Vec<String>, LoadError> {
        let mut names: Vec<String> =
            BUILT_IN.dirs().filter_map(|d| d.path().file_name()?.to_str().map(str::to_owned)).collect();
        if let Some(dir) = overlay {
            // A folder that is not where it is looked for must not mean that other texts are sent in silence.
            if !dir.is_dir() {
                return Err(LoadError::NoFolder { path: dir.to_owned() });
            }
            for (name, path) in entries(dir)? {
                if path.is_dir() {
                    names.push(name);
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// SHA-256 over the sorted paths and their contents, each with its length, in hexadecimal.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (path, text) in &self.0 {
            for part in [path, text] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        hex(&hash.finalize())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn collect_built_in(dir: &Dir<'_>, set: &str, files: &mut TemplateFiles) -> Result<(), LoadError> {
    for file in dir.files() {
        let path = file.path().strip_prefix(set).unwrap_or(file.path());
        let name = path.to_string_lossy().replace('\\', "/");
        let text = file.contents_utf8().ok_or_else(|| LoadError::NotUtf8 { path: file.path().to_owned() })?;
        keep(name, text, files);
    }
    dir.dirs().try_for_each(|inner| collect_built_in(inner, set, files))
}

fn collect_overlay(dir: &Path, prefix: &str, files: &mut TemplateFiles) -> Result<(), LoadError> {
    for (name, path) in entries(dir)? {
        let key = format!("{prefix}{name}");
        let meta = fs_err::metadata(&path).map_err(|source| LoadError::Read { path: path.clone(), source })?;
        if meta.is_dir() {
            if !name.starts_with('.') && prefix.is_empty() {
                collect_overlay(&path, &format!("{key}/"), files)?;
            }
            continue;
        }
        if ignored(&name) {
            continue;
        }
        if meta.len() > LARGEST_FILE {
            return Err(LoadError::TooLarge { path });
        }
        let bytes = fs_err::read(&path).map_err(|source| LoadError::Read { path: path.clone(), source })?;
        let text = String::from_utf8(bytes).map_err(|_| LoadError::NotUtf8 { path })?;
        keep(key, &text, files);
    }
    Ok(())
}

fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, LoadError> {
    let fail = |source| LoadError::Read { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs_err::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    Ok(found)
}

/// Line ends and a byte order mark differ by editor and mean nothing: they are made equal before anything is hashed.
fn keep(path: String, text: &str, files: &mut TemplateFiles) {
    if !ignored(path.rsplit('/').next().unwrap_or(&path)) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
        files.0.insert(path, text);
    }
}

fn ignored(name: &str) -> bool {
    name.starts_with('.') || name.eq_ignore_ascii_case("readme.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_overlay_wins_and_an_unknown_set_names_the_nearest() {
        let dir = tempfile::tempdir().unwrap();
        let set = dir.path().join("short-notice");
        fs_err::create_dir_all(set.join("en")).unwrap();
        fs_err::write(set.join("template.toml"), "\u{feff}description = 'x'\r\n").unwrap();
        fs_err::write(set.join("en/sms.hbs"), "Hello").unwrap();
        fs_err::write(set.join("README.md"), "not a template").unwrap();
        let files = TemplateFiles::load("short-notice", Some(dir.path())).unwrap();
        assert_eq!(files.0.keys().collect::<Vec<_>>(), ["en/sms.hbs", "template.toml"]);
        assert_eq!(files.0["template.toml"], "description = 'x'\n");

        let error = TemplateFiles::load("short-notise", Some(dir.path())).unwrap_err().to_string();
        assert!(error.contains("did you mean \"short-notice\"?"), "{error}");

        let error = TemplateFiles::load("breach-notice", Some(&dir.path().join("nope"))).unwrap_err().to_string();
        assert!(error.contains("there is no folder"), "{error}");

        fs_err::write(set.join("en/sms.hbs"), [0xff, 0xfe]).unwrap();
        let error = TemplateFiles::load("short-notice", Some(dir.path())).unwrap_err().to_string();
        assert!(error.contains("sms.hbs is not UTF-8"), "{error}");
    }

    #[test]
    fn the_digest_tells_apart_what_concatenation_would_not() {
        let files = |pairs: &[(&str, &str)]| {
            TemplateFiles(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        let one = files(&[("ab", "c")]).digest();
        assert_eq!(one.len(), 64);
        assert_ne!(one, files(&[("a", "bc")]).digest());
        assert_eq!(one, files(&[("ab", "c")]).digest());
    }
}
