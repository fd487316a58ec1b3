//! What a bundle says in plain text: what it is and how to check it with others' tools, and a draft declaration.

use super::certificate::{Shown, page};
use crate::app::AppError;
use crate::evidence::bundle::layout::{Stamp, TSA_CA};
use crate::evidence::bundle::{VERIFIER_IN_A_PAGE, VERIFIER_IN_PYTHON, layout};
use crate::evidence::fact::seconds;
use crate::evidence::note::VerifierKey;
use crate::model::time::{Micros, SECOND};

/// The files of a bundle that are for people: certificate, explanation, declaration, and two programs that verify it.
pub(super) fn for_people(shown: &Shown<'_>) -> Result<Vec<(String, Vec<u8>)>, AppError> {
    let files = [
        ("certificate.html", page(shown)?),
        ("README.txt", readme(shown)),
        ("declaration.md", declaration(shown.organisation, shown.key, shown.made)),
        (layout::VERIFY_PY, VERIFIER_IN_PYTHON.to_owned()),
        (layout::VERIFY_HTML, VERIFIER_IN_A_PAGE.to_owned()),
    ];
    Ok(files.map(|(name, text)| (name.to_owned(), text.into_bytes())).into())
}

/// `README.txt`.
fn readme(shown: &Shown<'_>) -> String {
    let (organisation, log, key) = (shown.organisation, shown.key.name(), shown.key.to_string());
    let (fingerprint, size, at) = (shown.key.fingerprint(), shown.head.size, seconds(shown.head.at));
    format!(
        "PROOF OF NOTIFICATION
Campaign {campaign} of {organisation}. Made {made} by forewarn {version}.

certificate.html is for reading and printing. Everything it says stands in the files beside it, and can be checked
without forewarn and without {organisation}.

WHAT IT PROVES
Every step was written into a log at the time, a fact at a time, in the form of events/N.json. The log is a Merkle tree
(RFC 6962, SHA-256). Its head, {size} facts, was signed by its key on {at} (C2SP tlog-checkpoint). Each
events/N.tlog-proof (C2SP tlog-proof) shows that this very fact is number N under that head.
Names, addresses and words are not in the log. In their place stand SHA-256 commitments; disclosures/N/LABEL.json is
the file of which commitment LABEL of fact N is the SHA-256. payload/N/ holds what was sent and answered, octet by octet;
its SHA-256 is the value in disclosures/N/msg_sha256.json and exch_sha256.json.
recipient/ shows that this person and these addresses were on the list before anybody was notified; closing/ that no fact
about this person is missing up to the closing.

WHAT IT DOES NOT PROVE
That the person read the notice: `accepted` means that a mail server or a gateway took responsibility for it. That a
record was true when it was made: the log shows that it was not changed later. What the clock of {organisation} showed
is what it showed. The integrity holds since the head became known to somebody outside: keep one, and compare.
The number of facts says how much the log holds; it says nothing about other persons.

THE KEY
log.vkey is the key of the log, as it is published:
  {key}
Its fingerprint is {fingerprint}.
Do not take it from here alone: compare it with what {organisation} publishes, or has lodged with counsel. The name of
the log is {log}.

HOW TO CHECK IT
1. sha256sum -c SHA256SUMS                      no file was changed
2. sha256sum disclosures/N/LABEL.json           is what events/N.json has under com, LABEL
3. sha256sum payload/N/message.eml              is the value in disclosures/N/msg_sha256.json
4. python3 verify/verify.py BUNDLE.zip          all of it (Python's own library, and openssl for the signature)
5. open verify/verify.html in a browser, without a network, and drop the zip into it
6. any program that reads C2SP tlog-proof: events/N.json with events/N.tlog-proof and log.vkey
7. forewarn proof verify BUNDLE.zip --vkey KEY
{stamps}",
        campaign = shown.campaign.id,
        made = seconds(shown.made),
        version = env!("CARGO_PKG_VERSION"),
        stamps = time_stamps(shown),
    )
}

/// What is said of time stamps, with the command that checks each; nothing where there is none.
fn time_stamps(shown: &Shown<'_>) -> String {
    if shown.stamps.is_empty() {
        return String::new();
    }
    let command = |(size, at): &(u64, Micros)| {
        let (head, reply) = (layout::stamp(*size, Stamp::Head), layout::stamp(*size, Stamp::Reply));
        format!(
            "  the first {size} facts, {}:\n  openssl ts -verify -attime {} -data {head} -in {reply} -CAfile {TSA_CA}\n",
            seconds(*at),
            at.div_euclid(SECOND)
        )
    };
    let commands: String = shown.stamps.iter().map(command).collect();
    format!(
        "
TIME STAMPS
anchors/ holds heads of the log that a time-stamping authority (RFC 3161) has stamped. {organisation} does not keep its clock:
facts with lower numbers than the size of such a head were in the log by the time of the stamp. The digest of each stamp is
a fact of the log itself (anchors/SIZE.json): facts with higher numbers than that one came into the log after the stamp.
anchors/SIZE.consistency (RFC 9162) shows that the log in this bundle is the one that was stamped, grown.
{commands}The time behind -attime is that of the stamp: without it openssl asks whether the certificates are valid today, and those of
authorities expire. Compare the root in {TSA_CA} with the one that the authority publishes:
  openssl x509 -noout -fingerprint -sha256 -in {TSA_CA}
",
        organisation = shown.organisation,
    )
}

/// `declaration.md`: what a custodian of records may sign, filled in as far as the records go.
pub(super) fn declaration(organisation: &str, key: &VerifierKey, made: Micros) -> String {
    format!(
        "# DRAFT: declaration of a custodian of records

(For counsel to complete. In the United States compare Federal Rules of Evidence 803(6), 902(11), 902(13) and 902(14); it
says nothing about what the records prove, only what they are.)

I, ______________________, am ______________________ of {organisation}, and know how its records of notifications are made
and kept.

1. The files of this bundle are copies of records that were made by an automatic process at or near the time of the events
   they record, in the course of a regular activity of {organisation}, as its regular practice.
2. The records were written by the program forewarn, version {version}, into an append-only log with the name {log} and the
   key fingerprint {fingerprint}.
3. The bundle was made on {made}. The SHA-256 of its file SHA256SUMS is ______________________ (run: sha256sum SHA256SUMS).
4. The process is such that a change of any record after its entry is detected by the verification that README.txt describes.

I declare under penalty of perjury that the foregoing is true and correct.

Date: ______________   Place: ______________   Signature: ______________________
",
        version = env!("CARGO_PKG_VERSION"),
        log = key.name(),
        fingerprint = key.fingerprint(),
        made = seconds(made),
    )
}
