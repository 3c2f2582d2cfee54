//! Names of topics and the patterns that match them: levels between `/`, where `+` is one
//! level and `#`, in the last place, any number. Never changes a name.

/// Does a good pattern match a good topic name? Takes as long as both are long together.
pub fn matches(pattern: &str, name: &str) -> bool {
    // What begins with $ is not for those who ask for everything [MQTT-4.7.2-1].
    if name.starts_with('$') && pattern.starts_with(['+', '#']) {
        return false;
    }
    let (mut pattern, mut name) = (pattern.split('/'), name.split('/'));
    loop {
        match (pattern.next(), name.next()) {
            // `a/#` matches `a`, too (4.7.1.2).
            (Some("#"), _) => return true,
            (Some("+"), Some(_)) => {}
            (Some(level), Some(other)) if level == other => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// Do the levels of a topic name or pattern match exactly as the words of its key do, by all
/// rules, and is it the same after both ways? Then nobody who has the key need look at the topic.
pub fn is_plain(text: &str) -> bool {
    !text.contains(['.', '*', '>'])
        && !text.starts_with('$')
        && text.split('/').all(|l| !l.is_empty())
}
