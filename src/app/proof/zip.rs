//! A bundle as a zip: the same files give the same octets.

use crate::evidence::bundle::Files;
use std::io::{Seek, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Writes the files in the order of their paths, with one time for all.
pub fn write(files: &Files, out: impl Write + Seek) -> std::io::Result<()> {
    let mut zip = ZipWriter::new(out);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    for (path, octets) in files {
        zip.start_file(path.as_str(), options).map_err(std::io::Error::other)?;
        zip.write_all(octets)?;
    }
    zip.finish().map_err(std::io::Error::other)?.flush()
}
