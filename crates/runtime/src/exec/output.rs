//! A command's output: two pipes into one callback.

use std::convert::Infallible;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use super::Line;
use crate::lines::Splitter;
use crate::log::Stream;

pub(super) struct Output<F> {
    stdout: Source,
    stderr: Source,
    sink: F,
}

struct Source {
    stream: Stream,
    /// `None` once it has ended.
    pipe: Option<Receiver>,
    chunk: Vec<u8>,
    lines: Splitter,
}

impl<F: FnMut(Line) + Send> Output<F> {
    pub(super) fn new(stdout: PipeReader, stderr: PipeReader, sink: F) -> io::Result<Self> {
        Ok(Self { stdout: Source::new(Stream::Stdout, stdout)?, stderr: Source::new(Stream::Stderr, stderr)?, sink })
    }

    /// Hands on lines until both pipes have ended. May be dropped and called again without loss.
    pub(super) async fn forward_to_end(&mut self) {
        let Self { stdout, stderr, sink } = self;
        while stdout.pipe.is_some() || stderr.pipe.is_some() {
            tokio::select! {
                read = stdout.read(), if stdout.pipe.is_some() => stdout.hand_on(read, sink),
                read = stderr.read(), if stderr.pipe.is_some() => stderr.hand_on(read, sink),
            }
        }
    }

    /// The same, then idles.
    pub(super) async fn forward_for_ever(&mut self) -> Infallible {
        self.forward_to_end().await;
        std::future::pending().await
    }

    /// Unfinished lines become lines.
    pub(super) fn finish(&mut self) {
        for source in [&mut self.stdout, &mut self.stderr] {
            let (stream, sink) = (source.stream, &mut self.sink);
            source.lines.finish(|line| sink(to_line(stream, line)));
        }
    }
}

impl Source {
    fn new(stream: Stream, pipe: PipeReader) -> io::Result<Self> {
        let pipe = Receiver::from_owned_fd(OwnedFd::from(pipe))?;
        Ok(Self { stream, pipe: Some(pipe), chunk: vec![0; 16 * 1024], lines: Splitter::default() })
    }

    async fn read(&mut self) -> usize {
        match &mut self.pipe {
            // An error is an end: there is nothing more to be had.
            Some(pipe) => pipe.read(&mut self.chunk).await.unwrap_or(0),
            None => 0,
        }
    }

    fn hand_on(&mut self, read: usize, sink: &mut impl FnMut(Line)) {
        if read == 0 {
            self.pipe = None;
        }
        let stream = self.stream;
        self.lines.push(&self.chunk[..read], |line| sink(to_line(stream, line)));
    }
}

fn to_line(stream: Stream, bytes: &[u8]) -> Line {
    Line { stream, text: String::from_utf8_lossy(bytes).into_owned() }
}
