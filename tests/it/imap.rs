//! A folder at a real mail server: read in every way it is reached, left as it is found; and servers that are none.

use crate::support::dovecot::{Dovecot, PASSWORD, USERNAME};
use crate::support::exim::user;
use forewarn::mailbox::imap::Folder;
use forewarn::mailbox::{Account, MOST_OCTETS, Tls};
use secrecy::SecretString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A Maildir with these messages, whose files are the server's user's.
fn maildir(messages: &[Vec<u8>]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["new", "cur", "tmp"] {
        fs_err::create_dir(folder.path().join(name)).expect("made");
    }
    for (n, message) in messages.iter().enumerate() {
        fs_err::write(folder.path().join(format!("new/17000000{n:02}.M{n}P1.host")), message).expect("written");
    }
    if user() == "Debian-exim" {
        let given =
            Command::new("chown").arg("-R").arg(user()).arg(folder.path()).status().expect("chown is everywhere");
        assert!(given.success(), "`.ci/run` makes the user");
    }
    folder
}

/// The names of the messages there.
fn names(folder: &Path) -> Vec<String> {
    let of = |name: &str| fs_err::read_dir(folder.join(name)).expect("a folder");
    let names = ["new", "cur"].into_iter().flat_map(of);
    names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

async fn refusal(account: &Account) -> (&'static str, String) {
    match Folder::open(account).await {
        Ok(_) => panic!("opened"),
        Err(error) => (error.code(), error.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_read_and_no_message_is_taken_as_read() {
    let large = [b"Subject: large\r\n\r\n".to_vec(), b"x\r\n".repeat(MOST_OCTETS)].concat();
    let messages: Vec<Vec<u8>> = (0..40).map(|n| format!("Subject: {n}\r\n\r\nhello\r\n").into_bytes()).collect();
    let folder = maildir(&[messages, vec![large]].concat());
    let Some(server) = Dovecot::start(folder.path(), &user()) else { return };
    let mut marks = Vec::new();
    for tls in [Tls::None, Tls::StartTls, Tls::Implicit] {
        let mut opened = Folder::open(&server.account(tls)).await.unwrap_or_else(|error| panic!("{tls:?}: {error}"));
        assert_eq!(opened.messages, 41);
        let uids = opened.above(0).await.expect("numbers");
        assert_eq!(uids.len(), 41);
        assert!(uids.is_sorted());
        assert_eq!(opened.above(uids[39]).await.expect("numbers"), [uids[40]]);
        assert_eq!(opened.above(uids[40]).await.expect("numbers"), [0u32; 0]);
        let read = opened.read(&uids[35..]).await.expect("messages");
        assert_eq!(read.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), uids[35..]);
        assert!(read[0].1.raw.starts_with(b"Subject: 35\r\n"));
        assert_eq!(read[5].1.raw.len(), MOST_OCTETS);
        // One that is not there is no fault.
        assert_eq!(opened.read(&[uids[0], uids[40] + 7]).await.expect("messages").len(), 1);
        marks.push(read.into_iter().map(|(_, message)| message.mark).collect::<Vec<_>>());
        opened.set_keyword(&uids[..3]).await.expect("a keyword");
        opened.close().await;
    }
    assert!(marks[0] == marks[1] && marks[1] == marks[2]);
    let names = names(folder.path());
    let flags = |name: &str| name.split_once(":2,").map_or(String::new(), |(_, flags)| flags.to_owned());
    assert!(names.iter().all(|name| !flags(name).contains('S')), "somebody took a message as read: {names:?}");
    assert_eq!(names.iter().filter(|name| flags(name) == "a").count(), 3, "our keyword: {names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_an_account_is_said_with_what_to_do() {
    let folder = maildir(&[]);
    let Some(server) = Dovecot::start(folder.path(), &user()) else { return };
    let right = server.account(Tls::Implicit);
    type Wrong = (fn(&mut Account), &'static str, &'static str);
    let wrong: [Wrong; 5] = [
        (|a| a.password = SecretString::from("another"), "login-refused", "correct `username` and `password`"),
        (|a| a.folder = "Nowhere".to_owned(), "no-folder", "there is no folder `Nowhere`"),
        (|a| a.ca_file = None, "no-tls", "name its authority's certificate"),
        (|a| a.port = 9, "mailbox-unreachable", "port 9, cannot be reached"),
        (|a| a.host = "localhost.invalid".to_owned(), "mailbox-unreachable", "correct `host` and `port`"),
    ];
    for (change, code, words) in wrong {
        let mut account = right.clone();
        change(&mut account);
        let (found, message) = refusal(&account).await;
        assert_eq!(found, code, "{message}");
        assert!(message.contains(words), "{message}");
        assert!(
            !message.contains("another") && !message.contains(PASSWORD) && !message.contains(USERNAME),
            "{message}"
        );
    }
}

/// A server that says this to everybody, again and again while it is listened to.
async fn talker(says: &'static [u8], again: bool) -> Account {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while stream.write_all(says).await.is_ok() && again {}
                // Silent from now on.
                let mut rest = Vec::new();
                drop(stream.read_to_end(&mut rest).await);
            });
        }
    });
    Account {
        host: "127.0.0.1".to_owned(),
        port,
        tls: Tls::None,
        username: USERNAME.to_owned(),
        password: SecretString::from(PASSWORD),
        folder: "INBOX".to_owned(),
        ca_file: None,
        patience: Duration::from_secs(1),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_none_is_left_after_a_while() {
    for (says, again, codes) in [
        (&b""[..], false, &["mailbox-silent"][..]),
        (b"* OK hello\r\n", false, &["mailbox-silent"]),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", false, &["no-imap"]),
        // Whichever comes first: the end of the time or of the room.
        (b"* OK hello, Jane Doe <jane@example.org>\r\n", true, &["too-much", "mailbox-silent"]),
        (b"* OK [", true, &["too-much", "mailbox-silent", "no-imap"]),
    ] {
        let account = talker(says, again).await;
        let (code, message) = refusal(&account).await;
        assert!(codes.contains(&code), "{says:?}: {message}");
        assert!(!message.contains("jane"), "{message}");
    }
}
