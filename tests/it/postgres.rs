//! What is wrong with a PostgreSQL is said so that a person can act on it, and never with a password in it.

use crate::support::servers;
use forewarn::store::{Store, StoreError};
use reqwest::Url;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

async fn fresh() -> Option<Url> {
    let server = servers::postgres().await?;
    Some(server.new_database().await.parse().unwrap())
}

async fn run(url: &Url, sql: impl Into<String>) {
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn refusal(url: &Url) -> StoreError {
    let error = Store::connect(url).await.expect_err("it cannot be used");
    let said = format!("{error} {error:?}");
    assert!(url.password().is_none_or(|p| !said.contains(p)), "no password in a message");
    error
}

fn name_of(url: &Url) -> &str {
    url.path().trim_start_matches('/')
}

#[tokio::test]
async fn a_server_that_is_not_there_and_a_login_that_is_wrong_are_told_apart() {
    let Some(url) = fresh().await else { return };
    let mut nobody = url.clone();
    nobody.set_port(Some(crate::support::free_port())).unwrap();
    let error = refusal(&nobody).await;
    assert!(error.passes() && error.code() == Some("database-unreachable"), "{error}");
    let mut stranger = url.clone();
    stranger.set_password(Some("wrong-password")).unwrap();
    let error = refusal(&stranger).await;
    assert!(matches!(error, StoreError::Login { .. }), "{error}");
    assert!(!error.passes());
    let mut elsewhere = url.clone();
    elsewhere.set_path("/no_such_database");
    let error = refusal(&elsewhere).await;
    assert!(error.to_string().contains("createdb"), "{error}");
}

#[tokio::test]
async fn missing_rights_are_named() {
    let Some(url) = fresh().await else { return };
    let role = format!("reader_{}", name_of(&url));
    run(&url, format!("create role {role} login password 'a-reader'")).await;
    let mut reader = url.clone();
    reader.set_username(&role).unwrap();
    reader.set_password(Some("a-reader")).unwrap();
    let error = refusal(&reader).await;
    assert!(matches!(&error, StoreError::Rights { why, .. } if why.contains("schema")), "{error}");
    run(&url, format!("alter database {} set default_transaction_read_only = on", name_of(&url))).await;
    let error = refusal(&url).await;
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
}

#[tokio::test]
async fn a_newer_and_a_half_updated_database_are_refused_with_their_versions() {
    let Some(url) = fresh().await else { return };
    let store = Store::connect(&url).await.unwrap();
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                 values (999, 'later', true, ''::bytea, 0)";
    run(&url, newer).await;
    assert!(matches!(refusal(&url).await, StoreError::Newer { found: 999, known, .. } if known < 999));
    // One that was open before sees it too, and ends by itself.
    assert!(matches!(store.check_schema().await, Err(StoreError::Newer { found: 999, .. })));
    run(&url, "delete from _sqlx_migrations where version = 999; update _sqlx_migrations set success = false").await;
    assert!(matches!(refusal(&url).await, StoreError::HalfUpdated { version: 1, .. }));
    run(&url, "update _sqlx_migrations set success = true").await;
    Store::connect(&url).await.unwrap();
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_name_is_refused() {
    let Some(url) = fresh().await else { return };
    let name = format!("{}_latin", name_of(&url));
    run(&url, format!("create database {name} encoding 'LATIN1' locale 'C' template template0")).await;
    let mut latin = url.clone();
    latin.set_path(&name);
    let error = refusal(&latin).await;
    assert!(error.to_string().contains("LATIN1") && error.to_string().contains("UTF8"), "{error}");
}

#[tokio::test]
async fn two_that_open_a_new_database_at_once_make_its_tables_once() {
    let Some(url) = fresh().await else { return };
    let opened = futures_util::future::join_all((0..4).map(|_| Store::connect(&url))).await;
    for store in opened {
        store.unwrap().close().await;
    }
}

#[tokio::test]
async fn a_list_is_taken_in_by_one_command_at_a_time() {
    let Some(url) = fresh().await else { return };
    let store = Store::connect(&url).await.unwrap();
    assert!(store.campaigns().await.unwrap().is_empty());
    let one = store.lock_for_import(7).await.unwrap();
    assert!(matches!(store.lock_for_import(7).await, Err(StoreError::Busy { .. })));
    store.lock_for_import(8).await.unwrap();
    drop(one);
    for _ in 0..100 {
        if store.lock_for_import(7).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("a lock that was dropped is not held any more");
}
