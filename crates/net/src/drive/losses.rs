//! What sessions let go by themselves: all of it is counted, and of each connection it is
//! said once why. Never slows a connection down.

use crate::stats::Stats;
use lockgate_front::{Output, Skipped};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use tracing::warn;

/// Of one connection.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// That messages are lost has been said.
    said: bool,
}

impl Losses {
    /// Counts what a turn has let go, and says it the first time. What outlived its time is
    /// as its publisher wished, and properties are not messages: they are counted only.
    pub(super) fn heed(&mut self, out: &mut Output, stats: &Stats, peer: SocketAddr, kind: &str) {
        let (refused, untold) = (std::mem::take(&mut out.dropped), std::mem::take(&mut out.untold));
        let skipped = std::mem::take(&mut out.skipped);
        if refused == 0 && untold == 0 && skipped == Skipped::default() {
            return;
        }
        stats.dropped.fetch_add(refused, Relaxed);
        stats.untold.fetch_add(untold, Relaxed);
        stats.skip(skipped);
        let Skipped { too_large, nameless, .. } = skipped;
        if refused + too_large + nameless > 0 && !self.said {
            self.said = true;
            warn!(%peer, kind, refused, too_large, nameless, "messages are dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn all_is_counted_and_lost_messages_are_said_once() {
        let (stats, mut losses, mut out) = (Stats::default(), Losses::default(), Output::default());
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        out.skipped.expired = 5;
        out.untold = 2;
        losses.heed(&mut out, &stats, peer, "test");
        assert!(!losses.said, "no message was lost");
        for _ in 0..2 {
            out.dropped = 3;
            out.skipped = Skipped { too_large: 1, expired: 1, nameless: 1 };
            losses.heed(&mut out, &stats, peer, "test");
            assert!(losses.said);
        }
        losses.heed(&mut out, &stats, peer, "test");
        assert_eq!((stats.dropped.load(Relaxed), stats.untold.load(Relaxed)), (6, 2));
        assert_eq!(stats.skipped(), Skipped { too_large: 2, expired: 7, nameless: 2 });
    }
}
