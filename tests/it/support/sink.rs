//! Postfix's `smtp-sink`: a real server that pipelines, takes everything, and fails where it is told to.

use super::{Server, free_port, is_root, missing, program, wait_until};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    // Before the folder: it writes there until it is stopped.
    _server: Server,
    dir: tempfile::TempDir,
}

/// The beginning of the line that `smtp-sink` writes above each message for whom it came.
pub(crate) const RECIPIENT: &str = "X-Rcpt-Args: ";

impl Sink {
    /// A sink that keeps every message it is sent, also those it then refuses. `options` as in its manual page.
    pub(crate) fn start(options: &[&str]) -> Option<Sink> {
        Sink::launch(options, true)
    }

    /// A sink that only counts, for many messages.
    pub(crate) fn counting(options: &[&str]) -> Option<Sink> {
        Sink::launch(options, false)
    }

    fn launch(options: &[&str], keeps: bool) -> Option<Sink> {
        let Some(program) = program("smtp-sink") else {
            missing("smtp-sink is not installed: on Debian `apt-get install postfix` (its daemon need not run)");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        if is_root() {
            // It refuses to serve as root, and the user it becomes must be able to write.
            use std::os::unix::fs::PermissionsExt;
            fs_err::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
            command.args(["-u", "nobody"]);
        }
        if keeps {
            command.arg("-D").arg(dir.path().join("kept"));
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        command.arg("-c").args(options).arg(address.to_string()).arg("256");
        let log = dir.path().join("counts");
        let mut sink = Sink { address, _server: Server::start(&mut command, &log), dir };
        let listens = wait_until(|| {
            sink._server.must_live("smtp-sink", &log);
            TcpStream::connect(address).is_ok()
        });
        assert!(listens, "smtp-sink did not listen on {address}");
        Some(sink)
    }

    /// How many messages came in whole, to their final dot. Those refused at the dot count too.
    pub(crate) fn messages(&self) -> usize {
        let counts = fs_err::read_to_string(self.dir.path().join("counts")).unwrap();
        // The last line may be half written.
        let Some((whole, _)) = counts.rsplit_once('\r') else { return 0 };
        let last = whole.rsplit(['\r', '\n']).next().and_then(|line| line.rsplit_once("mesg="));
        last.map_or(0, |(_, count)| count.trim().parse().expect("smtp-sink counts in digits"))
    }

    /// What stands behind `beginning` on the lines of the kept messages, each with how often it came.
    pub(crate) fn kept(&self, beginning: &str) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        // No file before the first message.
        let kept: PathBuf = self.dir.path().join("kept");
        let text = if kept.exists() { fs_err::read(kept).unwrap() } else { Vec::new() };
        for value in String::from_utf8_lossy(&text).lines().filter_map(|line| line.strip_prefix(beginning)) {
            *found.entry(value.trim().to_owned()).or_default() += 1;
        }
        found
    }
}
