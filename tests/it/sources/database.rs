//! Queries of the customer's own databases, on real servers.

use super::{Place, message, problems, sums};
use crate::support::servers::{mariadb, postgres};
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, PgConnection, SqliteConnection};

const QUERY: &str = "query = \"select * from client order by id\"";

/// A place whose source is the query, with its connection string in the environment.
fn asking(url: &str, query: &str) -> Place {
    let mut place = Place::new();
    place.environment.push(("CRM_URL", url.to_owned()));
    place.sources(&[&format!("database = \"env:CRM_URL\"\n{query}")]);
    place
}

async fn on_postgres(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.expect("connects");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the statements are good");
}

async fn on_mariadb(url: &str, sql: &str) {
    let mut connection = MySqlConnection::connect(url).await.expect("connects");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the statements are good");
}

async fn on_sqlite(place: &Place, sql: &str) -> String {
    let url = format!("sqlite://{}?mode=rwc", place.path("crm.db").display());
    let mut connection = SqliteConnection::connect(&url).await.expect("connects");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the statements are good");
    connection.close().await.expect("closes");
    format!("sqlite://{}", place.path("crm.db").display())
}

/// The cells of the first row as intake has them, by the rejects file: the row has no address that can be used.
fn first_reject(place: &Place) -> Vec<String> {
    let rejects = place.rejects();
    rejects[1][..rejects[0].len() - 3].to_vec()
}

#[tokio::test]
async fn postgres_types_become_the_text_that_the_server_writes() {
    let Some(server) = postgres().await else { return };
    let url = server.new_database().await;
    on_postgres(
        &url,
        "create type tier as enum ('gold');
         create table client (id bigint, email text, amount numeric(20, 4), born date, since timestamptz, seen timestamp,
             vip boolean, token uuid, about jsonb, ratio double precision, small real, level tier, tags text[], note text);
         insert into client values (9007199254740993, 'no mail', 1234567890123456.7800, '1980-02-29',
             '2026-01-02 03:04:05+08', '2026-01-02 03:04:05', true, '123e4567-e89b-12d3-a456-426614174000',
             '{\"a\": 1}', 0.1, 0.1, 'gold', '{a,b}', null);
         insert into client (id, email) values (9007199254740994, 'a@example.org')",
    )
    .await;
    let place = asking(&url, QUERY);
    let report = place.check();
    assert_eq!(sums(&report), [2, 1, 0, 1], "{report}");
    let want = [
        "9007199254740993",
        "no mail",
        "1234567890123456.7800",
        "1980-02-29",
        "2026-01-01 19:04:05+00",
        "2026-01-02 03:04:05",
        "true",
        "123e4567-e89b-12d3-a456-426614174000",
        "{\"a\": 1}",
        "0.1",
        "0.1",
        "gold",
        "{a,b}",
        "",
    ];
    assert_eq!(first_reject(&place), want);
    let source = &report["sources"][0];
    assert_eq!(
        (&source["name"], &source["encoding"]),
        (&"select * from client order by id".into(), &"PostgreSQL".into())
    );
    let digest = source["digest"].clone();
    assert_eq!(digest, place.check()["sources"][0]["digest"], "the same rows have the same digest");
    on_postgres(&url, "update client set note = ''").await;
    assert_ne!(digest, place.check()["sources"][0]["digest"], "nothing is not the same as an empty text");
}

#[tokio::test]
async fn mariadb_types_become_the_text_that_the_server_writes() {
    let Some(server) = mariadb().await else { return };
    let url = server.new_database().await;
    on_mariadb(
        &url,
        "create table client (id bigint unsigned, email varchar(99) character set utf8mb4 collate utf8mb4_bin,
             amount decimal(20, 4), born date, since datetime, seen timestamp, vip boolean, about json, ratio double,
             level enum('gold'), year year, note longtext, name varchar(50) character set latin1);
         insert into client values (18446744073709551615, 'no mail', 1234567890123456.78, '1980-02-29',
             '2026-01-02 03:04:05', '2026-01-02 03:04:05', true, '{\"a\": 1}', 0.1, 'gold', 2026, null, 'Zoë');
         insert into client (id, email) values (1, 'a@example.org')",
    )
    .await;
    let place = asking(&url, "query = \"select client.*, concat(id, '-', level) as tag from client order by id desc\"");
    let report = place.check();
    assert_eq!(sums(&report), [2, 1, 0, 1], "{report}");
    let want = [
        "18446744073709551615",
        "no mail",
        "1234567890123456.7800",
        "1980-02-29",
        "2026-01-02 03:04:05",
        "2026-01-02 03:04:05",
        "true",
        "{\"a\": 1}",
        "0.1",
        "gold",
        "2026",
        "",
        "Zoë",
        "18446744073709551615-gold",
    ];
    assert_eq!(first_reject(&place), want);
    assert_eq!(report["sources"][0]["encoding"], "MySQL");
}

