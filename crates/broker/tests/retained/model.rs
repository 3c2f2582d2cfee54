//! Retaining against a naive model: a map of topics. Whatever comes in whichever order, restarts
//! among it, who comes later is told what the map says.

use super::*;
use lockgate_broker::Settings;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    /// Topic, bytes of the body, level, lifetime.
    Retain(u8, usize, u8, Option<u64>),
    /// Published and not to be retained.
    Publish(u8),
    Look(u8),
    Pass(u64),
    Restart(bool),
    /// What still lives of the log so far is copied on.
    Move,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![Just(0), 1..50usize, Just(20_000)];
    let lifetime = prop::option::weighted(0.2, 1..5_000u64);
    prop_oneof![
        10 => (0..12u8, size, 0..3u8, lifetime).prop_map(|(t, s, l, ms)| Step::Retain(t, s, l, ms)),
        2 => (0..12u8).prop_map(Step::Publish),
        4 => (0..FILTERS.len() as u8).prop_map(Step::Look),
        2 => (1..2_000u64).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Restart),
        1 => Just(Step::Move),
    ]
}

const FILTERS: [&str; 7] = ["#", "+/+", "a/#", "a/1", "$s/#", "+/3", "b/+"];

fn topic(n: u8) -> String {
    format!("{}/{}", ["a", "b", "$s"][usize::from(n) % 3], n / 3)
}

struct Model {
    quay: Quay,
    kept: BTreeMap<String, (String, Option<u64>)>,
    publisher: SessionId,
    count: usize,
}

impl Model {
    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Retain(n, size, level, lifetime) => {
                self.count += 1;
                let body =
                    if *size == 0 { String::new() } else { format!("{:>size$}", self.count) };
                let topic = topic(*n);
                publish(&mut self.quay, self.publisher, wished(&topic, &body, *level, *lifetime));
                self.kept.remove(&topic);
                let due = lifetime.map(|ms| self.quay.house.millis + ms);
                if !body.is_empty() {
                    self.kept.insert(topic, (body, due));
                }
            }
            Step::Publish(n) => self.quay.publish(self.publisher, &topic(*n), "passing", 1),
            Step::Look(n) => self.look(FILTERS[usize::from(*n)])?,
            Step::Pass(ms) => self.pass(*ms),
            Step::Restart(from_snapshot) => {
                self.quay.restart(*from_snapshot);
                self.pass(0);
                self.publisher = self.quay.brief("publisher");
            }
            Step::Move => self.quay.house.move_on(),
        }
        let bodies: usize = self.kept.values().map(|(body, _)| body.len()).sum();
        let counts = self.quay.house.broker.counts();
        prop_assert_eq!(counts.retained, self.kept.len() as u64);
        prop_assert!(counts.retained_bytes >= bodies as u64);
        Ok(())
    }

    fn pass(&mut self, ms: u64) {
        self.quay.pass(ms);
        let now = self.quay.house.millis;
        self.kept.retain(|_, (_, due)| due.is_none_or(|due| due > now));
    }

    fn look(&mut self, filter: &str) -> Result<(), TestCaseError> {
        let matches = |(t, (body, _)): (&String, &(String, _))| {
            lockgate_model::topic::matches(filter, t).then(|| (t.clone(), body.clone()))
        };
        let expected: Vec<_> = self.kept.iter().filter_map(matches).collect();
        prop_assert_eq!(told(&mut self.quay, filter), expected);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn who_comes_later_is_told_what_a_map_says(steps in prop::collection::vec(step(), 1..80)) {
        let mut quay = Quay::new();
        quay.house.settle_in(Settings { queue_resident: 40_000, ..Settings::default() });
        let publisher = quay.brief("publisher");
        let mut model = Model { quay, kept: BTreeMap::new(), publisher, count: 0 };
        for step in &steps {
            model.step(step)?;
        }
        for filter in FILTERS {
            model.look(filter)?;
        }
    }
}
