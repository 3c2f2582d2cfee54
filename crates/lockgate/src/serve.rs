//! The wiring: settings become an engine, users, fronts and listeners, and all of
//! it stops in order.

use crate::fault::Fault;
use lockgate_config::Loaded;

/// Serves until it is told to stop.
pub fn serve(loaded: &Loaded) -> Result<(), Fault> {
    crate::logs::start(&loaded.config.logging);
    Err(Fault::other("not wired yet"))
}
