//! The socket of a running broker: one request after the other, on a thread of its own.

use super::{Desk, LINE_BYTES_MAX, SOCKET, address, folder};
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{info, warn};

/// How long somebody may take between two pieces of what it says.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open office. It closes with the process.
#[derive(Debug)]
pub struct Office {
    path: PathBuf,
}

impl Office {
    /// Opens it in a data directory that this process holds.
    pub fn open(data: &Path, desk: Desk) -> io::Result<Office> {
        let folder = folder(data);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => std::fs::set_permissions(&folder, Permissions::from_mode(0o700))?,
        }
        let path = folder.join(SOCKET);
        // Whoever left it there is gone: this process holds the directory.
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let held = File::open(&folder)?;
        let listener = UnixListener::bind(address(&folder, &held))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        std::thread::Builder::new().name("office".into()).spawn(move || {
            for stream in listener.incoming() {
                let heard = stream.and_then(|stream| hear(stream, &desk));
                if let Err(e) = heard {
                    warn!("an operator's request failed: {e}");
                }
            }
        })?;
        Ok(Office { path })
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        // The next start removes it otherwise.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Hears one request and answers it.
fn hear(stream: UnixStream, desk: &Desk) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    BufReader::new(&stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    info!(bytes = line.len(), "an operator asks");
    let mut answer = desk.answer(&line).to_string();
    answer.push('\n');
    (&stream).write_all(answer.as_bytes())
}
