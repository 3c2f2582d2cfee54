//! The office: where operators have things done. On a running broker over a Unix socket in
//! its data directory, which only the broker's own user can reach; on a stopped one by
//! opening the data directory itself.
//!
//! ```text
//!  DIR/admin/socket   mode 0600, its folder 0700
//!  one JSON line each way:
//!    {"do":"import","vhost":V|null,"text":FILE}   -> {"taken":N,"bad":[..],"skipped":[..]}
//!    {"do":"export","vhost":V|null}               -> {"text":FILE}
//!                                        any no  -> {"error":WHY}
//! ```

mod call;
mod founding;
mod import;
mod secrets;
mod serve;

pub use call::run;
pub use founding::{Founding, found};
pub use import::{Report, apply, load};
pub use serve::Office;

use secrets::secrets;

use lockgate_engine::Engine;
use lockgate_net::Clock;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The folder of the socket.
const FOLDER: &str = "admin";
const SOCKET: &str = "socket";

/// Longest line either way: definitions of some hundred thousand queues.
const LINE_BYTES_MAX: u64 = 128 << 20;

/// Longest path that a socket's address can hold.
const ADDRESS_BYTES_MAX: usize = 107;

/// What there is to work with.
pub struct Desk {
    /// The broker.
    pub engine: Engine,
    /// What it goes by.
    pub clock: Clock,
    /// The version of RabbitMQ that it speaks.
    pub speaks: String,
}

impl Desk {
    /// Does one request; always has an answer.
    pub fn answer(&self, line: &[u8]) -> Value {
        let request: Value = match serde_json::from_slice(line) {
            Ok(request) => request,
            Err(e) => return json!({"error": format!("no request: {e}")}),
        };
        let vhost = request["vhost"].as_str();
        match (request["do"].as_str(), request["text"].as_str()) {
            (Some("import"), Some(text)) => match self.import(text.as_bytes(), vhost) {
                Ok(report) => report.to_json(),
                Err(why) => json!({"error": why}),
            },
            (Some("export"), _) => match self.export(vhost) {
                Ok(text) => json!({"text": text}),
                Err(why) => json!({"error": why}),
            },
            _ => json!({"error": "no such request"}),
        }
    }

    /// Takes what a definitions file says.
    fn import(&self, text: &[u8], vhost: Option<&str>) -> Result<Report, String> {
        let definitions = lockgate_definitions::read(text, vhost).map_err(|e| e.to_string())?;
        if let Some(name) = vhost
            && !self.engine.holdings().vhosts.iter().any(|v| v.name == name)
        {
            return Err(format!("vhost '{}' does not exist", name.escape_debug()));
        }
        apply(&self.engine, definitions, || self.clock.now())
    }

    /// What there is, as a definitions file.
    fn export(&self, vhost: Option<&str>) -> Result<String, String> {
        let product = lockgate_definitions::Product {
            speaks: &self.speaks,
            version: env!("CARGO_PKG_VERSION"),
        };
        lockgate_definitions::write(&self.engine.holdings(), vhost, product).ok_or_else(|| {
            format!("vhost '{}' does not exist", vhost.unwrap_or_default().escape_debug())
        })
    }
}

/// The folder of a data directory's socket.
fn folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

/// The address of the socket in a folder that is held open: a path that is too long for one
/// is shortened by way of the open folder.
fn address(folder: &Path, held: &std::fs::File) -> PathBuf {
    use std::os::fd::AsRawFd;
    let plain = folder.join(SOCKET);
    if plain.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return plain;
    }
    PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd())).join(SOCKET)
}
