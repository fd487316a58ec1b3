//! Files that hold personal data: mode 0600, in directories of mode 0700, written whole or not at all.

use std::io::{self, Write};
use std::path::Path;

/// The directory and those above it; the ones made here are for the owner alone.
pub fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Opens a new or emptied file that only its owner may read.
pub fn create(path: &Path) -> io::Result<fs_err::File> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Puts `content` at `path` under its final name only when all of it is there. `durable` waits for the disk.
pub fn write_whole(path: &Path, content: &[u8], durable: bool) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = Path::new(&unfinished);
    let mut file = create(unfinished)?;
    file.write_all(content)?;
    if durable {
        file.sync_all()?;
    }
    drop(file);
    fs_err::rename(unfinished, path)?;
    if durable && let Some(directory) = path.parent() {
        fs_err::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// The token as a file name; one with unusual characters is replaced by its digest.
pub fn name_of(token: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !token.is_empty() && token.len() <= 100 && token.chars().all(plain) {
        token.to_owned()
    } else {
        blake3::hash(token.as_bytes()).to_hex().to_string()
    }
}
