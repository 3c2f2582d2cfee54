//! The habits of every source file: it says what it is for, it is not long,
//! nothing is left half done, and bytes from outside meet no panic.

use super::Finding;
use super::rooms::ROOMS;
use std::collections::BTreeSet;
use std::path::Path;

/// A file longer than this is split.
const LINES_MAX: usize = 800;
/// And one longer than this smells.
const LINES_SMELL: usize = 500;

/// Rooms that bytes of a peer or a disk reach: nothing there may panic on them.
const REACHED: [&str; 10] =
    ["model", "front", "amqp091", "mqtt", "websocket", "broker", "wal", "engine", "auth", "net"];

// Put together, since this file is held to its own rules.
const LEFT_UNDONE: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("#[ig", "nore"),
    concat!("dbg", "!("),
];
const SLEEP: &str = concat!("sle", "ep(");
/// Under a paused clock sleeping takes no time, it moves the clock.
const VIRTUAL_TIME: &str = "start_paused";
// With a quote, since parsers have methods of that name.
const PANICS: [&str; 2] = [concat!(".unw", "rap()"), concat!(".exp", "ect(\"")];
const INVARIANT: &str = "// invariant:";
/// A formatted call chain may stand so far below its comment.
const INVARIANT_REACH: usize = 3;

/// Everything against the habits in the sources among `files`.
pub(super) fn check(root: &Path, files: &[String]) -> Vec<Finding> {
    let read = |path: &String| std::fs::read_to_string(root.join(path)).ok();
    let sources: Vec<(&String, String)> = files
        .iter()
        .filter(|path| path.ends_with(".rs"))
        .filter_map(|path| Some((path, read(path)?)))
        .collect();
    let tests: BTreeSet<String> =
        sources.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let mut findings = Vec::new();
    for (path, text) in &sources {
        let of_tests = is_test_path(path) || tests.iter().any(|prefix| path.starts_with(prefix));
        findings.extend(judge(path, text, of_tests));
    }
    findings
}

/// Is all of the file test code, by its place?
fn is_test_path(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.contains("/benches/")
        || path.contains("/fuzz/")
        || path.ends_with("/tests.rs")
}

/// Is it a measurement, which has to keep a pace?
fn is_bench_path(path: &str) -> bool {
    path.starts_with("tests/bench/") || path.contains("/benches/")
}

/// The room that a file is in.
fn room_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.split('/').next()
}

/// Files of modules that are declared for tests only: `#[cfg(test)] mod name;`.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let Some((folder, file)) = path.rsplit_once('/') else { return Vec::new() };
    let folder = match file {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_string(),
        other => format!("{folder}/{}", other.trim_end_matches(".rs")),
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#[cfg(") && pair[0].contains("test"))
        .filter_map(|pair| {
            let declared = pair[1].trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            declared.strip_prefix("mod ")?.strip_suffix(';')
        })
        .flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/")])
        .collect()
}

/// The part of a line that is code.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

/// Does `text` hold `word` with no letter or digit around it?
fn holds(text: &str, word: &str) -> bool {
    let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    // Where a word begins or ends with a sign, or is a path, that side is open.
    let (opens, closes) = (joined(word.chars().next()), joined(word.chars().next_back()));
    let closes = closes && !word.contains("::");
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !(opens && joined(before) || closes && joined(after))
    })
}

