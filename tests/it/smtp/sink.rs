//! Against Postfix's `smtp-sink`, a real server that pipelines.

#![allow(clippy::print_stderr, reason = "a test that cannot run must say so")]

use super::{adapter, notice, settings};
use forewarn::model::outcome::Class;
use forewarn::providers::Gate;
use forewarn::providers::smtp::Smtp;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

struct Sink {
    child: Child,
    address: SocketAddr,
    dumped: tempfile::TempDir,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("smtp-sink was ours to end");
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    dirs.map(|dir| dir.join("smtp-sink")).find(|file| file.exists())
}

/// Starts a sink, or says why there is none and whether that is a failure.
async fn start(options: &[&str]) -> Option<Sink> {
    let Some(program) = program() else {
        let how = "smtp-sink is not installed: on Debian `apt-get install postfix` (its daemon need not run)";
        assert!(std::env::var_os("FOREWARN_REQUIRE_PEERS").is_none(), "{how}");
        eprintln!("skipped: {how}");
        return None;
    };
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dumped = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    let user = Command::new("id").arg("-u").output().unwrap().stdout;
    if user.trim_ascii() == b"0" {
        // It refuses to serve as root, and the user it becomes must be able to write.
        use std::os::unix::fs::PermissionsExt;
        fs_err::set_permissions(dumped.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        command.args(["-u", "nobody"]);
    }
    let template = dumped.path().join("m");
    command.args(options).arg("-D").arg(&template).arg(address.to_string()).arg("128");
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let sink = Sink { child, address, dumped };
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Some(sink);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("smtp-sink did not listen on {address}");
}

impl Sink {
    /// The marks found in what the sink wrote down, and how often one was there twice.
    fn marks(&self) -> (BTreeSet<usize>, usize) {
        let (mut marks, mut twice) = (BTreeSet::new(), 0);
        for entry in fs_err::read_dir(self.dumped.path()).unwrap() {
            let text = fs_err::read_to_string(entry.unwrap().path()).unwrap();
            for mark in text.lines().filter_map(|line| line.strip_prefix("X-Mark: ")) {
                twice += usize::from(!marks.insert(mark.trim().parse().unwrap()));
            }
        }
        (marks, twice)
    }
}

async fn send_all(smtp: &Arc<Smtp>, marks: std::ops::Range<usize>) -> Vec<(usize, Class)> {
    let sends: Vec<_> = marks
        .map(|mark| {
            let smtp = Arc::clone(smtp);
            let mime = format!("X-Mark: {mark}\r\nSubject: x\r\n\r\n.dot\r\nbody\r\n");
            let out = notice(&format!("p{mark}@example.org"), &mime);
            tokio::spawn(async move { (mark, smtp.send(&out, &Gate::default()).await.class) })
        })
        .collect();
    let mut classes = Vec::new();
    for send in sends {
        classes.push(send.await.unwrap());
    }
    classes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_gets_every_notice_once() {
    let Some(sink) = start(&[]).await else { return };
    let smtp = Arc::new(adapter(&settings(sink.address)));
    let classes = send_all(&smtp, 0..500).await;
    smtp.close().await;
    assert!(classes.iter().all(|(_, class)| *class == Class::Accepted));
    assert_eq!(sink.marks(), ((0..500).collect(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_that_refuses_or_hangs_up_gets_nothing() {
    for (options, class) in [
        (["-r", "RCPT"], Class::Temporary),
        (["-f", "RCPT"], Class::RouteBroken),
        (["-f", "DATA"], Class::RouteBroken),
        (["-q", "DATA"], Class::Temporary),
        (["-Q", "MAIL"], Class::Temporary),
        (["-q", "."], Class::Unknown),
        (["-r", "."], Class::Temporary),
    ] {
        let Some(sink) = start(&options).await else { return };
        let smtp = Arc::new(adapter(&settings(sink.address)));
        let classes = send_all(&smtp, 0..40).await;
        smtp.close().await;
        assert!(classes.iter().all(|(_, got)| *got == class), "{options:?}: {classes:?}");
    }
}
