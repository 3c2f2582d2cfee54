//! Who may come in, and what each may do there.
//!
//! Everything is refused that is not granted. No socket, no file, no clock: who
//! asks brings what is needed, and secrets never leave through `Debug`.

mod password;
mod rights;
pub mod scram;
mod users;

pub use password::PasswordHash;
pub use rights::{Grant, Pattern, Rights, Scope};
pub use users::Users;
