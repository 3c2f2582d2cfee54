//! Whether bytes that come in pieces are UTF-8 (RFC 6455, 8.1): a character may be cut
//! anywhere, and what is wrong is found in the piece in which it goes wrong.

/// How far a text has been looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8 {
    /// The beginning of a character whose rest has not come.
    cut: [u8; 4],
    len: u8,
}

/// The bytes are no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotText;

impl Utf8 {
    /// Looks at the next piece.
    pub(crate) fn take(&mut self, mut piece: &[u8]) -> Result<(), NotText> {
        while self.len > 0 {
            let Some((next, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            let len = usize::from(self.len);
            *self.cut.get_mut(len).ok_or(NotText)? = *next;
            self.len += 1;
            self.len = match std::str::from_utf8(&self.cut[..=len]) {
                Ok(_) => 0,
                Err(e) if e.error_len().is_none() => self.len,
                Err(_) => return Err(NotText),
            };
        }
        let Err(e) = std::str::from_utf8(piece) else { return Ok(()) };
        let left = &piece[e.valid_up_to()..];
        if e.error_len().is_some() || left.len() > 3 {
            return Err(NotText);
        }
        self.cut[..left.len()].copy_from_slice(left);
        self.len = left.len() as u8;
        Ok(())
    }

    /// The text ends here.
    pub(crate) fn end(&mut self) -> Result<(), NotText> {
        match std::mem::take(&mut self.len) {
            0 => Ok(()),
            _ => Err(NotText),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(pieces: &[&[u8]]) -> Result<(), NotText> {
        let mut text = Utf8::default();
        pieces.iter().try_for_each(|piece| text.take(piece))?;
        text.end()
    }

    #[test]
    fn what_can_not_become_text_is_found_at_once() {
        // A surrogate (RFC 3629, 3), overlong forms, what is beyond the last character.
        for bad in [&b"\xed\xa0"[..], b"\xc0", b"\xe0\x80", b"\xf5", b"\xf4\x90", b"\x80"] {
            let mut text = Utf8::default();
            let (last, before) = bad.split_last().unwrap();
            assert_eq!(text.take(before), Ok(()), "{bad:?}");
            assert_eq!(text.take(&[*last]), Err(NotText), "{bad:?}");
        }
        assert_eq!(whole(&[b"\xe2\x82"]), Err(NotText));
        assert_eq!(whole(&[b"\xe2", b"", b"\x82", b"\xac\xf0\x9f", b"\x98\x80"]), Ok(()));
    }

    proptest! {
        #[test]
        fn any_cut_of_any_bytes_says_the_same(
            bytes in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                prop::collection::vec(prop_oneof![Just(0xe2), Just(0x82), Just(0xac), any::<u8>()], 0..12),
            ],
            cuts in prop::collection::vec(1..4usize, 1..6),
        ) {
            let (mut pieces, mut at, mut cuts) = (Vec::new(), 0, cuts.iter().cycle());
            while at < bytes.len() {
                let n = cuts.next().copied().unwrap_or(1).min(bytes.len() - at);
                pieces.push(&bytes[at..at + n]);
                at += n;
            }
            prop_assert_eq!(whole(&pieces).is_ok(), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