fn judge(path: &str, text: &str, of_tests: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    if !text.starts_with("//!") {
        findings.push(Finding::new(path, 1, "a file opens with `//!`: what it is for"));
    }
    if lines.len() > LINES_MAX {
        let text = format!("{} lines; split it by conversation", lines.len());
        findings.push(Finding::new(path, 0, text));
    } else if lines.len() > LINES_SMELL {
        let text = format!("{} lines; {LINES_SMELL} is a smell", lines.len());
        findings.push(Finding::new(path, 0, text).smell());
    }
    let room = room_of(path);
    let reached = room.is_some_and(|room| REACHED.contains(&room));
    let unspoken = ROOMS.iter().find(|r| Some(r.name) == room).map_or(&[][..], |r| r.unspoken);
    let may_sleep = text.contains(VIRTUAL_TIME) || is_bench_path(path);
    let mut in_tests = of_tests;
    for (n, line) in lines.iter().enumerate() {
        // By habit tests stand at the end of a file.
        let opens_tests = line.starts_with("#[cfg(test)]")
            && lines.get(n + 1).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        in_tests |= opens_tests;
        let mut found = |text: String| findings.push(Finding::new(path, n + 1, text));
        for word in LEFT_UNDONE.iter().filter(|word| holds(line, word)) {
            found(format!("`{word}` is left"));
        }
        let code = code(line);
        if in_tests && !may_sleep && holds(code, SLEEP) {
            found("a test waits for the event, it does not sleep".into());
        }
        if in_tests {
            continue;
        }
        for word in unspoken.iter().filter(|word| holds(code, word)) {
            found(format!("`{}` must not name `{word}`", room.unwrap_or_default()));
        }
        let excused =
            lines[n.saturating_sub(INVARIANT_REACH)..=n].iter().any(|l| l.contains(INVARIANT));
        if reached && !excused && PANICS.iter().any(|panic| code.contains(panic)) {
            found(format!("bytes from outside come by here: no panic, or `{INVARIANT} why`"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(path: &str, text: &str) -> Vec<(usize, String)> {
        judge(path, text, is_test_path(path)).into_iter().map(|f| (f.line, f.text)).collect()
    }

    fn lines_of(path: &str, text: &str) -> Vec<usize> {
        judged(path, text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert!(judged("crates/model/src/a.rs", "//! Here.\n").is_empty());
        assert_eq!(lines_of("crates/model/src/a.rs", "use std;\n"), [1]);
    }

    #[test]
    fn a_long_file_smells_and_a_longer_one_fails() {
        let of = |n| judge("a.rs", &format!("//! x\n{}", "\n".repeat(n)), false);
        assert!(of(400).is_empty());
        assert_eq!(of(600).iter().map(|f| f.fails).collect::<Vec<_>>(), [false]);
        assert_eq!(of(900).iter().map(|f| f.fails).collect::<Vec<_>>(), [true]);
    }

    #[test]
    fn what_is_left_undone_is_found() {
        for word in LEFT_UNDONE {
            let text = format!("//! x\n// {word} later\n");
            assert_eq!(lines_of("tests/src/a.rs", &text), [2], "{word}");
        }
        assert!(judged("a.rs", &format!("//! x\nlet a{}S = 1;\n", LEFT_UNDONE[0])).is_empty());
    }

    #[test]
    fn a_panic_is_found_where_bytes_come_by_unless_excused_or_a_test() {
        let text = format!("//! x\nlet a = b{};\n", PANICS[0]);
        assert_eq!(lines_of("crates/amqp091/src/a.rs", &text), [2]);
        assert!(judged("crates/config/src/a.rs", &text).is_empty());
        assert!(judged("crates/amqp091/tests/a.rs", &text).is_empty());
        let tests = format!("//! x\n#[cfg(test)]\nmod tests {{\na{};\n}}\n", PANICS[0]);
        assert!(judged("crates/amqp091/src/a.rs", &tests).is_empty());
        let excused = format!("//! x\n{INVARIANT} set above.\nlet a = b{};\n", PANICS[0]);
        assert!(judged("crates/amqp091/src/a.rs", &excused).is_empty());
        let expected = format!("//! x\nlet a = b{}c\");\n", PANICS[1]);
        assert_eq!(lines_of("crates/wal/src/a.rs", &expected), [2]);
        let comment = format!("//! x\n// never {} here\n", PANICS[0]);
        assert!(judged("crates/amqp091/src/a.rs", &comment).is_empty());
    }

    #[test]
    fn a_pure_room_names_nothing_of_the_world() {
        for line in ["use tokio::sync;", "std::fs::read(p)", "let t = Instant::now();"] {
            let text = format!("//! x\n{line}\n");
            assert_eq!(lines_of("crates/broker/src/a.rs", &text), [2], "{line}");
            assert!(judged("crates/net/src/a.rs", &text).is_empty(), "{line}");
        }
        for line in ["use std::net::SocketAddr;", "Instantiate()", "// tokio is above"] {
            let text = format!("//! x\n{line}\n");
            assert!(judged("crates/front/src/a.rs", &text).is_empty(), "{line}");
        }
        assert_eq!(lines_of("crates/front/src/a.rs", "//! x\nstd::net::TcpStream\n"), [2]);
    }

    #[test]
    fn a_test_does_not_sleep() {
        let text = format!("//! x\nthread::{SLEEP}x);\n");
        assert_eq!(lines_of("tests/tests/a.rs", &text), [2]);
        assert!(judged("crates/lockgate/src/a.rs", &text).is_empty());
        assert!(judged("tests/bench/a.rs", &text).is_empty());
        let named = format!("//! x\nfn it_does_not_{SLEEP}) {{}}\n");
        assert!(judged("tests/tests/a.rs", &named).is_empty());
        let paused = format!("//! x\n#[tokio::test({VIRTUAL_TIME} = true)]\n{SLEEP}x);\n");
        assert!(judged("tests/tests/a.rs", &paused).is_empty());
    }

    #[test]
    fn a_module_for_tests_only_is_test_code() {
        let text = "//! x\n#[cfg(any(test, feature = \"script\"))]\npub mod script;\n";
        let tests = test_modules("crates/front/src/lib.rs", text);
        assert_eq!(tests, ["crates/front/src/script.rs", "crates/front/src/script/"]);
        let nested = test_modules("crates/front/src/a.rs", "#[cfg(test)]\nmod b;");
        assert_eq!(nested[0], "crates/front/src/a/b.rs");
    }
}
