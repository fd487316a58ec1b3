//! A database with a campaign of made-up persons, and a carrier that does what a script says. When it is dropped the
//! books must balance.

use crate::support::servers;
use forewarn::dispatch::limiter::Window;
use forewarn::dispatch::{Carrier, Dispatcher, End, Job, RoutePlan, Until};
use forewarn::model::campaign::{CampaignState, Digests};
use forewarn::model::channel::{Channel, ContactKind};
use forewarn::model::contact::{Contact, Role};
use forewarn::model::incident::{CampaignKind, CampaignPlan};
use forewarn::model::ladder::{Evidence, Ladder, Step, When};
use forewarn::model::notice::{NoticeId, NoticeState};
use forewarn::model::outcome::{Class, Outcome};
use forewarn::model::person::{Person, Standing};
use forewarn::model::personal::Personal;
use forewarn::model::problem::Problem;
use forewarn::model::time::{HOUR, Micros, SECOND};
use forewarn::providers::Gate;
use forewarn::store::campaign::Campaign;
use forewarn::store::claim::Due;
use forewarn::store::import::{NewPerson, NewSource, SourceSums};
use forewarn::store::log::LoggedAttempt;
use forewarn::store::status::Sums;
use forewarn::store::{Store, StoreError};
use forewarn::vault::MasterKey;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// What the script knows of a notice it is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub(crate) campaign: i64,
    pub(crate) notice: NoticeId,
    pub(crate) route: String,
    pub(crate) attempt: i64,
    pub(crate) refusals: u32,
    /// When the gate opened, and when the outcome was given.
    pub(crate) began: Instant,
    pub(crate) outcome: Option<Class>,
}

/// How a scripted attempt goes.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Say(Class),
    Wait(Duration, Class),
    Panic,
}

pub(crate) type Script = Arc<dyn Fn(&Carried) -> Act + Send + Sync>;

/// The carrier of the stories.
pub(crate) struct Scripted {
    script: Script,
    plan: CampaignPlan,
    routes: Vec<String>,
    pub(crate) carried: Mutex<Vec<Carried>>,
}

pub(crate) fn outcome(class: Class) -> Outcome {
    Outcome::new(class, "script", "as the script says")
}

impl Carrier for Scripted {
    fn open(&self, _: &Campaign) -> Result<Arc<CampaignPlan>, Problem> {
        Ok(Arc::new(self.plan.clone()))
    }

    fn close(&self, _: i64) {}

    async fn carry(&self, job: Job, place: OwnedSemaphorePermit) -> forewarn::dispatch::Carried {
        let mut gate = Gate::default().holding(place).under(job.lease.clone());
        gate = gate.unless(job.halted.clone()).unless(job.stopping.clone());
        if let Some((slot, late)) = job.slot {
            gate = gate.at_slot(slot, late);
        }
        if let Err(shut) = gate.open().await {
            return shut.outcome().into();
        }
        let mut carried = Carried {
            campaign: job.campaign,
            notice: job.due.notice,
            route: self.routes[job.route].clone(),
            attempt: job.attempt,
            refusals: job.due.refusals,
            began: Instant::now(),
            outcome: None,
        };
        let at = {
            let mut all = self.carried.lock().unwrap();
            all.push(carried.clone());
            all.len() - 1
        };
        let class = match (self.script)(&carried) {
            Act::Say(class) => class,
            Act::Wait(wait, class) => {
                tokio::time::sleep(wait).await;
                class
            }
            Act::Panic => panic!("as the script says"),
        };
        carried.outcome = Some(class);
        self.carried.lock().unwrap()[at] = carried;
        outcome(class).into()
    }

    fn domain(&self, _: i64, due: &Due) -> Option<String> {
        Some(domain_of(due.notice.person()).to_owned())
    }
}

/// Every other person is at the limited domain.
pub(crate) fn domain_of(person: i64) -> &'static str {
    if person % 2 == 0 { "even.example" } else { "odd.example" }
}

pub(crate) fn now() -> Micros {
    jiff::Timestamp::now().as_microsecond()
}

pub(crate) fn route(name: &str, channel: Channel) -> RoutePlan {
    RoutePlan {
        name: name.to_owned(),
        provider: "scripted".to_owned(),
        channel,
        weight: 100,
        concurrency: 4,
        limits: Vec::new(),
        domain_limits: Vec::new(),
        idempotent: false,
        best: Evidence::Accepted,
        within: None,
        named_by_id: true,
        looks_up: false,
    }
}

