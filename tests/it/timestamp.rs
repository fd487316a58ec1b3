//! Time stamps of a real authority: which answers are believed, and that the log goes on without any.

use crate::support::app::{Engine, on_both_engines};
use crate::support::authority::{Authority, How};
use crate::support::place::{EMAIL_SMS, LIST, Place};
use crate::support::servers;
use crate::support::verifiers::{OPENSSL, PYTHON};
use forewarn::app::App;
use forewarn::evidence::timestamp::authority::Authority as Believed;
use forewarn::evidence::timestamp::token::Token;
use forewarn::evidence::timestamp::{Request, TimestampError};
use forewarn::model::time::{HOUR, SECOND};
use sha2::{Digest as _, Sha256};

/// The digest of a head that the authority is asked about.
const DIGEST: [u8; 32] = [7; 32];

fn believed(authority: &Authority) -> Believed {
    Believed::parse(&fs_err::read(authority.root()).expect("read")).expect("certificates")
}

/// What becomes of an answer.
fn checked(authority: &Authority, how: How) -> Result<i64, TimestampError> {
    let request = Request::new(DIGEST, [9; 8]);
    let reply = authority.reply(how, &request.to_der());
    let token = Token::read(&reply)?;
    token.answers(&request)?;
    believed(authority).check(&token)?;
    Ok(token.at)
}

#[test]
fn only_what_the_authority_has_signed_for_us_is_believed() {
    let Some(authority) = Authority::start() else { return };
    let now = jiff::Timestamp::now().as_microsecond();
    for how in [How::Good, How::ByRsa] {
        let at = checked(&authority, how).unwrap_or_else(|error| panic!("{how:?}: the answer {error}"));
        assert!((at - now).abs() < 60 * SECOND, "{how:?}: {at}");
    }
    for (how, want) in [
        (How::OtherImprint, TimestampError::OtherImprint),
        (How::OtherNonce, TimestampError::OtherNonce),
        (How::NoCertificate, TimestampError::NoCertificate),
        (How::NotForTimestamps, TimestampError::NotForTimestamps),
        (How::Broken, TimestampError::BadSignature),
        (How::Expired, TimestampError::Untrusted("it had expired when it stamped".to_owned())),
        (How::Refusing, TimestampError::Refused { status: 2, text: String::new() }),
    ] {
        assert_eq!(checked(&authority, how), Err(want), "{how:?}");
    }
    // The other root has the same name, so it is the signature that tells them apart.
    assert!(matches!(checked(&authority, How::OtherRoot), Err(TimestampError::Untrusted(_))));
    // Its own time is what it says; whether that can be is for those who know what time it is.
    let ahead = checked(&authority, How::ClockAhead).expect("signed by the authority");
    assert!(ahead - now > 23 * HOUR);
}

#[test]
fn no_octet_of_an_answer_can_be_changed() {
    let Some(authority) = Authority::start() else { return };
    let request = Request::new(DIGEST, [9; 8]);
    let reply = authority.reply(How::Good, &request.to_der());
    let believed = believed(&authority);
    let mut passed = Vec::new();
    for at in 0..reply.len() {
        let mut other = reply.clone();
        other[at] ^= 0x10;
        let check = |token: &Token<'_>| token.answers(&request).and_then(|()| believed.check(token));
        if Token::read(&other).is_ok_and(|token| check(&token).is_ok()) {
            passed.push(at);
        }
        assert!(Token::read(&reply[..at]).is_err(), "cut at {at}");
    }
    // Not signed: what the authority says of its status, versions, and lists of digests that are looked at nowhere.
    assert!(passed.len() <= 40, "{} of {} octets may be changed: {passed:?}", passed.len(), reply.len());
}

#[test]
fn an_answer_outlives_its_certificate() {
    let Some(authority) = Authority::start() else { return };
    authority.expires_in(3);
    let note = b"a head\n";
    let request = Request::new(Sha256::digest(note).into(), [9; 8]);
    let reply = authority.reply(How::Good, &request.to_der());
    let token = Token::read(&reply).expect("an answer");
    let folder = tempfile::tempdir().expect("a folder");
    for (name, octets) in [("note", &note[..]), ("tsr", &reply)] {
        fs_err::write(folder.path().join(name), octets).expect("written");
    }
    fs_err::copy(authority.root(), folder.path().join("ca.pem")).expect("copied");
    std::thread::sleep(std::time::Duration::from_secs(5));
    let verify =
        |more: &str| OPENSSL.run(folder.path(), &format!("ts -verify {more}-data note -in tsr -CAfile ca.pem"));
    let (plain, said) = verify("").expect("it was there");
    assert!(!plain && said.contains("expired"), "{said}");
    let (then, said) = verify(&format!("-attime {} ", token.at / SECOND)).expect("it was there");
    assert!(then, "{said}");
    assert_eq!(believed(&authority).check(&token), Ok(()));
}

