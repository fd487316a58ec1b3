//! `forewarn proof verify FILE.zip`: the verdict on a bundle, offline.

use super::output::printable;
use super::{Context, Failure};
use crate::app::proof::open::{OpenError, open_bundle};
use crate::app::proof::open_campaign;
use crate::evidence::bundle::verdict::{Finding, Signer, Verdict};
use crate::evidence::bundle::{self, manifest::Manifest};
use crate::evidence::note::VerifierKey;
use clap::Args;
use serde_json::{Map, Value, json};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// What is read of a file that is said to hold a key.
const LONGEST_KEY_FILE: u64 = 64 * 1024;
/// How many reasons are printed for a reader; `--json` has them all.
const SHOWN: usize = 100;

#[derive(Args, Debug)]
pub struct ProofVerifyArgs {
    /// The bundle
    #[arg(value_name = "FILE.zip")]
    pub file: PathBuf,
    /// The log's key, or a file that holds it, as you have it from elsewhere: the sender's site, or whoever keeps it. Without
    /// it the key in the bundle is used, and you compare its fingerprint
    #[arg(long, value_name = "KEY")]
    pub vkey: Option<String>,
}

pub(super) fn run(args: &ProofVerifyArgs, context: &Context) -> Result<(), Failure> {
    let trusted = args.vkey.as_deref().map(key).transpose()?;
    let verdict = match verdict(&args.file, trusted.as_ref()) {
        Ok(verdict) => verdict,
        Err(OpenError::Refused(finding)) => Verdict::refusal(finding),
        Err(OpenError::Io(error)) => return Err(unreadable(&args.file, error)),
    };
    context.printer.object(&object(&args.file, &verdict))?;
    for line in lines(&args.file, &verdict) {
        context.printer.line(printable(&line))?;
    }
    if verdict.is_valid() {
        return Ok(());
    }
    for finding in verdict.refused.iter().take(SHOWN) {
        let line = format!("refused: {}: {}", finding.reason.as_str(), finding.message);
        context.printer.note(printable(&line));
    }
    if verdict.refused.len() > SHOWN {
        context.printer.note(format_args!("refused: and {} more reasons", verdict.refused.len() - SHOWN));
    }
    Err(Failure::RefusedAsReported)
}

fn verdict(file: &Path, trusted: Option<&VerifierKey>) -> Result<Verdict, OpenError> {
    if let Some(verdict) = open_campaign::verify(file, trusted)? {
        return Ok(verdict);
    }
    Ok(bundle::verify(&open_bundle(file)?, trusted))
}

/// The key as it is published, given as it is or as a file.
fn key(given: &str) -> Result<VerifierKey, Failure> {
    let as_text = match VerifierKey::parse(given.trim()) {
        Ok(key) => return Ok(key),
        Err(why) => why,
    };
    let mut text = String::new();
    match fs_err::File::open(given).and_then(|file| file.take(LONGEST_KEY_FILE).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::Usage(format!("--vkey is neither a key nor a file that is there: {as_text}")));
        }
        Err(error) => return Err(Failure::Usage(format!("--vkey cannot be read: {error}"))),
    }
    VerifierKey::parse(text.trim()).map_err(|why| Failure::Usage(format!("the file {given} holds no key: {why}")))
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    if error.kind() == ErrorKind::NotFound {
        return Failure::Usage(format!("there is no file {}", path.display()));
    }
    if error.kind() == ErrorKind::IsADirectory {
        let message = "is a folder; give the zip as it was handed over, or run verify/verify.py on the folder";
        return Failure::Usage(format!("{} {message}", path.display()));
    }
    Failure::Fault(anyhow::Error::new(error).context("the bundle cannot be read"))
}

