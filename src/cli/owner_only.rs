//! Files that a command is told to write and that hold personal data: for their owner's eyes only.

use super::Failure;
use crate::providers::private_file;
use std::io::Write;
use std::path::Path;

/// Makes or empties a file that only its owner may read, also where it was there before with other rights.
pub(super) fn create(path: &Path) -> Result<fs_err::File, Failure> {
    let file = private_file::create(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Not of a pipe or a terminal, which the path may name.
        if file.metadata()?.is_file() {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(file)
}

/// Writes a whole file.
pub(super) fn write(path: &Path, content: &str) -> Result<(), Failure> {
    Ok(create(path)?.write_all(content.as_bytes())?)
}
