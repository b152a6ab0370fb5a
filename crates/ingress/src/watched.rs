//! A client's connection in HTTP/1: its heads are kept to be judged, and may take so long.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::heads::Heads;

/// Leaves a copy of request heads, and fails when one doesn't come to its end in time. Between two requests it waits for
/// as long as its user does.
pub(crate) struct Watched<S> {
    stream: S,
    heads: Arc<Heads>,
    limit: Duration,
    /// Of the head that is being read; made when its rest has to be waited for.
    deadline: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, heads: Arc<Heads>, limit: Duration) -> Self {
        Self { stream, heads, limit, deadline: None }
    }

    /// Whether the head that is being read is too late; otherwise the task is woken when it is.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(begun) = self.heads.begun() else {
            self.deadline = None;
            return false;
        };
        if self.deadline.as_ref().is_none_or(|(of, _)| *of != begun) {
            let sleep = tokio::time::sleep_until((begun + self.limit).into());
            self.deadline = Some((begun, Box::pin(sleep)));
        }
        self.deadline.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(cx).is_ready())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                self.heads.record(buf.filled().get(before..).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            Poll::Pending if self.is_late(cx) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
