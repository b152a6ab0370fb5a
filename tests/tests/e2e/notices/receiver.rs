//! Receivers on loopback, good and bad ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plimsoll_tests::wait_for;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// For something to arrive; the machine may be busy with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// This status, and an answer that repeats what was asked for.
    Answers(u16),
    /// Says nothing, for as long as it is waited for.
    Hangs,
    /// Closes before it has said anything.
    Closes,
    /// Answers without end.
    Floods,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) path: String,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Heard {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

struct State {
    manner: Manner,
    heard: Vec<Heard>,
    /// Bytes of the longest answer that somebody took.
    sent: u64,
}

/// Something that speaks HTTP. It ends with the test's runtime.
#[derive(Clone)]
pub(super) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    pub(super) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { manner, heard: Vec::new(), sent: 0 }));
        let receiver = Self { address, state };
        let one = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let one = one.clone();
                // Whoever leaves in the middle is no concern of others.
                tokio::spawn(async move { one.serve(stream).await.ok() });
            }
        });
        receiver
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn behave(&self, manner: Manner) {
        self.state.lock().unwrap().manner = manner;
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.state.lock().unwrap().heard.clone()
    }

    pub(super) fn sent(&self) -> u64 {
        self.state.lock().unwrap().sent
    }

    /// Waits until so many requests have come.
    pub(super) async fn wait(&self, count: usize) -> Vec<Heard> {
        wait_for(&format!("{count} requests"), LIMIT, async || {
            let heard = self.heard();
            (heard.len() >= count).then_some(heard)
        })
        .await
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let manner = {
            let mut state = self.state.lock().unwrap();
            state.heard.push(Heard { path: path.clone(), headers, body });
            state.manner
        };
        match manner {
            Manner::Answers(status) => {
                let said = format!("you asked for {path}");
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", said.len());
                stream.write_all(format!("{head}{said}").as_bytes()).await?;
                stream.shutdown().await
            }
            Manner::Hangs => {
                // Until the other side has had enough.
                stream.read_u8().await.map(drop)
            }
            Manner::Closes => Ok(()),
            Manner::Floods => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
                let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
                loop {
                    stream.write_all(&chunk).await?;
                    self.state.lock().unwrap().sent += chunk.len() as u64;
                }
            }
        }
    }
}

/// A mail server without encryption that keeps what it is handed.
#[derive(Clone)]
pub(super) struct MailSink {
    pub(super) address: SocketAddr,
    mails: Arc<Mutex<Vec<Envelope>>>,
}

/// A mail, with whom it is for.
#[derive(Debug, Clone, Default)]
pub(super) struct Envelope {
    pub(super) to: Vec<String>,
    pub(super) text: String,
}

impl MailSink {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self { address: listener.local_addr().unwrap(), mails: Arc::default() };
        let one = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let one = one.clone();
                tokio::spawn(async move { one.serve(stream).await.ok() });
            }
        });
        sink
    }

    pub(super) async fn wait(&self, count: usize) -> Vec<Envelope> {
        wait_for(&format!("{count} mails"), LIMIT, async || {
            let mails = self.mails.lock().unwrap().clone();
            (mails.len() >= count).then_some(mails)
        })
        .await
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut envelope = Envelope::default();
        let mut line = String::new();
        stream.write_all(b"220 sink\r\n").await?;
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let answer: &[u8] = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
                "EHLO" | "HELO" => b"250 sink\r\n",
                "RCPT" => {
                    envelope.to.push(line.trim_end().to_owned());
                    b"250 ok\r\n"
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    loop {
                        line.clear();
                        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
                            break;
                        }
                        envelope.text.push_str(&line);
                    }
                    self.mails.lock().unwrap().push(std::mem::take(&mut envelope));
                    b"250 kept\r\n"
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => b"250 ok\r\n",
            };
            stream.write_all(answer).await?;
        }
    }
}
