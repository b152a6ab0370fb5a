//! A chunked body from an upstream, RFC 9112 section 7.1. Pure: bytes in, pieces out.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::reply::Malformed;

/// Of a chunk's size with its extensions, which are ignored.
const MAX_LINE: usize = 4 << 10;
const MAX_TRAILERS: usize = 16 << 10;
const MAX_TRAILER_FIELDS: usize = 64;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    #[default]
    Size,
    Data(u64),
    /// The line end behind a chunk.
    AfterData,
    Trailers,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    Data(Bytes),
    /// The end, with what came after the last chunk.
    End(Option<HeaderMap>),
}

impl Chunks {
    /// The next piece in `read`; none if more has to be read for it.
    pub(crate) fn next(&mut self, read: &mut BytesMut) -> Result<Option<Piece>, Malformed> {
        loop {
            *self = match *self {
                Chunks::Size => {
                    let Some(end) = read.iter().position(|&b| b == b'\n') else {
                        return if read.len() > MAX_LINE {
                            Err(Malformed("a chunk's size is too long"))
                        } else {
                            Ok(None)
                        };
                    };
                    let line = read.split_to(end + 1);
                    match size(&line)? {
                        0 => Chunks::Trailers,
                        size => Chunks::Data(size),
                    }
                }
                Chunks::Data(left) => {
                    if read.is_empty() {
                        return Ok(None);
                    }
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
                    let data = read.split_to(here).freeze();
                    *self = match left - here as u64 {
                        0 => Chunks::AfterData,
                        more => Chunks::Data(more),
                    };
                    return Ok(Some(Piece::Data(data)));
                }
                Chunks::AfterData => match read.get(..2) {
                    Some(b"\r\n") => {
                        read.advance(2);
                        Chunks::Size
                    }
                    Some(_) => return Err(Malformed("a chunk is longer than its size")),
                    None => return Ok(None),
                },
                Chunks::Trailers => return trailers(read),
            };
        }
    }
}

fn size(line: &[u8]) -> Result<u64, Malformed> {
    const BAD: Malformed = Malformed("a chunk's size is not a number");
    let line = line.strip_suffix(b"\r\n").ok_or(BAD)?;
    let digits = line.split(|&b| b == b';').next().unwrap_or_default().trim_ascii_end();
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(BAD);
    }
    std::str::from_utf8(digits).ok().and_then(|d| u64::from_str_radix(d, 16).ok()).ok_or(BAD)
}

fn trailers(read: &mut BytesMut) -> Result<Option<Piece>, Malformed> {
    if read.starts_with(b"\r\n") {
        read.advance(2);
        return Ok(Some(Piece::End(None)));
    }
    const BAD: Malformed = Malformed("its trailers are invalid");
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    match httparse::parse_headers(read, &mut fields) {
        Ok(httparse::Status::Complete((end, fields))) => {
            let mut found = HeaderMap::with_capacity(fields.len());
            for field in fields {
                let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BAD)?;
                found.append(name, HeaderValue::from_bytes(field.value).map_err(|_| BAD)?);
            }
            read.advance(end);
            Ok(Some(Piece::End(Some(found))))
        }
        Ok(httparse::Status::Partial) if read.len() <= MAX_TRAILERS => Ok(None),
        _ => Err(BAD),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    type Whole = Option<(Vec<u8>, Option<HeaderMap>)>;

    /// All of a body that comes in pieces, cut where `cut` says.
    fn all(text: &[u8], cut: usize) -> Result<Whole, Malformed> {
        let (mut chunks, mut read, mut body) = (Chunks::default(), BytesMut::new(), Vec::new());
        for part in [&text[..cut], &text[cut..]] {
            read.extend_from_slice(part);
            while let Some(piece) = chunks.next(&mut read)? {
                match piece {
                    Piece::Data(data) => body.extend_from_slice(&data),
                    Piece::End(trailers) => return Ok(Some((body, trailers))),
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn a_body_is_the_same_wherever_it_is_cut() {
        let text = b"3\r\nabc\r\nA;ext=\"1\"\r\n0123456789\r\n00\r\nX-Sum: 7\r\n\r\n";
        for cut in 0..text.len() {
            let (body, trailers) = all(text, cut).unwrap().unwrap();
            assert_eq!(body, b"abc0123456789", "cut at {cut}");
            assert_eq!(trailers.unwrap()["x-sum"], "7");
            assert_eq!(all(&text[..cut], cut / 2).unwrap(), None);
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for bad in [
            "zz\r\n",
            "\r\n",
            "-1\r\n",
            "0x3\r\nabc\r\n",
            "3\nabc\r\n",
            "3\r\nabcd\r\n",
            "+3\r\nabc\r\n",
            "11111111111111111\r\n",
            " 3\r\nabc\r\n",
            "0\r\nbad header\r\n\r\n",
            "0\r\nX : 1\r\n\r\n",
        ] {
            for cut in 0..bad.len() {
                assert!(all(bad.as_bytes(), cut).is_err(), "{bad:?} cut at {cut}");
            }
        }
        assert!(all(&vec![b'1'; MAX_LINE + 2], 0).is_err());
        assert!(all(format!("0\r\nX: {}", "a".repeat(MAX_TRAILERS)).as_bytes(), 3).is_err());
    }
}