fn object(file: &Path, verdict: &Verdict) -> Value {
    let mut object = Map::new();
    object.insert("file".to_owned(), json!(file.to_string_lossy()));
    object.insert("valid".to_owned(), json!(verdict.is_valid()));
    if let Some(manifest) = &verdict.manifest {
        object.insert("campaign".to_owned(), json!(manifest.campaign));
        object.insert("subject".to_owned(), json!(manifest.subject));
        object.insert("made".to_owned(), json!(manifest.made));
        object.insert("log".to_owned(), json!({ "origin": manifest.origin, "size": manifest.checkpoint }));
        object.insert("facts".to_owned(), json!(manifest.events.len()));
    }
    if let Some(manifest) = &verdict.campaign {
        object.insert("campaign".to_owned(), json!(manifest.campaign));
        object.insert("made".to_owned(), json!(manifest.made));
        object.insert("log".to_owned(), json!({ "origin": manifest.origin, "size": manifest.checkpoint }));
        object.insert("summary".to_owned(), json!(verdict.summary));
    }
    if let Some(Signer { vkey, fingerprint, known }) = &verdict.signer {
        object.insert("key".to_owned(), json!({ "vkey": vkey, "fingerprint": fingerprint, "known": known }));
    }
    let undisclosed = verdict.undisclosed.iter().map(|u| json!({ "file": u.file, "label": u.label }));
    object.insert("proven".to_owned(), json!(verdict.proven));
    object.insert("not_shown".to_owned(), json!(verdict.not_shown));
    object.insert("not_disclosed".to_owned(), undisclosed.collect());
    object.insert("warnings".to_owned(), verdict.warnings.iter().map(finding).collect());
    if !verdict.is_valid() {
        object.insert("refused".to_owned(), verdict.refused.iter().map(finding).collect());
    }
    Value::Object(object)
}

fn finding(finding: &Finding) -> Value {
    json!({ "code": finding.reason.as_str(), "message": finding.message, "file": finding.file })
}

fn lines(file: &Path, verdict: &Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    if verdict.is_valid() {
        lines.push(format!("VALID: {}", file.display()));
    } else {
        let reasons = if verdict.refused.len() == 1 { "reason is" } else { "reasons are" };
        lines.push(format!("REFUSED: {} proves nothing as it is; the {reasons} below.", file.display()));
    }
    lines.extend(verdict.manifest.iter().map(about));
    lines.extend(
        verdict.campaign.iter().map(|m| format!("Campaign {} of the log {}; made {}.", m.campaign, m.origin, m.made)),
    );
    lines.extend(verdict.signer.iter().flat_map(signed_by));
    section(&mut lines, "Proven", verdict.proven.clone());
    section(&mut lines, "Not shown", verdict.not_shown.clone());
    let undisclosed = verdict.undisclosed.iter().map(|u| format!("`{}` of {}", u.label, u.file));
    section(
        &mut lines,
        "Not disclosed (the fact is bound to a value that this bundle keeps closed)",
        undisclosed.collect(),
    );
    section(&mut lines, "Warnings", verdict.warnings.iter().map(|warning| warning.message.clone()).collect());
    lines
}

fn section(lines: &mut Vec<String>, heading: &str, texts: Vec<String>) {
    if !texts.is_empty() {
        lines.push(format!("\n{heading}:"));
        lines.extend(texts.into_iter().map(|text| format!("- {text}")));
    }
}

fn about(manifest: &Manifest) -> String {
    format!(
        "Campaign {}, person {} of the log {}; made {}.",
        manifest.campaign, manifest.subject, manifest.origin, manifest.made
    )
}

fn signed_by(signer: &Signer) -> Vec<String> {
    let mut lines = vec![format!("Signed by the key with the fingerprint {}.", signer.fingerprint)];
    lines.push(if signer.known {
        "That is the key you gave.".to_owned()
    } else {
        "That key came with the bundle, and anybody can make a key: compare the fingerprint with the one that the sender has \
         published or lodged elsewhere, or give the key you have by --vkey."
            .to_owned()
    });
    lines
}
