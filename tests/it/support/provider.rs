//! A provider of ours over HTTP: takes one request a connection and answers it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

/// Listens until the process ends; its address. `answer` is given the first line of each request and its body, and says
/// status and JSON.
pub(crate) fn listen(answer: impl Fn(&str, &[u8]) -> (u16, String) + Send + Sync + 'static) -> String {
    listen_as("application/json", move |head, body| {
        let (status, reply) = answer(head, body);
        (status, reply.into_bytes())
    })
}

/// The same with answers of another kind.
pub(crate) fn listen_as(
    kind: &'static str,
    answer: impl Fn(&str, &[u8]) -> (u16, Vec<u8>) + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            // A client that goes away is its own affair.
            std::thread::spawn(move || drop(exchange(stream, kind, &*answer)));
        }
    });
    url
}

fn exchange(stream: TcpStream, kind: &str, answer: &impl Fn(&str, &[u8]) -> (u16, Vec<u8>)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut head)?;
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, reply) = answer(&head, &body);
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        reply.len()
    )?;
    stream.write_all(&reply)
}
