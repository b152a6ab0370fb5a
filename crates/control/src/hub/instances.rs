//! What the instances of an environment print, as one log to follow.

use std::time::Duration;

use domain::cursor::LogCursor;
use domain::{EnvironmentId, Name};
use operations::Error;
use store::StoreError;
use tokio::time::Instant;

use super::{Log, Read};
use crate::Control;
use crate::error::store_error;
use crate::handlers::logs::LogSource;
use crate::streams::CursorLine;

/// Between two looks at files into which supervisors write.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks at which instances there are.
const LIST_AGAIN: Duration = Duration::from_secs(1);
/// Of one frame.
const MOST: usize = 200;

/// Until the environment is deleted. Instances that come later are part of it.
#[derive(Clone)]
pub(crate) struct Instances {
    control: Control,
    environment: EnvironmentId,
    component: Option<Name>,
    sources: Vec<LogSource>,
    listed: Option<Instant>,
}

impl Instances {
    pub(crate) fn new(control: Control, environment: EnvironmentId, component: Option<Name>) -> Self {
        Self { control, environment, component, sources: Vec::new(), listed: None }
    }

    async fn list(&mut self) -> Result<(), Error> {
        self.sources = self.control.log_sources(&self.environment, self.component.as_ref()).await?;
        self.listed = Some(Instant::now());
        Ok(())
    }
}

impl Log for Instances {
    type Line = CursorLine;
    type Place = LogCursor;

    async fn begin(&mut self) -> Result<LogCursor, Error> {
        self.list().await?;
        // Behind all: who comes with a history has read it by then.
        let (_, cursor) = self.control.read_logs(self.sources.clone(), None, 1).await?;
        Ok(cursor)
    }

    async fn is_over(&mut self) -> Result<bool, Error> {
        if self.listed.is_some_and(|listed| listed.elapsed() < LIST_AGAIN) {
            return Ok(false);
        }
        match store::environments::get(self.control.store(), &self.environment).await {
            Err(StoreError::NotFound { .. }) => return Ok(true),
            other => _ = other.map_err(store_error)?,
        }
        self.list().await?;
        Ok(false)
    }

    async fn read(&mut self, place: &mut LogCursor) -> Result<Read<CursorLine>, Error> {
        let (lines, cursor) = self.control.read_logs(self.sources.clone(), Some(place.clone()), MOST).await?;
        *place = cursor;
        Ok(Read { full: lines.len() == MOST, lines })
    }

    async fn grown(&mut self) {
        tokio::time::sleep(LOOK).await;
    }

    fn covers(place: &LogCursor, other: &LogCursor) -> bool {
        place.covers(other)
    }

    fn meet(place: &mut LogCursor, line: &CursorLine) -> Option<CursorLine> {
        if place.of(&line.instance).is_some_and(|had| had >= line.line.seq) {
            return None;
        }
        place.set(&line.instance, line.line.seq);
        // Behind the line one is where its own cursor says, but for what was had of others.
        Some(CursorLine { cursor: place.to_string(), ..line.clone() })
    }

    fn weight(line: &CursorLine) -> usize {
        let CursorLine { cursor, instance, line } = line;
        size_of::<CursorLine>() + cursor.len() + instance.len() + line.source.len() + line.text.len()
    }
}
