//! One PostgreSQL and one MariaDB for all tests of this process, each started when first asked for.
//!
//! A server lives in a temporary folder on a free port of the loopback. A shell stands beside it and reads from a pipe
//! of ours: when this process ends, however it ends, the pipe closes, and the shell stops the server and removes the
//! folder. Nothing is flushed to disk, so the servers are fast and survive no power cut, which no test needs.
//!
//! `FOREWARN_TEST_POSTGRES` and `FOREWARN_TEST_MARIADB` name servers that run already, as a URL whose user may create
//! databases; the databases of the tests (`forewarn_test_…`) are then left behind there.

use super::{free_port, is_root, missing, program, wait_until};
use reqwest::Url;
use sqlx::{Connection as _, MySqlConnection, PgConnection};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

const USER: &str = "forewarn";
/// With signs that must be escaped in a URL, as real passwords have.
const PASSWORD: &str = "it's a/pass:word@%";
const OLDEST_POSTGRES: u32 = 15;

pub(crate) struct Postgres(Running);

pub(crate) struct MariaDb(Running);

/// A server and how to reach it.
struct Running {
    root: Url,
    /// Its standard input is what keeps the server alive; none where the server was running already.
    _shell: Option<Child>,
}

/// The PostgreSQL server of this process; none where there are no programs and none are required.
pub(crate) async fn postgres() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(|| running("FOREWARN_TEST_POSTGRES").or_else(start_postgres).map(Postgres)).as_ref()
}

/// The MariaDB server of this process; none where there are no programs and none are required.
pub(crate) async fn mariadb() -> Option<&'static MariaDb> {
    static SERVER: OnceLock<Option<MariaDb>> = OnceLock::new();
    SERVER.get_or_init(|| running("FOREWARN_TEST_MARIADB").or_else(start_mariadb).map(MariaDb)).as_ref()
}

impl Postgres {
    pub(crate) fn url(&self, database: &str) -> String {
        self.0.url(database)
    }

    /// The URL of an empty database that nobody else has.
    pub(crate) async fn new_database(&self) -> String {
        let name = new_name();
        let mut connection = PgConnection::connect(self.0.root.as_str()).await.unwrap();
        let create = format!("create database {name}");
        sqlx::query(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        self.url(&name)
    }
}

impl MariaDb {
    pub(crate) fn url(&self, database: &str) -> String {
        self.0.url(database)
    }

    /// The URL of an empty database that nobody else has.
    pub(crate) async fn new_database(&self) -> String {
        let name = new_name();
        let mut connection = MySqlConnection::connect(self.0.root.as_str()).await.unwrap();
        let create = format!("create database {name} character set utf8mb4");
        sqlx::query(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        self.url(&name)
    }
}

impl Running {
    fn url(&self, database: &str) -> String {
        let mut url = self.root.clone();
        url.set_path(database);
        url.into()
    }
}

fn new_name() -> String {
    format!("forewarn_test_{:016x}", rand::random::<u64>())
}

/// A server that somebody else looks after.
fn running(variable: &str) -> Option<Running> {
    let url = std::env::var(variable).ok()?;
    let root = Url::parse(&url).unwrap_or_else(|e| panic!("{variable} is no URL: {e}"));
    Some(Running { root, _shell: None })
}

fn start_postgres() -> Option<Running> {
    let Some(programs) = postgres_programs() else {
        missing("PostgreSQL 15 or later is not installed: on Debian `apt-get install postgresql` (no daemon need run)");
        return None;
    };
    let place = Place::new("postgres");
    let data = place.folder.join("data");
    place.write("password", PASSWORD);
    let mut make = place.command(&programs.join("initdb"));
    make.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--username", USER]);
    place.must_succeed(make.arg("--pwfile").arg(place.folder.join("password")).arg("--pgdata").arg(&data));
    let port = free_port();
    let mut serve = place.command(&programs.join("postgres"));
    serve.arg("-D").arg(&data).args(["-p", &port.to_string()]);
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
    ] {
        serve.args(["-c", setting]);
    }
    Some(place.serve(&serve, "QUIT", root_url("postgres", port, "postgres"), |url| {
        blocking(async { PgConnection::connect(url).await.map(drop) })
    }))
}

/// The folder with the newest PostgreSQL that is new enough, as Debian has it or on the path.
fn postgres_programs() -> Option<PathBuf> {
    let versions = fs_err::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(|entry| {
        let name = entry.ok()?.file_name().to_string_lossy().parse::<u32>().ok()?;
        (name >= OLDEST_POSTGRES).then_some(name)
    });
    let debian = versions.max().map(|v| PathBuf::from(format!("/usr/lib/postgresql/{v}/bin")));
    let path = || Some(program("postgres")?.parent()?.to_owned());
    debian.or_else(path).filter(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
}

fn start_mariadb() -> Option<Running> {
    let (Some(server), Some(install)) = (program("mariadbd"), program("mariadb-install-db")) else {
        missing("MariaDB is not installed: on Debian `apt-get install mariadb-server` (no daemon need run)");
        return None;
    };
    let place = Place::new("mysql");
    let data = place.folder.join("data");
    let data = format!("--datadir={}", data.display());
    let password = PASSWORD.replace('\'', "''");
    place.write(
        "init.sql",
        &format!("create user '{USER}'@'%' identified by '{password}';\ngrant all on *.* to '{USER}'@'%';\n"),
    );
    let mut make = place.command(&install);
    place.must_succeed(make.args(["--no-defaults", &data, "--skip-test-db", "--skip-log-bin"]));
    let port = free_port();
    let mut serve = place.command(&server);
    let file = |option: &str, name: &str| format!("--{option}={}", place.folder.join(name).display());
    serve.args(["--no-defaults", &data, "--bind-address=127.0.0.1", "--skip-log-bin", "--skip-name-resolve"]);
    serve.args([
        format!("--port={port}"),
        file("socket", "socket"),
        file("pid-file", "pid"),
        file("init-file", "init.sql"),
    ]);
    serve.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--max-connections=200"]);
    Some(place.serve(&serve, "KILL", root_url("mysql", port, "mysql"), |url| {
        blocking(async { MySqlConnection::connect(url).await.map(drop) })
    }))
}

fn root_url(scheme: &str, port: u16, database: &str) -> Url {
    let mut url = Url::parse(&format!("{scheme}://127.0.0.1:{port}/{database}")).unwrap();
    url.set_username(USER).unwrap();
    url.set_password(Some(PASSWORD)).unwrap();
    url
}

/// Where a server keeps its files, and the user it runs as.
struct Place {
    folder: PathBuf,
    /// Servers refuse to be root: the user that Debian made for them.
    user: Option<&'static str>,
}

impl Place {
    fn new(user: &'static str) -> Place {
        // The shell removes it.
        let folder = tempfile::Builder::new().prefix("forewarn-it-").tempdir().unwrap().keep();
        let user = is_root().then_some(user);
        let place = Place { folder, user };
        place.give_away(&place.folder);
        place
    }

    fn give_away(&self, path: &Path) {
        if let Some(user) = self.user {
            let status = Command::new("chown").arg(user).arg(path).status().expect("chown is everywhere");
            assert!(status.success(), "{} cannot be given to {user}", path.display());
        }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs_err::write(&path, text).unwrap();
        self.give_away(&path);
    }

    /// The program, run as the server's user.
    fn command(&self, program: &Path) -> Command {
        let mut command = match self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--init-groups"]).arg(program);
                command
            }
        };
        command.current_dir(&self.folder);
        command
    }

