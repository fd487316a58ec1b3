//! A time-stamping authority: `openssl ts` behind a listener, with a root and certificates made for the test. It can be
//! told to answer as no authority should.

use super::provider::listen_as;
use super::verifiers::OPENSSL;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Good,
    /// With RSA and SHA-512 instead of ECDSA and SHA-256, by an authority below the root, with parts of a second, and with all
    /// that may stand in an answer.
    ByRsa,
    /// With the status 500 of HTTP.
    Down,
    /// Nothing, for longer than anybody waits.
    Silent,
    /// A page of a proxy.
    Rubbish,
    /// It refuses, as the protocol says.
    Refusing,
    OtherImprint,
    OtherNonce,
    NoCertificate,
    /// By a certificate that had expired.
    Expired,
    /// By a certificate that is for other things as well.
    NotForTimestamps,
    /// Of an authority with the same names and another root.
    OtherRoot,
    /// By a clock that is a day ahead.
    ClockAhead,
    /// A good answer, one octet of whose signature is another.
    Broken,
}

/// Where the question has its digest, and its nonce.
const DIGEST: usize = 24;
const NONCE: usize = 58;

pub(crate) struct Authority {
    folder: tempfile::TempDir,
    /// Where it listens.
    pub(crate) url: String,
    how: Arc<Mutex<How>>,
    asked: Arc<Mutex<Vec<jiff::Timestamp>>>,
}

impl Authority {
    /// Starts it; none where openssl is not installed.
    pub(crate) fn start() -> Option<Authority> {
        let folder = tempfile::tempdir().expect("a folder");
        make_certificates(folder.path())?;
        make_odd_certificates(folder.path())?;
        fs_err::create_dir(folder.path().join("other")).expect("made");
        make_certificates(&folder.path().join("other"))?;
        let (how, asked) = (Arc::new(Mutex::new(How::Good)), Arc::new(Mutex::new(Vec::new())));
        let (place, told, count) = (folder.path().to_owned(), how.clone(), asked.clone());
        // One after the other: openssl counts in a file.
        let one = Mutex::new(());
        let url = listen_as("application/timestamp-reply", move |_, query| {
            count.lock().expect("counted").push(jiff::Timestamp::now());
            let how = *told.lock().expect("told");
            if how == How::Silent {
                std::thread::sleep(Duration::from_secs(60));
            }
            let _one = one.lock().expect("one at a time");
            (if how == How::Down { 500 } else { 200 }, reply(&place, how, query))
        });
        Some(Authority { folder, url, how, asked })
    }

    pub(crate) fn answer(&self, how: How) {
        *self.how.lock().expect("told") = how;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().expect("counted").len()
    }

    /// When it was asked last.
    pub(crate) fn last_asked(&self) -> Option<jiff::Timestamp> {
        self.asked.lock().expect("counted").last().copied()
    }

    /// Its root certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// That of an authority with the same names.
    pub(crate) fn other_root(&self) -> PathBuf {
        self.folder.path().join("other/ca.pem")
    }

    /// What it answers to a question, without the network.
    pub(crate) fn reply(&self, how: How, query: &[u8]) -> Vec<u8> {
        reply(self.folder.path(), how, query)
    }

    /// Has it sign with a certificate that is good only until so many seconds from now.
    pub(crate) fn expires_in(&self, seconds: i64) {
        certificate(self.folder.path(), "tsa", "tsa", (-3600, seconds)).expect("openssl is there");
    }
}

const CONFIG: &str = "[req]\ndistinguished_name = dn\nprompt = no\nx509_extensions = root\n[dn]\nCN = Test Root\n[root]\n\
    basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign\nsubjectKeyIdentifier = hash\n[ca]\n\
    default_ca = here\n[here]\ndatabase = index.txt\nnew_certs_dir = .\nserial = serial\ndefault_md = sha256\npolicy = \
    any\ncertificate = ca.pem\nprivate_key = ca.key\nunique_subject = no\n[any]\ncommonName = supplied\n[tsa]\n\
    basicConstraints = CA:FALSE\nkeyUsage = critical,digitalSignature\nextendedKeyUsage = critical,timeStamping\n[between]\n\
    basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign\n[many]\nbasicConstraints = CA:FALSE\nextendedKeyUsage = critical,timeStamping,emailProtection\n";

/// How `openssl ts` answers in the name of one of the certificates.
fn section(name: &str, more: &str) -> String {
    format!(
        "[ts_{name}]\nserial = counter\nsigner_cert = {name}.pem\nsigner_key = {name}.key\ndefault_policy = \
         1.2.3.4.1\ndigests = sha256\n{more}"
    )
}

const PLAIN: &str = "signer_digest = sha256\ness_cert_id_alg = sha256\n";
const FULL: &str = "signer_digest = sha512\ness_cert_id_alg = sha1\ncerts = between.pem\naccuracy = secs:1, millisecs:500, \
    microsecs:100\nordering = yes\ntsa_name = yes\nclock_precision_digits = 3\ness_cert_id_chain = yes\n";

/// Runs openssl, which must end well; none where it is not installed.
fn openssl(folder: &Path, arguments: &str) -> Option<()> {
    let (well, said) = OPENSSL.run(folder, arguments)?;
    assert!(well, "openssl {arguments}: {said}");
    Some(())
}

