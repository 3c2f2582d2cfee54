//! What one packet costs to read and to write, and that a small PUBLISH allocates nothing.
//! Standard library only; prints nanoseconds per packet, the best of many rounds, since a
//! shared machine only ever adds to a time.

use lockgate_mqtt::frame::{self, Cut};
use lockgate_mqtt::packet::{Ack, Packet, PacketId, Publish, Qos, Side, Version};
use lockgate_mqtt::property::{Properties, Property, PropertyList};
use lockgate_mqtt::{decode, encode};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a read brings: the drive loop reads up to 64 KiB at once.
const READ: usize = 64 * 1024;

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands on to the system's allocator what it is given, unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: it came from `System.alloc` with the same layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn best(name: &str, packets: usize, mut round: impl FnMut()) {
    round();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut least = f64::MAX;
    let until = Instant::now() + Duration::from_millis(400);
    while Instant::now() < until {
        let start = Instant::now();
        for _ in 0..16 {
            round();
        }
        least = least.min(start.elapsed().as_nanos() as f64 / (16 * packets) as f64);
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(allocations, 0, "{name} allocates");
    #[allow(clippy::print_stdout)] // what a benchmark is for
    {
        let rate = 1e3 / least;
        println!(
            "{name:<38} {least:>7.1} ns a packet {rate:>7.1} million a second ({packets} at once)"
        );
    }
}

/// As many of the packet as one read brings, read and then written.
fn measure(name: &str, version: Version, packet: &Packet<'_>) {
    let mut one = Vec::new();
    encode::packet(&mut one, version, usize::MAX, packet).expect(name);
    let count = (READ / one.len()).max(1);
    let input = one.repeat(count);
    best(&format!("read  {name}"), count, || {
        let mut rest = &input[..];
        while let Ok(Cut::Whole(head, body)) = frame::cut(rest, frame::LENGTH_MAX) {
            let packet = decode::packet(Side::Client, version, head, body);
            assert!(black_box(&packet).is_ok());
            rest = &rest[head.total()..];
        }
    });
    let mut out = Vec::with_capacity(2 * READ);
    best(&format!("write {name}"), count, || {
        out.clear();
        for _ in 0..count {
            assert!(encode::packet(&mut out, version, READ, packet).is_ok());
        }
        black_box(&out);
    });
}

fn main() {
    let id = PacketId(NonZeroU16::MIN);
    let plain = |payload| Publish {
        dup: false,
        qos: Qos::AtMostOnce,
        retain: false,
        topic: "bench/sensor/17",
        id: None,
        properties: Properties::NONE,
        payload,
    };
    let (small, kib) = (plain(&[b'x'; 16]), plain(&[b'x'; 1024]));
    let mut list = PropertyList::default();
    for property in [
        Property::TopicAlias(NonZeroU16::MIN),
        Property::MessageExpiry(60),
        Property::UserProperty(("key", "value")),
    ] {
        list.push(&property).expect("short texts");
    }
    let rich = Publish { properties: list.properties(), ..small };
    let sure = Publish { qos: Qos::AtLeastOnce, id: Some(id), ..small };
    measure("QoS 0, 16 B, 3.1.1", Version::V311, &Packet::Publish(small));
    measure("QoS 0, 16 B, 5", Version::V5, &Packet::Publish(small));
    measure("QoS 1, 16 B, 3.1.1", Version::V311, &Packet::Publish(sure));
    measure("QoS 0, 16 B, 5, three properties", Version::V5, &Packet::Publish(rich));
    measure("QoS 0, 1 KiB, 3.1.1", Version::V311, &Packet::Publish(kib));
    measure("PUBACK, 5", Version::V5, &Packet::Puback(Ack::success(id)));
}
