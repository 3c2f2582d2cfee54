//! The types of settings that are measures: how each is read from text and shown as
//! TOML. Those that are words stand in `words.rs`.
//!
//! Whatever its source, a value arrives as text or as a list of texts, so a file,
//! a variable and a flag can never disagree on what a value means.

use std::path::PathBuf;
use std::time::Duration;

/// A value as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// One value; lists read it as parted by commas.
    Text(String),
    /// Several.
    List(Vec<String>),
}

/// A type that a setting can have.
pub trait Setting: Sized {
    /// Takes more than one value.
    const LIST: bool = false;
    /// Never shown.
    const SECRET: bool = false;

    /// Reads one text.
    fn parse(text: &str) -> Result<Self, String>;

    /// Shows it as TOML.
    fn show(&self) -> String;

    /// Reads what was given.
    fn read(given: &Given) -> Result<Self, String> {
        match given {
            Given::Text(text) => Self::parse(text),
            Given::List(_) => Err("one value is wanted, not a list".into()),
        }
    }
}

/// A text as a TOML string.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("it must not be empty".into()) } else { Ok(text.into()) }
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("it must not be empty".into()) } else { Ok(text.into()) }
    }

    fn show(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is neither true nor false"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Option<String> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Some(text).filter(|text| !text.is_empty()).map(String::from))
    }

    fn show(&self) -> String {
        quoted(self.as_deref().unwrap_or_default())
    }
}

impl Setting for Option<PathBuf> {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Some(text).filter(|text| !text.is_empty()).map(PathBuf::from))
    }

    fn show(&self) -> String {
        quoted(&self.as_deref().unwrap_or(std::path::Path::new("")).to_string_lossy())
    }
}

impl<T: Setting> Setting for Vec<T> {
    const LIST: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(T::parse).collect()
    }

    fn show(&self) -> String {
        format!("[{}]", self.iter().map(T::show).collect::<Vec<_>>().join(", "))
    }

    fn read(given: &Given) -> Result<Self, String> {
        match given {
            Given::Text(text) => Self::parse(text),
            Given::List(items) => items.iter().map(|item| T::parse(item)).collect(),
        }
    }
}

macro_rules! whole_number {
    ($($type:ty)*) => { $(
        impl Setting for $type {
            fn parse(text: &str) -> Result<Self, String> {
                let digits = text.replace('_', "");
                digits.parse().map_err(|_| {
                    format!("`{text}` is not a whole number up to {}", <$type>::MAX)
                })
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )* };
}
whole_number!(u16 u32);

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq, PartialOrd)]
pub struct Secret(String);

/// What stands in a secret's place.
const MASK: &str = "********";

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

impl Setting for Secret {
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it must not be empty".into()),
            MASK => Err("this is the mask that `config show` prints, not the secret".into()),
            _ => Ok(Secret(text.into())),
        }
    }

    fn show(&self) -> String {
        quoted(MASK)
    }
}

/// Reads `NUMBER UNIT`; no unit reads as the empty one.
fn measured(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let (_, times) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.replace('_', "").parse::<u64>().ok()?.checked_mul(*times)
}

/// Shows in the largest unit that leaves no rest. The first name of a size is its own.
fn in_units(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, times): &&(&str, u64)| value != 0 && value.is_multiple_of(*times);
    match units.iter().filter(fits).max_by_key(|(_, times)| *times) {
        Some((name, times)) => format!("{} {name}", value / times).trim_end().to_string(),
        None => value.to_string(),
    }
}

