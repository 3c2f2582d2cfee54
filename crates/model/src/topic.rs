//! Names of topics and the patterns that match them: levels between `/`, where `+` is one
//! level and `#`, in the last place, any number. Never changes a name.

/// Does a good pattern match a good topic name? Takes as long as both are long together.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, mut name) = (pattern.as_bytes(), name.as_bytes());
    // What begins with $ is not for those who ask for everything [MQTT-4.7.2-1].
    if name.first() == Some(&b'$') && matches!(pattern.first(), Some(b'+' | b'#')) {
        return false;
    }
    // Letter by letter: a wildcard has a level of its own, and names have none.
    for (at, letter) in pattern.iter().enumerate() {
        match (letter, name.split_first()) {
            (b'#', _) => return true,
            (b'+', _) => {
                let level = name.iter().position(|b| *b == b'/').unwrap_or(name.len());
                name = name.get(level..).unwrap_or_default();
            }
            (letter, Some((other, rest))) if letter == other => name = rest,
            // `a/#` matches `a`, too (4.7.1.2).
            (b'/', None) => return pattern.get(at..) == Some(b"/#"),
            _ => return false,
        }
    }
    name.is_empty()
}

/// Do the levels of a topic name or pattern match exactly as the words of its key do, by all
/// rules, and is it the same after both ways? Then nobody who has the key need look at the topic.
pub fn is_plain(text: &str) -> bool {
    !text.contains(['.', '*', '>'])
        && !text.starts_with('$')
        && text.split('/').all(|l| !l.is_empty())
}
