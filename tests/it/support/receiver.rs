//! An SMTP server that takes everything and writes down when each message had arrived, for tests of rate limits.
//!
//! Each connection has a thread of its own, so that the moments are the receiver's and do not wait for a runtime that
//! the sender keeps busy.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One message, at its final dot.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) to: String,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    stopped: Arc<AtomicBool>,
}

impl Receiver {
    pub(crate) fn start() -> Receiver {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let receiver =
            Receiver { address: listener.local_addr().unwrap(), arrivals: Arc::default(), stopped: Arc::default() };
        let (arrivals, stopped) = (Arc::clone(&receiver.arrivals), Arc::clone(&receiver.stopped));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let arrivals = Arc::clone(&arrivals);
                // A client that hangs up ends its thread with an error, and that is all.
                std::thread::spawn(move || stream.and_then(|stream| serve(&stream, &arrivals)));
            }
        });
        receiver
    }

    /// What has arrived, in order.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener, if it still listens.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: &TcpStream, arrivals: &Mutex<Vec<Arrival>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream);
    let answer = |text: &str| -> std::io::Result<()> { (&*stream).write_all(text.as_bytes()) };
    answer("220 receiver.test ESMTP\r\n")?;
    let mut to = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let command = String::from_utf8_lossy(&line).trim_end().to_owned();
        match command.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => answer("250-receiver.test\r\n250 PIPELINING\r\n")?,
            "RCPT" => {
                to = command.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                answer("250 ok\r\n")?;
            }
            "DATA" => {
                answer("354 go ahead\r\n")?;
                while line != b".\r\n" {
                    line.clear();
                    if lines.read_until(b'\n', &mut line)? == 0 {
                        return Ok(());
                    }
                }
                arrivals.lock().unwrap().push(Arrival { at: Instant::now(), to: std::mem::take(&mut to) });
                answer("250 taken\r\n")?;
            }
            "QUIT" => return answer("221 bye\r\n"),
            _ => answer("250 ok\r\n")?,
        }
    }
}

/// The most moments that any window of this length holds; two moments exactly its length apart are not in one.
pub(crate) fn most_in_any_window(moments: impl IntoIterator<Item = Instant>, window: Duration) -> usize {
    let mut moments: Vec<Instant> = moments.into_iter().collect();
    moments.sort_unstable();
    let (mut first, mut most) = (0, 0);
    for (last, moment) in moments.iter().enumerate() {
        while *moment - moments[first] >= window {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[test]
fn the_fullest_window_is_found_wherever_it_begins() {
    let begin = Instant::now();
    for (millis, window, want) in [
        (vec![], 100, 0),
        (vec![5], 100, 1),
        (vec![0, 100], 100, 1),
        (vec![0, 99], 100, 2),
        (vec![300, 0, 120, 60, 150, 210], 100, 3),
        (vec![0, 0, 0, 1000], 1, 3),
        (vec![0, 90, 110, 180, 290], 100, 3),
    ] {
        let moments = millis.iter().map(|ms| begin + Duration::from_millis(*ms));
        assert_eq!(most_in_any_window(moments, Duration::from_millis(window)), want, "{millis:?} in {window}");
    }
}

#[tokio::test]
async fn every_message_has_its_moment_and_none_is_before_its_slot() {
    use crate::smtp::{adapter, notice, settings};
    use forewarn::model::outcome::Class;
    use forewarn::providers::Gate;

    let receiver = Receiver::start();
    let smtp = adapter(&settings(receiver.address));
    let begin = Instant::now();
    let mut sent = Vec::new();
    for number in 0_u32..10 {
        let slot = begin + Duration::from_millis(20) * number;
        let out = notice(&format!("p{number}@example.org"), "Subject: x\r\n\r\nhello\r\n");
        let gate = Gate::default().at_slot(slot.into(), Duration::from_secs(60));
        assert_eq!(smtp.send(&out, &gate).await.class, Class::Accepted);
        sent.push((slot, Instant::now()));
    }
    smtp.close().await;
    let arrivals = receiver.arrivals();
    assert_eq!(arrivals.len(), sent.len());
    for (number, (arrival, (slot, answered))) in arrivals.iter().zip(&sent).enumerate() {
        assert_eq!(arrival.to, format!("p{number}@example.org"));
        assert!(arrival.at >= *slot && arrival.at <= *answered, "message {number}");
    }
}
