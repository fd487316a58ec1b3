//! `forewarn serve` and `forewarn worker --listen` from outside: what probes are told in each state, how a process ends
//! when it is asked to, and that others take over what it gave back.

use crate::support::place::incident;
use crate::support::proxy::{Proxy, Wire};
use crate::support::sink::{RECIPIENT, Sink};
use crate::support::{servers, wait_until};
use forewarn::store::Store;
use reqwest::Url;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An installation whose workers listen where the system likes.
struct Installation {
    folder: tempfile::TempDir,
    /// The server's database; none on SQLite.
    url: Option<Url>,
}

impl Installation {
    async fn on_postgres() -> Option<Installation> {
        let url = servers::postgres().await?.new_database().await;
        Some(Installation::new(Some(url.parse().unwrap())))
    }

    fn new(url: Option<Url>) -> Installation {
        let folder = tempfile::tempdir().unwrap();
        let place = Installation { folder, url };
        assert_eq!(place.run("init").status.code(), Some(0));
        let routes =
            "[[route]]\nname = \"mail\"\nchannel = \"email\"\nprovider = \"sandbox\"\nsettings = { dir = \"o\" }\n";
        place.configure("config.toml", place.url.as_ref(), routes);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a configuration; the address of a server's database is kept in a file of its own.
    fn configure(&self, name: &str, url: Option<&Url>, routes: &str) {
        let database = match url {
            None => "sqlite://forewarn.db".to_owned(),
            Some(url) => {
                fs_err::write(self.path(&format!("{name}.url")), url.as_str()).unwrap();
                format!("file:{name}.url")
            }
        };
        let text = format!(
            "[database]\nurl = \"{database}\"\n[keys]\nmaster = \"file:master.key\"\n[sender]\norganisation = \"Example \
             Ltd\"\nemail = \"dpo@example.com\"\n[server]\nlisten = \"127.0.0.1:0\"\n{routes}"
        );
        fs_err::write(self.path(name), text).unwrap();
    }

    /// A started campaign of so many persons by email, to this relay.
    fn campaign(&self, persons: usize, relay: SocketAddr) -> String {
        let route = format!(
            "[[route]]\nname = \"relay\"\nchannel = \"email\"\nprovider = \"smtp\"\nconcurrency = 4\nsettings = {{ host = \
             \"127.0.0.1\", port = {}, tls = \"none\" }}\n",
            relay.port()
        );
        self.configure("config.toml", self.url.as_ref(), &route);
        let rows: String = (0..persons).map(|n| format!("P-{n},Person {n},person{n}@example.org\n")).collect();
        fs_err::write(self.path("list.csv"), format!("ref,name,email\n{rows}")).unwrap();
        fs_err::write(self.path("incident.toml"), incident(r#"{ channel = "email" }"#)).unwrap();
        let made = self.json("campaign create incident.toml --by alice --json");
        let id = made["campaign"].as_str().unwrap().to_owned();
        self.json(&format!("campaign approve {id} --by bob --json"));
        self.json(&format!("campaign start {id} --json"));
        id
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
        command.current_dir(self.folder.path()).env_remove("FOREWARN_CONFIG").env_remove("FOREWARN_LOG");
        command.stdin(Stdio::null()).args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn json(&self, line: &str) -> Value {
        let done = self.run(line);
        assert_eq!(done.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// Exit code and code of the refusal.
    fn refusal(&self, line: &str) -> (Option<i32>, Value) {
        let done = self.run(&format!("{line} --json"));
        let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
        (done.status.code(), answer["refused"][0]["code"].clone())
    }

    fn start(&self, line: &str) -> Process {
        Process::start(self.command(&format!("{line} --json")))
    }

    async fn store(&self) -> Store {
        match &self.url {
            None => Store::open(&self.path("forewarn.db")).await.unwrap(),
            Some(url) => Store::connect(url).await.unwrap(),
        }
    }

    /// How each worker ended, in their order.
    async fn ends(&self) -> Vec<Option<String>> {
        let store = self.store().await;
        let ends = store.workers(10).await.unwrap().into_iter().map(|w| w.ended).collect();
        store.close().await;
        ends
    }
}

/// A process that listens; ended when it goes out of scope.
struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    address: SocketAddr,
}

impl Process {
    fn start(mut command: Command) -> Process {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, said) = (BufReader::new(child.stderr.take().unwrap()), Arc::new(Mutex::new(String::new())));
        let all = said.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                all.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let address = || {
            let said = said.lock().unwrap();
            said.lines().find_map(|l| l.strip_prefix("listening on http://")?.parse().ok())
        };
        assert!(wait_until(|| address().is_some()), "it does not listen: {}", said.lock().unwrap());
        let address = address().unwrap();
        Process { child, said, address }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "{name}");
    }

    /// Its exit code and what it printed; it must end by itself.
    fn end(&mut self) -> (Option<i32>, Value) {
        let mut code = None;
        let ended = wait_until(|| {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        assert!(ended, "it does not end: {}", self.said.lock().unwrap());
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        (code.unwrap().code(), serde_json::from_str(&printed).unwrap_or_default())
    }

    fn request(&self, method: &str, path: &str) -> Answer {
        self.raw(&format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
    }

    fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// Status and code of `/readyz`.
    fn ready(&self) -> (u16, String) {
        let answer = self.request("GET", "/readyz");
        let body = answer.json();
        assert_eq!(body["ready"], answer.status == 200, "{body}");
        (answer.status, body["code"].as_str().unwrap_or_default().to_owned())
    }

    fn until_ready(&self) {
        assert!(wait_until(|| self.ready().0 == 200), "never ready: {}", self.said.lock().unwrap());
    }

    fn until_not_ready(&self, code: &str) {
        assert!(wait_until(|| self.ready() == (503, code.to_owned())), "{:?}, not {code}", self.ready());
        assert_eq!(self.request("GET", "/healthz").status, 200);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn probes_are_answered_until_it_is_asked_to_stop(place: Installation) {
    let mut server = place.start("serve");
    server.until_ready();
    let lease = server.request("GET", "/metrics").body;
    let lease = lease.lines().find_map(|l| l.strip_prefix("forewarn_worker_lease_seconds ")).unwrap().to_owned();
    match place.url {
        None => assert_eq!(lease, "+Inf"),
        Some(_) => assert!((0.1..=15.0).contains(&lease.parse::<f64>().unwrap()), "{lease}"),
    }
    let alive = server.request("GET", "/healthz");
    assert_eq!((alive.status, alive.json()["alive"].clone()), (200, true.into()));
    assert!(!alive.head.contains("server:") && !alive.head.contains("forewarn"), "{}", alive.head);
    let metrics = server.request("GET", "/metrics");
    assert!(metrics.status == 200 && metrics.head.contains("content-type: text/plain; version=0.0.4"));
    for line in [
        "forewarn_database_up 1",
        "forewarn_workers 1",
        "forewarn_worker_draining 0",
        "forewarn_route_state{route=\"mail\",state=\"ok\"} 1",
    ] {
        assert!(metrics.body.lines().any(|l| l == line), "{line}:\n{}", metrics.body);
    }
    for (method, path, status, code) in [
        ("GET", "/", 404, "not-found"),
        ("GET", "/api/v1/campaigns", 404, "not-found"),
        ("GET", "/readyz/", 404, "not-found"),
        ("POST", "/readyz", 405, "method-not-allowed"),
    ] {
        let answer = server.request(method, path);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{method} {path}");
    }
    assert_eq!(server.raw("nonsense\r\n\r\n").status, 400);
    let large = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(40_000));
    assert_ne!(server.raw(&large).status, 200);
    // It is given up: the end of the connection is what is waited for.
    assert_ne!(server.raw("GET /healthz HTTP/1.1\r\nhost:").status, 200);

    // The address is asked for first, so that what cannot be probed sends nothing.
    let elsewhere = format!("worker --listen {}", server.address);
    assert_eq!(place.refusal(&elsewhere), (Some(3), "address-in-use".into()));
    assert_eq!(place.refusal("worker --listen 192.0.2.1:9"), (Some(3), "cannot-listen".into()));
    if place.url.is_none() {
        assert_eq!(place.refusal("worker --once --listen 127.0.0.1:0"), (Some(3), "worker-runs".into()));
    }
    server.signal("TERM");
    let (code, printed) = server.end();
    assert_eq!((code, printed["ended"].clone()), (Some(0), "stopped".into()));
    assert_eq!(place.ends().await, [Some("stopped".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_are_answered_until_it_is_asked_to_stop_on_sqlite() {
    probes_are_answered_until_it_is_asked_to_stop(Installation::new(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_are_answered_until_it_is_asked_to_stop_on_postgres() {
    if let Some(place) = Installation::on_postgres().await {
        probes_are_answered_until_it_is_asked_to_stop(place).await;
    }
}

/// Asked to stop in the middle of sending: what is on the wire ends, the rest is another's, and everybody is told once.
async fn nothing_is_lost_when_it_is_asked_to_stop_while_it_sends(place: Installation, signal: &str) {
    const PERSONS: usize = 16;
    // Each message is taken after two seconds.
    let Some(sink) = Sink::start(&["-w", "2"]) else { return };
    let id = place.campaign(PERSONS, sink.address);
    let mut server = place.start("worker --listen 127.0.0.1:0");
    assert!(wait_until(|| sink.messages() >= 4), "{}", server.said.lock().unwrap());
    server.signal(signal);
    // While the last ones are on the wire, nobody is sent here any more.
    server.until_not_ready("draining");
    assert!(server.request("GET", "/metrics").body.contains("\nforewarn_worker_draining 1\n"));
    let (code, printed) = server.end();
    assert_eq!((code, printed["ended"].clone()), (Some(0), "stopped".into()));
    let status = place.json(&format!("campaign status {id} --json"));
    let told = status["satisfied"].as_u64().unwrap() as usize;
    assert!((4..PERSONS).contains(&told), "{told} told before the end");
    assert_eq!((status["notices"]["unknown"].clone(), status["notices"]["sending"].clone()), (0.into(), 0.into()));
    assert_eq!(sink.messages(), told, "what was sent is recorded");
    assert_eq!(place.ends().await, [Some("stopped".to_owned())]);

    place.json("worker --once --json");
    let status = place.json(&format!("campaign status {id} --json"));
    assert_eq!(status["satisfied"], PERSONS);
    let kept = sink.kept(RECIPIENT);
    assert!(kept.len() == PERSONS && kept.values().all(|n| *n == 1), "each once: {kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_it_is_asked_to_stop_while_it_sends_on_sqlite() {
    nothing_is_lost_when_it_is_asked_to_stop_while_it_sends(Installation::new(None), "INT").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_it_is_asked_to_stop_while_it_sends_on_postgres() {
    if let Some(place) = Installation::on_postgres().await {
        nothing_is_lost_when_it_is_asked_to_stop_while_it_sends(place, "TERM").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once_and_what_was_on_the_wire_is_unknown() {
    // Nothing is taken before the test is over.
    let Some(sink) = Sink::start(&["-w", "60"]) else { return };
    let place = Installation::new(None);
    let id = place.campaign(40, sink.address);
    let mut server = place.start("serve");
    let sending = || place.json(&format!("campaign status {id} --json"))["notices"]["sending"].clone();
    assert!(wait_until(|| sending() == 40), "{}", server.said.lock().unwrap());
    std::thread::sleep(Duration::from_millis(300));
    server.signal("TERM");
    server.until_not_ready("draining");
    // Only what the route's connections have at hand, two each, is waited for; the rest is given back at once.
    assert!(wait_until(|| sending() == 8), "{} are still sending", sending());
    assert!(server.child.try_wait().unwrap().is_none(), "the wire is waited for");
    server.signal("TERM");
    assert_eq!(server.end().0, Some(1));
    assert_eq!(place.ends().await, [None], "its end was not written down");
    assert_eq!(sending(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_makes_it_unready_until_it_is_back() {
    let Some(place) = Installation::on_postgres().await else { return };
    let url = place.url.clone().unwrap();
    let proxy = Proxy::to(url.socket_addrs(|| Some(5432)).unwrap()[0]).await;
    let mut through = url.clone();
    through.set_port(Some(proxy.port)).unwrap();
    place.configure("through.toml", Some(&through), "");
    let mut server = place.start("serve --config through.toml");
    server.until_ready();
    proxy.set(Wire::Broken);
    server.until_not_ready("database-unreachable");
    assert!(server.request("GET", "/metrics").body.contains("\nforewarn_database_up 0\n"));
    proxy.set(Wire::Open);
    server.until_ready();
    proxy.set(Wire::Silent);
    server.until_not_ready("database-silent");
    let body = server.request("GET", "/readyz").body;
    for secret in [url.password().unwrap(), "127.0.0.1", url.path(), &proxy.port.to_string()] {
        assert!(!body.contains(secret), "{body}");
    }
    proxy.set(Wire::Open);
    server.until_ready();
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_an_older_version_is_unready_at_once_and_ends_by_itself() {
    let Some(place) = Installation::on_postgres().await else { return };
    let mut server = place.start("serve");
    server.until_ready();
    let mut connection = PgConnection::connect(place.url.as_ref().unwrap().as_str()).await.unwrap();
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                 values (9999, 'of tomorrow', true, '', 0)";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    server.until_not_ready("database-newer");
    let (code, printed) = server.end();
    assert_eq!((code, printed["refused"][0]["code"].clone()), (Some(3), "database-newer".into()));
    let ended: String = sqlx::query_scalar("select ended from worker").fetch_one(&mut connection).await.unwrap();
    assert_eq!(ended, "stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_are_shown_by_name_with_their_signs_of_life() {
    let Some(sink) = Sink::counting(&[]) else { return };
    let Some(place) = Installation::on_postgres().await else { return };
    let id = place.campaign(3, sink.address);
    // One after the other, so that they are registered in this order.
    let mut workers = ["serve", "worker --listen 127.0.0.1:0"].map(|line| {
        let worker = place.start(line);
        worker.until_ready();
        worker
    });
    let host = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let shown = |line: &str| String::from_utf8(place.run(line).stdout).unwrap();
    let doctor = shown("doctor");
    let status = shown(&format!("campaign status {id}"));
    let listed = place.json(&format!("campaign status {id} --json"))["workers"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    for (worker, row) in workers.iter().zip(listed.as_array().unwrap()) {
        let process = worker.child.id();
        let name = format!(" on {} (process {process}, version {})", host.trim(), env!("CARGO_PKG_VERSION"));
        for text in [&doctor, &status] {
            let line = text.lines().find(|l| l.contains(&name)).unwrap_or_else(|| panic!("{name}:\n{text}"));
            let silent = line.split("last sign of life ").nth(1).and_then(|r| r.split(' ').next());
            assert!(silent.unwrap().parse::<u64>().unwrap() <= 15, "{line}");
        }
        assert_eq!((row["process"].clone(), row["host"].clone()), (process.into(), host.trim().into()));
        assert!(row["silent_seconds"].as_u64().unwrap() <= 15, "{row}");
        assert!(worker.request("GET", "/metrics").body.contains("\nforewarn_workers 2\n"));
    }
    for worker in &mut workers {
        worker.signal("TERM");
        assert_eq!(worker.end().0, Some(0));
    }
    assert_eq!(place.ends().await, [Some("stopped".to_owned()), Some("stopped".to_owned())]);
    assert!(shown("doctor").contains("no worker runs"));
}

#[cfg(unix)]
#[test]
fn a_key_that_the_service_manager_placed_is_taken() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Installation::new(None);
    let key = place.path("master.key");
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o440)).unwrap();
    assert_eq!(place.refusal("doctor"), (Some(3), "master-key".into()));
    let config = place.path("config.toml");
    let line = format!("doctor --config {}", config.display());
    let done = place.command(&line).env("CREDENTIALS_DIRECTORY", place.folder.path()).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stdout));
}
