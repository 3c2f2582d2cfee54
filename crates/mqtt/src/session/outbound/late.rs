//! What is made at its first use: of very many clients most are sent little, and there are
//! more things to remember for a busy one than an idle one should pay for.

/// Something that may not be made yet.
#[derive(Debug)]
pub(super) struct Late<T>(Option<Box<T>>);

impl<T> Default for Late<T> {
    fn default() -> Self {
        Late(None)
    }
}

impl<T: Default> Late<T> {
    /// It, made if it is not yet.
    #[inline]
    pub(super) fn get(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }

    /// It, if it is made.
    #[inline]
    pub(super) fn made(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}
