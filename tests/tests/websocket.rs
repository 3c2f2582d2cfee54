//! WebSocket, and ports that protocols share, over real sockets: with a client that is not
//! ours around whole conversations, and with bytes by hand where a peer misbehaves.

use crate::tunnel::{Tunnel, request};
use futures_util::{SinkExt, StreamExt};
use lockgate_tests::broker::address;
use lockgate_tests::wire::{HEADER, Said, Wire, frame};
use lockgate_tests::{Broker, Options, PATIENCE};
use rustix::process::Signal;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

struct House {
    broker: Broker,
    ws: SocketAddr,
    auto: SocketAddr,
}

impl House {
    fn new(flags: &[&str]) -> House {
        let listen = ["--listen", "ws=127.0.0.1:0", "--listen", "auto=127.0.0.1:0"];
        let broker = Broker::start(Options::flags(&[&listen, flags].concat()));
        let of = |kind| address(&broker.process.out(), kind).expect("it listens");
        let (ws, auto) = (of("ws"), of("auto"));
        House { broker, ws, auto }
    }

    /// Somebody else still works, no thread has panicked.
    fn stands(&self) {
        let mut other = Wire::channel(self.broker.amqp).unwrap();
        other.declare("others").unwrap();
        let err = self.broker.process.err();
        assert!(err.iter().all(|line| !line.contains("panicked")), "{err:#?}");
    }

    /// Waits until a line of the log holds this.
    fn logs(&self, text: &str) {
        assert!(self.broker.process.logged(text).is_some(), "{text}");
    }
}

type Socket = WebSocketStream<tokio::net::TcpStream>;

fn run<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, what).await.expect("in time") })
}

async fn connect(to: SocketAddr, path: &str, token: &str) -> Socket {
    ask(to, request(to, path, token)).await.expect("a WebSocket")
}

async fn ask(to: SocketAddr, request: Request) -> Result<Socket, Error> {
    let tcp = tokio::net::TcpStream::connect(to).await.unwrap();
    client_async(request, tcp).await.map(|(socket, _)| socket)
}

/// What comes until the socket ends: data, and the close frame's code.
async fn rest(socket: &mut Socket) -> (Vec<u8>, Option<u16>) {
    let (mut data, mut code) = (Vec::new(), None);
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(bytes) => data.extend_from_slice(&bytes),
            Message::Close(close) => code = close.map(|close| close.code.into()),
            _ => {}
        }
    }
    (data, code)
}

