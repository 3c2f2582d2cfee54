//! However a conversation is cut into reads, messages and fragments, the inner session is
//! told the same and the peer is answered the same.

use super::kit::{BINARY, Driver, LAST, MORE, PING, PONG, frame, heard};
use crate::frame::unmask;
use proptest::prelude::*;

/// One message, in fragments of these sizes, with a ping between them.
fn message(payload: &[u8], sizes: &[usize], out: &mut Vec<u8>) {
    let (mut at, mut sizes, mut first) = (0, sizes.iter().cycle(), true);
    loop {
        let n = sizes.next().copied().unwrap_or(usize::MAX).min(payload.len() - at);
        let last = at + n == payload.len();
        let flags = if first { BINARY & !LAST } else { MORE } | if last { LAST } else { 0 };
        out.extend(frame(flags, &payload[at..at + n]));
        if last {
            return;
        }
        if n % 3 == 0 {
            out.extend(frame(PING, b"?"));
        }
        (at, first) = (at + n.max(1).min(payload.len() - at), false);
        if n == 0 {
            // An empty fragment, and then the byte that it skipped.
            out.extend(frame(MORE, &payload[at - 1..at]));
            if at == payload.len() {
                out.extend(frame(MORE | LAST, b""));
                return;
            }
        }
    }
}

/// What was asked, and what was said without its frames.
fn played(bytes: &[u8], cuts: &[usize]) -> (Vec<String>, Vec<u8>) {
    let mut driver = Driver::open("/", "toy");
    let (mut at, mut cuts) = (0, cuts.iter().cycle());
    while at < bytes.len() {
        let n = cuts.next().map_or(1, |n| (*n).max(1)).min(bytes.len() - at);
        driver.read(&bytes[at..at + n]);
        at += n;
    }
    assert_eq!(driver.close, None);
    let frames = heard(&driver.said).into_iter().filter(|(flags, _)| *flags != PONG);
    (driver.asked, frames.flat_map(|(_, payload)| payload).collect())
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-z]{0,20}".prop_map(|text| format!("echo {text}\n").into_bytes()),
        2 => Just(b"ask q\n".to_vec()),
        2 => (0..6_000usize).prop_map(|n| {
            let mut all = format!("data {n}\n").into_bytes();
            all.extend((0..n).map(|n| n as u8));
            all
        }),
        1 => (0..20_000usize).prop_map(|n| format!("big {n}\n").into_bytes()),
        1 => Just(b"raw\n".to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_cut_and_any_fragments_say_the_same(
        lines in prop::collection::vec(line(), 1..30),
        messages in prop::collection::vec(prop_oneof![1..20usize, 1..3000usize], 1..6),
        fragments in prop::collection::vec(prop_oneof![0..5usize, 1..700usize], 1..6),
        cuts in prop::collection::vec(prop_oneof![1..9usize, 1..3000usize, 1..70_000usize], 1..8),
    ) {
        let mut plain = b"HELLO guest\n".to_vec();
        lines.iter().for_each(|line| plain.extend_from_slice(line));
        let whole = frame(BINARY, &plain);
        let (mut cut, mut at, mut sizes) = (Vec::new(), 0, messages.iter().cycle());
        while at < plain.len() {
            let n = sizes.next().copied().unwrap_or(1).min(plain.len() - at);
            message(&plain[at..at + n], &fragments, &mut cut);
            at += n;
        }
        prop_assert_eq!(&played(&cut, &cuts), &played(&whole, &[whole.len()]));
    }

    #[test]
    fn a_mask_comes_off_alike_in_any_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        mask in any::<[u8; 4]>(),
        cut in 0..200usize,
    ) {
        let expected: Vec<u8> = bytes.iter().enumerate().map(|(n, b)| b ^ mask[n % 4]).collect();
        let cut = cut.min(bytes.len());
        let mut got = bytes.clone();
        let (head, tail) = got.split_at_mut(cut);
        unmask(head, mask, 0);
        unmask(tail, mask, cut);
        prop_assert_eq!(got, expected);
    }
}
