//! What the log says of berths, in words.

use crate::log_text::quoted;
use lockgate_broker::BerthId;
use lockgate_broker::record::{Change, MarkDeed};
use lockgate_model::{Interest, Lasting, Mark};

/// A change of a berth; nothing of any other.
pub fn made(change: &Change) -> Option<String> {
    Some(match change {
        Change::BerthTaken(b) => {
            let will =
                b.will.as_ref().map_or(String::new(), |w| format!(", will after {} s", w.delay));
            let (id, client, lasting) = (b.id.0, quoted(&b.client), lasting(b.lasting));
            format!("taken berth {id} of {client} in vhost {}, {lasting}{will}", b.vhost.0)
        }
        Change::BerthLeft { id, at, lasting: l, will } => {
            let verb = if at.is_some() { "left" } else { "to be left" };
            let will = if *will { ", will to come" } else { "" };
            format!("{verb} berth {}, {}{will}", id.0, lasting(*l))
        }
        Change::BerthEnded { id } => format!("ended berth {}", id.0),
        Change::Followed { id, interest } => followed(*id, interest),
        Change::Unfollowed { id, filter } => {
            format!("berth {} follows {} no more", id.0, quoted(filter))
        }
        _ => return None,
    })
}

fn followed(id: BerthId, i: &Interest) -> String {
    let filter = quoted(&i.filter);
    let group = i.group.as_ref().map_or(String::new(), |g| format!(" by queue {}", quoted(g)));
    format!("berth {} follows {filter} at {}{group}", id.0, i.level)
}

/// What became of marks.
pub fn marks(berth: BerthId, deed: MarkDeed, marks: &[Mark]) -> String {
    let deed = match deed {
        MarkDeed::Opened => "opened",
        MarkDeed::Released => "released",
        MarkDeed::Received => "received",
        MarkDeed::Completed => "completed",
    };
    format!("{deed} {} of berth {}", crate::log_text::list(marks.iter().map(|m| m.0)), berth.0)
}

fn lasting(lasting: Lasting) -> String {
    match lasting {
        Lasting::Not => "not lasting".into(),
        Lasting::Seconds(s) => format!("lasting {s} s"),
        Lasting::Always => "lasting for ever".into(),
    }
}
