//! What comes back, as far as it is read.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

/// Of an answer's body that is read. Whoever sends more speaks to nobody: the connection is closed.
pub const MAX_BODY: usize = 64 * 1024;

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// [`MAX_BODY`] bytes at most.
    pub body: Bytes,
    /// False if there was more.
    pub whole: bool,
}

pub(crate) async fn read(mut response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = BytesMut::new();
    let mut whole = true;
    while let Some(piece) = response.chunk().await? {
        let room = MAX_BODY - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            whole = false;
            break;
        }
    }
    Ok(Answer { status, headers, body: body.freeze(), whole })
}
