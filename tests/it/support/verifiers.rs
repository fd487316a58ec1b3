//! Programs of others that verify what the evidence log makes: openssl, Node.js and Python.

use super::{missing, program};
use std::path::Path;
use std::process::Command;

/// One of the programs.
#[derive(Clone, Copy)]
pub(crate) struct Verifier {
    name: &'static str,
    how: &'static str,
}

pub(crate) const OPENSSL: Verifier = Verifier {
    name: "openssl",
    how: "openssl is not installed: it verifies our signatures. Debian: apt-get install openssl",
};

pub(crate) const NODE: Verifier = Verifier {
    name: "node",
    how: "Node.js is not installed: its WebCrypto verifies our proofs. Debian: apt-get install nodejs",
};

pub(crate) const PYTHON: Verifier = Verifier {
    name: "python3",
    how: "Python is not installed: it verifies our bundles. Debian: apt-get install python3",
};

impl Verifier {
    /// Runs it with these arguments in a folder: whether it ended well, and what it said. `None` where it is not there.
    pub(crate) fn run(self, folder: &Path, arguments: &str) -> Option<(bool, String)> {
        let Some(program) = program(self.name) else {
            missing(self.how);
            return None;
        };
        let output = Command::new(program).args(arguments.split(' ')).current_dir(folder).output();
        let output = output.expect("an installed program starts");
        let said = [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned()).concat();
        Some((output.status.success(), said))
    }
}
