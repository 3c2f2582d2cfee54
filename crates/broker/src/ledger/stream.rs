//! What a stream has beside its line: the segments that its older entries were moved to, and
//! when those came that are still in the log.
//!
//! ```text
//!  first                                        kept end               next
//!  | segment | segment | segment (the newest) .. | line: in the log ..... |
//! ```
//! Retention takes whole segments from the front, never the newest.

use super::block::NUMBER_MAX;
use super::rules::Rules;
use lockgate_model::{Malformed, Time};
use std::collections::VecDeque;

/// A segment: a file of its own, as far as the log says that it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The first entry's number; it names the file.
    pub base: u64,
    /// The number behind the last entry's.
    pub end: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// When the first entry came.
    pub from: Time,
    /// When the last one came.
    pub to: Time,
}

/// A stream's segments and times.
#[derive(Debug, Default)]
pub struct Stream {
    /// In order, without gaps.
    segments: VecDeque<Segment>,
    /// Bytes of all of them.
    bytes: u64,
    /// Entries of the line from this number on came at this time, or little later.
    arrivals: VecDeque<(u64, Time)>,
    /// The first entry of those that came together last.
    latest: u64,
}

impl Stream {
    /// All segments, oldest first.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &Segment> {
        self.segments.iter()
    }

    /// The newest segment.
    pub fn newest(&self) -> Option<&Segment> {
        self.segments.back()
    }

    /// The first entry that is in a segment.
    pub fn first(&self) -> Option<u64> {
        self.segments.front().map(|s| s.base)
    }

    /// Entries below this are in segments, or gone.
    pub fn kept_end(&self) -> u64 {
        self.segments.back().map_or(0, |s| s.end)
    }

    /// The first entry of those that came together last.
    pub fn latest(&self) -> u64 {
        self.latest
    }

    /// Times of entries that are not kept yet, for snapshots.
    pub fn arrivals(&self) -> impl ExactSizeIterator<Item = (u64, Time)> + '_ {
        self.arrivals.iter().copied()
    }

    /// The segment that holds an entry.
    pub fn segment_of(&self, number: u64) -> Option<&Segment> {
        let at = self.segments.partition_point(|s| s.end <= number);
        self.segments.get(at).filter(|s| s.base <= number)
    }

    /// Entries from `first` on came at this time. Clocks may go back, a stream's time does not.
    pub fn note(&mut self, first: u64, at: Time) {
        self.latest = first;
        let last = self.arrivals.back().map(|(_, t)| *t);
        let last = last.or(self.segments.back().map(|s| s.to)).unwrap_or_default();
        // A millisecond is fine enough for what retention and readers ask.
        if self.arrivals.is_empty() || at.millis() > last.millis() {
            self.arrivals.push_back((first, at.max(last)));
        }
    }

    /// When an entry that is not kept yet came.
    pub fn time_of(&self, number: u64) -> Time {
        let at = self.arrivals.partition_point(|(first, _)| *first <= number);
        at.checked_sub(1).and_then(|at| self.arrivals.get(at)).map_or(Time::default(), |(_, t)| *t)
    }

    /// The first segment with an entry that came at this time or later.
    pub fn segment_at(&self, time: Time) -> Option<&Segment> {
        self.segments.get(self.segments.partition_point(|s| s.to < time))
    }

    /// The first entry of the line that came at this time or later.
    pub fn arrived_at(&self, time: Time) -> Option<u64> {
        let at = self.arrivals.partition_point(|(_, t)| *t < time);
        self.arrivals.get(at).map(|(first, _)| *first)
    }

    /// Entries up to `segment.end` are kept: a new segment, or more of the newest one.
    pub fn keep(&mut self, segment: Segment, latest: u64) -> Result<(), Malformed> {
        let Segment { base, end, bytes, from, to } = segment;
        let follows = self.segments.back().is_none_or(|s| s.end <= base && s.base < base);
        let grows =
            self.segments.back().is_some_and(|s| s.base == base && s.end < end && s.bytes < bytes);
        if base >= end || end > NUMBER_MAX || !(follows || grows) {
            return Err(Malformed("a segment that cannot be"));
        }
        match self.segments.back_mut().filter(|_| grows) {
            Some(s) => {
                self.bytes = self.bytes.saturating_add(bytes - s.bytes);
                (s.end, s.bytes, s.to) = (end, bytes, to.max(s.to));
            }
            None => {
                self.bytes = self.bytes.saturating_add(bytes);
                self.segments.push_back(Segment { base, end, bytes, from, to });
            }
        }
        self.latest = self.latest.max(latest);
        // The entry behind them still has to be told when it came.
        while self.arrivals.get(1).is_some_and(|(first, _)| *first <= end) {
            self.arrivals.pop_front();
        }
        Ok(())
    }

    /// Replay: all of it, from a snapshot.
    pub fn restore(
        &mut self,
        latest: u64,
        segments: Vec<Segment>,
        arrivals: &[(u64, Time)],
    ) -> Result<(), Malformed> {
        segments.into_iter().try_for_each(|s| self.keep(s, 0))?;
        arrivals.iter().for_each(|(first, at)| self.note(*first, *at));
        self.latest = latest;
        Ok(())
    }

    /// Segments that end at or below `below` are gone.
    pub fn cut(&mut self, below: u64) {
        while let Some(s) = self.segments.front().filter(|s| s.end <= below) {
            self.bytes = self.bytes.saturating_sub(s.bytes);
            self.segments.pop_front();
        }
    }

    /// What is too old or too much: everything below. `tail` is the bytes of the line.
    pub fn overdue(&self, rules: &Rules, now: Time, tail: u64) -> Option<u64> {
        let (mut below, mut bytes) = (None, self.bytes.saturating_add(tail));
        let keeps = rules.retention.as_deref()?;
        for s in self.segments.iter().take(self.segments.len().saturating_sub(1)) {
            let old = keeps.age_max.is_some_and(|age| s.to + age <= now);
            let much = keeps.bytes_max.is_some_and(|most| bytes > most);
            if !old && !much {
                break;
            }
            below = Some(s.end);
            bytes = bytes.saturating_sub(s.bytes);
        }
        below
    }

    /// When the oldest segment will be too old.
    pub fn due(&self, rules: &Rules) -> Option<Time> {
        let oldest = self.segments.front().filter(|_| self.segments.len() > 1)?;
        Some(oldest.to + rules.age_max()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Retention;
    use super::*;
    use std::time::Duration;

    fn segment(base: u64, end: u64, bytes: u64, to: u64) -> Segment {
        Segment { base, end, bytes, from: Time(base), to: Time(to) }
    }

    fn stream() -> Stream {
        let mut s = Stream::default();
        for (base, end, to) in [(0, 10, 1_000), (10, 20, 2_000), (20, 25, 3_000)] {
            s.keep(segment(base, end, 100, to), base).unwrap();
        }
        s.keep(segment(20, 30, 150, 3_500), 29).unwrap();
        s
    }

    #[test]
    fn segments_follow_each_other_and_the_newest_grows() {
        let mut s = stream();
        assert_eq!((s.first(), s.kept_end(), s.latest()), (Some(0), 30, 29));
        assert_eq!(s.newest().map(|s| (s.base, s.bytes)), Some((20, 150)));
        assert_eq!(s.segment_of(19).map(|s| s.base), Some(10));
        assert_eq!(s.segment_of(30), None);
        for (base, end, bytes) in
            [(25, 40, 9), (20, 30, 200), (20, 40, 150), (40, 40, 9), (5, 50, 9)]
        {
            assert!(s.keep(segment(base, end, bytes, 9), 0).is_err(), "{base}..{end}");
        }
    }

    #[test]
    fn segments_that_say_they_are_huge_are_counted_no_further_than_a_number_goes() {
        let mut s = Stream::default();
        for (base, end, bytes) in [(0, 9, u64::MAX), (10, 19, 5), (10, 20, u64::MAX)] {
            s.keep(segment(base, end, bytes, 1), 0).unwrap();
        }
        s.cut(9);
        s.cut(20);
        assert_eq!((s.first(), s.bytes), (None, 0));
    }

    #[test]
    fn the_newest_segment_is_never_overdue() {
        let s = stream();
        let rules = |age: Option<u64>, bytes_max| {
            let age_max = age.map(Duration::from_micros);
            let retention = Some(Box::new(Retention { age_max, bytes_max, segment_bytes: None }));
            Rules { retention, ..Rules::default() }
        };
        assert_eq!(s.overdue(&rules(None, None), Time(u64::MAX), 0), None);
        assert_eq!(s.overdue(&rules(Some(1), None), Time(u64::MAX), 0), Some(20));
        assert_eq!(s.overdue(&rules(Some(500), None), Time(1_499), 0), None);
        assert_eq!(s.overdue(&rules(Some(500), None), Time(1_500), 0), Some(10));
        assert_eq!(s.overdue(&rules(None, Some(350)), Time(0), 0), None);
        assert_eq!(s.overdue(&rules(None, Some(350)), Time(0), 1), Some(10));
        assert_eq!(s.overdue(&rules(None, Some(0)), Time(0), 0), Some(20));
        assert_eq!(s.due(&rules(Some(500), None)), Some(Time(1_500)));
    }

    #[test]
    fn entries_are_found_by_the_time_they_came() {
        let mut s = stream();
        for (first, ms) in [(30, 10), (31, 12), (40, 11), (41, 13)] {
            s.note(first, Time(ms * 1_000));
        }
        let at = |ms: u64| s.arrived_at(Time(ms * 1_000));
        assert_eq!((at(10), at(11), at(13), at(14)), (Some(30), Some(31), Some(41), None));
        assert_eq!(s.time_of(40), Time(12_000), "time does not go back");
        assert_eq!(s.segment_at(Time(2_001)).map(|s| s.base), Some(20));
        s.keep(segment(30, 36, 10, 12_000), 0).unwrap();
        assert_eq!((s.time_of(36), s.arrivals().len()), (Time(12_000), 2));
    }
}
