//! The adapter `sandbox`: writes what would have been sent, and fails on request.
//!
//! It serves all three channels. What happens to an attempt depends on the customer reference, the address, the number
//! of the attempt and the seed alone, so the same list has the same luck on every machine and under every key, and a
//! retry may succeed where the first attempt failed. A file per accepted attempt:
//! `DIR/CHANNEL/xx/NOTICE-ATTEMPT.eml` (or `.txt`); an injected `unknown` leaves a file every other time, as a provider
//! whose reply was lost would.

use super::private_file;
use super::settings::{Declared, SettingDecl, SettingKind, Settings};
use super::{Abilities, Gate, Outgoing};
use crate::model::channel::Channel;
use crate::model::outcome::{Class, Outcome};
use crate::model::problem::Problem;
use crate::model::rendered::Rendered;
use crate::model::time::{SECOND, parse_duration};
use std::path::PathBuf;
use std::time::Duration;

/// Shares are kept in parts of a million.
const WHOLE: u32 = 1_000_000;

#[derive(Clone, Debug)]
pub struct Sandbox {
    directory: PathBuf,
    channel: Channel,
    faults: Vec<(Class, u32)>,
    latency: Duration,
    seed: String,
}

impl Sandbox {
    pub fn declarations() -> Vec<SettingDecl> {
        vec![
            SettingDecl::required("dir", SettingKind::Text),
            SettingDecl::with_default("faults", SettingKind::Text, ""),
            SettingDecl::with_default("latency", SettingKind::Text, "0ms"),
            SettingDecl::with_default("seed", SettingKind::Text, ""),
        ]
    }

    pub fn build(route: &str, channel: Channel, settings: &Settings) -> Result<Sandbox, Vec<Problem>> {
        let settings = settings.declared(&Sandbox::declarations(), route)?;
        let text = |name: &str| settings.text(name).unwrap_or_default().to_owned();
        let faults = parse_faults(&text("faults")).map_err(|why| bad(route, "faults", &why));
        let latency = latency(&settings).ok_or_else(|| bad(route, "latency", "is no duration such as `20ms`"));
        match (faults, latency) {
            (Ok(faults), Ok(latency)) => {
                Ok(Sandbox { directory: text("dir").into(), channel, faults, latency, seed: text("seed") })
            }
            (faults, latency) => Err([faults.err(), latency.err()].into_iter().flatten().collect()),
        }
    }

    pub async fn send(&self, out: &Outgoing, gate: &Gate) -> Outcome {
        let draw = self.draw(out);
        let fault = self.fault(draw);
        let arrives = match fault {
            None => true,
            Some(class) => class == Class::Unknown && draw.is_multiple_of(2),
        };
        let file = arrives.then(|| self.file(out));
        if let Err(shut) = gate.open().await {
            return shut.outcome();
        }
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        if let Some((path, content)) = file
            && let Err(outcome) = write(path, content).await
        {
            return outcome;
        }
        match fault {
            None => Outcome::new(Class::Accepted, "sandbox", "").with_provider_id(provider_id(out)),
            Some(Class::Throttled) => {
                Outcome::new(Class::Throttled, "injected", "fault on request").with_retry_after(SECOND)
            }
            Some(class) => Outcome::new(class, "injected", "fault on request"),
        }
    }

    /// The attempt's luck: 64 bits from person, contact, attempt and seed. It must not leave this module: whoever
    /// knows the seed could try addresses against it.
    fn draw(&self, out: &Outgoing) -> u64 {
        let (reference, to) = (out.reference.reveal(), out.to.reveal());
        let luck = format!("{reference}\n{to}\n{}\n{}\n{}", out.channel.as_str(), out.attempt, self.seed);
        let mut first = [0u8; 8];
        first.copy_from_slice(&blake3::hash(luck.as_bytes()).as_bytes()[..8]);
        u64::from_le_bytes(first)
    }

    fn fault(&self, draw: u64) -> Option<Class> {
        let mut point = (draw >> 1) % u64::from(WHOLE);
        for (class, share) in &self.faults {
            match point.checked_sub(u64::from(*share)) {
                None => return Some(*class),
                Some(rest) => point = rest,
            }
        }
        None
    }