pub(crate) fn limited(mut plan: RoutePlan, limits: &[(u64, Micros)]) -> RoutePlan {
    plan.limits = limits.iter().map(|(rate, per)| Window { rate: *rate, per: *per }).collect();
    plan
}

/// Email, then SMS, then a call, each only when the one before failed.
pub(crate) fn plan() -> CampaignPlan {
    let step = |channel| Step { channel, when: When::NotDelivered, after: HOUR };
    CampaignPlan {
        kind: CampaignKind::Initial,
        templates: "none".to_owned(),
        default_locale: "en".to_owned(),
        ladder: Ladder { steps: Channel::ALL.map(step).to_vec() },
        on_unknown: BTreeMap::new(),
        give_up_after: HOUR,
        approvals: 0,
        retry_first: SECOND / 20,
        retry_max: SECOND / 5,
    }
}

/// The database that a story is told on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// How long a worker of a story may be silent.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// Tells each story on a real SQLite file and on a real PostgreSQL.
macro_rules! on_both_engines {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $story() {
                super::$story($crate::support::app::Engine::Sqlite).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $story() {
                if $crate::support::servers::postgres().await.is_some() {
                    super::$story($crate::support::app::Engine::Postgres).await;
                }
            })+
        }
    };
}
pub(crate) use on_both_engines;

async fn open(path: &Path, url: Option<&reqwest::Url>) -> Store {
    match url {
        Some(url) => Store::connect(url).await.unwrap(),
        None => Store::open(path).await.unwrap(),
    }
}

pub(crate) struct TestApp {
    folder: Option<tempfile::TempDir>,
    pub(crate) path: PathBuf,
    /// Where the database is a server's.
    pub(crate) url: Option<reqwest::Url>,
    pub(crate) store: Store,
    pub(crate) routes: Vec<RoutePlan>,
    pub(crate) plan: CampaignPlan,
    pub(crate) master: MasterKey,
    checked: bool,
}

