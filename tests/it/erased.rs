//! What is erased is nowhere: searched for in the raw octets of databases and their logs.

use crate::support::place::Place;
use crate::support::{missing, servers};
use sqlx::Connection as _;
use std::path::{Path, PathBuf};

const LIST: &str = "ref,name,email,phone,locale\nP-1,Ann Smith,ann@example.com,+4915112345671,en\nP-2,王小明,\
                    w@example.org,+8613912345678,en\nP-3,Bob Brown,,+4915112345673,de\n";
const LADDER: &str = "{ channel = \"email\" }, { channel = \"sms\", when = \"not-delivered\", after = \"4h\" }";

fn holds(octets: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(octets, what).is_some()
}

/// The files below a folder that hold this; those that go away meanwhile hold nothing.
fn below(folder: &Path, what: &[u8]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = entries.flat_map(|path| match path.is_dir() {
        true => below(&path, what),
        false if std::fs::read(&path).is_ok_and(|octets| holds(&octets, what)) => vec![path],
        false => Vec::new(),
    });
    found.collect()
}

#[tokio::test]
async fn what_is_erased_is_nowhere_and_bundles_of_before_stay() {
    let place = Place::started(LADDER, LIST);
    place.ok("proof close ID");
    place.ok("proof person ID P-2 --out before.zip");
    let before = fs_err::read(place.path("before.zip")).expect("read");
    let asked =
        |address: &str| place.json(&format!("proof ask ID {address} --json"))["attempts"].as_array().unwrap().len();
    assert_eq!((asked("--email w@example.org"), asked("--email x@example.org")), (1, 0));
    let rows = sealed(format!("sqlite://{}", place.path("forewarn.db").display())).await;
    assert_eq!(rows.len(), 3);

    let done = place.json("erase ID --ref P-2 --reason asked-for --json");
    assert_eq!((&done["persons"], &done["wiped"]), (&1.into(), &true.into()), "{done}");
    let left = |row: &(i64, Vec<u8>, Vec<u8>), seed: bool| {
        let key = if seed { &row.1[row.1.len() - 32..] } else { &row.1[..72] };
        let all = ["forewarn.db", "forewarn.db-wal"].map(|name| fs_err::read(place.path(name)).unwrap_or_default());
        all.iter().any(|octets| holds(octets, key)) || (!seed && all.iter().any(|octets| holds(octets, &row.2)))
    };
    assert_eq!(
        (left(&rows[1], false), left(&rows[1], true)),
        (false, true),
        "the content is gone, the identity is not"
    );
    assert!(left(&rows[0], false), "of others everything is there");
    assert_eq!(asked("--email w@example.org"), 1, "it can still be asked by whoever knows the address");
    assert_eq!(place.refused("proof person ID P-2 --out after.zip"), "erased");
    assert!(place.ok("campaign log ID --reveal").contains("(erased)"));
    place.ok("proof person ID P-1 --out other.zip");

    place.ok("erase ID --ref P-2 --reason time --identity");
    assert!(!left(&rows[1], true), "the identity is gone");
    assert_eq!(asked("--email w@example.org"), 0);
    assert_eq!(place.refused("erase ID --ref P-2 --reason again --identity"), "no-such-person");

    let all = place.json("erase ID --reason retention --identity --json");
    assert_eq!((&all["persons"], &all["already"]), (&2.into(), &1.into()), "{all}");
    assert!(!left(&rows[0], false) && !left(&rows[2], true));
    assert_eq!(
        place.ok("campaign log ID").matches("(erased)").count(),
        place.ok("campaign log ID").matches(",t-1-").count() - notes(&place)
    );
    assert_eq!(fs_err::read(place.path("before.zip")).expect("read"), before);
    place.ok("proof verify before.zip");
    place.ok("campaign status ID");
}

/// The lines of the log that are about nobody.
fn notes(place: &Place) -> usize {
    place.ok("campaign log ID").lines().skip(1).filter(|line| !line.contains("(erased)")).count()
}

/// Number, wrapped key and sealed data of each person, as they stand in the database.
async fn sealed(url: String) -> Vec<(i64, Vec<u8>, Vec<u8>)> {
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("opened");
    let rows = sqlx::query_as("select no, wrapped_key, sealed from sealed_person order by no");
    let rows = rows.fetch_all(&mut connection).await.expect("read");
    connection.close().await.expect("closed");
    rows
}

/// As `what_is_erased_is_nowhere_and_bundles_of_before_stay`, in the files of a PostgreSQL, by the procedure of
/// docs/proof.md.
#[tokio::test]
async fn what_is_erased_is_nowhere_in_the_files_of_postgres() {
    let Some(postgres) = servers::postgres().await else { return };
    let url = postgres.new_database().await;
    let mut root = sqlx::PgConnection::connect(&url).await.expect("connected");
    let data: String = sqlx::query_scalar("show data_directory").fetch_one(&mut root).await.expect("a superuser");
    let data = Path::new(&data);
    if std::fs::read_dir(data).is_err() {
        return missing(
            "the files of PostgreSQL cannot be read: run the tests on the same machine and as a user who may",
        );
    }
    for sql in ["alter system set wal_recycle = off", "select pg_reload_conf()"] {
        sqlx::raw_sql(sql).execute(&mut root).await.expect("set");
    }
    let place = Place::empty();
    place.use_database(&url);
    let place = place.with_campaign(LADDER, LIST);
    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID --wait");
    place.ok("proof close ID");
    place.ok("proof person ID P-2 --out before.zip");
    let rows = sealed(url.clone()).await;
    assert_eq!(rows.len(), 3);
    // What a planner keeps of a table, and what stands in pages.
    sqlx::raw_sql("analyze; checkpoint").execute(&mut root).await.expect("done");
    let (content, seed) = (&rows[1].1[..72], &rows[1].1[rows[1].1.len() - 32..]);
    for what in [content, seed, &rows[1].2] {
        assert!(!below(data, what).is_empty(), "it is found where it is");
    }
    let nowhere = |what: &[u8]| assert_eq!(below(data, what), Vec::<PathBuf>::new());

    let wiped = |what: &str| {
        let done = place.json(what);
        assert_eq!((&done["persons"], &done["wiped"]), (&1.into(), &true.into()), "{done}");
    };
    wiped("erase ID --ref P-2 --reason asked-for --json");
    wal_gone(&mut root).await;
    nowhere(content);
    nowhere(&rows[1].2);
    assert!(!below(data, seed).is_empty(), "the identity is still there");
    wiped("erase ID --ref P-2 --reason time --identity --json");
    wal_gone(&mut root).await;
    nowhere(seed);
    assert!(!below(data, &rows[0].1[..72]).is_empty(), "of others everything is there");
    for name in ["Ann Smith", "ann@example.com", "+4915112345671", "王小明", "w@example.org", "+8613912345678"] {
        // Nobody ever stood there in clear.
        nowhere(name.as_bytes());
    }
    place.ok("proof verify before.zip");
    place.ok("campaign status ID");
}

/// The procedure of docs/proof.md.
async fn wal_gone(root: &mut sqlx::PgConnection) {
    for sql in ["select pg_switch_wal()", "checkpoint"] {
        sqlx::raw_sql(sql).execute(&mut *root).await.expect("done");
    }
}
