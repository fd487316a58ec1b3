//! The provider that `benches/webhooks.sh` measures against: it takes notices, and then reports about all of them at once.
//!
//! `report_burst PORT FOREWARN PID SECRET SETTLED REPORTS BATCH OUT` listens on PORT for the notices of a `webhook` route
//! and answers SETTLED of them at once; the others it holds. When forewarn (its address, its process) has recorded all
//! that were answered, it posts so many REPORTS, BATCH of them in a body, in any order and signed as the definition
//! asks, over connections that are kept: one in ten comes twice, half of these as the same message again and half as a
//! new one about the same event; half name the notice by our token and half by the provider's id. One in twenty is about
//! a notice that is still held: it is answered only when its report was. Who is told to come again does, as providers do.
//! What was posted goes to OUT, a line an event; the figures to stdout, as JSON.

#![allow(clippy::print_stdout, reason = "what it prints is read by the bench")]

use anyhow::{Context, bail, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use reqwest::Client;
use ring::hmac;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Connections that it reports over.
const CONNECTIONS: usize = 32;
/// How often it asks for the sums.
const POLL: Duration = Duration::from_millis(100);

struct Arguments {
    port: u16,
    forewarn: String,
    process: u32,
    secret: Vec<u8>,
    settled: u64,
    reports: usize,
    batch: usize,
    out: String,
}

/// A notice as it came.
#[derive(Clone)]
struct Notice {
    token: String,
    id: String,
}

/// One event, and how often it is reported.
struct Event {
    notice: Notice,
    what: &'static str,
    by_token: bool,
    number: usize,
    times: u32,
    early: bool,
}

/// A body to be posted, with the headers that prove it.
#[derive(Clone)]
struct Post {
    body: Bytes,
    id: String,
    time: String,
    signature: String,
}

/// A notice whose provider has not answered yet.
struct Held {
    notice: Notice,
    release: oneshot::Sender<()>,
}

struct Provider {
    settled: u64,
    came: AtomicU64,
    notices: Mutex<Vec<Notice>>,
    hook: Mutex<Option<String>>,
    held: mpsc::UnboundedSender<Held>,
}

/// When the burst began, and how much processor time forewarn had used by then.
#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    cpu: f64,
}

#[derive(Default)]
struct Done {
    posted: AtomicUsize,
    again: AtomicUsize,
    last_answer: Mutex<Option<Instant>>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [port, forewarn, process, secret, settled, reports, batch, out] = words.as_slice() else {
        bail!("report_burst PORT FOREWARN PID SECRET SETTLED REPORTS BATCH OUT");
    };
    run(Arguments {
        port: port.parse().context("PORT is a number")?,
        forewarn: (*forewarn).to_owned(),
        process: process.parse().context("PID is a number")?,
        secret: STANDARD.decode(secret.trim_start_matches("whsec_")).context("SECRET is whsec_ and base64")?,
        settled: settled.parse().context("SETTLED is a number")?,
        reports: reports.parse().context("REPORTS is a number")?,
        batch: batch.parse().context("BATCH is a number")?,
        out: (*out).to_owned(),
    })
    .await
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("TLS could not be set up");
    }
    let client = Client::builder().no_proxy().tcp_nodelay(true).pool_max_idle_per_host(CONNECTIONS).build()?;
    let (held, mut holds) = mpsc::unbounded_channel();
    let provider = Arc::new(Provider {
        settled: arguments.settled,
        came: AtomicU64::new(0),
        notices: Mutex::default(),
        hook: Mutex::default(),
        held,
    });
    let router = Router::new().route("/", post(take)).with_state(provider.clone());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    tokio::spawn(async move { axum::serve(listener, router).await });

    let sums = Sums { client: &client, url: format!("{}/metrics", arguments.forewarn) };
    while sums.notices("accepted").await? < arguments.settled {
        tokio::time::sleep(POLL).await;
    }
    let hook = provider.hook.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.clone().context("no address came")?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &arguments.secret);
    let notices = provider.notices.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.clone();
    let early = arguments.reports / 20;
    let (mut events, posts) = settled_posts(&arguments, &notices, &key, early)?;

    std::fs::write(format!("/proc/{}/clear_refs", arguments.process), "5").context("the peak could not be reset")?;
    let (began, done) = (Began { at: Instant::now(), cpu: cpu_seconds(arguments.process)? }, Arc::new(Done::default()));
    let reporter = Arc::new(Reporter { client: client.clone(), hook, done: done.clone() });
    let (next, posts) = (Arc::new(AtomicUsize::new(0)), Arc::new(posts));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (next, posts, reporter) = (next.clone(), posts.clone(), reporter.clone());
        tasks.spawn(async move {
            while let Some(post) = posts.get(next.fetch_add(1, Ordering::Relaxed)) {
                reporter.report(post).await?;
            }
            anyhow::Ok(())
        });
    }
    // The notices that are held, one after the other as forewarn sends them.
    for _ in 0..early {
        let held = holds.recv().await.context("nobody sends any more")?;
        let number = events.len();
        let by_token = number.is_multiple_of(2);
        let event = Event { notice: held.notice, what: "delivered", by_token, number, times: 1, early: true };
        let post = signed(&key, &[&event], event.number);
        let reporter = reporter.clone();
        tasks.spawn(async move {
            reporter.report(&post).await?;
            // The reply comes after the report.
            held.release.send(()).map_err(|()| anyhow::anyhow!("its sender has gone"))
        });
        events.push(event);
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    finish(&arguments, &sums, &events, &done, began).await
}

