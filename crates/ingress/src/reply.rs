//! The head of an upstream's answer: read from its bytes, and cleaned of what belongs to its connection alone.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version};

use crate::headers;

const MAX_FIELDS: usize = 100;
const MAX_HEAD: usize = 64 << 10;

/// What an upstream answered, without its body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// End-to-end headers only.
    pub(crate) headers: HeaderMap,
    pub(crate) length: Length,
    /// The connection may carry another request once the body is through.
    pub(crate) keeps: bool,
    /// The protocol to which it switches, with status 101.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// How the body ends, RFC 9112 section 6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Nothing,
    Exact(u64),
    Chunked,
    UntilClose,
}

/// It is no HTTP, or nobody can say where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Takes one head off `read`; none if it is not there as a whole yet. `to_head`: the request was HEAD.
pub(crate) fn take(read: &mut BytesMut, to_head: bool) -> Result<Option<Reply>, Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let end = match config.parse_response_with_uninit_headers(&mut parsed, read, &mut fields) {
        Ok(httparse::Status::Complete(end)) if end <= MAX_HEAD => end,
        Ok(httparse::Status::Partial) if read.len() < MAX_HEAD => return Ok(None),
        Ok(_) => return Err(Malformed("the head of its answer is longer than 64 KiB")),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed("its answer has more than 100 headers")),
        Err(_) => return Err(Malformed("its answer is not HTTP")),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed("its answer has no valid status"))?;
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let start = read.as_ptr() as usize;
    let place = |part: &[u8]| (part.as_ptr() as usize - start, part.len());
    let mut places = [((0, 0), (0, 0)); MAX_FIELDS];
    let count = parsed.headers.len();
    for (slot, field) in places.iter_mut().zip(parsed.headers.iter()) {
        *slot = (place(field.name.as_bytes()), place(field.value));
    }
    let head = read.split_to(end).freeze();
    let mut gathered = Gathered::new(count);
    for ((name, name_length), (value, value_length)) in places.into_iter().take(count) {
        let name = HeaderName::from_bytes(&head[name..name + name_length]).map_err(|_| BAD_HEADER)?;
        let value = slice(&head, value, value_length)?;
        gathered.add(name, value)?;
    }
    gathered.finish(status, version, to_head).map(Some)
}

const BAD_HEADER: Malformed = Malformed("its answer has an invalid header");

fn slice(head: &Bytes, at: usize, length: usize) -> Result<HeaderValue, Malformed> {
    HeaderValue::from_maybe_shared(head.slice(at..at + length)).map_err(|_| BAD_HEADER)
}

/// The fields of a head, and what they say about its connection and its body.
struct Gathered {
    headers: HeaderMap,
    /// Named by `Connection`.
    named: Vec<HeaderName>,
    closes: bool,
    keeps: bool,
    encodings: u32,
    chunked: bool,
    length: Option<u64>,
    upgrade: Option<HeaderValue>,
}

