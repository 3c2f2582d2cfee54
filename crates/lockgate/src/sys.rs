//! How the broker stands, told to MQTT clients as Mosquitto tells it: on topics that begin with
//! `$SYS/broker/`, each announced when its value has changed, in every virtual host that clients
//! have sessions in. The figures are the whole broker's; messages of all protocols are counted.

mod load;

use load::Loads;
use lockgate_engine::{Counts, Engine};
use lockgate_model::{Item, Name, Names, Parts, Retain, Run, RunBuilder};
use lockgate_net::{Clock, Stats};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// What all topics begin with.
const ROOT: &str = "$SYS/broker/";

/// Properties that say: not to be kept.
const HEAD: [u8; 3] = [0x10, 0, 1];

/// What announces.
pub struct Sys {
    /// Of whom.
    pub engine: Engine,
    /// Of its connections.
    pub stats: Arc<Stats>,
    /// Tells the engine the time.
    pub clock: Clock,
    /// Where topics are.
    pub exchange: Name,
    /// How often.
    pub every: Duration,
}

/// What is counted at a moment.
#[derive(Clone, Debug, Default)]
struct Sample {
    uptime: Duration,
    counts: Counts,
    bytes_received: u64,
    bytes_sent: u64,
    /// Connections taken so far.
    accepted: u64,
    /// Messages that connections did not deliver.
    unsent: u64,
    /// Bytes of memory, and most there were, if the system says.
    memory: Option<(u64, u64)>,
}

/// What is told beside what is counted.
#[derive(Debug, Default)]
struct Figures {
    clients_max: u64,
    loads: Loads,
}

impl Sys {
    /// Announces for ever, unless never.
    pub async fn run(self) {
        if self.every.is_zero() {
            return;
        }
        let (mut figures, mut told) = (Figures::default(), HashMap::new());
        let begun = Instant::now();
        let mut rounds = tokio::time::interval(self.every);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            let values = figures.take(&self.sample(begun.elapsed()));
            let vhosts = self.engine.vhosts_with_berths();
            // Who has gone and comes again is told everything.
            told.retain(|vhost, _| vhosts.contains(vhost));
            for vhost in vhosts {
                let news = news(told.entry(vhost.clone()).or_default(), &values);
                if !news.is_empty() {
                    let run = Arc::new(run(&self.exchange, &news));
                    self.engine.announce(&vhost, run, self.clock.now());
                }
            }
        }
    }

    fn sample(&self, uptime: Duration) -> Sample {
        let skipped = self.stats.skipped();
        let dropped = self.stats.dropped.load(Relaxed);
        Sample {
            uptime,
            counts: self.engine.counts(),
            bytes_received: self.stats.bytes_read(),
            bytes_sent: self.stats.bytes_written(),
            accepted: self.stats.accepted.load(Relaxed),
            unsent: dropped + skipped.too_large + skipped.nameless,
            memory: memory(),
        }
    }
}

type Values = Vec<(String, String)>;

impl Figures {
    /// Everything that is told, by the end of its topic.
    fn take(&mut self, now: &Sample) -> Values {
        let Sample { counts: c, .. } = now;
        let connected = c.berths.saturating_sub(c.away);
        self.clients_max = self.clients_max.max(connected);
        let dropped = c.dropped + c.rejected + now.unsent;
        let mut all: Values = Vec::new();
        let mut tell = |topic: &str, value: String| all.push((topic.into(), value));
        tell("version", format!("lockgate version {}", env!("CARGO_PKG_VERSION")));
        tell("uptime", format!("{} seconds", now.uptime.as_secs()));
        for (topic, value) in [
            ("clients/total", c.berths),
            ("clients/connected", connected),
            ("clients/disconnected", c.away),
            ("clients/maximum", self.clients_max),
            ("messages/received", c.published),
            ("messages/sent", c.delivered),
            ("messages/stored", c.messages + c.retained),
            ("store/messages/count", c.messages + c.retained),
            ("publish/messages/received", c.published),
            ("publish/messages/sent", c.delivered),
            ("publish/messages/dropped", dropped),
            ("bytes/received", now.bytes_received),
            ("bytes/sent", now.bytes_sent),
            ("retained messages/count", c.retained),
            ("subscriptions/count", c.interests),
        ] {
            tell(topic, value.to_string());
        }
        if let Some((current, most)) = now.memory {
            tell("heap/current", current.to_string());
            tell("heap/maximum", most.to_string());
        }
        let grown = [
            ("messages/received", c.published),
            ("messages/sent", c.delivered),
            ("publish/received", c.published),
            ("publish/sent", c.delivered),
            ("publish/dropped", dropped),
            ("bytes/received", now.bytes_received),
            ("bytes/sent", now.bytes_sent),
            ("sockets", now.accepted),
            ("connections", now.accepted),
        ];
        self.loads.take(now.uptime, &grown, |topic, load| {
            tell(&format!("load/{topic}"), format!("{load:.2}"));
        });
        all
    }
}

