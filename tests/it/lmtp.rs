//! Speaking LMTP to a process that serves: who may bring what, and what is answered for each recipient.

use crate::reported::Installation;
use crate::support::wait_until;
use forewarn::model::channel::Channel;
use forewarn::model::notice::NoticeId;
use forewarn::vault::MasterKey;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// A mail server of ours at the other end.
struct Talk(BufReader<UnixStream>);

impl Talk {
    /// Connects and reads the greeting.
    fn to(socket: &Path) -> Talk {
        let mut stream = None;
        assert!(wait_until(|| {
            stream = UnixStream::connect(socket).ok();
            stream.is_some()
        }));
        let stream = stream.expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        let mut talk = Talk(BufReader::new(stream));
        assert_eq!(talk.code(), 220);
        talk
    }

    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("taken");
    }

    /// The code of the next reply; 0 where the connection is closed.
    fn code(&mut self) -> u16 {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).expect("a reply") == 0 {
                return 0;
            }
            if line.as_bytes()[3] != b'-' {
                return line[..3].parse().expect("a code");
            }
        }
    }

    /// The codes of the replies to these commands, all written at once.
    fn ask(&mut self, commands: &[&str]) -> Vec<u16> {
        self.write(&commands.iter().map(|command| format!("{command}\r\n")).collect::<String>());
        commands.iter().map(|_| self.code()).collect()
    }

    /// Sends a message behind DATA; one code a recipient.
    fn message(&mut self, message: &str, recipients: usize) -> Vec<u16> {
        assert_eq!(self.ask(&["DATA"]), [354]);
        self.write(&format!("{message}\r\n.\r\n"));
        (0..recipients).map(|_| self.code()).collect()
    }
}

fn bounce(id: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.test\r\nSubject: Undelivered Mail Returned to Sender\r\nMessage-ID: <{id}@mx.test>\r\nContent-Type: \
         multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx.test\r\n\r\nFinal-Recipient: rfc822; x@example.net\r\nAction: failed\r\nStatus: \
         5.1.1\r\n\r\n--b--\r\n"
    )
}

#[test]
fn each_recipient_has_an_answer_and_only_our_addresses_are_taken() {
    let place = tempfile::tempdir().expect("a folder");
    let socket = place.path().join("lmtp");
    // A process that died has left its socket behind.
    drop(UnixListener::bind(&socket).expect("bound"));
    let routes = format!(
        "[[route]]\nname = \"box\"\nchannel = \"email\"\nprovider = \"sandbox\"\nsettings = {{ dir = \"{}\" }}\n[[route]]\nname \
         = \"relay\"\nchannel = \"email\"\nprovider = \"smtp\"\nweight = 0\nsettings = {{ host = \"127.0.0.1\", port = 9, tls = \
         \"none\", bounce_address = \"bounces@n.example.com\" }}\n[lmtp]\nlisten = \"unix:{}\"\n",
        place.path().join("sandbox").display(),
        socket.display()
    );
    let list = "ref,name,email,locale\nA,Ann,a@example.org,en\nB,Bob,b@example.org,en\nC,Cid,c@example.org,en\n";
    let served = Installation::serving_on("sqlite://forewarn.db", r#"{ channel = "email" }"#, list, &[], &routes);
    served.wait_for("accepted", 3);
    let key = fs_err::read_to_string(served.path("master.key")).expect("a key");
    let (ours, other) =
        (MasterKey::parse(&key).expect("a key"), MasterKey::parse(&MasterKey::generate()).expect("a key"));
    let to = |key: &MasterKey, person| {
        format!("RCPT TO:<bounces+{}@N.example.com>", key.token(1, NoticeId::new(person, 0, Channel::Email)))
    };
    let mut talk = Talk::to(&socket);
    assert_eq!(talk.ask(&["MAIL FROM:<>", "EHLO mx.test", "NOOP", "LHLO mx.test"]), [503, 503, 250, 250]);
    assert_eq!(
        talk.ask(&["DATA", "RCPT TO:<bounces@n.example.com>", "MAIL FROM:x", "BDAT 5 LAST"]),
        [503, 503, 501, 500]
    );
    assert_eq!(talk.ask(&["MAIL FROM:<a@example.net> SIZE=99999999999"]), [552]);
    // In one group, as mail servers do.
    let (first, second, foreign) = (to(&ours, 1), to(&ours, 2), to(&other, 3));
    let open_relay = "RCPT TO:<victim@example.net>";
    let codes = talk.ask(&[
        "MAIL FROM:<> BODY=8BITMIME",
        &first,
        open_relay,
        &foreign,
        "RCPT TO:<root@n.example.com>",
        &second,
    ]);
    assert_eq!(codes, [250, 250, 550, 550, 550, 250]);
    assert_eq!(talk.message(&bounce("1"), 2), [250, 250]);
    served.wait_for("failed", 2);
    // Somebody writes by hand, and is told; a machine that wants no answer is not.
    let third = to(&ours, 3);
    assert_eq!(talk.ask(&["MAIL FROM:<jane@example.net>", &third]), [250, 250]);
    assert_eq!(talk.message("Subject: a question\r\n\r\nWhom do I call?", 1), [550]);
    assert_eq!(talk.ask(&["MAIL FROM:<>", &third]), [250, 250]);
    assert_eq!(talk.message("Subject: nothing\r\n\r\nnothing", 1), [250]);
    // Without a token in the address and in the message it is nobody's.
    assert_eq!(talk.ask(&["MAIL FROM:<>", "RCPT TO:<bounces@n.example.com>"]), [250, 250]);
    assert_eq!(talk.message(&bounce("2"), 1), [250]);
    // The same report once more changes nothing.
    assert_eq!(talk.ask(&["MAIL FROM:<>", &first]), [250, 250]);
    assert_eq!(talk.message(&bounce("1"), 1), [250]);
    assert_eq!(talk.ask(&["QUIT"]), [221]);
    let status = served.status();
    let mail = &status["mailboxes"][0];
    assert_eq!((&mail["name"], &mail["matched"], &mail["nobodys"]), (&"lmtp".into(), &3.into(), &1.into()), "{status}");
    assert_eq!((&status["notices"]["failed"], &status["notices"]["accepted"]), (&2.into(), &1.into()), "{status}");

    let mut nonsense = Talk::to(&socket);
    nonsense.write(&"WHAT\r\n".repeat(40));
    let codes: Vec<u16> = std::iter::repeat_with(|| nonsense.code()).take_while(|code| *code != 0).collect();
    assert_eq!(codes.last(), Some(&421), "{codes:?}");
    assert!(codes.len() < 30);
    assert!(!served.said().contains("example.net"), "{}", served.said());
}