#[tokio::test]
async fn sqlite_values_have_types_of_their_own_and_one_that_is_no_text_is_a_problem_of_its_row() {
    let place = Place::new();
    on_sqlite(
        &place,
        "create table client (id, email text, phone, vip boolean, score real);
         insert into client values (1, 'a@example.org', 13800138000.0, 1, 0.1), (2.5, 'b@example.org', null, 0, 1e20),
             (3, 'c@example.org', x'ff00', null, null), (x'00', 'd@example.org', null, null, null)",
    )
    .await;
    place.sources(&["database = \"sqlite://crm.db\"\nquery = \"select * from client order by email\""]);
    let report = place.check();
    assert_eq!(sums(&report), [4, 3, 0, 1], "{report}");
    // The number has no country; a reference that cannot be read could be anybody's.
    assert_eq!(problems(&report), [(1, "bad-phone"), (3, "cell-error"), (4, "cell-error")]);
    assert!(message(&report, "cell-error").contains("the value of column \"phone\" is no text"));
    let rows = place.rows();
    assert_eq!((&rows[0]["ref"], &rows[1]["ref"]), (&"1".into(), &"2.5".into()));
}

#[tokio::test]
async fn a_query_and_a_workbook_are_one_list_by_reference() {
    use super::workbook_files::{Sheet, texts, xlsx};
    let Some(server) = postgres().await else { return };
    let url = server.new_database().await;
    on_postgres(
        &url,
        "create table client (id text, name text, email text, phone text, country text);
         insert into client values ('1', 'A', 'a@example.org', null, 'DE'), ('2', 'B', 'b@example.org', null, 'DE')",
    )
    .await;
    let mut place = Place::new();
    place.environment.push(("CRM_URL", url.clone()));
    let rows = texts("", &["id", "name", "phone", "country"])
        + &texts("", &["2", "B", "+49 1512 2258288", "DE"])
        + &texts("", &["3", "C", "+49 1512 2258289", "DE"]);
    place.write("list.xlsx", xlsx(&[Sheet::of("Clients", &rows)]));
    let queried = format!("database = \"env:CRM_URL\"\n{QUERY}");
    place.sources(&[&queried, "file = \"list.xlsx\""]);
    assert_eq!(sums(&place.check()), [4, 3, 1, 0]);
    let created = place.json("campaign create incident.toml --by alice --json");
    assert_eq!(sums(&created), [4, 3, 1, 0]);
    let again = place.json("campaign create incident.toml --by alice --json");
    assert_eq!((sums(&again), &again["campaign"]), ([4, 3, 1, 0], &created["campaign"]));
    // A row more is a list that is changed: the draft follows it, and nobody is there twice.
    on_postgres(&url, "insert into client values ('4', 'D', 'd@example.org', null, 'DE')").await;
    let changed = place.json("campaign create incident.toml --by alice --json");
    assert_eq!(sums(&changed), [5, 4, 1, 0]);
    let shown = place.run(&format!("campaign show {}", created["campaign"].as_str().expect("an id")));
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("source select * from client order by id (PostgreSQL): rows 3"), "{shown}");
    assert!(!shown.contains("127.0.0.1"), "{shown}");
}

