//! The house is in order.

use std::path::Path;
use xtask::tidy;

#[test]
fn the_house_is_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let findings: Vec<String> = tidy::check(&root)
        .into_iter()
        .filter(|finding| finding.fails)
        .map(|finding| finding.to_string())
        .collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}