const SIZES: [(&str, u64); 5] =
    [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
const DECIMAL_SIZES: [(&str, u64); 5] =
    [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Setting for Size {
    fn parse(text: &str) -> Result<Self, String> {
        measured(text, &SIZES)
            .or_else(|| measured(text, &DECIMAL_SIZES))
            .map(Size)
            .ok_or_else(|| format!("`{text}` is not a size such as 512 MiB or 4 GiB"))
    }

    fn show(&self) -> String {
        quoted(&in_units(self.0, &SIZES))
    }
}

const SPANS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A length of time, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Setting for Span {
    fn parse(text: &str) -> Result<Self, String> {
        let zero = (text.trim() == "0").then_some(0);
        measured(text, &SPANS)
            .or(zero)
            .map(|ms| Span(Duration::from_millis(ms)))
            .ok_or_else(|| format!("`{text}` is not a time such as 100 ms, 10 s or 5 min"))
    }

    fn show(&self) -> String {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        // Seconds are what peers count in: 60 s reads better than 1 min beside 10 s.
        let text = if ms == 0 { "0 s".into() } else { in_units(ms, &SPANS[..2]) };
        quoted(&text)
    }
}

/// The memory wished for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MemoryMax {
    /// Just so many bytes.
    Bytes(Size),
    /// A share of what the machine, or the container, has.
    Percent(u8),
}

impl PartialOrd for MemoryMax {
    /// Shares compare with shares; bytes stand between none and all, so that a
    /// limit in shares leaves them alone.
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        use std::cmp::Ordering::Equal;
        match (self, other) {
            (MemoryMax::Percent(a), MemoryMax::Percent(b)) => a.partial_cmp(b),
            (MemoryMax::Bytes(a), MemoryMax::Bytes(b)) => a.partial_cmp(b),
            _ => Some(Equal),
        }
    }
}

impl Setting for MemoryMax {
    fn parse(text: &str) -> Result<Self, String> {
        let Some(share) = text.trim().strip_suffix('%') else {
            return match Size::parse(text) {
                Ok(size) if size.0 >= 16 << 20 => Ok(MemoryMax::Bytes(size)),
                Ok(_) => Err("less than 16 MiB is too little to run in".into()),
                Err(_) => Err(format!("`{text}` is neither a size such as 4 GiB nor a share")),
            };
        };
        let share =
            share.trim().parse().map_err(|_| format!("`{text}` is no share such as 60%"))?;
        Ok(MemoryMax::Percent(share))
    }

    fn show(&self) -> String {
        match self {
            MemoryMax::Bytes(size) => size.show(),
            MemoryMax::Percent(share) => quoted(&format!("{share}%")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_in_either_system_and_show_without_loss() {
        for (text, bytes, shown) in [
            ("4 GiB", 4 << 30, "\"4 GiB\""),
            ("64MiB", 64 << 20, "\"64 MiB\""),
            ("10 MB", 10_000_000, "\"10000000\""),
            ("1_500", 1_500, "\"1500\""),
            ("0", 0, "\"0\""),
        ] {
            let size = Size::parse(text).unwrap();
            assert_eq!((size.0, size.show().as_str()), (bytes, shown), "{text}");
        }
        for text in ["", "GiB", "-1", "4 GiBB", "99999999999999 TiB", "1.5 GiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(Span::parse("100 ms").unwrap().0, Duration::from_millis(100));
        assert_eq!(Span::parse("5min").unwrap().show(), "\"300 s\"");
        assert_eq!(Span::parse("0").unwrap().show(), "\"0 s\"");
        assert!(Span::parse("10").is_err());
    }

    #[test]
    fn memory_is_bytes_or_a_share() {
        assert_eq!(MemoryMax::parse("60%"), Ok(MemoryMax::Percent(60)));
        assert_eq!(MemoryMax::parse("4 GiB"), Ok(MemoryMax::Bytes(Size(4 << 30))));
        assert!(MemoryMax::parse("lots").is_err());
        assert!(MemoryMax::parse("1 KiB").is_err());
        assert!(MemoryMax::parse("300%").is_err());
    }

    #[test]
    fn the_mask_of_a_secret_is_no_secret() {
        let shown = Secret::parse("s").unwrap().show();
        assert!(Secret::parse(shown.trim_matches('"')).is_err());
    }
}
