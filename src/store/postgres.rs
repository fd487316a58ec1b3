//! Opening the shared engine: PostgreSQL 15 or later, many workers.
//!
//! Invariants: a commit is on the disk of the server before it counts; a connection whose other end went away frees
//! its locks within seconds; text is UTF-8. Deliberately absent: anything that needs more than an ordinary role which
//! may make tables in its schema.

use super::{Place, StoreError};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Connection as _};
use std::net::IpAddr;
use std::str::FromStr as _;
use std::time::Duration;
use url::Url;

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// What the server calls version 15.
const OLDEST: i64 = 150_000;

/// Where the database is, for reports: neither user nor password.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!("postgres://{}{port}{}", url.host_str().unwrap_or_default(), url.path())
}

/// How to connect. Beyond this machine and a private network the server must prove who it is, unless the address says
/// otherwise.
pub(super) fn options(url: &Url, place: &Place) -> Result<AnyConnectOptions, StoreError> {
    let mut url = url.clone();
    let said = url.query_pairs().any(|(key, _)| key == "sslmode" || key == "ssl-mode" || key == "host");
    if !said && !near(url.host_str().unwrap_or_default()) {
        url.query_pairs_mut().append_pair("sslmode", "verify-full");
    }
    if !url.query_pairs().any(|(key, _)| key == "application_name") {
        url.query_pairs_mut().append_pair("application_name", "forewarn");
    }
    let options = AnyConnectOptions::from_str(url.as_str()).map_err(|e| {
        let why = format!("the address cannot be read: {e}");
        StoreError::Open { path: place.shown.clone(), why }
    })?;
    Ok(options.disable_statement_logging())
}

/// This machine, a private address, or a name without a dot.
fn near(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => v4.is_loopback() || v4.is_private(),
        Ok(IpAddr::V6(v6)) => v6.is_loopback() || v6.is_unique_local(),
        Err(_) => !host.contains('.'),
    }
}

/// Connects once by itself: a pool would hide why it cannot, behind a time-out.
pub(super) async fn try_it(options: &AnyConnectOptions, place: &Place) -> Result<(), StoreError> {
    let connecting = tokio::time::timeout(Duration::from_secs(10), AnyConnection::connect_with(options));
    let Ok(connected) = connecting.await else {
        let why = "no connection within 10 s".to_owned();
        return Err(StoreError::Unreachable { path: place.shown.clone(), why });
    };
    let mut connection = connected.map_err(|e| place.explain(e))?;
    let ask = "select current_setting('server_version_num')::bigint, current_setting('server_version'),
                      current_setting('server_encoding')";
    let (number, version, encoding): (i64, String, String) =
        sqlx::query_as(ask).fetch_one(&mut connection).await.map_err(|e| place.explain(e))?;
    if number < OLDEST {
        return Err(StoreError::TooOld { path: place.shown.clone(), version });
    }
    if encoding != "UTF8" {
        let why = format!("it keeps text as {encoding}; make it with `createdb --encoding UTF8 --template template0`");
        return Err(StoreError::Open { path: place.shown.clone(), why });
    }
    connection.close().await.map_err(|e| place.explain(e))
}

pub(super) fn pool(options: AnyConnectOptions, most: u32) -> AnyPool {
    AnyPoolOptions::new()
        .max_connections(most)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(|connection, _| Box::pin(prepare(connection)))
        .connect_lazy_with(options)
}

/// Every batch and every page finds its rows by key. The planner does not know how small they are, nor how large a table
/// has become since it was last analysed: left to itself it may read ten million persons to find a few hundred.
async fn prepare(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let settings = "set synchronous_commit = on; set lock_timeout = '20s'; set tcp_keepalives_idle = 10;
                    set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3; set client_min_messages = warning;
                    set jit = off; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off";
    sqlx::raw_sql(settings).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_must_prove_who_it_is() {
        for (url, proof) in [
            ("postgres://u@127.0.0.1/d", false),
            ("postgres://u@10.1.2.3/d", false),
            ("postgres://u@[::1]:5433/d", false),
            ("postgres://u@db/d", false),
            ("postgres://u@db.example.com/d", true),
            ("postgres://u@203.0.113.7/d", true),
            ("postgres://u@db.example.com/d?sslmode=require", false),
        ] {
            let url = Url::parse(url).unwrap();
            let place = Place { engine: crate::store::Engine::Postgres, path: None, shown: shown(&url) };
            let options = options(&url, &place).unwrap();
            assert_eq!(options.database_url.as_str().contains("verify-full"), proof, "{}", place.shown);
            assert!(!place.shown.contains("u@"));
        }
    }
}
