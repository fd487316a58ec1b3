//! Trust policies (C2SP tlog-policy): which logs a reader believes, and which witnesses must have seen a checkpoint.
//!
//! The file that goes with an export says it for programs of others too. Names here are UTF-8; that much more than the
//! format asks for is asked for.

use super::checkpoint::SignedCheckpoint;
use super::note::{KeyError, KeyKind, VerifierKey};
use super::proof_file::{ProofError, ProofFile, Trust};
use std::fmt;

/// Whom a reader believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    /// Witnesses and groups, in the order of the file: a group names only what stands before it.
    named: Vec<(String, Member)>,
    /// What must have seen a checkpoint; `None` is nobody.
    quorum: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Member {
    Witness(VerifierKey),
    /// So many of these.
    Group(usize, Vec<usize>),
}

/// Why a policy is none.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyError {
    #[error("the policy is not UTF-8, or has control characters")]
    NotText,
    #[error("line {line} of the policy: {problem}")]
    BadLine { line: usize, problem: &'static str },
    #[error("line {line} of the policy: {why}")]
    BadKey { line: usize, why: KeyError },
    #[error("the policy has no line `quorum NAME`; where no witness is asked for, write `quorum none`")]
    NoQuorum,
}

impl Policy {
    /// The policy that believes this log by these keys, and asks no witness.
    pub fn for_log(logs: &[VerifierKey]) -> Policy {
        Policy { logs: logs.to_vec(), named: Vec::new(), quorum: None }
    }

    /// Reads a policy file.
    pub fn parse(octets: &[u8]) -> Result<Policy, PolicyError> {
        let text = std::str::from_utf8(octets).map_err(|_| PolicyError::NotText)?;
        if text.bytes().any(|octet| octet == 0x7f || (octet < b' ' && octet != b'\n' && octet != b'\t')) {
            return Err(PolicyError::NotText);
        }
        let mut policy = Policy { logs: Vec::new(), named: Vec::new(), quorum: None };
        let mut has_quorum = false;
        for (number, line) in text.split('\n').enumerate() {
            let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            let bad = |problem| PolicyError::BadLine { line: number + 1, problem };
            let key = |text| VerifierKey::parse(text).map_err(|why| PolicyError::BadKey { line: number + 1, why });
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["log", vkey] | ["log", vkey, _] => policy.add_log(key(vkey)?).map_err(bad)?,
                ["witness", name, vkey] | ["witness", name, vkey, _] => {
                    policy.add_witness(name, key(vkey)?).map_err(bad)?;
                }
                ["group", name, threshold, members @ ..] => policy.add_group(name, threshold, members).map_err(bad)?,
                ["quorum", _] if has_quorum => return Err(bad("a second quorum")),
                ["quorum", name] => {
                    has_quorum = true;
                    policy.quorum = if *name == "none" { None } else { Some(policy.find(name).map_err(bad)?) };
                }
                _ => return Err(bad("no line of a policy begins or goes on like this")),
            }
        }
        if has_quorum { Ok(policy) } else { Err(PolicyError::NoQuorum) }
    }

    fn add_log(&mut self, key: VerifierKey) -> Result<(), &'static str> {
        if key.kind() != KeyKind::Ed25519 {
            return Err("the key of a log is of kind 0x01");
        }
        if self.logs.iter().any(|log| log.octets() == key.octets()) {
            return Err("this key is there twice");
        }
        self.logs.push(key);
        Ok(())
    }

    fn add_witness(&mut self, name: &str, key: VerifierKey) -> Result<(), &'static str> {
        if key.kind() != KeyKind::Cosignature {
            return Err("the key of a witness is of kind 0x04");
        }
        if self.witnesses().any(|(_, witness)| witness.octets() == key.octets()) {
            return Err("this key is there twice");
        }
        self.name(name, Member::Witness(key))
    }

    fn add_group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Result<(), &'static str> {
        let mut places = Vec::new();
        for member in members {
            let place = self.find(member)?;
            // Nobody counts twice, neither within a group nor through two of them.
            let taken =
                self.named.iter().any(|(_, other)| matches!(other, Member::Group(_, own) if own.contains(&place)));
            if taken || places.contains(&place) {
                return Err("a member is in a group already");
            }
            places.push(place);
        }
        let number = match threshold {
            "all" => Some(places.len()),
            "any" => Some(1),
            digits => super::decimal(digits).and_then(|number| usize::try_from(number).ok()),
        };
        let number = number.filter(|number| (1..=places.len()).contains(number));
        self.name(name, Member::Group(number.ok_or("a group wants `all`, `any`, or a number of its members")?, places))
    }

    fn name(&mut self, name: &str, member: Member) -> Result<(), &'static str> {
        if name == "none" || self.find(name).is_ok() {
            return Err("this name is taken");
        }
        self.named.push((name.to_owned(), member));
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize, &'static str> {
        self.named.iter().position(|(own, _)| own == name).ok_or("no witness and no group before this has that name")
    }

    fn witnesses(&self) -> impl Iterator<Item = (usize, &VerifierKey)> {
        self.named.iter().enumerate().filter_map(|(place, (_, member))| match member {
            Member::Witness(key) => Some((place, key)),
            Member::Group(..) => None,
        })
    }

    /// The keys of the logs that are believed.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Verifies that the leaf of these octets is in one of the logs, at a checkpoint that enough witnesses have seen.
    pub fn verify(&self, proof: &ProofFile, leaf: &[u8]) -> Result<SignedCheckpoint, ProofError> {
        // Which of the logs it may be is read before anything is believed, and verified with that log's keys only.
        let origin = proof.checkpoint.split('\n').next().unwrap_or_default().to_owned();
        let log_keys = self.logs.iter().filter(|log| log.name() == origin).cloned().collect();
        let witnesses = self.witnesses().map(|(_, key)| key.clone()).collect();
        let signed = proof.verify(leaf, &Trust { origin, log_keys, witnesses, quorum: 0 })?;
        let seen: Vec<usize> = self
            .witnesses()
            .filter(|(_, key)| signed.signatures.iter().any(|s| s.name == key.name() && s.id == key.id()))
            .map(|(place, _)| place)
            .collect();
        match self.quorum {
            Some(quorum) if !self.has_seen(quorum, &seen) => Err(ProofError::NoQuorum),
            Some(_) | None => Ok(signed),
        }
    }

    /// Whether this witness, or enough of this group, is among those who have seen it.
    fn has_seen(&self, place: usize, seen: &[usize]) -> bool {
        match self.named.get(place) {
            Some((_, Member::Group(number, members))) => {
                members.iter().filter(|member| self.has_seen(**member, seen)).count() >= *number
            }
            Some((_, Member::Witness(_))) => seen.contains(&place),
            None => false,
        }
    }
}