    fn file(&self, out: &Outgoing) -> (PathBuf, String) {
        let name = private_file::name_of(&out.notice);
        let shelf: String = blake3::hash(name.as_bytes()).to_hex().chars().take(2).collect();
        let (content, extension) = shown(out);
        let directory = self.directory.join(out.channel.as_str()).join(shelf);
        (directory.join(format!("{name}-{}.{extension}", out.attempt)), content)
    }

    pub fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    pub async fn check(&self) -> Result<String, Problem> {
        let directory = self.directory.join(self.channel.as_str());
        let shown = directory.display().to_string();
        let made = tokio::task::spawn_blocking(move || private_file::create_dir(&directory)).await;
        match made {
            Ok(Ok(())) => Ok(format!("sandbox: writes to {shown}, sends nothing")),
            Ok(Err(error)) => Err(Problem::new("route-check", "dir", format!("sandbox: {error}"))),
            Err(_) => Err(Problem::new("route-check", "dir", "sandbox: the check was interrupted")),
        }
    }
}

fn bad(route: &str, field: &str, why: &str) -> Problem {
    Problem::new("bad-setting", field, format!("route `{route}`: the setting `{field}` {why}"))
}

fn latency(settings: &Declared) -> Option<Duration> {
    let micros = parse_duration(settings.text("latency")?)?;
    u64::try_from(micros).ok().map(Duration::from_micros)
}

/// `bad-address:3%, unknown:0.5%` as shares of a million.
fn parse_faults(text: &str) -> Result<Vec<(Class, u32)>, String> {
    let mut faults = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, share) = part.split_once(':').ok_or("is a list such as `bad-address:3%, temporary:2%`")?;
        let class = Class::parse(name.trim()).filter(|class| !matches!(class, Class::Accepted | Class::NotSent));
        let class = class.ok_or("names something that is no fault; see the outcome classes")?;
        let percent: f64 =
            share.trim().trim_end_matches('%').trim().parse().map_err(|_| "has a share that is no per cent")?;
        if !(0.0..=100.0).contains(&percent) {
            return Err("has a share outside 0% to 100%".to_owned());
        }
        faults.push((class, (percent * f64::from(WHOLE) / 100.0).round() as u32));
    }
    match faults.iter().map(|(_, share)| share).sum::<u32>() <= WHOLE {
        true => Ok(faults),
        false => Err("has shares that add up to more than 100%".to_owned()),
    }
}

/// What a provider would call the message; made from the opaque name of the notice alone.
fn provider_id(out: &Outgoing) -> String {
    let hash = blake3::hash(format!("{}\n{}", out.notice, out.attempt).as_bytes());
    format!("sandbox-{}", &hash.to_hex()[..16])
}

fn shown(out: &Outgoing) -> (String, &'static str) {
    let to = out.to.reveal();
    match &out.rendered {
        Rendered::Email(email) => (email.mime.reveal().to_owned(), "eml"),
        Rendered::Sms(sms) => {
            let head = format!("To: {to}\nCoding: {}\nSegments: {}\n\n", sms.coding.as_str(), sms.segments);
            (format!("{head}{}\n", sms.text.reveal()), "txt")
        }
        Rendered::Call(script) => {
            let mut text = format!("To: {to}\nName: {}\nLanguage: {}\n", out.name.reveal(), script.language);
            for (_, heading, body) in &script.sections {
                text.push_str(&format!("\n## {heading}\n{}\n", body.reveal()));
            }
            if let Some(spoken) = &script.spoken {
                text.push_str(&format!("\n## (spoken)\n{}\n{}\n", spoken.opening.reveal(), spoken.message.reveal()));
            }
            (text, "txt")
        }
    }
}

