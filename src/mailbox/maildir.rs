//! A Maildir, read in pieces and left as it is.
//!
//! A message is known by its file name without the flags behind the colon: it stays the same when a mail program takes
//! the message from `new` to `cur` or marks it. `tmp` is not looked into, since what lies there is not delivered yet.

use super::{MOST_OCTETS, MailboxError, Message};
use std::fs::ReadDir;
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 2] = ["new", "cur"];

/// A message that was not opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub mark: String,
    path: PathBuf,
}

/// A walk through a Maildir; however many messages there are, only a piece of their names is held.
#[derive(Debug)]
pub struct Walk {
    folder: PathBuf,
    left: Vec<&'static str>,
    open: Option<(PathBuf, ReadDir)>,
}

impl Walk {
    /// Begins one. Everything that would keep it from its end is found here, where it can be.
    pub fn begin(folder: &Path) -> Result<Walk, MailboxError> {
        std::fs::metadata(folder).map_err(|error| fault(folder, error))?;
        for name in FOLDERS {
            let path = folder.join(name);
            match std::fs::read_dir(&path) {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(MailboxError::NoMaildir { path: folder.to_path_buf(), folder: name });
                }
                Err(error) => return Err(fault(&path, error)),
            }
        }
        let left = FOLDERS.into_iter().rev().collect();
        Ok(Walk { folder: folder.to_path_buf(), left, open: None })
    }

    /// Up to `most` messages more; none at the end.
    pub fn next(&mut self, most: usize) -> Result<Vec<Entry>, MailboxError> {
        let mut found = Vec::new();
        while found.len() < most {
            let Some((path, open)) = &mut self.open else {
                let Some(name) = self.left.pop() else { break };
                let path = self.folder.join(name);
                let open = std::fs::read_dir(&path).map_err(|error| fault(&path, error))?;
                self.open = Some((path, open));
                continue;
            };
            match open.next() {
                Some(Ok(entry)) => {
                    found.extend(mark_of(&entry.file_name()).map(|mark| Entry { mark, path: entry.path() }))
                }
                Some(Err(error)) => return Err(fault(path, error)),
                None => self.open = None,
            }
        }
        Ok(found)
    }
}

/// How many messages there are.
pub fn count(folder: &Path) -> Result<usize, MailboxError> {
    let mut walk = Walk::begin(folder)?;
    let mut all = 0;
    loop {
        match walk.next(10_000)?.len() {
            0 => return Ok(all),
            some => all += some,
        }
    }
}

/// Opens a message. `None`: it is gone, or moved on meanwhile, and will be met again; or it is no message at all.
pub fn read(entry: Entry) -> Result<Option<Message>, MailboxError> {
    let Entry { mark, path } = entry;
    let is_file = match std::fs::symlink_metadata(&path) {
        // Neither a pipe that would never end nor a link that leads elsewhere.
        Ok(about) => about.is_file(),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(fault(&path, error)),
    };
    if !is_file {
        return Ok(None);
    }
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(&path, error)),
    };
    let mut raw = Vec::new();
    let read = file.take(MOST_OCTETS as u64).read_to_end(&mut raw);
    read.map_err(|error| fault(&path, error)).map(|_| Some(Message { mark, raw }))
}

/// A digest of the name's lasting part: names may hold anything.
fn mark_of(name: &std::ffi::OsStr) -> Option<String> {
    let name = name.as_bytes();
    let lasting = name.split(|b| *b == b':').next().filter(|part| !part.is_empty() && !part.starts_with(b"."))?;
    Some(const_hex::encode(&blake3::hash(lasting).as_bytes()[..16]))
}

fn fault(path: &Path, source: std::io::Error) -> MailboxError {
    let path = path.to_path_buf();
    if source.kind() == ErrorKind::NotFound {
        MailboxError::Gone { path }
    } else if source.kind() == ErrorKind::PermissionDenied {
        MailboxError::Forbidden { path }
    } else {
        MailboxError::Unreadable { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maildir() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["new", "cur", "tmp"] {
            fs_err::create_dir(folder.path().join(name)).unwrap();
        }
        folder
    }

    fn all(folder: &Path, piece: usize) -> Vec<Message> {
        let mut walk = Walk::begin(folder).unwrap();
        let mut found = Vec::new();
        loop {
            let entries = walk.next(piece).unwrap();
            if entries.is_empty() {
                found.sort_by(|a: &Message, b| a.raw.cmp(&b.raw));
                return found;
            }
            found.extend(entries.into_iter().filter_map(|entry| read(entry).unwrap()));
        }
    }

    #[test]
    fn messages_keep_their_mark_when_they_are_moved_and_flagged() {
        let folder = maildir();
        let put = |name: &str, text: &str| fs_err::write(folder.path().join(name), text).unwrap();
        put("new/1700.M1.host", "one");
        put("cur/1701.M2.host:2,S", "two");
        put("tmp/1702.M3.host", "not there yet");
        put("cur/.hidden", "none");
        fs_err::create_dir(folder.path().join("cur/folder")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("new/link")).unwrap();
        let before = all(folder.path(), 1);
        assert_eq!(before.iter().map(|m| m.raw.as_slice()).collect::<Vec<_>>(), [b"one", b"two"]);
        fs_err::rename(folder.path().join("new/1700.M1.host"), folder.path().join("cur/1700.M1.host:2,RS")).unwrap();
        assert_eq!(all(folder.path(), 100), before);
        assert_eq!(before[0].mark.len(), 32);
        assert!(before[0].mark != before[1].mark);
    }

    #[test]
    fn of_a_large_message_the_beginning_is_read() {
        let folder = maildir();
        fs_err::write(folder.path().join("new/large"), vec![b'x'; MOST_OCTETS + 5]).unwrap();
        assert_eq!(all(folder.path(), 10)[0].raw.len(), MOST_OCTETS);
        assert_eq!(count(folder.path()).unwrap(), 1);
    }

    #[test]
    fn what_is_no_maildir_is_said() {
        let folder = maildir();
        let code = |path: &Path| Walk::begin(path).unwrap_err().code();
        assert_eq!(code(&folder.path().join("none")), "mailbox-gone");
        assert_eq!(code(&folder.path().join("cur")), "no-maildir");
        let file = folder.path().join("cur/file");
        fs_err::write(&file, "x").unwrap();
        assert_eq!(code(&file), "no-maildir");
    }
}
