//! `cargo xtask tidy`: says what is out of order, one line each, and fails if
//! anything is.

use std::path::Path;
use std::process::ExitCode;
use xtask::tidy;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["tidy"] {
        eprintln!("usage: cargo xtask tidy");
        return ExitCode::from(2);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let findings = tidy::check(&root);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.iter().any(|finding| finding.fails) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
