//! Frames of lines as bytes, which all who follow the same lines share.

use bytes::Bytes;
use control::{Form, LogsFrame, OutputFrame};
use domain::{DeploymentId, Name};
use operations::stream::{self, LogsBatch, OutputBatch};
use serde::Serialize;

use crate::sse;

/// Each line a message of its own.
pub(super) fn output_lines(frame: &OutputFrame) -> Bytes {
    frame.written(Form::Lines, |lines| {
        let mut text = Vec::new();
        lines.iter().for_each(|line| sse::write(&mut text, &line.seq.to_string(), line));
        text.into()
    })
}

/// Each line a message of its own.
pub(super) fn logs_lines(frame: &LogsFrame) -> Bytes {
    frame.written(Form::Lines, |lines| {
        let mut text = Vec::new();
        lines.iter().for_each(|line| sse::write(&mut text, &line.cursor, &line.line));
        text.into()
    })
}

/// All lines as one message, but for its id and its end.
pub(super) fn output_batch(deployment: &DeploymentId, frame: &OutputFrame) -> Bytes {
    frame.written(Form::Batch, |lines| named(stream::DEPLOYMENT, &OutputBatch::of(deployment, lines)))
}

/// All lines as one message, but for its id and its end.
pub(super) fn logs_batch(app: &Name, environment: &Name, frame: &LogsFrame) -> Bytes {
    frame.written(Form::Batch, |lines| {
        let lines = lines.iter().map(|line| &line.line);
        named(stream::ENVIRONMENT, &LogsBatch::of(app, environment, lines))
    })
}

/// A message with a name, but for its id and its end.
pub(super) fn named(event: &str, data: &impl Serialize) -> Bytes {
    let mut text = format!("event: {event}\n").into_bytes();
    sse::data_line(&mut text, data);
    text.into()
}
