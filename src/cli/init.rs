//! `forewarn init`: a configuration that works at once (sandbox routes, SQLite) and a fresh master key.
//!
//! Nothing that exists is overwritten: a lost master key is lost data.

use super::{Context, Failure};
use crate::config;
use crate::model::problem::Problem;
use anyhow::Context as _;
use base64::Engine;
use clap::Args;
use rand::TryRng;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const STARTER: &str = include_str!("starter_config.toml");
const KEY_FILE: &str = "master.key";
const KEY_BYTES: usize = 32;

/// Make a configuration and a master key
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Where to put them; made when it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

pub(super) fn run(args: &InitArgs, context: &Context) -> Result<(), Failure> {
    let config = args.dir.join(config::DEFAULT_FILE);
    let key = args.dir.join(KEY_FILE);
    let in_the_way: Vec<Problem> = [&config, &key].into_iter().filter_map(|path| exists_already(path)).collect();
    if !in_the_way.is_empty() {
        return Err(Failure::Refused(in_the_way));
    }
    fs_err::create_dir_all(&args.dir)?;
    write_new(&key, fresh_key()?.as_bytes())?;
    if let Err(failure) = write_new(&config, STARTER.as_bytes()) {
        // Half an installation would be in the way of the next try; nothing uses the new key yet.
        fs_err::remove_file(&key)?;
        return Err(failure);
    }
    context.printer.object(&json!({ "config": config, "master_key": key }))?;
    context.printer.line(format_args!(
        "made {} and {}\nKeep a copy of {KEY_FILE} away from the database: without it nobody can read what is stored.\n\
         The routes of this configuration write into a folder and send nothing; edit it to name your providers.",
        config.display(),
        key.display(),
    ))
}

fn exists_already(path: &Path) -> Option<Problem> {
    // A link that leads nowhere is in the way too.
    fs_err::symlink_metadata(path).ok()?;
    let message = format!("{} exists and is never overwritten; move it away, or name another --dir", path.display());
    Some(Problem::new("already-exists", "", message))
}

fn fresh_key() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
    rand::rngs::SysRng
        .try_fill_bytes(bytes.as_mut_slice())
        .context("the operating system gave no random bytes for the master key")?;
    let mut text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(bytes.as_slice()));
    text.push('\n');
    Ok(text)
}

/// Writes a file that must not exist yet, readable by its owner only, and waits until it is on the disk.
pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if let Err(error) = file.write_all(content).and_then(|()| file.sync_all()) {
        fs_err::remove_file(path)?;
        return Err(error.into());
    }
    Ok(())
}
