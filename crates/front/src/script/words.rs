//! Words of a script line: bare or `"quoted"`, and `name=value` among them.

/// What is left of a line.
#[derive(Clone, Debug)]
pub struct Words<'a>(&'a str);

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let line = self.0.trim_start();
        if line.is_empty() {
            return None;
        }
        let (mut word, mut quoted, mut end) = (String::new(), false, line.len());
        let mut chars = line.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => quoted = !quoted,
                '\\' if quoted => match chars.next() {
                    Some((_, '0')) => word.push('\0'),
                    Some((_, 'n')) => word.push('\n'),
                    Some((_, 'r')) => word.push('\r'),
                    Some((_, other)) => word.push(other),
                    None => {}
                },
                ' ' if !quoted => {
                    end = at;
                    break;
                }
                other => word.push(other),
            }
        }
        self.0 = &line[end..];
        Some(word)
    }
}

impl<'a> Words<'a> {
    /// The words of a line.
    pub fn new(line: &'a str) -> Self {
        Words(line.trim())
    }

    /// The next word, which must be there.
    pub fn need(&mut self, what: &str) -> Result<String, String> {
        self.next().ok_or_else(|| format!("{what} is missing"))
    }

    /// The next word as a number.
    pub fn number(&mut self, what: &str) -> Result<u64, String> {
        let word = self.need(what)?;
        word.parse().map_err(|_| format!("{what} is no number: {word}"))
    }

    /// All that is left.
    pub fn rest(&mut self) -> Vec<String> {
        self.collect()
    }
}
