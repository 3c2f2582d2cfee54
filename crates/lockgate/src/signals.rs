//! SIGTERM and SIGINT: the first asks for an orderly stop, the second ends the
//! process at once. Watched on a thread of their own, so that nothing that hangs
//! elsewhere can keep an operator waiting.

use std::io;
use std::sync::mpsc::sync_channel;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// What the system calls them; an exit by one is 128 more.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Watches from now on; cancels `shutdown` at the first signal.
pub fn watch(shutdown: CancellationToken) -> io::Result<()> {
    let (told, installed) = sync_channel(1);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let done = runtime.map(|runtime| {
            runtime.block_on(async {
                let both = signal(SignalKind::terminate())
                    .and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
                match both {
                    Ok((mut term, mut int)) => {
                        let _ = told.send(Ok(()));
                        // Not inside the macro: where its level is off, it waits for nothing.
                        let signal = next(&mut term, &mut int).await;
                        info!(signal, "stopping");
                        shutdown.cancel();
                        let number = next(&mut term, &mut int).await;
                        std::process::exit(128 + number);
                    }
                    Err(e) => told.send(Err(e)),
                }
            })
        });
        if let Err(e) = done {
            let _ = told.send(Err(e));
        }
    })?;
    installed.recv().unwrap_or_else(|_| Err(io::Error::other("the thread for signals is gone")))
}

async fn next(term: &mut Signal, int: &mut Signal) -> i32 {
    tokio::select! {
        _ = term.recv() => SIGTERM,
        _ = int.recv() => SIGINT,
    }
}