fn make_certificates(folder: &Path) -> Option<()> {
    let sections = [("tsa", PLAIN), ("rsa", FULL), ("old", PLAIN)].map(|(name, more)| section(name, more)).concat();
    fs_err::write(folder.join("openssl.cnf"), format!("{CONFIG}{sections}")).expect("written");
    fs_err::write(folder.join("index.txt"), "").expect("written");
    fs_err::write(folder.join("serial"), "1000\n").expect("written");
    openssl(
        folder,
        "req -config openssl.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout ca.key \
                     -out ca.pem -days 3650",
    )?;
    made(folder, "tsa", EC, ("tsa", -YEAR, YEAR))
}

/// The certificates that only the one authority has.
fn make_odd_certificates(folder: &Path) -> Option<()> {
    made(folder, "between", EC, ("between", -YEAR, YEAR))?;
    made(folder, "rsa", "rsa:2048", ("tsa -cert between.pem -keyfile between.key", -YEAR, YEAR))?;
    made(folder, "old", EC, ("tsa", -2 * YEAR, -YEAR))?;
    made(folder, "many", EC, ("many", -YEAR, YEAR))
}

const EC: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const YEAR: i64 = 365 * 86_400;

/// Makes a key, and a certificate of a kind that is valid from and to so many seconds from now.
fn made(folder: &Path, name: &str, key: &str, (kind, from, to): (&str, i64, i64)) -> Option<()> {
    openssl(
        folder,
        &format!("req -config openssl.cnf -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"),
    )?;
    certificate(folder, name, kind, (from, to))
}

/// Issues a certificate that is valid from and to so many seconds from now.
fn certificate(folder: &Path, name: &str, kind: &str, (from, to): (i64, i64)) -> Option<()> {
    let day = |seconds: i64| time(seconds, "%Y%m%d%H%M%SZ");
    openssl(
        folder,
        &format!(
            "ca -config openssl.cnf -batch -notext -in {name}.csr -out {name}.pem -extensions {kind} -startdate {} -enddate \
             {}",
            day(from),
            day(to)
        ),
    )
}

fn time(seconds: i64, form: &str) -> String {
    let at = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + seconds).expect("a time");
    at.strftime(form).to_string()
}

fn reply(folder: &Path, how: How, query: &[u8]) -> Vec<u8> {
    let mut query = query.to_vec();
    let (mut section, mut place) = ("tsa", folder.to_owned());
    match how {
        How::Good | How::Broken | How::Silent => {}
        How::Down => return b"down".to_vec(),
        How::Rubbish => return b"<html>Please log in.</html>".to_vec(),
        How::ByRsa => section = "rsa",
        How::Expired => section = "old",
        How::OtherRoot => place = folder.join("other"),
        How::OtherImprint => query[DIGEST] ^= 1,
        How::OtherNonce => query[NONCE + 3] ^= 1,
        // It is asked for by the last three octets.
        How::NoCertificate => {
            query.truncate(query.len() - 3);
            query[1] -= 3;
        }
        // Status 2 and nothing else.
        How::Refusing => return vec![0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02],
        How::ClockAhead => return made_by_hand(folder, &query, "tsa", 86_400),
        How::NotForTimestamps => return made_by_hand(folder, &query, "many", 0),
    }
    fs_err::write(place.join("query"), &query).expect("written");
    openssl(&place, &format!("ts -reply -config openssl.cnf -section ts_{section} -queryfile query -out reply"))
        .expect("it was there");
    let mut reply = fs_err::read(place.join("reply")).expect("read");
    if how == How::Broken {
        let last = reply.len() - 1;
        reply[last] ^= 1;
    }
    reply
}

/// What `openssl ts` would not sign: a time stamp of another time, or by another kind of certificate.
fn made_by_hand(folder: &Path, query: &[u8], name: &str, seconds: i64) -> Vec<u8> {
    let mut inside = vec![0x02, 0x01, 0x01, 0x06, 0x04, 0x2a, 0x03, 0x04, 0x01];
    inside.extend_from_slice(&query[5..DIGEST + 32]);
    inside.extend_from_slice(&[0x02, 0x01, 0x07, 0x18, 0x0f]);
    inside.extend_from_slice(time(seconds, "%Y%m%d%H%M%SZ").as_bytes());
    inside.extend_from_slice(&query[NONCE - 2..NONCE + 8]);
    fs_err::write(folder.join("info"), sequence(&inside)).expect("written");
    openssl(
        folder,
        &format!(
            "cms -sign -binary -nodetach -cades -md sha256 -econtent_type 1.2.840.113549.1.9.16.1.4 -signer {name}.pem \
             -inkey {name}.key -in info -outform DER -out token"
        ),
    )
    .expect("it was there");
    let granted = [0x30, 0x03, 0x02, 0x01, 0x00];
    sequence(&[&granted[..], &fs_err::read(folder.join("token")).expect("read")].concat())
}

/// A SEQUENCE in DER.
fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short");
    let mut der = match length {
        0..=127 => vec![0x30, length as u8],
        128..=255 => vec![0x30, 0x81, length as u8],
        256.. => vec![0x30, 0x82, (length >> 8) as u8, length as u8],
    };
    der.extend_from_slice(content);
    der
}
