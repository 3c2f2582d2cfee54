//! A row of seats in an order that lasts: by the targets' names, not by who came first. One
//! of them is chosen by number.

use crate::id::Target;
use crate::way::WayKey;
use lockgate_model::Name;

/// One way. Two ways to one target have two seats.
#[derive(Debug)]
struct Seat {
    name: Name,
    way: WayKey,
}

impl Seat {
    fn order(&self) -> (bool, &str, &[u8], &[u8]) {
        let exchange = matches!(self.way.target, Target::Exchange(_));
        (exchange, &self.name, &self.way.key, &self.way.arguments)
    }
}

/// All ways out of one exchange, in order. Boxed, so that one more moves little.
#[derive(Debug, Default)]
#[allow(clippy::vec_box)] // what is moved by an insertion is a pointer a seat
pub struct Row(Vec<Box<Seat>>);

impl Row {
    /// Adds a way to a target of that name.
    pub fn add(&mut self, way: &WayKey, name: &Name) {
        let seat = Box::new(Seat { name: name.clone(), way: way.clone() });
        let at = self.0.partition_point(|s| s.order() < seat.order());
        self.0.insert(at, seat);
    }

    /// Takes a way out.
    pub fn remove(&mut self, way: &WayKey) {
        self.0.retain(|s| s.way != *way);
    }

    /// The target that a number chooses.
    pub fn seat(&self, number: u64) -> Option<Target> {
        let n = number.checked_rem(self.0.len() as u64)?;
        self.0.get(n as usize).map(|s| s.way.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::QueueId;
    use bytes::Bytes;

    #[test]
    fn the_order_is_by_name_and_two_ways_count_twice() {
        let way = |id, key: &'static str| WayKey {
            target: Target::Queue(QueueId(id)),
            key: Bytes::from_static(key.as_bytes()),
            arguments: Bytes::new(),
        };
        let mut row = Row::default();
        for (id, name, key) in [(7, "c", ""), (9, "a", "y"), (9, "a", "x"), (8, "b", "")] {
            row.add(&way(id, key), &name.into());
        }
        let seats = |row: &Row| (0..5).map(|n| row.seat(n)).collect::<Vec<_>>();
        let q = |id| Some(Target::Queue(QueueId(id)));
        assert_eq!(seats(&row), [q(9), q(9), q(8), q(7), q(9)]);
        row.remove(&way(9, "x"));
        assert_eq!(seats(&row), [q(9), q(8), q(7), q(9), q(8)]);
        assert_eq!(Row::default().seat(3), None);
    }
}
