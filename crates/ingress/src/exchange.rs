//! One request on its way to an upstream and the answer on its way back, on one connection.
//!
//! It is polled by the task of the client's connection: no task and no channel of its own. And it knows what decides
//! whether a request may be sent again: what was written, and whether a byte of an answer came.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http::header::HeaderMap;
use hyper::body::{Frame, SizeHint};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::chunks::{Chunks, Piece};
use crate::reply::{self, Length, Malformed, Reply};
use crate::upload::{Broken, Upload};
use crate::upstream::{Link, Upstream};

/// Heads of the kind 1xx before the real one.
const INFORMATIONAL: u32 = 16;

pub(crate) struct Exchange {
    upstream: Arc<Upstream>,
    /// None once it was given back.
    link: Option<Link>,
    sending: Sending,
    receiving: Receiving,
    /// A byte was written.
    wrote: bool,
    /// A byte of an answer came.
    heard: bool,
    to_head: bool,
    keeps: bool,
}

struct Sending {
    /// What is to be written next.
    queue: [Bytes; 3],
    /// What comes after it.
    upload: Option<Box<Upload>>,
    /// Something was taken from it.
    begun: bool,
    /// The upstream takes no more; it may have answered all the same.
    refused: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Receiving {
    Head { informational: u32 },
    Exact(u64),
    Chunked(Chunks),
    UntilClose,
    Done,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The connection broke before any byte of an answer.
    Silent(io::Error),
    /// It broke within the head of the answer.
    Midway(io::Error),
    Malformed(Malformed),
    /// The client's body did not come to its end.
    Upload(Broken),
}

impl Exchange {
    /// `head` is the whole head, `upload` the body that it announces.
    pub(crate) fn new(
        upstream: Arc<Upstream>,
        link: Link,
        head: Bytes,
        upload: Option<Box<Upload>>,
        to_head: bool,
    ) -> Box<Self> {
        let sending = Sending { queue: [head, Bytes::new(), Bytes::new()], upload, begun: false, refused: false };
        let receiving = Receiving::Head { informational: 0 };
        let link = Some(link);
        Box::new(Self { upstream, link, sending, receiving, wrote: false, heard: false, to_head, keeps: false })
    }

    /// Sends as far as possible and waits for the head of the answer.
    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Lost>> {
        if let Some(broken) = self.drive(cx) {
            return Poll::Ready(Err(Lost::Upload(broken)));
        }
        let Some(link) = &mut self.link else {
            return Poll::Ready(Err(Lost::Silent(io::ErrorKind::NotConnected.into())));
        };
        loop {
            if !link.read.is_empty() {
                self.heard = true;
                match reply::take(&mut link.read, self.to_head) {
                    Ok(Some(reply)) if reply.status.is_informational() && reply.status.as_u16() != 101 => {
                        // The client got its `100 Continue` from us, and has to do without hints.
                        match &mut self.receiving {
                            Receiving::Head { informational } if *informational < INFORMATIONAL => *informational += 1,
                            _ => return Poll::Ready(Err(Lost::Malformed(Malformed("it answers 1xx without end")))),
                        }
                        continue;
                    }
                    Ok(Some(reply)) => {
                        self.begin(&reply);
                        return Poll::Ready(Ok(reply));
                    }
                    Ok(None) => {}
                    Err(malformed) => return Poll::Ready(Err(Lost::Malformed(malformed))),
                }
            }
            let error = match ready!(link.poll_fill(cx)) {
                Ok(1..) => continue,
                Ok(0) => io::Error::from(io::ErrorKind::UnexpectedEof),
                Err(e) => e,
            };
            return Poll::Ready(Err(if self.heard { Lost::Midway(error) } else { Lost::Silent(error) }));
        }
    }

