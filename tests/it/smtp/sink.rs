//! Against Postfix's `smtp-sink`, a real server that pipelines.

use super::{adapter, notice, settings};
use crate::support::sink::{RECIPIENT, Sink};
use forewarn::model::outcome::Class;
use forewarn::providers::Gate;
use forewarn::providers::smtp::Smtp;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    let Some(sink) = Sink::start(&[]) else { return };
    let smtp = Arc::new(adapter(&settings(sink.address)));
    let classes = send_all(&smtp, 0..500).await;
    smtp.close().await;
    assert!(classes.iter().all(|(_, class)| *class == Class::Accepted));
    let once = |printed: fn(usize) -> String| (0..500).map(|mark| (printed(mark), 1)).collect::<BTreeMap<_, _>>();
    assert_eq!(sink.kept("X-Mark: "), once(|mark| mark.to_string()));
    assert_eq!(sink.kept(RECIPIENT), once(|mark| format!("<p{mark}@example.org>")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_that_refuses_or_hangs_up_gets_nothing() {
    for (options, class, arrived) in [
        (["-r", "RCPT"], Class::Temporary, 0),
        (["-f", "RCPT"], Class::RouteBroken, 0),
        (["-f", "DATA"], Class::RouteBroken, 0),
        (["-q", "DATA"], Class::Temporary, 0),
        (["-Q", "MAIL"], Class::Temporary, 0),
        (["-q", "."], Class::Unknown, 40),
        (["-r", "."], Class::Temporary, 40),
    ] {
        let Some(sink) = Sink::counting(&options) else { return };
        let smtp = Arc::new(adapter(&settings(sink.address)));
        let classes = send_all(&smtp, 0..40).await;
        smtp.close().await;
        assert!(classes.iter().all(|(_, got)| *got == class), "{options:?}: {classes:?}");
        // Counted at the final dot, before it is refused there.
        assert_eq!(sink.messages(), arrived, "{options:?}");
    }
}
