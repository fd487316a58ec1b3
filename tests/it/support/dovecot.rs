//! A private Dovecot: a Maildir of somebody else's, seen through IMAP.

use super::{Server, free_port, is_root, missing, program, wait_until};
use forewarn::mailbox::{Account, Tls};
use secrecy::SecretString;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) const USERNAME: &str = "bounces@example.com";
pub(crate) const PASSWORD: &str = "it's a \"pass\\word\"";

pub(crate) struct Dovecot {
    /// Where it speaks in clear, or after STARTTLS.
    pub(crate) port: u16,
    /// Where it speaks TLS from the start.
    pub(crate) tls_port: u16,
    _server: Server,
    dir: tempfile::TempDir,
}

impl Dovecot {
    /// Serves this Maildir, whose files are that user's.
    pub(crate) fn start(maildir: &Path, user: &str) -> Option<Dovecot> {
        let Some(dovecot) = program("dovecot") else {
            missing("Dovecot is not installed: on Debian `apt-get install dovecot-imapd` (no daemon need run)");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs_err::write(dir.path().join("cert.pem"), certified.cert.pem()).unwrap();
        fs_err::write(dir.path().join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
        fs_err::write(dir.path().join("users"), format!("{USERNAME}:{{PLAIN}}{PASSWORD}\n")).unwrap();
        fs_err::create_dir(dir.path().join("run")).unwrap();
        // Its processes change to users of their own.
        let open = Command::new("chmod").arg("755").arg(dir.path()).status().expect("chmod is everywhere");
        assert!(open.success());
        let (port, tls_port) = (free_port(), free_port());
        let config = dir.path().join("dovecot.conf");
        fs_err::write(&config, configuration(dir.path(), maildir, user, port, tls_port)).unwrap();
        let mut command = Command::new(dovecot);
        command.arg("-F").arg("-c").arg(&config).current_dir(dir.path());
        let log = dir.path().join("out");
        let mut server = Server::start(&mut command, &log);
        let listens = wait_until(|| {
            server.must_live("dovecot", &log);
            [port, tls_port].iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
        });
        assert!(listens, "Dovecot did not listen on {port}");
        Some(Dovecot { port, tls_port, _server: server, dir })
    }

    /// The certificate that it shows.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// The account, reached in one way or another.
    pub(crate) fn account(&self, tls: Tls) -> Account {
        Account {
            host: "localhost".to_owned(),
            port: if tls == Tls::Implicit { self.tls_port } else { self.port },
            tls,
            username: USERNAME.to_owned(),
            password: SecretString::from(PASSWORD),
            folder: "INBOX".to_owned(),
            ca_file: Some(self.ca_file()),
            patience: Duration::from_secs(20),
        }
    }
}

fn configuration(dir: &Path, maildir: &Path, user: &str, port: u16, tls_port: u16) -> String {
    let (dir, maildir) = (dir.display(), maildir.display());
    let (internal, login) = if is_root() { ("dovecot", "dovenull") } else { (user, user) };
    format!(
        r#"base_dir = {dir}/run
state_dir = {dir}/run
log_path = {dir}/log
protocols = imap
listen = 127.0.0.1, ::1
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = no
auth_failure_delay = 0
default_internal_user = {internal}
default_internal_group = {internal}
default_login_user = {login}
mail_location = maildir:{maildir}
first_valid_uid = 1
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {dir}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={user} home={maildir}
}}
"#
    )
}
