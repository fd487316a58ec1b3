//! All definitions by name: those in the binary, and those of a directory laid over them.

use super::NATIVE;
use super::definition::Definition;
use super::definition::check::compile;
use crate::model::problem::Problem;
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/providers");

/// A definition and where it came from.
#[derive(Clone, Debug)]
pub struct Entry {
    pub definition: Arc<Definition>,
    /// `built in`, or the path of the file.
    pub origin: String,
    /// SHA-256 of the file, hex: the record says by which text a notice was sent.
    pub digest: String,
    pub text: String,
}

#[derive(Clone, Debug, Default)]
pub struct Catalogue(BTreeMap<String, Entry>);

impl Catalogue {
    /// The built-in definitions, and over them by file name those of `overlay`. All problems of all files at once.
    pub fn load(overlay: Option<&Path>) -> Result<Catalogue, Vec<Problem>> {
        let mut catalogue = Catalogue::default();
        let mut problems = Vec::new();
        for file in BUILT_IN.files() {
            let stem = file.path().file_stem().and_then(|s| s.to_str());
            if let (Some(stem), Some(text), true) = (stem, file.contents_utf8(), is_toml(file.path())) {
                catalogue.add(stem, "built in", &format!("{stem}.toml (built in)"), text, &mut problems);
            }
        }
        if let Some(directory) = overlay {
            catalogue.lay_over(directory, &mut problems);
        }
        if problems.is_empty() { Ok(catalogue) } else { Err(problems) }
    }

    fn lay_over(&mut self, directory: &Path, problems: &mut Vec<Problem>) {
        let unreadable = |error: std::io::Error| {
            Problem::new("unreadable", "paths.providers", format!("the providers directory cannot be read: {error}"))
        };
        let entries = match fs_err::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return problems.push(unreadable(error)),
        };
        for entry in entries {
            let read = entry.and_then(|entry| {
                let path = entry.path();
                if is_toml(&path) { fs_err::read_to_string(&path).map(|text| Some((path, text))) } else { Ok(None) }
            });
            match read {
                Ok(None) => {}
                Ok(Some((path, text))) => {
                    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                    let origin = path.display().to_string();
                    self.add(&stem, &origin, &origin, &text, problems);
                }
                Err(error) => problems.push(unreadable(error)),
            }
        }
    }

    fn add(&mut self, stem: &str, origin: &str, file: &str, text: &str, problems: &mut Vec<Problem>) {
        if NATIVE.contains(&stem) {
            let message = format!("{file}: `{stem}` is an adapter of the program itself; give the file another name");
            return problems.push(Problem::new("bad-definition", "name", message));
        }
        match compile(stem, file, text) {
            Ok(definition) => {
                let digest = Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
                let definition = Arc::new(definition);
                let entry = Entry { definition, origin: origin.to_owned(), digest, text: text.to_owned() };
                self.0.insert(stem.to_owned(), entry);
            }
            Err(found) => problems.extend(found),
        }
    }

    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.0.get(name)
    }

    /// Names of the definitions, sorted; the adapters of [`NATIVE`] are not among them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.values()
    }
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}
