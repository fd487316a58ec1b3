//! A private exim: takes what it is given, fails some of it afterwards, and sends real bounces to where they belong.
//!
//! What becomes of a message is in the name of its recipient: `gone…` has no mailbox, `full…` a full one, `moved…` is
//! forwarded to one that is gone, `later…` waits in the queue (its sender is warned), and all others are delivered.

use super::{Server, free_port, is_root, missing, program, wait_until};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user that Debian's exim insists on.
const USER: &str = "Debian-exim";
/// Where notices come from, and so where bounces go.
pub(crate) const DOMAIN: &str = "notices.example.com";

/// What exim does with mail for [`DOMAIN`].
pub(crate) enum Returns {
    /// It is appended to [`Exim::maildir`].
    Maildir,
    /// It is delivered over LMTP to this port of the loopback.
    Lmtp(u16),
}

pub(crate) struct Exim {
    pub(crate) port: u16,
    _server: Server,
    dir: tempfile::TempDir,
}

impl Exim {
    pub(crate) fn start(returns: &Returns) -> Option<Exim> {
        let Some(exim) = program("exim4") else {
            missing(
                "exim is not installed: `.ci/run` unpacks Debian's exim4-daemon-light into a folder of its own, since it \
                 cannot be installed beside Postfix",
            );
            return None;
        };
        let user = user();
        let port = free_port();
        let dir = tempfile::tempdir().unwrap();
        for folder in ["spool", "log", "box", "box/new", "box/cur", "box/tmp"] {
            fs_err::create_dir(dir.path().join(folder)).unwrap();
        }
        let config = dir.path().join("exim.conf");
        fs_err::write(&config, configuration(&exim, &user, port, dir.path(), returns)).unwrap();
        let mut command = if is_root() {
            let given =
                Command::new("chown").args(["-R", &user]).arg(dir.path()).status().expect("chown is everywhere");
            assert!(given.success(), "there is no user {USER}: `.ci/run` makes it");
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &user, "--regid", &user, "--init-groups"]).arg(&exim);
            command
        } else {
            Command::new(&exim)
        };
        // In the foreground, with a look into the queue every second.
        command.arg("-C").arg(&config).args(["-bdf", "-q1s"]).current_dir(dir.path());
        let log = dir.path().join("out");
        let mut server = Server::start(&mut command, &log);
        let listens = wait_until(|| {
            server.must_live("exim", &log);
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        assert!(listens, "exim did not listen on {port}");
        Some(Exim { port, _server: server, dir })
    }

    /// Where bounces come to.
    pub(crate) fn maildir(&self) -> PathBuf {
        self.dir.path().join("box")
    }

    /// The messages that came back so far.
    pub(crate) fn returned(&self) -> usize {
        ["new", "cur"].iter().map(|f| fs_err::read_dir(self.maildir().join(f)).map_or(0, Iterator::count)).sum()
    }

    /// What it did, line by line.
    pub(crate) fn log(&self) -> String {
        fs_err::read_to_string(self.dir.path().join("log/mainlog")).unwrap_or_default()
    }
}

/// Whose the files of the server are: as root that user's, else ours.
pub(crate) fn user() -> String {
    if is_root() {
        return USER.to_owned();
    }
    let name = Command::new("id").arg("-un").output().expect("id is everywhere").stdout;
    String::from_utf8_lossy(&name).trim().to_owned()
}

fn configuration(exim: &Path, user: &str, port: u16, dir: &Path, returns: &Returns) -> String {
    let (exim, dir) = (exim.display(), dir.display());
    let returns = match returns {
        Returns::Maildir => format!(
            "driver = appendfile\n directory = {dir}/box\n maildir_format\n envelope_to_add\n return_path_add\n user = {user}"
        ),
        Returns::Lmtp(port) => format!(
            "driver = smtp\n protocol = lmtp\n hosts = 127.0.0.1\n port = {port}\n allow_localhost\n rcpt_include_affixes"
        ),
    };
    format!(
        r#"exim_path = {exim}
exim_user = {user}
exim_group = {user}
spool_directory = {dir}/spool
log_file_path = {dir}/log/%slog
pid_file_path = {dir}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
primary_hostname = mx.test
deliver_drop_privilege = true
acl_smtp_rcpt = accept
acl_smtp_data = accept
tls_advertise_hosts =
host_lookup =
keep_environment =
delay_warning = 1s
delay_warning_condition = true

begin routers
returns:
 driver = accept
 domains = {DOMAIN}
 local_parts = bounces
 local_part_suffix = +*
 local_part_suffix_optional
 transport = returns
moved:
 driver = redirect
 local_parts = ^moved
 data = gone-$local_part@elsewhere.test
gone:
 driver = redirect
 local_parts = ^gone
 allow_fail
 data = :fail: 550 5.1.1 no such user here
full:
 driver = redirect
 local_parts = ^full
 allow_fail
 data = :fail: 552 5.2.2 the mailbox is full
later:
 driver = redirect
 local_parts = ^later
 allow_defer
 data = :defer: the mailbox is locked
good:
 driver = accept
 transport = good

begin transports
returns:
 {returns}
good:
 driver = appendfile
 file = {dir}/good
 user = {user}

begin retry
* * F,10m,2s
"#
    )
}