/// The processor time that a process has used, its own and the kernel's for it.
fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    /// What the kernel counts in, whatever it ticks in.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, which may hold anything, ends with the last bracket.
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' ').collect::<Vec<_>>()).unwrap_or_default();
    let [user, system] = [fields.get(11), fields.get(12)].map(|ticks| ticks.and_then(|n| n.parse::<f64>().ok()));
    Ok((user.context("no user time")? + system.context("no system time")?) / TICKS)
}

/// Waits until everything is applied, and says how it went.
async fn finish(
    arguments: &Arguments,
    sums: &Sums<'_>,
    events: &[Event],
    done: &Done,
    began: Began,
) -> anyhow::Result<()> {
    let answered = done.last_answer.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.context("nothing was answered")?;
    let posted = done.posted.load(Ordering::Relaxed) as u64;
    while sums.waiting().await? != (posted, 0) || sums.notices("sending").await? + sums.notices("queued").await? > 0 {
        ensure!(began.at.elapsed() < Duration::from_secs(600), "not everything was applied in ten minutes");
        tokio::time::sleep(POLL).await;
    }
    let (applied, cpu) = (began.at.elapsed().as_secs_f64(), cpu_seconds(arguments.process)? - began.cpu);
    let status = std::fs::read_to_string(format!("/proc/{}/status", arguments.process))?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let lines: Vec<String> = events
        .iter()
        .map(|e| {
            json!({ "notice": e.notice.token, "id": e.notice.id, "event": e.what, "number": e.number, "times": e.times,
                    "early": e.early, "by_token": e.by_token })
            .to_string()
        })
        .collect();
    std::fs::write(&arguments.out, lines.join("\n") + "\n")?;
    let told: u32 = events.iter().map(|e| e.times).sum();
    let figures = json!({
        "reports": told,
        "posts": posted,
        "told_to_come_again": done.again.load(Ordering::Relaxed),
        "early": events.iter().filter(|e| e.early).count(),
        "doubled": events.iter().filter(|e| e.times > 1).count(),
        "answered_s": (answered - began.at).as_secs_f64(),
        "applied_s": applied,
        "answered_per_s": f64::from(told) / (answered - began.at).as_secs_f64(),
        "applied_per_s": f64::from(told) / applied,
        "cpu_us_per_report": cpu * 1e6 / f64::from(told),
        "peak_rss_mb": peak.context("no peak")? * 1024.0 / 1e6,
    });
    println!("{figures}");
    Ok(())
}

/// The reports about notices that were answered before the burst, in any order.
fn settled_posts(
    arguments: &Arguments,
    notices: &[Notice],
    key: &hmac::Key,
    early: usize,
) -> anyhow::Result<(Vec<Event>, Vec<Post>)> {
    let mut random = rand::rng();
    // Of eleven reports one repeats another.
    let distinct = (arguments.reports - early) * 10 / 11;
    let doubled = arguments.reports - early - distinct;
    ensure!(distinct <= notices.len(), "{distinct} notices are needed, and {} came", notices.len());
    let mut order: Vec<usize> = (0..notices.len()).collect();
    order.shuffle(&mut random);
    let mut events: Vec<Event> = order[..distinct]
        .iter()
        .enumerate()
        .map(|(number, at)| {
            let what = match random.random_range(0..100) {
                0..90 => "delivered",
                90..95 => "failed",
                95..97 => "acknowledged",
                _ => "queued",
            };
            Event { notice: notices[*at].clone(), what, by_token: random.random(), number, times: 1, early: false }
        })
        .collect();
    for event in &mut events[..doubled] {
        event.times = 2;
    }
    let mut told: Vec<&Event> = events.iter().collect();
    told.shuffle(&mut random);
    let mut posts: Vec<Post> = told.chunks(arguments.batch).enumerate().map(|(n, some)| signed(key, some, n)).collect();
    // The second time: as the same message where one event is in it, or in a new one.
    let again: Vec<&Event> = events[..doubled].iter().collect();
    let (same, other) = again.split_at(doubled / 2);
    let first = posts.len();
    if arguments.batch == 1 {
        let by_number: std::collections::BTreeMap<usize, usize> =
            told.iter().enumerate().map(|(n, e)| (e.number, n)).collect();
        let copies: Vec<Post> = same.iter().filter_map(|e| posts.get(*by_number.get(&e.number)?).cloned()).collect();
        posts.extend(copies);
    } else {
        posts.extend(same.chunks(arguments.batch).enumerate().map(|(n, some)| signed(key, some, first + n)));
    }
    let first = posts.len();
    posts.extend(other.chunks(arguments.batch).enumerate().map(|(n, some)| signed(key, some, first + n)));
    posts.shuffle(&mut random);
    Ok((events, posts))
}