    fn must_succeed(&self, command: &mut Command) {
        let made = command.stdin(Stdio::null()).output().expect("an installed program starts");
        assert!(made.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Starts the server with a shell to end it with the signal, and waits until it takes connections.
    fn serve(
        self,
        server: &Command,
        signal: &str,
        root: Url,
        ready: impl Fn(&str) -> Result<(), sqlx::Error>,
    ) -> Running {
        const SHELL: &str = r#"
            folder=$1 signal=$2; shift 2
            "$@" >"$folder/log" 2>&1 </dev/null &
            read -r _
            kill -s "$signal" $! && wait $!
            rm -rf -- "$folder"
        "#;
        let mut shell = Command::new("sh");
        shell.args(["-c", SHELL, "sh"]).arg(&self.folder).arg(signal).arg(server.get_program()).args(server.get_args());
        // A group of its own, so that what stops the tests does not stop the shell before it has cleaned up.
        shell.current_dir(&self.folder).process_group(0);
        // Not our output: whoever waits for the end of our output must not wait for the server.
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let shell = shell.spawn().expect("a shell is everywhere");
        let mut last = None;
        let up = wait_until(|| ready(root.as_str()).map_err(|e| last = Some(e)).is_ok());
        let log = || fs_err::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(up, "{server:?} takes no connections: {last:?}\n{}", log());
        Running { root, _shell: Some(shell) }
    }
}

/// Waits for a future wherever the caller is, also inside a runtime.
fn blocking<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

#[tokio::test]
async fn each_database_of_postgres_is_a_new_one() {
    let Some(server) = postgres().await else { return };
    let (one, other) = (server.new_database().await, server.new_database().await);
    assert_ne!(one, other);
    let mut connection = PgConnection::connect(&one).await.unwrap();
    sqlx::query("create table person (no int)").execute(&mut connection).await.unwrap();
    let mut connection = PgConnection::connect(&other).await.unwrap();
    sqlx::query("create table person (no int)").execute(&mut connection).await.unwrap();
    let number = "select current_setting('server_version_num')::int";
    let number: i32 = sqlx::query_scalar(number).fetch_one(&mut connection).await.unwrap();
    assert!(number >= OLDEST_POSTGRES.cast_signed() * 10_000, "{number}");
}

#[tokio::test]
async fn each_database_of_mariadb_is_a_new_one() {
    let Some(server) = mariadb().await else { return };
    let (one, other) = (server.new_database().await, server.new_database().await);
    assert_ne!(one, other);
    for url in [one, other] {
        let mut connection = MySqlConnection::connect(&url).await.unwrap();
        sqlx::query("create table person (no int)").execute(&mut connection).await.unwrap();
        let version: String = sqlx::query_scalar("select version()").fetch_one(&mut connection).await.unwrap();
        assert!(version.contains("MariaDB"), "{version}");
    }
}
