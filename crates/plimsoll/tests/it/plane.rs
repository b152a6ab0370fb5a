//! A server on a real socket that answers by a script, hangs up where the script says
//! so, and remembers what it was asked: connections break here on purpose.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `GET /api/v1/apps?limit=5`
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

pub(crate) enum Reply {
    Json(u16, Value),
    /// Messages of a stream (id, data), then the end that says so.
    Stream(Vec<(u64, Value)>),
    /// Messages of a stream, then the connection breaks in the middle of a chunk.
    CutStream(Vec<(u64, Value)>),
    /// Messages of a stream that stays open until the client goes.
    OpenStream(Vec<(u64, Value)>),
    /// The request was read, and no answer comes.
    HangUp,
}

pub(crate) struct Plane {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Plane {
    /// `script` gets the request and how many with the same line came before it.
    pub(crate) fn start(script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::<Request>::new()));
        let (seen, script) = (requests.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, script) = (seen.clone(), script.clone());
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    let before = {
                        let mut seen = seen.lock().unwrap();
                        let before = seen.iter().filter(|r| r.line == request.line).count();
                        seen.push(request.clone());
                        before
                    };
                    // The client may be gone already: that is its right.
                    let _ = answer(stream, script(&request, before));
                });
            }
        });
        Self { url, requests }
    }

    /// What was asked with this beginning of the line, in order.
    pub(crate) fn asked(&self, line: &str) -> Vec<Request> {
        self.requests.lock().unwrap().iter().filter(|r| r.line.starts_with(line)).cloned().collect()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let line = first.split(" HTTP/").next()?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    (!line.is_empty()).then(|| Request { line, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn answer(mut stream: TcpStream, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::HangUp => Ok(()),
        Reply::Json(status, body) => {
            let body = body.to_string();
            let kind = if status < 400 { "application/json" } else { "application/problem+json" };
            write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
        }
        Reply::Stream(messages) => {
            messages_of(&mut stream, messages)?;
            chunk(&mut stream, "event: end\ndata: {}\n\n")?;
            stream.write_all(b"0\r\n\r\n")
        }
        Reply::CutStream(messages) => {
            messages_of(&mut stream, messages)?;
            stream.write_all(b"40\r\nid: 99\ndata: {\"half")
        }
        Reply::OpenStream(messages) => {
            messages_of(&mut stream, messages)?;
            // Reads as ended when the client has gone.
            stream.read(&mut [0]).map(|_| ())
        }
    }
}

fn messages_of(stream: &mut TcpStream, messages: Vec<(u64, Value)>) -> std::io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    )?;
    chunk(stream, ": hello\n\n")?;
    messages.iter().try_for_each(|(id, data)| chunk(stream, &format!("id: {id}\ndata: {data}\n\n")))
}

fn chunk(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    write!(stream, "{:x}\r\n{text}\r\n", text.len())
}
