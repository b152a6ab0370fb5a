//! The app's output: two pipes into the log.
//!
//! Here, and not where lines are shown, values of secret variables are taken out: so they are in no file either, a page of
//! a long log costs nothing more, and what is masked are the values that this app was given, whatever the environment's
//! variables have become. The supervisor has them anyway, and is there while no server is.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Stdio;

use chrono::Utc;
use domain::redact::Redactor;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use crate::isolation::ownership::give_pipe;
use crate::lines::Splitter;
use crate::log::{LogWriter, Stream};

/// Slack for bursts; the kernel takes memory only for what is in the pipe.
const PIPE_BYTES: i32 = 256 * 1024;

pub(super) struct Capture {
    stdout: Pipe,
    stderr: Pipe,
    log: LogWriter,
    secrets: Redactor,
    chunk: Box<[u8]>,
}

/// Both ends are kept for the supervisor's whole life: so the end of one run of the app,
/// or a child that holds the pipe open, is no event here.
struct Pipe {
    stream: Stream,
    read: File,
    write: OwnedFd,
    lines: Splitter,
}

impl Capture {
    /// `secrets` are kept out of the log. `user`: who the app runs as, if it isn't who we are.
    pub(super) fn new(log: LogWriter, secrets: Redactor, user: Option<u32>) -> io::Result<Self> {
        let (stdout, stderr) = (Pipe::new(Stream::Stdout)?, Pipe::new(Stream::Stderr)?);
        give_pipe(&stdout.write, user).and_then(|()| give_pipe(&stderr.write, user))?;
        Ok(Self { stdout, stderr, log, secrets, chunk: vec![0; 64 * 1024].into_boxed_slice() })
    }

    /// The ends for a new run of the app.
    pub(super) fn ends(&self) -> io::Result<(Stdio, Stdio)> {
        Ok((self.stdout.end()?, self.stderr.end()?))
    }

    /// What to poll for reading.
    pub(super) fn sources(&self) -> [BorrowedFd<'_>; 2] {
        [self.stdout.read.as_fd(), self.stderr.read.as_fd()]
    }

    /// One chunk from each pipe, so that neither starves the other. Whether there was anything.
    pub(super) fn read(&mut self) -> bool {
        let at_ms = Utc::now().timestamp_millis();
        let mut any = false;
        for pipe in [&mut self.stdout, &mut self.stderr] {
            // An empty pipe is an error here (it would block); others can't be helped either.
            let Ok(read) = pipe.read.read(&mut self.chunk) else { continue };
            any |= read > 0;
            let (log, secrets, stream) = (&mut self.log, &self.secrets, pipe.stream);
            pipe.lines.push(&self.chunk[..read], |line| log.line(stream, &clean(secrets, line), at_ms));
        }
        self.log.flush(at_ms);
        any
    }

    /// All that is in the pipes now; the app has ended, so unfinished lines are finished.
    /// Bounded: a child of the app may write for ever.
    pub(super) fn drain(&mut self) {
        for _ in 0..64 {
            if !self.read() {
                break;
            }
        }
        let at_ms = Utc::now().timestamp_millis();
        for pipe in [&mut self.stdout, &mut self.stderr] {
            pipe.lines.finish(|line| self.log.line(pipe.stream, &clean(&self.secrets, line), at_ms));
        }
        self.log.flush(at_ms);
    }

    /// A remark of the supervisor's.
    pub(super) fn remark(&mut self, text: &str) {
        let at_ms = Utc::now().timestamp_millis();
        self.log.line(Stream::System, text.as_bytes(), at_ms);
        self.log.flush(at_ms);
    }

    /// Lines were lost, and the log doesn't say so yet.
    pub(super) fn has_losses(&self) -> bool {
        self.log.has_losses()
    }

    pub(super) fn retry(&mut self) {
        self.log.flush(Utc::now().timestamp_millis());
    }
}

/// A line as it may be kept: its very bytes, unless there is a secret among them.
fn clean<'a>(secrets: &Redactor, line: &'a [u8]) -> Cow<'a, [u8]> {
    if secrets.is_empty() {
        return Cow::Borrowed(line);
    }
    let text = String::from_utf8_lossy(line);
    let clean = secrets.clean(&text);
    if clean == text { Cow::Borrowed(line) } else { Cow::Owned(clean.into_bytes()) }
}

impl Pipe {
    fn new(stream: Stream) -> io::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        // Refused to users who have many pipes; the usual size does as well.
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).ok();
        Ok(Self { stream, read: File::from(read), write, lines: Splitter::default() })
    }

    fn end(&self) -> io::Result<Stdio> {
        // An earlier run may have made it non-blocking (Node does), which would surprise others.
        fcntl(&self.write, FcntlArg::F_SETFL(OFlag::empty()))?;
        Ok(Stdio::from(self.write.try_clone()?))
    }
}