/// Publishes and hears messages of every size, and more than a window of them.
fn works(to: SocketAddr) {
    let mut wire = Wire::channel(to).unwrap();
    wire.declare("q").unwrap();
    wire.confirms().unwrap();
    let bodies: Vec<Vec<u8>> = [0, 1, 16, 100, 4_000, 4_097, 70_000, 1_000_000, 5_000_000]
        .into_iter()
        .chain(std::iter::repeat_n(1_000, 3_000))
        .enumerate()
        .map(|(n, size)| (0..size).map(|at| (at + n) as u8).collect())
        .collect();
    for body in &bodies {
        wire.publish("q", body).unwrap();
    }
    let mut confirmed = 0;
    while confirmed < bodies.len() as u64 {
        match wire.said().unwrap() {
            Said::Confirmed { tag, multiple, good: true } => {
                confirmed = if multiple { tag } else { confirmed + 1 };
            }
            other => panic!("{other:?}"),
        }
    }
    wire.consume("q").unwrap();
    for body in &bodies {
        match wire.said().unwrap() {
            Said::Delivered { tag, body: got, .. } => {
                assert!(got == *body, "{} bytes for {}", got.len(), body.len());
                wire.ack(tag, false).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    // What was said last has arrived: the tunnel is about to be torn down.
    assert_eq!(wire.waiting("q").unwrap(), 0);
}

#[test]
fn amqp_in_messages_of_any_size() {
    let house = House::new(&[]);
    for (to, path, token, sizes) in [
        (house.ws, "/amqp", "", &[usize::MAX][..]),
        (house.ws, "/", "amqp", &[7, 100_000, 1, 3_000]),
        (house.auto, "/anything", "", &[8 * 1024]),
    ] {
        works(Tunnel::new(to, path, token, sizes).address);
    }
    house.stands();
}

#[test]
fn one_port_speaks_plain_protocols_and_websocket() {
    let house = House::new(&[]);
    works(house.auto);
    run(async {
        let mut socket = connect(house.auto, "/", "amqp").await;
        socket.send(Message::binary(HEADER)).await.unwrap();
        assert!(matches!(socket.next().await, Some(Ok(Message::Binary(_)))));
    });
    let mut tcp = TcpStream::connect(house.auto).unwrap();
    tcp.write_all(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03").unwrap();
    assert_eq!(tcp.read_to_end(&mut Vec::new()).unwrap_or_default(), 0);
    house.logs("a TLS hello on a port without TLS, which speaks amqp091, mqtt, stomp, websocket");
    let mut tcp = TcpStream::connect(house.auto).unwrap();
    tcp.write_all(b"EHLO example.org\r\n").unwrap();
    assert_eq!(tcp.read_to_end(&mut Vec::new()).unwrap_or_default(), 0);
    house.logs("it begins with `EHLO example.org`, which is none of");
    house.stands();
}

/// In text as in binary, answered in kind; each message holds one frame, whatever its body.
#[test]
fn stomp_in_text_and_in_binary() {
    use lockgate_tests::stomp::frame;
    let house = House::new(&[]);
    run(async {
        for (to, path, token, text) in [
            (house.ws, "/", "v12.stomp", true),
            (house.ws, "/stomp", "", false),
            (house.auto, "/ws", "v11.stomp", true),
        ] {
            let mut socket = connect(to, path, token).await;
            let login = [("login", "guest"), ("passcode", "guest"), ("host", "/")];
            let hello = [&login[..], &[("accept-version", "1.1,1.2")]].concat();
            let name = format!("/queue/ws-{text}-{}", path.len());
            let wish = [("id", "1"), ("destination", &*name)];
            for bytes in [
                frame("CONNECT", &hello, b""),
                frame("SUBSCRIBE", &wish, b""),
                frame("SEND", &[("destination", &name)], b"small"),
                frame("SEND", &[("destination", &name)], &[b'x'; 70_000]),
            ] {
                let message = match text {
                    true => Message::text(String::from_utf8(bytes).unwrap()),
                    false => Message::binary(bytes),
                };
                socket.send(message).await.unwrap();
            }
            for (begin, size) in [("CONNECTED\n", 0), ("MESSAGE\n", 5), ("MESSAGE\n", 70_000)] {
                let message = socket.next().await.unwrap().unwrap();
                assert_eq!(message.is_text(), text);
                let said = message.into_data();
                assert!(said.starts_with(begin.as_bytes()), "{}", said.escape_ascii());
                assert_eq!(said.last(), Some(&0), "one whole frame");
                assert!(said.len() > size);
            }
        }
    });
    house.stands();
}

#[test]
fn pings_are_answered_and_ends_are_told_in_close_frames() {
    let house = House::new(&[]);
    run(async {
        let mut socket = connect(house.ws, "/amqp", "").await;
        socket.send(Message::Ping(b"here".as_slice().into())).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::Pong(b"here".as_slice().into()));
        // A wrong version: the header that is spoken, and the end.
        socket.send(Message::binary(b"AMQP\x03\x01\0\0".as_slice())).await.unwrap();
        assert_eq!(rest(&mut socket).await, (HEADER.to_vec(), Some(1002)));

        let mut socket = connect(house.ws, "/amqp", "").await;
        socket.send(Message::text("AMQP")).await.unwrap();
        assert_eq!(rest(&mut socket).await.1, Some(1003));

        let mut socket = connect(house.ws, "/amqp", "").await;
        socket.close(None).await.unwrap();
        assert_eq!(rest(&mut socket).await.1, None);
    });
    house.logs("kind=\"ws\" ending=\"gone\"");
    house.stands();
}

#[test]
fn a_stop_is_told_before_it_comes() {
    let house = House::new(&[]);
    let tunnel = Tunnel::new(house.ws, "/amqp", "", &[usize::MAX]);
    let mut wire = Wire::channel(tunnel.address).unwrap();
    let waits = run(async {
        let mut socket = connect(house.ws, "/", "").await;
        socket.send(Message::Ping(b"".as_slice().into())).await.unwrap();
        socket.next().await;
        socket
    });
    drop(waits);
    house.broker.process.signal(Signal::TERM);
    assert_eq!(wire.refusal().unwrap().map(|(code, _)| code), Some(320));
    wire.send(&frame(1, 0, &[0, 10, 0, 51])).unwrap();
    assert_eq!(wire.rest().unwrap(), b"");
    assert!(house.broker.process.ended().success());
}

/// What a request without WebSocket's own parts gets.
fn http(to: SocketAddr, request: &str) -> String {
    let mut tcp = TcpStream::connect(to).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(request.as_bytes()).unwrap();
    let mut said = String::new();
    tcp.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn plain_http_is_told_what_is_spoken_here() {
    let house = House::new(&[]);
    for to in [house.ws, house.auto] {
        let said = http(to, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{said}");
        assert!(said.contains("Sub-protocols: amqp, mqtt, mqttv3.1, v12.stomp"), "{said}");
        assert!(said.contains("Paths: /amqp, /ws/amqp, /mqtt, /ws/mqtt"), "{said}");
        let said = http(to, "GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 404 Not Found\r\n"), "{said}");
    }
    run(async {
        let refused = ask(house.ws, request(house.ws, "/", "soap")).await;
        let Err(Error::Http(answer)) = refused else { panic!("{refused:?}") };
        assert_eq!(answer.status(), 400);
        let mut request = request(house.ws, "/amqp", "");
        request.headers_mut().insert("origin", "https://example.org".parse().unwrap());
        let refused = ask(house.ws, request).await;
        let Err(Error::Http(answer)) = refused else { panic!("{refused:?}") };
        assert_eq!(answer.status(), 403);
    });
    house.logs("403 Forbidden: a page of `https://example.org` may not connect");
    let allowed = House::new(&["--websocket-origins", "https://*.example.org"]);
    run(async {
        let mut request = request(allowed.ws, "/amqp", "");
        request.headers_mut().insert("origin", "https://app.example.org".parse().unwrap());
        assert!(ask(allowed.ws, request).await.is_ok());
    });
    house.stands();
}

#[test]
fn the_slow_are_shown_out_and_strangers_cost_little() {
    let house = House::new(&["--limits-handshake", "1 s"]);
    let handshake =
        b"GET /amqp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    // Half a request, a handshake and nothing more, half a frame's head, half a frame.
    let slow: [&[u8]; 4] = [
        b"GET /amqp HT",
        handshake,
        &[&handshake[..], b"\x82"].concat(),
        &[&handshake[..], b"\x82\x88\0\0\0\0AM"].concat(),
    ];
    let sockets: Vec<TcpStream> = slow
        .iter()
        .map(|bytes| {
            let mut tcp = TcpStream::connect(house.ws).unwrap();
            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
            tcp.write_all(bytes).unwrap();
            tcp
        })
        .collect();
    for mut tcp in sockets {
        tcp.read_to_end(&mut Vec::new()).unwrap_or_default();
    }
    house.logs("did not log in in time");

    // Whoever sends without end is cut off at 64 KiB in all, and holds no more memory.
    let before = house.broker.process.resident();
    let ping = [0x89, 0xfd].iter().chain(&[0; 4 + 125]).copied().collect::<Vec<u8>>();
    let more = [0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0].to_vec();
    for flood in [ping.repeat(2_000), [more, vec![b'\n'; 200_000]].concat(), vec![b'x'; 200_000]] {
        let all: Vec<TcpStream> = (0..50)
            .map(|_| {
                let mut tcp = TcpStream::connect(house.ws).unwrap();
                tcp.set_read_timeout(Some(PATIENCE)).unwrap();
                tcp.write_all(handshake).unwrap();
                let _ = tcp.write_all(&flood);
                tcp
            })
            .collect();
        for mut tcp in all {
            let mut said = Vec::new();
            let _ = tcp.read_to_end(&mut said);
            assert!(said.len() < 128 * 1024, "{} bytes", said.len());
        }
    }
    let grown = house.broker.process.resident().saturating_sub(before);
    assert!(grown < 50 * 64 * 1024 + 16 * 1024 * 1024, "{grown} bytes");
    house.stands();
}

#[test]
fn a_close_that_breaks_the_rules_is_answered_with_its_code() {
    let house = House::new(&[]);
    run(async {
        let mut socket = connect(house.ws, "/amqp", "").await;
        let close = tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: CloseCode::from(1005),
            reason: "".into(),
        };
        let _ = socket.send(Message::Close(Some(close))).await;
        assert_eq!(rest(&mut socket).await.1, Some(1002));
    });
    house.stands();
}

#[test]
fn stomp_is_a_frame_a_message_in_the_kind_that_the_client_uses() {
    let house = House::new(&[]);
    run(async {
        let mut socket = connect(house.ws, "/ws", "v12.stomp").await;
        let connect = "CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0";
        socket.send(Message::text(connect)).await.unwrap();
        let text = |message: Option<Result<Message, Error>>| match message {
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("no text: {other:?}"),
        };
        assert!(text(socket.next().await).starts_with("CONNECTED\n"));
        let subscribe = "SUBSCRIBE\nid:0\ndestination:/queue/ws\nreceipt:1\n\n\0";
        // Cut as stompjs cuts what is long.
        for part in [&subscribe[..20], &subscribe[20..]] {
            socket.send(Message::text(part)).await.unwrap();
        }
        assert!(text(socket.next().await).starts_with("RECEIPT\n"));
        let send = "SEND\ndestination:/queue/ws\n\n";
        let large = "lockgate ".repeat(10_000);
        let bodies = ["one", "two", large.as_str(), "gr\u{fc}n"];
        let all: String = bodies.iter().map(|body| format!("{send}{body}\0\n")).collect();
        socket.send(Message::text(all)).await.unwrap();
        for body in bodies {
            let got = text(socket.next().await);
            assert!(got.starts_with("MESSAGE\n"), "{got:.40}");
            let end = got.trim_end_matches('\n').strip_suffix(&format!("\n\n{body}\0"));
            assert!(end.is_some(), "{got:.200}");
        }
        // What is no text comes in a message of bytes, whatever the client uses.
        let bytes = [send.as_bytes(), b"\xff\xfe\0"].concat();
        socket.send(Message::binary(bytes)).await.unwrap();
        let heard = socket.next().await.unwrap().unwrap();
        assert!(matches!(&heard, Message::Binary(got) if got.windows(2).any(|w| w == b"\xff\xfe")));
        socket.send(Message::text("DISCONNECT\nreceipt:2\n\n\0")).await.unwrap();
        assert!(text(socket.next().await).starts_with("RECEIPT\n"));
        assert_eq!(rest(&mut socket).await.1, Some(1000));
    });
    house.stands();
}

#[test]
fn a_shared_port_speaks_stomp_behind_line_ends() {
    let house = House::new(&[]);
    let mut tcp = TcpStream::connect(house.auto).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(b"\n\r\nCONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0")
        .unwrap();
    let mut said = [0; 10];
    tcp.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"CONNECTED\n");
}
