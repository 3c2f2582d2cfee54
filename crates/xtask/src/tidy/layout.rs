//! Which files there are, and whether they lie where they belong.

use super::Finding;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What may stand at the top, beside dot-files.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "docker-compose.yml",
    "interop",
    "tests",
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["core", "common", "utils", "helpers", "manager", "misc"];

/// Folders that hold nothing of ours, for a checkout that git knows nothing of.
const NOT_OURS: [&str; 5] = [".git", "target", "lockgate-data", "node_modules", ".venv"];

/// Every file of the project, from the root, in order.
pub(super) fn files(root: &Path) -> Vec<String> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    let listed: BTreeSet<String> = match git {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split('\0')
            .filter(|path| !path.is_empty() && root.join(path).is_file())
            .map(str::to_string)
            .collect(),
        _ => {
            let mut all = BTreeSet::new();
            walk(root, "", &mut all);
            all
        }
    };
    listed.into_iter().collect()
}

fn walk(folder: &Path, name: &str, all: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let file_name = entry.file_name().to_string_lossy().into_owned();
        if NOT_OURS.contains(&file_name.as_str()) {
            continue;
        }
        let path = if name.is_empty() { file_name } else { format!("{name}/{file_name}") };
        if entry.path().is_dir() {
            walk(&entry.path(), &path, all);
        } else {
            all.insert(path);
        }
    }
}

/// What lies where it does not belong, or has a name that says nothing.
pub(super) fn check(files: &[String]) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for path in files {
        let top = path.split('/').next().unwrap_or_default();
        if !top.starts_with('.') && !TOP.contains(&top) && seen.insert(top.to_string()) {
            findings.push(Finding::new(top, 0, "does not belong at the top level"));
        }
        let mut until = 0;
        for part in path.split('/') {
            until += part.len();
            let stem = part.split('.').next().unwrap_or_default();
            let here = &path[..until];
            until += 1;
            if EMPTY_NAMES.contains(&stem) && seen.insert(here.to_string()) {
                findings.push(Finding::new(here, 0, "a name that says nothing of what is inside"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[&str]) -> Vec<String> {
        let files: Vec<String> = paths.iter().map(|p| p.to_string()).collect();
        check(&files).into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn what_belongs_at_the_top_is_known() {
        assert!(found(&["Cargo.toml", ".ci/run", "crates/model/src/lib.rs"]).is_empty());
        assert_eq!(found(&["docs/a.md", "docs/b.md", "notes.txt"]), ["docs", "notes.txt"]);
    }

    #[test]
    fn names_that_say_nothing_are_found_once() {
        let paths = ["crates/utils/a.rs", "crates/utils/b.rs", "tests/src/common.rs"];
        assert_eq!(found(&paths), ["crates/utils", "tests/src/common.rs"]);
    }

    #[test]
    fn a_checkout_without_git_is_walked() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("crates/a")).unwrap();
        std::fs::create_dir_all(root.path().join("target/debug")).unwrap();
        std::fs::write(root.path().join("crates/a/x.rs"), "").unwrap();
        std::fs::write(root.path().join("target/debug/y.rs"), "").unwrap();
        assert_eq!(files(root.path()), ["crates/a/x.rs"]);
    }
}
