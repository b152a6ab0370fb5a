//! A connection to a mail server, encrypted as it was asked for, of which only so much is read.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use lettre::transport::smtp::client::AsyncTokioStream;
use outgoing::{Outgoing, TlsStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::{Encryption, MailServer};
use crate::reply::clean;
use crate::{Failure, Then};

/// Of all that a server says to one mail.
const MOST: usize = 64 * 1024;
/// Of a line or a reply before there is encryption.
const MOST_REPLY: usize = 4096;
/// For the words before there is encryption.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ready for the greeting.
pub(super) async fn open(
    outgoing: &Outgoing,
    server: &MailServer,
    me: &str,
) -> Result<Box<dyn AsyncTokioStream>, Failure> {
    let (host, port) = (server.host.trim(), server.port);
    match server.encryption {
        Encryption::Tls => {
            let stream = outgoing.connect_tls(host, port).await.map_err(|e| Failure::from(&e))?;
            Ok(Box::new(Bounded::new(stream, &[])))
        }
        Encryption::Starttls => {
            let mut stream = outgoing.connect(host, port).await.map_err(|e| Failure::from(&e))?;
            let begun = tokio::time::timeout(PATIENCE, begin(&mut stream, me)).await;
            let begun = begun.unwrap_or_else(|_| Err(format!("it took longer than {} seconds", PATIENCE.as_secs())));
            begun.map_err(|why| Failure {
                status: None,
                why: clean(&format!("{host} does not begin encryption: {why}")),
                then: Then::Again(None),
            })?;
            let stream = outgoing.encrypt(host, stream).await.map_err(|e| Failure::from(&e))?;
            // Its greeting came before; the client of the mail's part waits for one.
            Ok(Box::new(Bounded::new(stream, b"220 encrypted\r\n")))
        }
        Encryption::None => {
            let stream = outgoing.connect_plain(host, port).await.map_err(|e| Failure::from(&e))?;
            Ok(Box::new(Bounded::new(stream, &[])))
        }
    }
}

/// Up to the server's consent. Nothing is read beyond it: what somebody on the way put behind it is not taken for a reply
/// that came encrypted.
async fn begin(stream: &mut TcpStream, me: &str) -> Result<(), String> {
    expect(stream, "220").await?;
    say(stream, &format!("EHLO {me}\r\n")).await?;
    let offers = expect(stream, "250").await?;
    let is_offered =
        offers.lines().any(|line| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS")));
    if !is_offered {
        return Err("it does not offer STARTTLS; choose `tls`, usually at port 465".to_owned());
    }
    say(stream, "STARTTLS\r\n").await?;
    expect(stream, "220").await.map(drop)
}

async fn say(stream: &mut TcpStream, line: &str) -> Result<(), String> {
    stream.write_all(line.as_bytes()).await.map_err(|e| e.to_string())
}

/// A reply of one or more lines that has this code (RFC 5321, section 4.2.1).
async fn expect(stream: &mut TcpStream, code: &str) -> Result<String, String> {
    let mut reply = String::new();
    loop {
        let line = line(stream, MOST_REPLY.saturating_sub(reply.len())).await?;
        if !line.starts_with(code) {
            return Err(format!("it said `{}`", line.trim_end()));
        }
        let is_last = line.as_bytes().get(code.len()) != Some(&b'-');
        reply.push_str(&line);
        if is_last {
            return Ok(reply);
        }
    }
}

/// Byte by byte, to stop right behind it.
async fn line(stream: &mut TcpStream, most: usize) -> Result<String, String> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        if line.len() >= most {
            return Err("its reply is too long".to_owned());
        }
        line.push(stream.read_u8().await.map_err(|e| e.to_string())?);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// First gives `first`, then what the server sends, up to [`MOST`] bytes.
struct Bounded<S> {
    inner: S,
    first: &'static [u8],
    left: usize,
}

impl<S> Bounded<S> {
    fn new(inner: S, first: &'static [u8]) -> Self {
        Self { inner, first, left: MOST }
    }
}

impl<S> fmt::Debug for Bounded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bounded")
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let (now, later) = self.first.split_at(self.first.len().min(out.remaining()));
            out.put_slice(now);
            self.first = later;
            return Poll::Ready(Ok(()));
        }
        let room = self.left.min(out.remaining());
        if room == 0 {
            return Poll::Ready(Err(io::Error::other("it says too much")));
        }
        let mut part = ReadBuf::new(out.initialize_unfilled_to(room));
        let polled = Pin::new(&mut self.inner).poll_read(context, &mut part);
        let n = part.filled().len();
        out.advance(n);
        self.left -= n;
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Bounded<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

impl AsyncTokioStream for Bounded<TlsStream<TcpStream>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get_ref().0.peer_addr()
    }
}