#[tokio::test]
async fn a_database_that_cannot_be_asked_says_why_and_never_repeats_the_connection_string() {
    let Some(server) = postgres().await else { return };
    let url = server.new_database().await;
    on_postgres(&url, "create table client (id text, email text, photo bytea)").await;
    let wrong_password = url.replacen("://forewarn:", "://forewarn:x", 1);
    let nobody = "postgres://forewarn:secretword@127.0.0.1:1/crm".to_owned();
    let (_, absent) = url.rsplit_once('/').expect("a path");
    let absent = url.replace(absent, "no_such_database");
    let all = |query: &str| format!("query = \"{query}\"");
    for (url, query, want) in [
        (&url, all("select * from client"), r#"column \"photo\" of the query is of the type BYTEA"#),
        (&url, all("select * from clients"), r#"relation \"clients\" does not exist"#),
        (&url, all("selec 1"), "is not a SELECT"),
        (&url, all("delete from client"), "is not a SELECT"),
        (&url, all("select 1; select 2"), "more than one statement"),
        (&url, all("select id from client"), "no column holds an e-mail address"),
        (&wrong_password, all("select 1"), "refuses the user or the password"),
        (&absent, all("select 1"), "no database of that name"),
        (&nobody, all("select 1"), "does not answer"),
        (&"oracle://forewarn:secretword@h/crm".to_owned(), all("select 1"), "begins with postgres://"),
    ] {
        let said = asking(url, &query).refused("check incident.toml --json");
        assert!(said.contains(want), "{want}: {said}");
        assert!(!said.contains("127.0.0.1") && !said.contains("secretword") && !said.contains("pass:word"), "{said}");
    }
    let unset = Place::new();
    unset.sources(&["database = \"env:CRM_URL\"\nquery = \"select 1\""]);
    assert!(unset.refused("check incident.toml").contains("the environment variable CRM_URL is not set"));
}

#[tokio::test]
async fn a_mariadb_that_cannot_be_asked_says_why() {
    let Some(server) = mariadb().await else { return };
    let url = server.new_database().await;
    on_mariadb(&url, "create table client (id text, email text, photo blob)").await;
    let wrong_password = url.replacen("://forewarn:", "://forewarn:x", 1);
    let (_, name) = url.rsplit_once('/').expect("a path");
    let absent = url.replace(name, "no_such_database");
    for (url, query, want) in [
        (&url, "select * from client", r#"column \"photo\" of the query is of the type BLOB"#),
        (&url, "select * from clients", "doesn't exist"),
        (&url, "select id, email from client into outfile '/tmp/x'", "writes what it selects"),
        (&wrong_password, "select 1", "refuses the user or the password"),
        (&absent, "select 1", "no database of that name"),
    ] {
        let said = asking(url, &format!("query = \"{query}\"")).refused("check incident.toml --json");
        assert!(said.contains(want), "{want}: {said}");
        assert!(!said.contains("127.0.0.1") && !said.contains("pass:word"), "{said}");
    }
}

#[tokio::test]
async fn the_transaction_reads_only_whatever_the_query_calls() {
    let (Some(server), Some(other)) = (postgres().await, mariadb().await) else { return };
    let url = server.new_database().await;
    on_postgres(
        &url,
        "create table client (id text, email text);
         create function wipe() returns text language plpgsql as
             $$ begin insert into client values ('9', 'x@example.org'); return 'x@example.org'; end $$",
    )
    .await;
    let place = asking(&url, "query = \"select '1' as id, wipe() as email\"");
    let said = place.refused("check incident.toml --json");
    assert!(said.contains("after row 0") && said.contains("25006"), "{said}");
    let url = other.new_database().await;
    on_mariadb(
        &url,
        "create table client (id varchar(9), email varchar(99));
         create function wipe() returns varchar(99) modifies sql data
             begin insert into client values ('9', 'x@example.org'); return 'x@example.org'; end",
    )
    .await;
    let place = asking(&url, "query = \"select '1' as id, wipe() as email\"");
    let said = place.refused("check incident.toml --json");
    assert!(said.contains("after row 0"), "{said}");
    let place = asking(&url, "query = \"select * from client\"");
    assert!(place.refused("check incident.toml --json").contains("no-persons"), "nothing was written");
}

#[tokio::test]
async fn a_query_that_breaks_off_leaves_nothing_and_can_be_run_again() {
    let Some(server) = postgres().await else { return };
    let url = server.new_database().await;
    on_postgres(
        &url,
        "create table client (id int, email text);
         insert into client select n, case when n = 29000 then 'secret person' else 'p' || n || '@example.org' end
             from generate_series(1, 30000) n",
    )
    .await;
    // Row 29,000 makes the server fail, as a value does that a cast cannot take.
    let breaking =
        "query = \"select id, case when id = 29000 then email::int::text else email end as email from client\"";
    let place = asking(&url, breaking);
    let said = place.refused("campaign create incident.toml --by alice --json");
    assert!(said.contains("reading failed after row 28999") && said.contains("22P02"), "{said}");
    assert!(!said.contains("secret person"), "{said}");
    on_postgres(&url, "update client set email = 'p29000@example.org' where id = 29000").await;
    place.sources(&[&format!("database = \"env:CRM_URL\"\n{QUERY}")]);
    let created = place.json("campaign create incident.toml --by alice --json");
    assert_eq!(sums(&created), [30_000, 30_000, 0, 0]);
}

#[tokio::test]
async fn a_connection_that_is_cut_half_way_is_the_same() {
    let Some(server) = postgres().await else { return };
    let url = server.new_database().await;
    on_postgres(
        &url,
        "create table client (id int, email text);
         insert into client select n, 'p' || n || '@example.org' from generate_series(1, 5000) n",
    )
    .await;
    let place = asking(
        &url,
        "query = \"select id, email, pg_terminate_backend(case when id = 3000 then pg_backend_pid() else -1 end) as x from client\"",
    );
    let said = place.refused("campaign create incident.toml --by alice --json");
    assert!(said.contains("the list is not whole, and nothing of it was taken"), "{said}");
    place.sources(&[&format!("database = \"env:CRM_URL\"\n{QUERY}")]);
    assert_eq!(sums(&place.json("campaign create incident.toml --by alice --json")), [5_000, 5_000, 0, 0]);
}
