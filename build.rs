//! `include_dir!` does not notice a changed file by itself.

fn main() {
    for folder in ["templates", "providers", "migrations"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
