//! Secrets by reference: `env:NAME` or `file:PATH` in the configuration, resolved when they are needed.
//!
//! A resolved secret is a `SecretString` and prints as nothing. Errors name the reference, never what it holds.

use secrecy::SecretString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A secret larger than this is a mistake: somebody named the wrong file.
const LARGEST: u64 = 64 * 1024;

/// The folder where systemd places what a unit's LoadCredential= names.
#[cfg(unix)]
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    Env(String),
    /// Absolute, or resolved against the folder of the config file.
    File(PathBuf),
}

/// What to do about a file that others on the machine may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadableByOthers {
    /// For the master key: everything else hangs on it.
    Refuse,
    /// For passwords of providers, which a deployment may place with wider rights.
    Warn,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the environment variable {name} is not set; set it, or write `file:PATH` instead")]
    NotSet { name: String },
    #[error("the environment variable {name} is empty; give it the secret")]
    EmptyVariable { name: String },
    #[error("the environment variable {name} does not hold text")]
    NotTextVariable { name: String },
    #[error("there is no file {}; create it, or correct the path", path.display())]
    NoFile { path: PathBuf },
    #[error("cannot read {}: {source}; give the user that runs forewarn the right to read it", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} may be read by others (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("{} is empty; put the secret into it", path.display())]
    EmptyFile { path: PathBuf },
    #[error("{} is larger than 64 KiB, so it is hardly the secret; correct the path", path.display())]
    TooLarge { path: PathBuf },
    #[error("{} does not hold text", path.display())]
    NotTextFile { path: PathBuf },
}

impl SecretRef {
    /// The reference that `text` is, or `None` when it is a plain value. Relative paths are below `folder`.
    pub fn parse(text: &str, folder: &Path) -> Option<SecretRef> {
        match text.split_once(':') {
            Some(("env", name)) => Some(SecretRef::Env(name.to_owned())),
            Some(("file", path)) => Some(SecretRef::File(folder.join(path))),
            Some(_) | None => None,
        }
    }