/// Those values that are not what was told last; from now on they are.
fn news<'a>(told: &mut HashMap<String, String>, values: &'a Values) -> Vec<(&'a str, &'a str)> {
    let mut news = Vec::new();
    for (topic, value) in values {
        if told.get(topic) != Some(value) {
            told.insert(topic.clone(), value.clone());
            news.push((topic.as_str(), value.as_str()));
        }
    }
    news
}

/// Messages that say so. All dialects make the same key of these topics.
fn run(exchange: &str, news: &[(&str, &str)]) -> Run {
    let mut run = RunBuilder::default();
    for (topic, value) in news {
        let topic = format!("{ROOT}{topic}");
        let key = topic.replace('/', ".");
        let names = Names {
            exchange: exchange.as_bytes(),
            key: key.as_bytes(),
            topic: topic.as_bytes(),
            mandatory: false,
        };
        let parts = Parts { head: &HEAD, body: value.as_bytes(), native: b"" };
        run.push_like(Item { retain: Retain::Wished, ..Item::default() }, names, parts);
    }
    run.finish()
}

/// What the process has in memory, and most that it ever had, as the system counts it.
fn memory() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    Some((bytes("VmRSS:")?, bytes("VmHWM:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(values: &'a Values, topic: &str) -> Option<&'a str> {
        values.iter().find(|(t, _)| t == topic).map(|(_, value)| value.as_str())
    }

    #[test]
    fn clients_are_told_how_the_broker_stands() {
        let mut figures = Figures::default();
        let mut sample = Sample { uptime: Duration::from_secs(10), ..Sample::default() };
        sample.counts.berths = 5;
        sample.counts.away = 2;
        figures.take(&sample);
        sample.uptime = Duration::from_secs(20);
        sample.counts.away = 4;
        sample.counts.retained = 7;
        sample.counts.messages = 3;
        sample.counts.published = 100;
        let values = figures.take(&sample);
        for (topic, expected) in [
            ("uptime", "20 seconds"),
            ("clients/total", "5"),
            ("clients/connected", "1"),
            ("clients/disconnected", "4"),
            ("clients/maximum", "3"),
            ("messages/received", "100"),
            ("messages/stored", "10"),
            ("retained messages/count", "7"),
            ("load/sockets/1min", "0.00"),
        ] {
            assert_eq!(value(&values, topic), Some(expected), "{topic}");
        }
        assert!(value(&values, "version").is_some_and(|v| v.starts_with("lockgate version ")));
        assert_eq!(value(&values, "heap/current"), None);
        let (current, most) = memory().expect("Linux says it");
        assert!(current > 100_000 && most >= current);
    }

    #[test]
    fn only_what_has_changed_is_told_again() {
        let values = |n: u64| -> Values {
            vec![("a".into(), "same".into()), ("b/c d".into(), n.to_string())]
        };
        let mut told = HashMap::new();
        assert_eq!(news(&mut told, &values(1)), [("a", "same"), ("b/c d", "1")]);
        assert_eq!(news(&mut told, &values(1)), []);
        let next = values(2);
        let news = news(&mut told, &next);
        assert_eq!(news, [("b/c d", "2")]);
        let run = run("amq.topic", &news);
        let item = &run.items[0];
        assert_eq!(run.topic(item), Some(&b"$SYS/broker/b/c d"[..]));
        assert_eq!((run.key(item), run.body(item)), (&b"$SYS.broker.b.c d"[..], &b"2"[..]));
        assert!(item.retain == Retain::Wished && !item.persistent);
    }
}
