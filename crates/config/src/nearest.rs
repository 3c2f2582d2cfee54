//! Which known name a mistyped one was meant to be.

/// The number of letters to put in, take out, change or swap.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let change = last[j] + usize::from(ca != cb);
            let mut best = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// The known name nearest to `name`. A name given without its section, or in a
/// wrong one, is compared by its last part too.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    let tail = |path: &str| path.rsplit('.').next().unwrap_or_default().to_string();
    known
        .min_by_key(|path| {
            let whole = distance(name, path) * 2;
            // A match of the last part alone counts a little less than a whole one.
            whole.min(distance(&tail(name), &tail(path)) * 2 + 1)
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_found_by_spelling_or_by_its_last_part() {
        let known = ["data_dir", "logging.level", "storage.segment", "memory.max"];
        for (name, meant) in [
            ("data_dri", "data_dir"),
            ("datadir", "data_dir"),
            ("level", "logging.level"),
            ("log.level", "logging.level"),
            ("storage.segmetn", "storage.segment"),
            ("memory.maximum", "memory.max"),
        ] {
            assert_eq!(nearest(name, known.into_iter()), meant, "{name}");
        }
    }

    #[test]
    fn a_swap_is_one_step() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
