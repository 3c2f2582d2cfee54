//! `basic.get`: one message by request.

use super::publish::write_content;
use super::{Connection, Reply, short_count};
use crate::error::Fault;
use crate::map::stamped;
use crate::packet::Method;
use lockgate_front::Output;
use lockgate_model::{Got, Request};

impl Connection {
    pub(super) fn get(
        &mut self,
        n: u16,
        queue: &str,
        no_ack: bool,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let queue = self.queue_named(n, queue)?;
        self.ask(n, (60, 70), Request::Get { queue, settled: no_ack }, Some(Reply::Got), out);
        Ok(())
    }

    pub(super) fn got(&mut self, n: u16, got: Option<Got>, out: &mut Output) -> Result<(), Fault> {
        let Some(got) = got else {
            self.send(n, &Method::BasicGetEmpty { cluster_id: "" }, out);
            return Ok(());
        };
        let delivery_tag = self.channel(n)?.inflight.hand_out(1, got.lease, ());
        let Some(item) = got.run.items.get(got.item as usize) else {
            debug_assert!(false, "an item that is not in its run");
            return Ok(());
        };
        let method = Method::BasicGetOk {
            delivery_tag,
            redelivered: got.redelivered,
            exchange: got.run.exchange(item),
            routing_key: got.run.key(item),
            message_count: short_count(got.waiting),
        };
        self.send(n, &method, out);
        let mut scratch = Vec::new();
        let head = stamped(got.run.head(item), got.stamp, &mut scratch);
        write_content(&got.run, item, head, n, self.frame_max, out);
        Ok(())
    }
}
