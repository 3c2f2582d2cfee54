//! Loads: how much of something comes a minute, on the average of the last 1, 5 and 15 minutes,
//! where what is long past counts less and less.

use std::time::Duration;

/// Minutes, and how they are called.
const SPANS: [(f64, &str); 3] = [(1.0, "1min"), (5.0, "5min"), (15.0, "15min")];

/// The averages of what grows.
#[derive(Debug, Default)]
pub struct Loads {
    /// When it was last looked.
    last: Duration,
    series: Vec<Series>,
}

#[derive(Debug, Default)]
struct Series {
    count: u64,
    averages: [f64; SPANS.len()],
}

impl Loads {
    /// Takes in how far everything has grown by now, always in the same order. Each average is
    /// given to `tell`.
    pub fn take(
        &mut self,
        now: Duration,
        grown: &[(&str, u64)],
        mut tell: impl FnMut(String, f64),
    ) {
        let minutes = now.saturating_sub(self.last).as_secs_f64() / 60.0;
        self.last = now;
        self.series.resize_with(grown.len(), Series::default);
        for (series, (what, count)) in self.series.iter_mut().zip(grown) {
            let more = count.saturating_sub(series.count);
            series.count = *count;
            for (average, (span, name)) in series.averages.iter_mut().zip(SPANS) {
                if minutes > 0.0 {
                    let rate = more as f64 / minutes;
                    *average = rate + (-minutes / span).exp() * (*average - rate);
                }
                tell(format!("{what}/{name}"), *average);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_comes_near_what_is_steady_and_forgets_what_was() {
        let (mut loads, mut last) = (Loads::default(), [0.0; 3]);
        let mut minute = |count: u64, n: u64| {
            for step in 1..=6 {
                let now = Duration::from_secs(60 * n + 10 * step);
                let mut at = 0;
                loads.take(now, &[("x", count + 10 * (n * 6 + step))], |_, load| {
                    last[at] = load;
                    at += 1;
                });
            }
            last
        };
        let first = minute(0, 0);
        let [one, five, fifteen] = first;
        assert!((one - 60.0 * (1.0 - (-1.0f64).exp())).abs() < 0.01, "{first:?}");
        assert!(one > five && five > fifteen && fifteen > 3.0, "{first:?}");
        let steady = (1..60).map(|n| minute(0, n)).last().unwrap();
        assert!(steady.iter().all(|load| (load - 60.0).abs() < 2.0), "{steady:?}");
    }
}