async fn write(path: PathBuf, content: String) -> Result<(), Outcome> {
    let written = tokio::task::spawn_blocking(move || {
        if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
            private_file::create_dir(directory)?;
        }
        private_file::write_whole(&path, content.as_bytes(), false)
    });
    match written.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Outcome::new(Class::RouteBroken, "file", &error.to_string())),
        Err(_) => Err(Outcome::new(Class::Unknown, "file", "writing was interrupted")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::examples::sample;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    fn build(directory: &std::path::Path, faults: &str, seed: u32) -> Sandbox {
        let settings = Settings::new().with("dir", directory.display()).with("faults", faults).with("seed", seed);
        Sandbox::build("try", Channel::Sms, &settings).expect("valid")
    }

    async fn classes(sandbox: &Sandbox, attempt: u32) -> Vec<Class> {
        let mut classes = Vec::new();
        for number in 0..400 {
            let mut out = sample(Channel::Sms, "hello");
            out.notice = format!("n{number}");
            out.reference = crate::model::personal::Personal::new(format!("r{number}"));
            out.attempt = attempt;
            classes.push(sandbox.send(&out, &Gate::default()).await.class);
        }
        classes
    }

    fn files(directory: &std::path::Path) -> Vec<PathBuf> {
        let Ok(entries) = fs_err::read_dir(directory) else { return Vec::new() };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[tokio::test]
    async fn the_same_seed_brings_the_same_faults_and_a_retry_its_own_luck() {
        let directory = tempfile::tempdir().expect("a directory");
        let faults = "temporary:20%, bad-address:5%, unknown:10%";
        let sandbox = build(directory.path(), faults, 1);
        let first = classes(&sandbox, 1).await;
        let accepted = first.iter().filter(|c| **c == Class::Accepted).count();
        let unknown = first.iter().filter(|c| **c == Class::Unknown).count();
        assert!((220..300).contains(&accepted) && (20..60).contains(&unknown), "{accepted} {unknown}");
        let written = files(directory.path()).len();
        assert!(written > accepted && written < accepted + unknown, "some unknown arrived, some did not");
        assert_eq!(classes(&sandbox, 1).await, first);
        assert_ne!(classes(&sandbox, 2).await, first);
        assert_ne!(classes(&build(directory.path(), faults, 2), 1).await, first);
    }

    #[tokio::test]
    async fn files_are_for_the_owner_alone_and_a_shut_gate_leaves_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let sandbox = build(&directory.path().join("box"), "", 0);
        let out = sample(Channel::Sms, "hello");
        let halted = Gate::default().unless(Arc::new(AtomicBool::new(true)));
        assert_eq!(sandbox.send(&out, &halted).await.class, Class::NotSent);
        assert_eq!(files(directory.path()).len(), 0);
        assert_eq!(sandbox.send(&out, &Gate::default()).await.class, Class::Accepted);
        let found = files(directory.path());
        assert!(found[0].ends_with("nTOKEN-1.txt"), "{found:?}");
        let text = fs_err::read_to_string(&found[0]).expect("readable");
        assert!(text.contains("To: +15555550100") && text.ends_with("\nhello\n"), "{text}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!((mode(&found[0]), mode(&directory.path().join("box/sms"))), (0o600, 0o700));
        }
    }

    #[test]
    fn bad_settings_are_named() {
        for (faults, latency, fields) in [
            ("accepted:3%", "0ms", vec!["faults"]),
            ("temporary:60%,unknown:50%", "0ms", vec!["faults"]),
            ("temporary", "soon", vec!["faults", "latency"]),
            ("temporary:-1%", "1s", vec!["faults"]),
            ("temporary:NaN%", "1s", vec!["faults"]),
        ] {
            let settings = Settings::new().with("dir", "x").with("faults", faults).with("latency", latency);
            let problems = Sandbox::build("try", Channel::Email, &settings).expect_err(faults);
            assert_eq!(problems.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), fields, "{faults}");
        }
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_written_breaks_the_route_and_not_the_notice() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        fs_err::write(&file, "x").expect("written");
        let sandbox = build(&file, "", 0);
        let outcome = sandbox.send(&sample(Channel::Sms, "hello"), &Gate::default()).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (Class::RouteBroken, "file"));
        assert!(sandbox.check().await.is_err());
    }
}
