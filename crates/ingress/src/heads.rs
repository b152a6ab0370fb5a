//! The bytes of request heads as the client sent them, to see what the parser forgives.
//!
//! hyper drops `Content-Length` where there is a `Transfer-Encoding` too, before anyone can see it, and takes a line
//! feed alone for the end of a line. A server in front of us or behind us may see such a request end elsewhere. So the
//! raw bytes are kept until the request is with us, and judged. Bodies are not recorded. (HTTP/2 has no such doubts.)

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::{HeaderMap, Request, Version, header};

/// Longer than any head that hyper accepts.
const MOST: usize = 1 << 20;
/// An idle connection keeps no larger buffer than this.
const KEPT: usize = 2 << 10;

/// Whether it is beyond doubt where a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Clear,
    /// What one server takes for a body is a request for another.
    Ambiguous,
    /// Its head was not recorded, as it came together with a chunked body before it. It is served, as hyper's view
    /// is safe by itself, and then the connection is closed.
    Unknown,
}

/// What a connection read and has not been judged.
#[derive(Debug)]
pub(crate) struct Heads {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: Vec<u8>,
    recording: Recording,
    /// When the first byte of the head came that is being read.
    begun: Option<Instant>,
}

/// The first head is waited for from the beginning.
impl Default for Heads {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { begun: Some(Instant::now()), ..Inner::default() }) }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Recording {
    #[default]
    On,
    /// So many bytes of a body come first.
    After(u64),
    /// A body of unknown length is under way.
    Off,
}

impl Heads {
    /// Judges a request that has just arrived, and forgets its head.
    pub(crate) fn framing<B: hyper::body::Body>(&self, request: &Request<B>) -> Framing {
        if request.version() > Version::HTTP_11 {
            return Framing::Clear;
        }
        let mut inner = self.inner();
        let (framing, end) = judge(&inner.bytes, request);
        let rest = inner.bytes.len() - end;
        let body = body_length(request);
        inner.recording = match body {
            Some(length) if framing == Framing::Clear => {
                let here = usize::try_from(length).unwrap_or(usize::MAX).min(rest);
                inner.bytes.drain(..end + here);
                match length - here as u64 {
                    0 => Recording::On,
                    more => Recording::After(more),
                }
            }
            _ => {
                inner.bytes.clear();
                if body == Some(0) { Recording::On } else { Recording::Off }
            }
        };
        if inner.bytes.is_empty() && inner.bytes.capacity() > KEPT {
            inner.bytes = Vec::new();
        }
        inner.begun = (!inner.bytes.is_empty()).then(Instant::now);
        framing
    }

    /// What is read from now on is no HTTP/1 any more.
    pub(crate) fn end(&self) {
        *self.inner() = Inner { bytes: Vec::new(), recording: Recording::Off, begun: None };
    }

    /// Since when a head is being read.
    pub(crate) fn begun(&self) -> Option<Instant> {
        self.inner().begun
    }

    /// The body is through; what is read from now on is a head again.
    pub(crate) fn resume(&self) {
        let mut inner = self.inner();
        if inner.recording == Recording::Off {
            inner.recording = Recording::On;
        }
    }

    /// What was read of the connection.
    pub(crate) fn record(&self, mut read: &[u8]) {
        let mut inner = self.inner();
        if let Recording::After(left) = inner.recording {
            let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
            read = &read[skipped..];
            inner.recording = match left - skipped as u64 {
                0 => Recording::On,
                more => Recording::After(more),
            };
        }
        if inner.recording == Recording::On && !read.is_empty() {
            inner.begun.get_or_insert_with(Instant::now);
        }
        if inner.recording == Recording::On && inner.bytes.len() <= MOST {
            inner.bytes.extend_from_slice(read);
        }
    }

    /// A panic elsewhere leaves bytes that are judged as they are.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the body, if that is known.
fn body_length<B: hyper::body::Body>(request: &Request<B>) -> Option<u64> {
    if request.body().is_end_stream() { Some(0) } else { request.body().size_hint().exact() }
}

/// The verdict on the head that `recorded` begins with, and where that head ends.
fn judge<B>(recorded: &[u8], request: &Request<B>) -> (Framing, usize) {
    let is_encoded = request.headers().contains_key(header::TRANSFER_ENCODING);
    if is_encoded && !is_chunked_alone(request.headers()) {
        return (Framing::Ambiguous, recorded.len());
    }
    let mut at = 0;
    let mut first = true;
    let mut has_length = false;
    while let Some(length) = recorded[at..].iter().position(|&b| b == b'\n') {
        let line = &recorded[at..at + length];
        at += length + 1;
        let Some(line) = line.strip_suffix(b"\r") else {
            return (Framing::Ambiguous, at);
        };
        if line.is_empty() {
            match first {
                // Empty lines may come before a request, RFC 9112 section 2.2.
                true => continue,
                false if is_encoded && has_length => return (Framing::Ambiguous, at),
                false => return (Framing::Clear, at),
            }
        }
        if first && !is_line_of(line, request) {
            return (Framing::Unknown, recorded.len());
        }
        first = false;
        let name = line.split(|&b| b == b':').next().unwrap_or_default();
        has_length |= name.eq_ignore_ascii_case(b"content-length");
    }
    (Framing::Unknown, recorded.len())
}

/// Once, and nothing else: all other codings, and lists of them, are seen differently by different servers.
fn is_chunked_alone(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::TRANSFER_ENCODING).iter();
    let only = values.next().is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"chunked"));
    only && values.next().is_none()
}

fn is_line_of<B>(line: &[u8], request: &Request<B>) -> bool {
    let target = line.strip_prefix(request.method().as_str().as_bytes()).and_then(|l| l.strip_prefix(b" "));
    let Some(target) = target else { return false };
    match (request.uri().scheme(), request.uri().path_and_query()) {
        (None, Some(path)) => target.starts_with(path.as_str().as_bytes()),
        _ => true,
    }
}
