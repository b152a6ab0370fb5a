//! One connection to the ingress that is asked again and again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Page {
    address: SocketAddr,
    request: String,
    stream: Option<TcpStream>,
}

impl Page {
    pub(crate) fn of(address: SocketAddr, host: &str) -> Self {
        Self { address, request: format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), stream: None }
    }

    /// Asks until `body` answers.
    pub(crate) async fn until(&mut self, body: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.get().await.as_deref() != Some(body) {
            assert!(tokio::time::Instant::now() < deadline, "{body:?} never answered");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }

    /// Body of an answer with 200 and a length; `None` for anything else, after which the next one gets a new connection.
    pub(crate) async fn get(&mut self) -> Option<String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.address).await.ok()?,
        };
        stream.write_all(self.request.as_bytes()).await.ok()?;
        let mut bytes = Vec::new();
        loop {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
            let Some(head) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length: usize =
                text.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
            if bytes.len() == head + 4 + length {
                if !text.contains("connection: close") {
                    self.stream = Some(stream);
                }
                return text
                    .starts_with("http/1.1 200")
                    .then(|| String::from_utf8_lossy(&bytes[head + 4..]).into_owned());
            }
        }
    }
}