impl Gathered {
    fn new(count: usize) -> Self {
        Self {
            // Some room for what is added on the way, so that the table need not grow.
            headers: HeaderMap::with_capacity(count + 2),
            named: Vec::new(),
            closes: false,
            keeps: false,
            encodings: 0,
            chunked: false,
            length: None,
            upgrade: None,
        }
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Malformed> {
        match name {
            header::CONNECTION => {
                for token in headers::tokens(&value) {
                    match token {
                        t if t.eq_ignore_ascii_case(b"close") => self.closes = true,
                        t if t.eq_ignore_ascii_case(b"keep-alive") => self.keeps = true,
                        t => self.named.extend(HeaderName::from_bytes(t)),
                    }
                }
            }
            header::TRANSFER_ENCODING => {
                self.encodings += 1;
                self.chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
            }
            header::CONTENT_LENGTH => {
                let length = length(value.as_bytes()).ok_or(Malformed("its `Content-Length` is not a number"))?;
                if self.length.is_some_and(|before| before != length) {
                    return Err(Malformed("it gave two different lengths"));
                }
                self.length = Some(length);
            }
            header::UPGRADE => self.upgrade = Some(value),
            name if headers::is_of_one_connection(&name) || headers::is_ours(&name) => {}
            name => {
                self.headers.append(name, value);
            }
        }
        Ok(())
    }

    fn finish(mut self, status: StatusCode, version: Version, to_head: bool) -> Result<Reply, Malformed> {
        for name in self.named.iter().filter(|n| !headers::is_protected(n)) {
            self.headers.remove(name);
        }
        let bodiless = status.is_informational() || status == StatusCode::NO_CONTENT;
        let length = match (self.encodings, self.chunked, self.length) {
            _ if bodiless || to_head || status == StatusCode::NOT_MODIFIED => Length::Nothing,
            (0, _, Some(length)) => Length::Exact(length),
            (0, _, None) => Length::UntilClose,
            (1, true, _) => Length::Chunked,
            _ => return Err(Malformed("its `Transfer-Encoding` is not `chunked` alone")),
        };
        // With an encoding, the length is not that of the body.
        if let (0, false, Some(length)) = (self.encodings, bodiless, self.length) {
            self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let persists = if version == Version::HTTP_11 { !self.closes } else { self.keeps && !self.closes };
        let keeps = persists && length != Length::UntilClose && status != StatusCode::SWITCHING_PROTOCOLS;
        Ok(Reply { status, headers: self.headers, length, keeps, upgrade: self.upgrade })
    }
}

fn length(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if is_number { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Reply>, Malformed> {
        take(&mut BytesMut::from(text), false)
    }

    #[test]
    fn where_an_answer_ends_is_known_or_it_is_refused() {
        let of = |head: &str| parse(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n")).map(|r| r.unwrap().length);
        assert_eq!(of("Content-Length: 7"), Ok(Length::Exact(7)));
        assert_eq!(of("Content-Length: 7\r\nContent-Length: 7"), Ok(Length::Exact(7)));
        assert_eq!(of("X: 1"), Ok(Length::UntilClose));
        assert_eq!(of("Transfer-Encoding: Chunked"), Ok(Length::Chunked));
        assert_eq!(of("Content-Length: 7\r\nTransfer-Encoding: chunked"), Ok(Length::Chunked));
        for bad in [
            "Content-Length: 7\r\nContent-Length: 8",
            "Content-Length: +7",
            "Content-Length: 7, 7",
            "Content-Length:",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "X Y: 1",
            "X : 1",
            "X: a\0b",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
        for (status, head) in [(204, "Content-Length: 5"), (304, "Content-Length: 5"), (103, "Link: x")] {
            let reply = parse(&format!("HTTP/1.1 {status} x\r\n{head}\r\n\r\n")).unwrap().unwrap();
            assert_eq!((reply.length, reply.keeps), (Length::Nothing, true), "{status}");
        }
        let to_head = take(&mut BytesMut::from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), true).unwrap().unwrap();
        assert_eq!((to_head.length, to_head.headers[header::CONTENT_LENGTH].as_bytes()), (Length::Nothing, &b"5"[..]));
    }

    #[test]
    fn connections_are_kept_as_the_version_says() {
        let keeps = |line: &str, head: &str| parse(&format!("{line} 204 x\r\n{head}\r\n\r\n")).unwrap().unwrap().keeps;
        assert!(keeps("HTTP/1.1", "X: 1") && !keeps("HTTP/1.1", "Connection: x, Close"));
        assert!(!keeps("HTTP/1.0", "X: 1") && keeps("HTTP/1.0", "Connection: keep-alive"));
    }

    #[test]
    fn a_head_is_taken_whole_or_not_at_all() {
        let text = "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nPlimsoll-Release: rel_forged\r\n\
                    X-End: 2\r\nContent-Length: 4\r\n\r\nbody";
        for end in 0..text.len() - 4 {
            let mut part = BytesMut::from(&text[..end]);
            assert!(take(&mut part, false).unwrap().is_none());
            assert_eq!(part, text[..end]);
        }
        let mut whole = BytesMut::from(text);
        let reply = take(&mut whole, false).unwrap().unwrap();
        let mut names: Vec<_> = reply.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!((names, &whole[..]), (vec!["content-length", "x-end"], &b"body"[..]));
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(MAX_HEAD));
        assert!(parse(&long).is_err() && parse(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(101))).is_err());
        assert!(parse("SSH-2.0-OpenSSH_9.2\r\n").is_err());
    }
}
