//! Lines on their way to those who follow.

use std::sync::OnceLock;

use bytes::Bytes;

/// How lines are written for the wire. What is written in one form is kept for all who want it in that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Each line as a message of its own.
    Lines,
    /// All lines as one message.
    Batch,
}

/// Lines that follow on each other in a log.
#[derive(Debug)]
pub struct Frame<L, P> {
    lines: Vec<L>,
    place: P,
    written: [OnceLock<Bytes>; 2],
}

impl<L, P> Frame<L, P> {
    pub(crate) fn new(lines: Vec<L>, place: P) -> Self {
        Self { lines, place, written: Default::default() }
    }

    /// One at least.
    pub fn lines(&self) -> &[L] {
        &self.lines
    }

    /// Where one is who has got the frame.
    pub fn place(&self) -> &P {
        &self.place
    }

    /// The lines in a form: as `write` says at the first time, which is the same for each `form`.
    pub fn written(&self, form: Form, write: impl FnOnce(&[L]) -> Bytes) -> Bytes {
        let slot = match form {
            Form::Lines => &self.written[0],
            Form::Batch => &self.written[1],
        };
        slot.get_or_init(|| write(&self.lines)).clone()
    }
}
