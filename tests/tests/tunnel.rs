//! A way for clients that speak plain TCP to speak through WebSocket: what they send goes
//! on in binary messages of any sizes, by tokio-tungstenite, a client that is not ours.

use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;

/// A port on this machine behind which a WebSocket listener stands.
pub struct Tunnel {
    /// Where to connect.
    pub address: SocketAddr,
    // Its tasks end with it.
    _runtime: Runtime,
}

/// A handshake for this path, with this sub-protocol if it is not empty.
pub fn request(to: SocketAddr, path: &str, token: &str) -> Request {
    let mut request = format!("ws://{to}{path}").into_client_request().unwrap();
    if !token.is_empty() {
        request.headers_mut().insert("sec-websocket-protocol", token.parse().unwrap());
    }
    request
}

impl Tunnel {
    /// Through the listener at `to`, in messages of at most these sizes, in turn.
    pub fn new(to: SocketAddr, path: &str, token: &str, sizes: &'static [usize]) -> Tunnel {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let request = request(to, path, token);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, to, request.clone(), sizes));
            }
        });
        Tunnel { address, _runtime: runtime }
    }
}

async fn carry(client: TcpStream, to: SocketAddr, request: Request, sizes: &'static [usize]) {
    let server = TcpStream::connect(to).await.unwrap();
    server.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    let (socket, _) = client_async(request, server).await.expect("a WebSocket");
    let (mut sink, mut stream) = socket.split();
    let (mut reads, mut writes) = client.into_split();
    let up = async move {
        let mut sizes = sizes.iter().cycle();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let n = match reads.read(&mut chunk).await {
                Ok(0) | Err(_) => return sink.close().await.unwrap_or_default(),
                Ok(n) => n,
            };
            let mut rest = &chunk[..n];
            while !rest.is_empty() {
                let (part, more) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                let sent = sink.feed(Message::binary(part.to_vec())).await;
                rest = if sent.is_ok() { more } else { &[] };
            }
            let _ = sink.flush().await;
        }
    };
    let down = async move {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(bytes) = message
                && writes.write_all(&bytes).await.is_err()
            {
                break;
            }
        }
        let _ = writes.shutdown().await;
    };
    tokio::join!(up, down);
}
