//! Headers exchange: a way is taken when all (or any) of its arguments stand in the message.

use crate::id::Target;
use crate::way::WayKey;
use lockgate_model::{Table, Value};

/// One way's condition.
#[derive(Debug)]
struct Condition {
    way: WayKey,
    any: bool,
    wanted: Vec<(Box<str>, Value)>,
}

/// All conditions of one exchange.
#[derive(Debug, Default)]
pub struct Headers(Vec<Condition>);

impl Headers {
    /// Adds a way.
    pub fn add(&mut self, way: WayKey, arguments: &Table) {
        let mode = arguments.get("x-match").and_then(Value::as_str).unwrap_or("all");
        // `x-` names are the broker's own and match nothing, unless the mode says so.
        let with_x = mode.ends_with("-with-x");
        let wanted = arguments
            .0
            .iter()
            .filter(|(name, _)| &**name != "x-match" && (with_x || !name.starts_with("x-")));
        let wanted = wanted.cloned().collect();
        self.0.push(Condition { way, any: mode.starts_with("any"), wanted });
    }

    /// Takes a way out.
    pub fn remove(&mut self, way: &WayKey) {
        self.0.retain(|c| c.way != *way);
    }

    /// Appends the targets of a message with these headers.
    pub fn find(&self, headers: &Table, into: &mut Vec<Target>) {
        into.extend(self.0.iter().filter(|c| c.holds(headers)).map(|c| c.way.target));
    }
}

impl Condition {
    fn holds(&self, headers: &Table) -> bool {
        let mut each = self.wanted.iter().map(|(name, value)| {
            // A void argument asks only that the header is there.
            headers.get(name).is_some_and(|h| matches!(value, Value::Void) || value.same(h))
        });
        if self.any { each.any(|held| held) } else { each.all(|held| held) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::QueueId;
    use bytes::Bytes;

    fn matched(arguments: &[(&str, Value)], headers: &[(&str, Value)]) -> bool {
        let table = |pairs: &[(&str, Value)]| {
            Table(pairs.iter().map(|(n, v)| ((*n).into(), v.clone())).collect())
        };
        let mut h = Headers::default();
        let target = Target::Queue(QueueId(1));
        let way = WayKey { target, key: Bytes::new(), arguments: Bytes::new() };
        h.add(way, &table(arguments));
        let mut found = Vec::new();
        h.find(&table(headers), &mut found);
        !found.is_empty()
    }

    #[test]
    fn all_any_void_and_the_brokers_own_names() {
        let (one, two) = (Value::I32(1), Value::I32(2));
        let all = Value::text("all");
        let any = Value::text("any");
        assert!(matched(&[("a", one.clone())], &[("a", Value::I64(1))]), "all by default, widths");
        assert!(!matched(&[("a", one.clone()), ("b", two.clone())], &[("a", one.clone())]));
        assert!(matched(
            &[("x-match", any.clone()), ("a", one.clone()), ("b", two.clone())],
            &[("b", two.clone())]
        ));
        assert!(!matched(&[("x-match", any.clone())], &[("a", one.clone())]), "any of none");
        assert!(matched(&[("x-match", all.clone())], &[]), "all of none");
        assert!(matched(&[("a", Value::Void)], &[("a", two.clone())]), "void: be there");
        assert!(matched(&[("x-own", one.clone())], &[]), "x- names match nothing");
        assert!(!matched(&[("x-match", Value::text("all-with-x")), ("x-own", one)], &[]));
    }
}