/// An installation with an authority.
struct Stamped {
    place: Place,
    authority: Authority,
}

impl Stamped {
    /// None where openssl is not installed.
    async fn new(engine: Engine, every: &str) -> Option<Stamped> {
        let authority = Authority::start()?;
        let place = Place::empty();
        if engine == Engine::Postgres {
            place.use_database(&servers::postgres().await.expect("a server").new_database().await);
        }
        let config = fs_err::read_to_string(place.path("config.toml")).expect("read");
        let table = format!(
            "[proof]\ntimestamp = {{ url = \"{}\", ca_file = \"tsa-ca.pem\", every = \"{every}\" }}\n",
            authority.url
        );
        fs_err::write(place.path("config.toml"), format!("{config}{table}")).expect("written");
        fs_err::copy(authority.root(), place.path("tsa-ca.pem")).expect("copied");
        Some(Stamped { place: place.with_campaign(EMAIL_SMS, LIST), authority })
    }

    async fn app(&self) -> App {
        App::open(forewarn::config::load(&self.place.path("config.toml")).expect("config")).await.expect("opened")
    }

    /// What `doctor` says of it.
    fn doctor(&self) -> String {
        let done = self.place.run("doctor");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        said.lines()
            .filter(|line| line.contains("time stamp") || line.contains("tsa-ca"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// A list that is sealed, a campaign that runs, and its end are stamped; what is stamped is in the log.
async fn what_is_sealed_and_closed_is_stamped(engine: Engine) {
    let Some(stamped) = Stamped::new(engine, "1h").await else { return };
    let (place, authority) = (&stamped.place, &stamped.authority);
    place.ok("campaign approve ID --by bob");
    assert_eq!(authority.asked(), 1, "when the list is sealed");
    place.ok("campaign start ID --wait");
    place.ok("campaign pause ID --reason lunch");
    let app = stamped.app().await;
    let first = app.store.newest_stamp().await.expect("read").expect("a stamp");
    app.keep_log_up().await.expect("kept");
    assert_eq!(authority.asked(), 1, "an hour is not over, and nothing was sealed");
    place.ok("proof close ID");
    assert_eq!(authority.asked(), 2, "when the campaign is closed");
    let second = app.store.newest_stamp().await.expect("read").expect("a stamp");
    assert!(second.size > first.size && second.at >= first.at);
    for stamp in [&first, &second] {
        let head = app.store.head_of(stamp.size).await.expect("read").expect("a head");
        let token = Token::read(&stamp.reply).expect("a token");
        assert_eq!(token.stamps(&Sha256::digest(head.note.as_bytes()).into()), Ok(()));
        assert_eq!(believed(authority).check(&token), Ok(()));
        let (index, leaf) = app.store.leaves_at(&[stamp.leaf]).await.expect("read").remove(0).expect("a fact");
        let leaf: serde_json::Value = serde_json::from_slice(&leaf).expect("JSON");
        assert!(index >= stamp.size, "what was stamped came before");
        assert_eq!(leaf["ev"], "anchor");
        assert_eq!(leaf["sha256"], const_hex::encode(Sha256::digest(&stamp.reply)));
    }
    // A stamp is no news by itself.
    for _ in 0..3 {
        app.keep_log_up().await.expect("kept");
    }
    assert_eq!(authority.asked(), 2);
    let said = stamped.doctor();
    assert!(said.contains("the last time stamp is of 20") && said.contains("good until"), "{said}");
}

/// A bundle shows the stamps around the facts, and its README the command that checks each.
async fn a_bundle_shows_when_by_another_clock(engine: Engine) {
    let Some(stamped) = Stamped::new(engine, "1h").await else { return };
    let place = &stamped.place;
    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID --wait");
    place.ok("proof close ID");
    place.ok("proof person ID A-1 --out a.zip --by dora");
    let verdict = place.json("proof verify a.zip --json");
    let proven = verdict["proven"].to_string();
    assert_eq!(proven.matches("says a time-stamping authority").count(), 2, "{verdict}");
    assert_eq!(proven.matches("came into the log after").count(), 2, "{verdict}");
    assert!(!verdict["not_shown"].to_string().contains("time stamp"), "{verdict}");
    let folder = tempfile::tempdir().expect("a folder");
    let zip = fs_err::File::open(place.path("a.zip")).expect("a zip");
    zip::ZipArchive::new(zip).expect("a zip").extract(folder.path()).expect("unpacked");
    let readme = fs_err::read_to_string(folder.path().join("README.txt")).expect("read");
    let commands: Vec<&str> = readme.lines().filter_map(|line| line.trim().strip_prefix("openssl ")).collect();
    assert_eq!(commands.iter().filter(|command| command.starts_with("ts -verify -attime ")).count(), 2, "{readme}");
    for command in commands {
        let (well, said) = OPENSSL.run(folder.path(), command).expect("it was there");
        assert!(well, "{command}: {said}");
    }
    let python = PYTHON.run(folder.path(), "verify/verify.py .");
    if let Some((well, said)) = python {
        assert!(well && said.matches("says the authority of anchors/tsa-ca.pem").count() == 2, "{said}");
    }
    // That of the campaign shows the facts about stamps, as those of the log itself.
    place.ok("proof campaign ID --out c.zip --by dora");
    place.ok("proof verify c.zip");
    // Certificates that lead to nobody who has stamped: the bundle does without, and says so.
    fs_err::copy(stamped.authority.other_root(), place.path("tsa-ca.pem")).expect("copied");
    place.ok("proof person ID A-1 --out b.zip --by dora");
    let verdict = place.json("proof verify b.zip --json");
    assert!(verdict["not_shown"].to_string().contains("by the certificates that are configured now"), "{verdict}");
    assert!(!verdict["proven"].to_string().contains("time-stamping authority"), "{verdict}");
}

/// Whatever the authority does, notices go out; it is said, and tried again later and not at once.
async fn an_authority_that_fails_holds_up_nothing(engine: Engine) {
    let Some(stamped) = Stamped::new(engine, "1h").await else { return };
    let (place, authority) = (&stamped.place, &stamped.authority);
    authority.answer(How::Down);
    place.ok("campaign approve ID --by bob");
    place.ok("campaign start ID --wait");
    assert_eq!(place.sum(), "3=3+0+0+0+0");
    assert_eq!(authority.asked(), 1, "one question, then a wait");
    let said = stamped.doctor();
    assert!(said.contains("there is no time stamp yet; none came since 20") && said.contains("status 500"), "{said}");
    let app = stamped.app().await;
    let retry = async |how: How| {
        authority.answer(how);
        // The wait is over.
        let mut tx = app.store.begin().await.expect("begun");
        tx.stamp_failed(0, 0, "").await.expect("written");
        tx.commit().await.expect("committed");
        app.stamp_if_due().await.expect("no fault of ours")
    };
    for (how, why) in [
        (How::Rubbish, "is no answer of a time-stamping authority"),
        (How::OtherImprint, "another digest than ours"),
        (How::OtherNonce, "its nonce differs"),
        (How::NoCertificate, "holds no certificate"),
        (How::Expired, "had expired"),
        (How::OtherRoot, "does not lead to the authority"),
        (How::ClockAhead, "they differ by more than 5m"),
    ] {
        assert!(!retry(how).await, "{how:?}");
        let turn = app.store.stamp_turn().await.expect("read");
        assert!(turn.why.contains(why), "{how:?}: {}", turn.why);
        assert!(turn.next_at > turn.failing_since.expect("it fails"), "{how:?}");
        assert_eq!(app.store.newest_stamp().await.expect("read"), None, "{how:?}");
    }
    fs_err::rename(place.path("tsa-ca.pem"), place.path("away.pem")).expect("renamed");
    assert!(!retry(How::Good).await);
    assert!(stamped.doctor().contains("tsa-ca.pem"));
    fs_err::rename(place.path("away.pem"), place.path("tsa-ca.pem")).expect("renamed");
    assert!(retry(How::Good).await, "it is well again");
    assert_eq!(app.store.stamp_turn().await.expect("read").failing_since, None);
    let said = stamped.doctor();
    assert!(said.contains("the last time stamp is of 20") && !said.contains("none came"), "{said}");
}

/// While facts come, a stamp is due when the last one is old enough; not because of itself, and not while nothing happens.
async fn a_stamp_is_due_when_the_last_is_old_and_something_happened(engine: Engine) {
    let Some(stamped) = Stamped::new(engine, "1h").await else { return };
    let (place, authority) = (&stamped.place, &stamped.authority);
    authority.answer(How::Down);
    place.ok("campaign approve ID --by bob");
    let app = stamped.app().await;
    let head = app.store.newest_head().await.expect("read").expect("a head");
    let request = Request::new(Sha256::digest(&head.note).into(), [1; 8]);
    let reply = authority.reply(How::Good, &request.to_der());
    let old = |hours: i64| jiff::Timestamp::now().as_microsecond() - hours * HOUR;
    let mut tx = app.store.begin().await.expect("begun");
    assert!(tx.add_stamp(&head, (old(2), old(2)), &reply, "an authority").await.expect("kept"));
    assert!(!tx.add_stamp(&head, (old(1), old(1)), &reply, "an authority").await.expect("kept before"));
    tx.stamp_succeeded().await.expect("written");
    tx.commit().await.expect("committed");
    authority.answer(How::Good);
    let before = authority.asked();
    for _ in 0..2 {
        app.keep_log_up().await.expect("kept");
    }
    assert_eq!(authority.asked(), before, "nothing happened but the stamp");
    place.ok("campaign start ID");
    app.keep_log_up().await.expect("kept");
    assert_eq!(authority.asked(), before + 1);
    place.ok("campaign pause ID --reason lunch");
    app.keep_log_up().await.expect("kept");
    assert_eq!(authority.asked(), before + 1, "the last one is new");
}

/// Notices do not wait for an authority that says nothing.
async fn nobody_waits_for_a_silent_authority(engine: Engine) {
    let Some(stamped) = Stamped::new(engine, "1h").await else { return };
    let (place, authority) = (&stamped.place, &stamped.authority);
    authority.answer(How::Down);
    place.ok("campaign approve ID --by bob");
    let app = stamped.app().await;
    let mut tx = app.store.begin().await.expect("begun");
    tx.stamp_succeeded().await.expect("written");
    tx.commit().await.expect("committed");
    drop(app);
    authority.answer(How::Silent);
    let before = authority.asked();
    place.ok("campaign start ID --wait");
    assert_eq!((place.sum().as_str(), authority.asked()), ("3=3+0+0+0+0", before + 1));
    // The worker is patient for 15 seconds: nothing was sent as late as that.
    let asked = authority.last_asked().expect("it was asked");
    for line in place.ok("campaign log ID --json").lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        if event["event"] == "attempt" {
            let at: jiff::Timestamp = event["at"].as_str().expect("a time").parse().expect("a time");
            assert!(at.duration_since(asked).as_secs() < 14, "asked {asked}: {event}");
        }
    }
}

/// Of many who look at the same moment, one asks.
async fn one_asks_for_all(engine: Engine) {
    let Some(stamped) = Stamped::new(engine, "1h").await else { return };
    stamped.authority.answer(How::Down);
    stamped.place.ok("campaign approve ID --by bob");
    let app = stamped.app().await;
    stamped.authority.answer(How::Good);
    let mut tx = app.store.begin().await.expect("begun");
    tx.stamp_succeeded().await.expect("written");
    tx.commit().await.expect("committed");
    let before = stamped.authority.asked();
    let mut apps = Vec::new();
    for _ in 0..4 {
        apps.push(stamped.app().await);
    }
    let asked = futures_util::future::join_all(apps.iter().map(App::stamp_if_due)).await;
    let stamped_by = asked.into_iter().filter(|done| *done.as_ref().expect("no fault")).count();
    assert_eq!((stamped_by, stamped.authority.asked() - before), (1, 1));
}

on_both_engines!(
    what_is_sealed_and_closed_is_stamped,
    a_bundle_shows_when_by_another_clock,
    an_authority_that_fails_holds_up_nothing,
    a_stamp_is_due_when_the_last_is_old_and_something_happened,
    nobody_waits_for_a_silent_authority,
    one_asks_for_all,
);