    /// The next piece of the answer's body.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        // The rest of the request; if it breaks off, so does the answer, in the upstream's own way.
        let _ = self.drive(cx);
        let frame = loop {
            let Some(link) = &mut self.link else { return Poll::Ready(None) };
            match &mut self.receiving {
                Receiving::Head { .. } | Receiving::Done => return Poll::Ready(None),
                Receiving::Exact(left) if !link.read.is_empty() => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(link.read.len());
                    *left -= here as u64;
                    let data = link.read.split_to(here).freeze();
                    if *left == 0 {
                        self.finish();
                    }
                    break Ok(Frame::data(data));
                }
                Receiving::UntilClose if !link.read.is_empty() => break Ok(Frame::data(link.read.split().freeze())),
                Receiving::Chunked(chunks) => match chunks.next(&mut link.read) {
                    Ok(Some(Piece::Data(data))) => break Ok(Frame::data(data)),
                    Ok(Some(Piece::End(trailers))) => {
                        self.finish();
                        return Poll::Ready(trailers.map(|t| Ok(Frame::trailers(t))));
                    }
                    Ok(None) => {}
                    Err(malformed) => break Err(io::Error::new(io::ErrorKind::InvalidData, malformed)),
                },
                Receiving::Exact(_) | Receiving::UntilClose => {}
            }
            match ready!(link.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) if self.receiving == Receiving::UntilClose => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
                Err(e) => break Err(e),
            }
        };
        if frame.is_err() {
            self.link = None;
        }
        Poll::Ready(Some(frame))
    }

    pub(crate) fn is_done(&self) -> bool {
        self.receiving == Receiving::Done
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.receiving {
            Receiving::Exact(left) => SizeHint::with_exact(left),
            Receiving::Done => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }

    /// Nothing of the request was written.
    pub(crate) fn is_unsent(&self) -> bool {
        !self.wrote
    }

    /// The body, if nothing was taken from it.
    pub(crate) fn give_back(self) -> Result<Option<Box<Upload>>, ()> {
        if self.sending.begun { Err(()) } else { Ok(self.sending.upload) }
    }

    /// When a piece of the body came last, as long as it is not through.
    pub(crate) fn upload_moved(&self) -> Option<Instant> {
        self.sending.upload.as_ref().map(|u| u.last())
    }

    /// The bare connection, after the upstream agreed to switch protocols, and what it said already.
    pub(crate) fn into_tunnel(mut self) -> Option<(TcpStream, Bytes)> {
        self.link.take().map(|link| (link.stream, link.read.freeze()))
    }

    fn begin(&mut self, reply: &Reply) {
        self.keeps = reply.keeps;
        self.receiving = match reply.length {
            Length::Nothing | Length::Exact(0) => Receiving::Done,
            Length::Exact(length) => Receiving::Exact(length),
            Length::Chunked => Receiving::Chunked(Chunks::default()),
            Length::UntilClose => Receiving::UntilClose,
        };
        if self.is_done() && reply.status.as_u16() != 101 {
            self.finish();
        }
    }

    /// All of the answer is here: another request may have the connection.
    fn finish(&mut self) {
        self.receiving = Receiving::Done;
        // An upstream that answered before it had the whole request may treat its rest as the next one.
        if let Some(link) = self.link.take()
            && self.keeps
            && self.sending.is_through()
        {
            self.upstream.put_back(link);
        }
    }

    /// Sends what can be sent now.
    fn drive(&mut self, cx: &mut Context<'_>) -> Option<Broken> {
        let link = self.link.as_mut()?;
        if self.sending.is_over() {
            return None;
        }
        match self.sending.poll(&mut link.stream, &mut self.wrote, cx) {
            Poll::Ready(Err(broken)) => {
                self.sending.refused = true;
                Some(broken)
            }
            _ => None,
        }
    }
}

impl Sending {
    /// Every byte is with the upstream.
    fn is_through(&self) -> bool {
        !self.refused && self.is_over()
    }

    fn is_over(&self) -> bool {
        self.refused || (self.upload.is_none() && self.queue.iter().all(Bytes::is_empty))
    }

    fn poll(&mut self, stream: &mut TcpStream, wrote: &mut bool, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            match ready!(flush(&mut self.queue, stream, wrote, cx)) {
                Ok(()) => {}
                Err(_) => {
                    // The answer, or the end, tells more than this.
                    self.refused = true;
                    return Poll::Ready(Ok(()));
                }
            }
            let Some(upload) = &mut self.upload else { return Poll::Ready(Ok(())) };
            let frame = ready!(upload.poll(cx))?;
            self.begun = true;
            match frame {
                Some(frame) => {
                    self.queue = match frame.into_data() {
                        Ok(data) => pieces(data, upload.is_chunked()),
                        Err(frame) => {
                            let end = last_chunk(frame.into_trailers().ok().as_ref());
                            self.upload = None;
                            [end, Bytes::new(), Bytes::new()]
                        }
                    };
                    if self.upload.as_ref().is_some_and(|u| u.is_through() && !u.is_chunked()) {
                        self.upload = None;
                    }
                }
                None => {
                    if upload.is_chunked() {
                        self.queue[0] = last_chunk(None);
                    }
                    self.upload = None;
                }
            }
        }
    }
}

fn pieces(data: Bytes, chunked: bool) -> [Bytes; 3] {
    match chunked {
        // An empty chunk would be the last one.
        true if data.is_empty() => Default::default(),
        true => [Bytes::from(format!("{:x}\r\n", data.len())), data, Bytes::from_static(b"\r\n")],
        false => [data, Bytes::new(), Bytes::new()],
    }
}

fn last_chunk(trailers: Option<&HeaderMap>) -> Bytes {
    let mut end = b"0\r\n".to_vec();
    for (name, value) in trailers.into_iter().flatten() {
        end.extend_from_slice(name.as_str().as_bytes());
        end.extend_from_slice(b": ");
        end.extend_from_slice(value.as_bytes());
        end.extend_from_slice(b"\r\n");
    }
    end.extend_from_slice(b"\r\n");
    end.into()
}

fn flush(
    queue: &mut [Bytes; 3],
    stream: &mut TcpStream,
    wrote: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        let mut slices = [IoSlice::new(&[]); 3];
        let mut count = 0;
        for bytes in queue.iter().filter(|b| !b.is_empty()) {
            slices[count] = IoSlice::new(bytes);
            count += 1;
        }
        if count == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        *wrote = true;
        for bytes in queue.iter_mut() {
            let here = written.min(bytes.len());
            bytes.advance(here);
            written -= here;
        }
    }
}