/// These events in one body, as Standard Webhooks signs it.
fn signed(key: &hmac::Key, events: &[&Event], number: usize) -> Post {
    let one = |event: &&Event| {
        let mut report = json!({ "event": event.what, "event_id": format!("e-{}", event.number), "code": event.what });
        if event.by_token {
            report["notice"] = Value::from(event.notice.token.clone());
        } else {
            report["id"] = Value::from(event.notice.id.clone());
        }
        if event.what == "failed" {
            report["class"] = Value::from("bad-address");
        }
        report
    };
    let all: Vec<Value> = events.iter().map(one).collect();
    let body = match all.as_slice() {
        [one] => one.to_string(),
        _ => Value::Array(all).to_string(),
    };
    let early = if events.iter().any(|e| e.early) { "early" } else { "msg" };
    let (id, time) = (format!("{early}_{number}"), jiff::Timestamp::now().as_second().to_string());
    let signature = hmac::sign(key, format!("{id}.{time}.{body}").as_bytes());
    Post { body: Bytes::from(body), id, time, signature: format!("v1,{}", STANDARD.encode(signature)) }
}

/// Takes a notice: answered at once, or when it was reported about.
async fn take(State(provider): State<Arc<Provider>>, body: Bytes) -> String {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let number = provider.came.fetch_add(1, Ordering::Relaxed);
    let token = asked["notice"].as_str().unwrap_or_default().to_owned();
    let notice = Notice { token, id: format!("m-{number}") };
    let reply = format!("{{\"id\":\"m-{number}\"}}");
    if number < provider.settled {
        if let (Ok(mut notices), Ok(mut hook)) = (provider.notices.lock(), provider.hook.lock()) {
            notices.push(notice);
            hook.get_or_insert_with(|| asked["report_to"].as_str().unwrap_or_default().to_owned());
        }
        return reply;
    }
    let (release, released) = oneshot::channel();
    // Who is not reported about is answered too: the burst is over.
    if provider.held.send(Held { notice, release }).is_ok() && released.await.is_err() {
        return reply;
    }
    reply
}

struct Reporter {
    client: Client,
    hook: String,
    done: Arc<Done>,
}

impl Reporter {
    /// Posts until it is taken.
    async fn report(&self, post: &Post) -> anyhow::Result<()> {
        loop {
            let request = self.client.post(&self.hook).header("content-type", "application/json");
            let request = request.header("webhook-id", &post.id).header("webhook-timestamp", &post.time);
            let request = request.header("webhook-signature", &post.signature).body(post.body.clone());
            let reply = request.send().await?;
            let status = reply.status();
            reply.bytes().await?;
            if status.as_u16() == 503 {
                self.done.again.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            ensure!(status.is_success(), "a report was answered with {status}");
            self.done.posted.fetch_add(1, Ordering::Relaxed);
            if let Ok(mut last) = self.done.last_answer.lock() {
                *last = Some(Instant::now());
            }
            return Ok(());
        }
    }
}

/// What forewarn says of itself.
struct Sums<'c> {
    client: &'c Client,
    url: String,
}

impl Sums<'_> {
    async fn all(&self, metric: &str) -> anyhow::Result<Vec<(String, u64)>> {
        let text = self.client.get(&self.url).send().await?.text().await?;
        let lines = text.lines().filter_map(|line| line.strip_prefix(metric)?.rsplit_once(' '));
        Ok(lines.filter_map(|(labels, n)| Some((labels.to_owned(), n.parse().ok()?))).collect())
    }

    async fn notices(&self, state: &str) -> anyhow::Result<u64> {
        let state = format!("state=\"{state}\"");
        Ok(self
            .all("forewarn_notices{")
            .await?
            .iter()
            .filter(|(labels, _)| labels.contains(&state))
            .map(|(_, n)| n)
            .sum())
    }

    /// How many reports came, and how many of them wait.
    async fn waiting(&self) -> anyhow::Result<(u64, u64)> {
        let all = self.all("forewarn_reports{").await?;
        let waiting = all.iter().filter(|(labels, _)| labels.contains("\"waiting\"")).map(|(_, n)| n).sum();
        Ok((all.iter().map(|(_, n)| n).sum(), waiting))
    }
}
