//! The users as they stand, for whoever judges logins: read without entering the gate, and
//! replaced as a whole when one of them changes.

use lockgate_model::User;
use std::sync::{Arc, PoisonError, RwLock};

/// All users at one moment.
#[derive(Debug, Default)]
pub struct Accounts {
    /// Differs whenever they do.
    pub revision: u64,
    /// By name, in order.
    pub users: Vec<User>,
}

/// Where the latest are.
#[derive(Debug, Default)]
pub struct Board(RwLock<Arc<Accounts>>);

impl Board {
    /// The latest.
    pub fn latest(&self) -> Arc<Accounts> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in their place.
    pub fn post(&self, accounts: Accounts) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(accounts);
    }
}
