//! The binary: hands the arguments to the library.

use std::process::ExitCode;

/// Persons are made on one thread and freed on another, which the system's allocator is slow at (benches/README.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    forewarn::cli::main(std::env::args_os())
}