    /// The secret, without the line end that editors leave behind it.
    pub fn resolve(&self, others: ReadableByOthers) -> Result<SecretString, SecretError> {
        match self {
            SecretRef::Env(name) => from_variable(name),
            SecretRef::File(path) => from_file(path, others),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "env:{name}"),
            SecretRef::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

fn from_variable(name: &str) -> Result<SecretString, SecretError> {
    let name_owned = || name.to_owned();
    let value = std::env::var_os(name).ok_or_else(|| SecretError::NotSet { name: name_owned() })?;
    let value = value.into_string().map_err(|_| SecretError::NotTextVariable { name: name_owned() })?;
    let value = Zeroizing::new(value);
    match value.trim_end_matches(['\r', '\n']) {
        "" => Err(SecretError::EmptyVariable { name: name_owned() }),
        secret => Ok(SecretString::from(secret)),
    }
}

fn from_file(path: &Path, others: ReadableByOthers) -> Result<SecretString, SecretError> {
    let unreadable = |source: std::io::Error| {
        let path = path.to_path_buf();
        if source.kind() == std::io::ErrorKind::NotFound {
            SecretError::NoFile { path }
        } else {
            SecretError::Unreadable { path, source }
        }
    };
    let file = fs_err::File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    check_mode(path, &about, others)?;
    if about.len() > LARGEST {
        return Err(SecretError::TooLarge { path: path.to_path_buf() });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(SecretError::TooLarge { path: path.to_path_buf() });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotTextFile { path: path.to_path_buf() })?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(SecretError::EmptyFile { path: path.to_path_buf() }),
        secret => Ok(SecretString::from(secret)),
    }
}

/// Whether the service manager placed the file for this process alone. It lets the service's user in by an access list,
/// which shows as a right of the group to read; nobody else gets into the folder.
#[cfg(unix)]
fn is_credential(path: &Path, mode: u32, credentials: Option<&Path>) -> bool {
    mode & 0o037 == 0 && credentials.is_some_and(|folder| folder.is_absolute() && path.parent() == Some(folder))
}

#[cfg(unix)]
fn check_mode(path: &Path, about: &std::fs::Metadata, others: ReadableByOthers) -> Result<(), SecretError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = about.permissions().mode() & 0o777;
    let credentials = std::env::var_os(CREDENTIALS).map(PathBuf::from);
    if mode & 0o077 == 0 || is_credential(path, mode, credentials.as_deref()) {
        return Ok(());
    }
    match others {
        ReadableByOthers::Refuse => Err(SecretError::TooOpen { path: path.to_path_buf(), mode }),
        ReadableByOthers::Warn => {
            tracing::warn!(file = %path.display(), mode = format!("{mode:03o}"), "secret file may be read by others");
            Ok(())
        }
    }
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _about: &std::fs::Metadata, _others: ReadableByOthers) -> Result<(), SecretError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn references_are_told_from_plain_values() {
        let folder = Path::new("conf");
        assert_eq!(SecretRef::parse("env:A", folder), Some(SecretRef::Env("A".to_owned())));
        assert_eq!(SecretRef::parse("file:k", folder), Some(SecretRef::File(folder.join("k"))));
        assert_eq!(SecretRef::parse("file:/k", folder), Some(SecretRef::File(PathBuf::from("/k"))));
        for plain in ["", "plain", "http://env:80", "environment:x", "ENV:A"] {
            assert_eq!(SecretRef::parse(plain, folder), None, "{plain}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn each_thing_wrong_with_a_file_has_its_own_message() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("folder");
        let check = |name: &str, content: &[u8], mode: u32| {
            let path = dir.path().join(name);
            fs_err::write(&path, content).expect("write");
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
            SecretRef::File(path).resolve(ReadableByOthers::Refuse).map(|s| s.expose_secret().to_owned())
        };
        assert_eq!(check("good", b" s3cret \r\n", 0o600).expect("good"), " s3cret ");
        assert!(matches!(check("empty", b"\n", 0o600), Err(SecretError::EmptyFile { .. })));
        assert!(matches!(check("open", b"s", 0o640), Err(SecretError::TooOpen { mode: 0o640, .. })));
        assert!(matches!(check("binary", b"\xff\xfe", 0o600), Err(SecretError::NotTextFile { .. })));
        assert!(matches!(check("large", &[b'x'; 70_000], 0o600), Err(SecretError::TooLarge { .. })));
        let absent = SecretRef::File(dir.path().join("absent")).resolve(ReadableByOthers::Warn);
        assert!(matches!(absent, Err(SecretError::NoFile { .. })));
        let folder = SecretRef::File(dir.path().to_path_buf()).resolve(ReadableByOthers::Warn);
        assert!(matches!(folder, Err(SecretError::Unreadable { .. })));
        let open = SecretRef::File(dir.path().join("open")).resolve(ReadableByOthers::Warn);
        assert_eq!(open.expect("warned only").expose_secret(), "s");
    }

    #[cfg(unix)]
    #[test]
    fn what_the_service_manager_placed_may_show_a_right_of_the_group_to_read() {
        let folder = Some(Path::new("/run/credentials/a.service"));
        for (path, mode, folder, fine) in [
            ("/run/credentials/a.service/key", 0o440, folder, true),
            ("/run/credentials/a.service/key", 0o444, folder, false),
            ("/run/credentials/a.service/key", 0o460, folder, false),
            ("/run/credentials/a.service/../key", 0o440, folder, false),
            ("/etc/forewarn/key", 0o440, folder, false),
            ("/run/credentials/a.service/key", 0o440, None, false),
            ("key", 0o440, Some(Path::new("")), false),
        ] {
            assert_eq!(is_credential(Path::new(path), mode, folder), fine, "{path} {mode:o}");
        }
    }

    #[test]
    fn variables_are_read_and_missing_ones_named() {
        let path = SecretRef::Env("PATH".to_owned()).resolve(ReadableByOthers::Refuse).expect("every test has a PATH");
        assert!(!path.expose_secret().is_empty());
        for name in ["FOREWARN_NO_SUCH_VARIABLE", "", "A=B"] {
            let error = SecretRef::Env(name.to_owned()).resolve(ReadableByOthers::Refuse);
            assert!(matches!(error, Err(SecretError::NotSet { .. })), "{name}");
        }
    }
}
