//! Those who verify a bundle: our own verdict, Python with openssl, and the page's JavaScript in Node.js.

use crate::support::verifiers::{NODE, PYTHON};
use forewarn::app::proof::open::read_bundle;
use forewarn::evidence::bundle::verdict::Verdict;
use forewarn::evidence::bundle::{self, Files, VERIFIER_IN_A_PAGE, VERIFIER_IN_PYTHON};
use forewarn::evidence::note::VerifierKey;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write as _};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The reasons that were given; none where the bundle is valid.
pub(super) type Codes = BTreeSet<String>;

pub(super) fn zipped(files: &Files, method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method).unix_permissions(0o644);
    for (path, octets) in files {
        zip.start_file(path.as_str(), options).expect("a file");
        zip.write_all(octets).expect("written");
    }
    zip.finish().expect("a zip").into_inner()
}

/// Our own verdict on a zip.
pub(super) fn ours(zip: &[u8], trusted: Option<&VerifierKey>) -> Verdict {
    match read_bundle(zip) {
        Ok(files) => bundle::verify(&files, trusted),
        Err(finding) => Verdict::refusal(finding),
    }
}

pub(super) fn codes(verdict: &Verdict) -> Codes {
    verdict.refused.iter().map(|finding| finding.reason.as_str().to_owned()).collect()
}

/// What runs the page's verifier over files, and prints what it says in the words of the one in Python.
const RUNNER: &str = r#"
import { readFileSync } from "node:fs";
let [trusted, ...files] = process.argv.slice(2);
for (const file of files) {
  const bundle = await verifyBundle(new Uint8Array(readFileSync(file)), trusted === "-" ? "" : trusted);
  console.log(`${bundle.refused.length ? "REFUSED" : "VALID"}: ${file}`);
  for (const { code, file, why } of bundle.refused) console.log(`  refused: ${code}: ${file}: ${why}`);
  for (const text of bundle.proven) console.log(`  proven: ${text}`);
  for (const text of bundle.notes) console.log(`  note: ${text}`);
}
"#;

/// The part of the page that verifies, as a program for Node.js.
fn page_as_program() -> String {
    let begin = VERIFIER_IN_A_PAGE.find("// === verifier begins").expect("it is marked");
    let end = VERIFIER_IN_A_PAGE.find("// === verifier ends").expect("it is marked");
    format!("{}{RUNNER}", &VERIFIER_IN_A_PAGE[begin..end])
}

/// As much of a browser as the page needs: it gives the page a file, and prints what the page shows.
const BROWSER: &str = r#"
import { readFileSync } from "node:fs";
const element = (tag) => ({
  tag, textContent: "", value: "", children: [], handlers: {}, classList: { toggle() {} },
  append(child) { this.children.push(child); },
  replaceChildren() { this.children = []; },
  addEventListener(event, handler) { this.handlers[event] = handler; },
});
const known = { verdict: element("div"), drop: element("div"), file: element("input"), vkey: element("input") };
globalThis.document = { getElementById: (id) => known[id], createElement: element };
const [vkey, ...paths] = process.argv.slice(2);
globalThis.opened = async () => {
  known.vkey.value = vkey === "-" ? "" : ` ${vkey} `;
  for (const path of paths) {
    const file = new File([readFileSync(path)], path);
    const how = path.startsWith("dropped") ? known.drop.handlers.drop : known.file.handlers.change;
    await how({ target: { files: [file] }, dataTransfer: { files: [file] }, preventDefault() {} });
    // Handlers of a browser are not waited for.
    while (known.verdict.children.length === 0) await new Promise((soon) => setTimeout(soon, 20));
    const tell = ({ tag, className, textContent, children }) => {
      if (textContent) console.log(`<${tag}${className ? ` ${className}` : ""}> ${textContent}`);
      children.forEach(tell);
    };
    tell(known.verdict);
    known.verdict.replaceChildren();
  }
};
"#;

/// What the page shows of bundles in a folder; nothing where Node.js is not installed.
pub(super) fn shown(folder: &Path, names: &[&str], trusted: Option<&str>) -> Option<String> {
    let script = VERIFIER_IN_A_PAGE.split("<script>").nth(1).and_then(|rest| rest.split("</script>").next());
    let page = format!("{BROWSER}{}\nawait opened();\n", script.expect("the page has a script"));
    fs_err::write(folder.join("page.mjs"), page).expect("written");
    let line = format!("--no-warnings page.mjs {} {}", trusted.unwrap_or("-"), names.join(" "));
    let (well, said) = NODE.run(folder, &line)?;
    assert!(well, "{said}");
    Some(said)
}

/// What the two others say of bundles in a folder, by name of the file; nothing of one that is not installed.
pub(super) fn others(
    folder: &Path,
    names: &[&str],
    trusted: Option<&str>,
) -> Vec<(&'static str, BTreeMap<String, Codes>)> {
    fs_err::write(folder.join("verify.py"), VERIFIER_IN_PYTHON).expect("written");
    fs_err::write(folder.join("verify.mjs"), page_as_program()).expect("written");
    let files = names.join(" ");
    let key = trusted.map(|key| format!("--vkey {key} ")).unwrap_or_default();
    let python = PYTHON.run(folder, &format!("verify.py {key}{files}"));
    let node = NODE.run(folder, &format!("--no-warnings verify.mjs {} {files}", trusted.unwrap_or("-")));
    let mut all = Vec::new();
    for (name, said) in [("Python", python), ("Node.js", node)] {
        let Some((_, said)) = said else { continue };
        let verdicts = read(&said);
        assert_eq!(verdicts.len(), names.len(), "{name} did not say something of each: {said}");
        all.push((name, verdicts));
    }
    all
}

fn read(said: &str) -> BTreeMap<String, Codes> {
    let mut verdicts: BTreeMap<String, Codes> = BTreeMap::new();
    let mut file = String::new();
    for line in said.lines() {
        if let Some(name) = line.strip_prefix("VALID: ").or_else(|| line.strip_prefix("REFUSED: ")) {
            name.clone_into(&mut file);
            verdicts.insert(file.clone(), Codes::new());
        } else if let Some(reason) = line.strip_prefix("  refused: ") {
            let code = reason.split(':').next().unwrap_or_default();
            verdicts.get_mut(&file).expect("the file was named").insert(code.to_owned());
        }
    }
    // A word and the reasons must agree.
    for line in said.lines().filter_map(|line| line.strip_prefix("REFUSED: ")) {
        assert!(!verdicts[line].is_empty(), "refused without a reason: {line}");
    }
    verdicts
}

/// Lots that are the same in every run.
pub(super) struct Lots(u64);

impl Lots {
    pub(super) fn new(seed: u64) -> Lots {
        Lots(seed)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound as u64) as usize
    }
}
