//! Where the binary under test is: built once per process, by the same cargo, with
//! the same profile and into the same folder as the test that asks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of the `lockgate` binary, up to date with the sources.
/// `LOCKGATE_BINARY` names another one, such as a release build.
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("LOCKGATE_BINARY") {
        Some(named) => named.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    // .../TARGET/PROFILE/deps/all-0123456789abcdef
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile_dir = test.ancestors().nth(2).expect("a test lies two folders deep");
    let target_dir = profile_dir.parent().expect("a profile lies in the target folder");
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(other) => other,
        None => panic!("{} is no profile", profile_dir.display()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", "lockgate", "--profile", profile])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = profile_dir.join("lockgate");
    assert!(path.is_file(), "{} was not built", path.display());
    path
}