impl TestApp {
    pub(crate) async fn new(engine: Engine, routes: Vec<RoutePlan>) -> TestApp {
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("forewarn.db");
                let mut app = TestApp::at(path, routes).await;
                app.folder = Some(folder);
                app
            }
            Engine::Postgres => {
                let server = servers::postgres().await.expect("the caller has asked");
                let url: reqwest::Url = server.new_database().await.parse().unwrap();
                let store = Store::connect(&url).await.unwrap();
                TestApp::over(store, PathBuf::new(), Some(url), routes).await
            }
        }
    }

    /// On a database at this path, in a folder that somebody else looks after.
    pub(crate) async fn at(path: PathBuf, routes: Vec<RoutePlan>) -> TestApp {
        let store = Store::open(&path).await.unwrap();
        TestApp::over(store, path, None, routes).await
    }

    async fn over(store: Store, path: PathBuf, url: Option<reqwest::Url>, routes: Vec<RoutePlan>) -> TestApp {
        let master = MasterKey::parse(&MasterKey::generate()).unwrap();
        store.claim_key(&master.fingerprint()).await.unwrap();
        TestApp { folder: None, path, url, store, routes, plan: plan(), master, checked: false }
    }

    /// The database as another process sees it.
    pub(crate) async fn open_again(&self) -> Store {
        open(&self.path, self.url.as_ref()).await
    }

    /// A running campaign of `persons` people whose contacts follow the patterns in turn.
    pub(crate) async fn campaign(&self, persons: i64, reaches: &[&str]) -> i64 {
        let mut tx = self.store.begin().await.unwrap();
        let no = tx.next_campaign_no().await.unwrap();
        let (keys, sealed_keys) = self.master.new_campaign_keys(no).unwrap();
        let digests = Digests { list: String::new(), texts: String::new(), ladder: String::new() };
        let campaign = Campaign {
            no,
            id: format!("c-{no}"),
            incident: format!("i-{no}"),
            kind: CampaignKind::Initial,
            title: "made up".to_owned(),
            state: CampaignState::Draft,
            reason: None,
            created_at: now(),
            created_by: "a test".to_owned(),
            started_at: None,
            incident_file: String::new(),
            templates: String::new(),
            sender: String::new(),
            digests,
            keys: sealed_keys,
            last_person: 0,
            planned: 0,
        };
        tx.insert_campaign(&campaign).await.unwrap();
        let source = NewSource { no: 1, name: "made up".into(), encoding: "utf-8".into(), delimiter: ",".into() };
        tx.begin_source(no, &source).await.unwrap();
        let mut references = self.store.references(no).await.unwrap();
        let mut letters: HashMap<&str, i64> = HashMap::new();
        for some in (1..=persons).collect::<Vec<_>>().chunks(5_000) {
            let people: Vec<NewPerson> = some
                .iter()
                .map(|n| {
                    let reach = reaches[*n as usize % reaches.len()];
                    for kind in ["e", "p"] {
                        *letters.entry(kind).or_default() += i64::from(reach.contains(kind));
                    }
                    let person = person(*n, reach);
                    NewPerson {
                        no: *n,
                        row: *n as u64,
                        ref_hash: keys.reference_hash(person.reference.reveal()),
                        reach: person.reach(),
                        locale: "en".into(),
                        country: "DE".into(),
                        sealed: keys.seal_person(*n, &person).unwrap(),
                    }
                })
                .collect();
            let wanted = people.iter().map(|p| (p.ref_hash, p.no));
            assert!(tx.take_references(&mut references, wanted).await.unwrap().iter().all(Option::is_none));
            tx.add_persons(no, 1, &people.iter().collect::<Vec<_>>()).await.unwrap();
        }
        tx.write_references(&mut references).await.unwrap();
        let sums = SourceSums { rows: persons, persons, ..SourceSums::default() };
        let mut tallies: Vec<(String, String, i64)> =
            letters.into_iter().map(|(kind, n)| ("contact".to_owned(), kind.to_owned(), n)).collect();
        for (kind, name) in [("person", "in_flight"), ("locale", "en"), ("country", "DE")] {
            tallies.push((kind.into(), name.into(), persons));
        }
        tx.finish_source(no, 1, "digest", &sums, &tallies, (persons, now())).await.unwrap();
        tx.commit().await.unwrap();
        self.move_to(no, CampaignState::Running).await;
        no
    }

    pub(crate) async fn move_to(&self, no: i64, to: CampaignState) {
        let mut tx = self.store.begin().await.unwrap();
        assert!(tx.move_campaign(no, &CampaignState::ALL, to, None, now()).await.unwrap());
        tx.commit().await.unwrap();
    }

    pub(crate) fn carrier(&self, script: impl Fn(&Carried) -> Act + Send + Sync + 'static) -> Arc<Scripted> {
        Arc::new(Scripted {
            script: Arc::new(script),
            plan: self.plan.clone(),
            routes: self.routes.iter().map(|r| r.name.clone()).collect(),
            carried: Mutex::default(),
        })
    }

    pub(crate) fn dispatcher(&self, carrier: &Arc<Scripted>, stop: watch::Receiver<bool>) -> Dispatcher<Scripted> {
        Dispatcher::new(self.store.clone(), carrier.clone(), self.routes.clone(), stop, now).leased_for(LEASE)
    }

    /// Runs to the end that `until` names; a test that takes longer than a minute has failed.
    pub(crate) async fn run(&self, carrier: &Arc<Scripted>, until: Until) -> Result<End, StoreError> {
        let (_keep, stop) = watch::channel(false);
        let mut dispatcher = self.dispatcher(carrier, stop);
        tokio::time::timeout(Duration::from_secs(60), dispatcher.run(until)).await.expect("the loop ends")
    }

    /// Runs in a runtime of its own that is torn down after `life`: as a killed process, as far as the database sees.
    /// Whatever the script waits for is never answered.
    pub(crate) fn run_and_kill(&self, carrier: &Arc<Scripted>, life: Duration) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (path, url) = (self.path.clone(), self.url.clone());
        let (carrier, routes) = (carrier.clone(), self.routes.clone());
        std::thread::spawn(move || {
            runtime.spawn(async move {
                let store = open(&path, url.as_ref()).await;
                let (_keep, stop) = watch::channel(false);
                let mut dispatcher = Dispatcher::new(store, carrier, routes, stop, now).leased_for(LEASE);
                dispatcher.run(Until::Stopped).await.unwrap();
            });
            std::thread::sleep(life);
            runtime.shutdown_timeout(Duration::from_secs(5));
        })
        .join()
        .unwrap();
    }

    pub(crate) async fn sums(&self, no: i64) -> Sums {
        self.store.sums(no).await.unwrap()
    }

    pub(crate) async fn standing(&self, no: i64, standing: Standing) -> i64 {
        self.sums(no).await.person(standing)
    }

    pub(crate) async fn state(&self, no: i64, state: NoticeState) -> i64 {
        self.sums(no).await.notice(state)
    }

    pub(crate) async fn attempts(&self, no: i64) -> Vec<LoggedAttempt> {
        self.store.attempts_after(no, 0, 1_000_000).await.unwrap()
    }

    /// How many attempts ended as each class.
    pub(crate) async fn classes(&self, no: i64) -> BTreeMap<String, usize> {
        let mut classes = BTreeMap::new();
        for attempt in self.attempts(no).await {
            *classes.entry(attempt.class.unwrap_or_else(|| "open".to_owned())).or_default() += 1;
        }
        classes
    }

    /// The books of every campaign, as a list of what is wrong with them.
    pub(crate) async fn faults(store: &Store) -> Vec<String> {
        let mut faults = Vec::new();
        for campaign in store.campaigns().await.unwrap() {
            let no = campaign.no;
            let (mut sums, counted) = (store.sums(no).await.unwrap(), store.counted(no).await.unwrap());
            sums.sent.retain(|_, n| *n != 0);
            if sums != counted {
                faults.push(format!("campaign {no}: kept {sums:?}\n  but counted {counted:?}"));
            }
            if counted.persons_total() != campaign.last_person {
                faults.push(format!("campaign {no}: {} of {}", counted.persons_total(), campaign.last_person));
            }
            if counted.notice(NoticeState::Sending) != 0 {
                faults.push(format!("campaign {no}: {} still sending", counted.notice(NoticeState::Sending)));
            }
            // A call that a receipt calls busy is made again after it was accepted.
            let back = store.receipts_after(no, 0, 10_000_000).await.unwrap();
            if let Some(early) = back.iter().find(|r| r.state.is_none()) {
                faults.push(format!("campaign {no}: a receipt of notice {} was never applied", early.notice.0));
            }
            let called_back: HashSet<NoticeId> =
                back.iter().filter(|r| r.event == "failed").map(|r| r.notice).collect();
            let mut last: HashMap<NoticeId, String> = HashMap::new();
            for attempt in store.attempts_after(no, 0, 10_000_000).await.unwrap() {
                let class = attempt.class.unwrap_or_default();
                let before = last.get(&attempt.notice).filter(|c| *c == "accepted");
                if let Some(before) = before.filter(|_| !called_back.contains(&attempt.notice)) {
                    faults.push(format!("campaign {no}: notice {} {class} after {before}", attempt.notice.0));
                }
                last.insert(attempt.notice, class);
            }
            // Whoever is in flight has something that flies, once all is planned.
            let flying: i64 = [NoticeState::Queued, NoticeState::Sending, NoticeState::Deferred, NoticeState::Unknown]
                .map(|s| counted.notice(s))
                .iter()
                .sum();
            if campaign.planned >= campaign.last_person && counted.person(Standing::InFlight) > flying {
                faults.push(format!("campaign {no}: in flight without a notice: {counted:?}"));
            }
        }
        faults
    }

    /// Fails unless the books balance. Called by drop too, for who forgets.
    pub(crate) async fn check(&mut self) {
        self.checked = true;
        let faults = TestApp::faults(&self.store).await;
        assert!(faults.is_empty(), "the books do not balance:\n{}", faults.join("\n"));
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if self.checked || std::thread::panicking() {
            return;
        }
        let (path, url) = (self.path.clone(), self.url.clone());
        let faults = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { TestApp::faults(&open(&path, url.as_ref()).await).await })
        });
        let faults = faults.join().unwrap();
        drop(self.folder.take());
        assert!(faults.is_empty(), "the books do not balance:\n{}", faults.join("\n"));
    }
}

fn person(no: i64, reach: &str) -> Person {
    let contacts = reach.chars().enumerate().map(|(at, letter)| {
        let (kind, address) = match letter {
            'e' => (ContactKind::Email, format!("p{no}.{at}@{}", domain_of(no))),
            _ => (ContactKind::Phone, format!("+49151{no:07}{at}")),
        };
        Contact { kind, address: Personal::new(address), role: Role::OneSelf }
    });
    Person {
        reference: Personal::new(format!("R{no}")),
        name: Personal::new(format!("Person {no}")),
        contacts: contacts.collect(),
        locale: "en".into(),
        country: "DE".into(),
        ..Person::default()
    }
}
