//! The binary: hands the arguments to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    forewarn::cli::main(std::env::args_os())
}