/// The file.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for log in &self.logs {
            writeln!(f, "log {log}")?;
        }
        let name = |place: &usize| self.named.get(*place).map_or("none", |(name, _)| name.as_str());
        for (own, member) in &self.named {
            match member {
                Member::Witness(key) => writeln!(f, "witness {own} {key}")?,
                Member::Group(number, members) => {
                    let members: Vec<&str> = members.iter().map(name).collect();
                    writeln!(f, "group {own} {number} {}", members.join(" "))?;
                }
            }
        }
        writeln!(f, "quorum {}", self.quorum.as_ref().map_or("none", name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "fake.log.origin/log+527eabb8+AddT9PtBhhNAsDYZ0V0euiRbXuvrLsw4L6vKARfipnmz";
    const WITNESS: &str = "test-witness+26349ef0+BIQDFTUlktisMqJzWn8qhteWrRr4dLcQ9R37T+8LQyQF";

    fn witness(seed: u8) -> VerifierKey {
        let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes();
        VerifierKey::new(&format!("w{seed}.example"), KeyKind::Cosignature, &key).unwrap()
    }

    /// Whether the proof of Oak's tests, which one witness has signed, holds by the policy that ends so.
    fn holds(rest: &str) -> Result<(), ProofError> {
        let file = include_bytes!("../../tests/fixtures/evidence/oak.tlog-proof");
        let proof = ProofFile::parse(file).unwrap();
        let (two, three) = (witness(2), witness(3));
        let text =
            format!("log {LOG}\nwitness one {WITNESS}\nwitness two {two}\nwitness three {three} https://x\n{rest}");
        let policy = Policy::parse(text.as_bytes()).unwrap();
        assert_eq!(Policy::parse(policy.to_string().as_bytes()), Ok(policy.clone()));
        policy.verify(&proof, b"test entry data").map(|_| ())
    }

    #[test]
    fn a_quorum_may_be_a_witness_a_group_or_nobody() {
        let none = Err(ProofError::NoQuorum);
        assert_eq!(holds("quorum none"), Ok(()));
        assert_eq!(holds("quorum one\n"), Ok(()));
        assert_eq!(holds("quorum two"), none);
        assert_eq!(holds("group g any one two three\nquorum g"), Ok(()));
        assert_eq!(holds("group g 1 two three\nquorum g"), none);
        assert_eq!(holds("group g 2 one two three\nquorum g"), none);
        assert_eq!(holds("group g all one two\nquorum g"), none);
        assert_eq!(holds(" # two levels\n\n\tgroup  g any one\ttwo \ngroup h all g\nquorum h"), Ok(()));
        assert_eq!(holds("group g any one two\ngroup h all g three\nquorum h"), none);
    }

    #[test]
    fn a_log_is_believed_by_its_own_keys_only() {
        let file = include_bytes!("../../tests/fixtures/evidence/oak.tlog-proof");
        let proof = ProofFile::parse(file).unwrap();
        let policy = Policy::for_log(&[VerifierKey::parse(LOG).unwrap()]);
        assert_eq!(policy.to_string(), format!("log {LOG}\nquorum none\n"));
        assert!(policy.verify(&proof, b"test entry data").is_ok());
        assert!(policy.verify(&proof, b"test entry datA").is_err());
        let renamed = VerifierKey::new("other", KeyKind::Ed25519, &VerifierKey::parse(LOG).unwrap().octets()).unwrap();
        assert!(Policy::for_log(&[renamed]).verify(&proof, b"test entry data").is_err());
        assert!(Policy::for_log(&[]).verify(&proof, b"test entry data").is_err());
    }

    #[test]
    fn what_is_no_policy_is_refused_with_its_line() {
        let line = |rest: &str| match Policy::parse(format!("log {LOG}\nwitness one {WITNESS}\n{rest}").as_bytes()) {
            Err(PolicyError::BadLine { line, .. } | PolicyError::BadKey { line, .. }) => line,
            Err(PolicyError::NotText | PolicyError::NoQuorum) | Ok(_) => 0,
        };
        let again = VerifierKey::parse(WITNESS).unwrap().octets();
        let again = VerifierKey::new("another", KeyKind::Cosignature, &again).unwrap();
        let two = witness(2);
        for (rest, want) in [
            ("quorum none", 0),
            ("quorum two", 3),
            ("quorum none\nquorum none", 4),
            ("quorum", 3),
            ("quorum none none", 3),
            ("Quorum none", 3),
            (&format!("log {LOG}\nquorum none"), 3),
            (&format!("log {WITNESS}\nquorum none"), 3),
            (&format!("witness two {LOG}\nquorum none"), 3),
            (&format!("witness two {again}\nquorum none"), 3),
            (&format!("witness one {two}\nquorum none"), 3),
            (&format!("witness none {two}\nquorum none"), 3),
            ("log abc\nquorum none", 3),
            ("group g any\nquorum g", 3),
            ("group g 0 one\nquorum g", 3),
            ("group g 2 one\nquorum g", 3),
            ("group g 01 one\nquorum g", 3),
            ("group g some one\nquorum g", 3),
            ("group g all one one\nquorum g", 3),
            ("group g any one\ngroup h any one\nquorum h", 4),
            ("group g any g\nquorum g", 3),
            ("group one any one\nquorum one", 3),
        ] {
            assert_eq!(line(rest), want, "{rest}");
        }
        assert_eq!(Policy::parse(b""), Err(PolicyError::NoQuorum));
        assert_eq!(Policy::parse(b"quorum none\r\n"), Err(PolicyError::NotText));
        assert_eq!(Policy::parse(b"# \xff\nquorum none"), Err(PolicyError::NotText));
    }
}
