//! Real servers for tests, and receivers that remember when what came.
//!
//! A server that is not installed is said aloud, with how to get it, and is a failure where `FOREWARN_REQUIRE_PEERS` is
//! set: a test never passes by skipping in CI. Everything here is blocking and needs no runtime, so that tests that run
//! the binary can use it too. What was started is stopped on drop.

pub(crate) mod authority;
pub(crate) mod caller;
pub(crate) mod dovecot;
pub(crate) mod exim;
pub(crate) mod kannel;
pub(crate) mod moto;
pub(crate) mod place;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod servers;
pub(crate) mod sink;
pub(crate) mod verifiers;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take to start or to take in what is on its way; only a broken one takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server of ours, stopped when it goes out of scope.
struct Server(Child);

impl Server {
    /// Starts it with its output in `log`.
    fn start(command: &mut Command, log: &Path) -> Server {
        let log = fs_err::File::create(log).expect("a log file").into_parts().0;
        let both = log.try_clone().expect("a log file");
        Server(command.stdin(Stdio::null()).stdout(log).stderr(both).spawn().expect("an installed program starts"))
    }

    /// The test ends here when the server died by itself.
    fn must_live(&mut self, name: &str, log: &Path) {
        if let Some(status) = self.0.try_wait().expect("our own child") {
            panic!("{name} ended by itself ({status}): {}", fs_err::read_to_string(log).unwrap_or_default());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("a server of ours was ours to end");
    }
}

/// A program on the path or in one of the folders where Debian puts servers.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = ["/usr/sbin", "/usr/lib/kannel/test"].map(PathBuf::from);
    std::env::split_paths(&path).chain(debian).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Says that a test checks nothing for want of a server; fails it where servers are required.
pub(crate) fn missing(how: &str) {
    assert!(std::env::var_os("FOREWARN_REQUIRE_PEERS").is_none_or(|value| value == "0"), "{how}");
    // Past the test harness, which shows what a passing test prints to nobody. A closed stderr must not fail the test.
    drop(writeln!(std::io::stderr(), "NOT CHECKED: {how}"));
}

/// Whether this process is root, which some servers refuse to serve as.
fn is_root() -> bool {
    let user = Command::new("id").arg("-u").output().expect("id is everywhere").stdout;
    user.trim_ascii() == b"0"
}

/// A port that nobody listens on. Taken from below those that the system gives to outgoing connections, and never twice,
/// so that it is still free when the server binds it.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..1000 {
        // Another test process begins elsewhere.
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % 1000;
        let begin = u16::try_from(std::process::id() % 11).expect("small") * 1000;
        let port = 20_000 + begin + step;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free from 20000 to 31999");
}

/// Asks again until the answer is yes; false when patience ended first.
pub(crate) fn wait_until(mut ready: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !ready() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
pub(crate) mod app;
