//! What standard output says at the start: who this is, where it listens, where
//! its data are, how to stop it, and then `ready`.

use lockgate_config::Kind;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// The banner, with `ready` as its last line.
pub fn banner(listening: &[(Kind, SocketAddr)], data: &Path) -> String {
    let mut out = format!("lockgate {}\n\n", env!("CARGO_PKG_VERSION"));
    for (kind, address) in listening {
        let word = kind.word();
        let _ = writeln!(out, "  {word:<6} {word}://{address}");
    }
    let _ = writeln!(out, "  {:<6} {}", "data", data.display());
    let _ = writeln!(out, "  {:<6} Ctrl-C, or SIGTERM to process {}", "stop", std::process::id());
    out.push_str("\nready\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_every_listener_and_ends_with_ready() {
        let listening = [
            (Kind::Amqp, "127.0.0.1:5672".parse().unwrap()),
            (Kind::Stomp, "[::1]:61613".parse().unwrap()),
        ];
        let text = banner(&listening, Path::new("/var/lib/lockgate"));
        for line in [
            "  amqp   amqp://127.0.0.1:5672",
            "  stomp  stomp://[::1]:61613",
            "  data   /var/lib/lockgate",
        ] {
            assert!(text.lines().any(|l| l == line), "{text}");
        }
        assert!(text.ends_with("\nready\n"));
        assert!(text.starts_with("lockgate "));
    }
}
