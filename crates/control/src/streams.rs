//! What can be followed: events, a deployment's output, the lines of instances.
//!
//! Nothing is queued for a follower beyond one batch: the next is read when it asks for it. Each
//! stream ends with an error that passes when the server stops, so that its client comes back.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use domain::cursor::LogCursor;
use domain::event::Event;
use domain::{DeploymentId, EnvironmentId, Name};
use futures::Stream;
use operations::logs::{LogLine, ReadRequest};
use operations::{Error, ErrorKind, events};
use store::StoreError;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Control;
use crate::error::{io_error, store_error};
use crate::handlers::logs::{LogSource, parse_cursor};
use crate::handlers::{app_named, deployment_with, environment_named, page_limit};
use crate::output::Reader;

/// Messages one by one, each when it is asked for. After an error nothing follows.
pub type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>;

/// A line with the cursor behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorLine {
    pub cursor: String,
    pub line: LogLine,
}

/// Between two looks at a file that grows.
const INTERVAL: Duration = Duration::from_millis(100);
/// Between two looks at the database when nothing says that it has changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Messages in one go.
const BATCH: usize = 200;

impl Control {
    /// Events from `after` on; without it from now on, or all when they are of one deployment.
    pub async fn follow_events(&self, request: events::ListRequest) -> Result<Messages<Event>, Error> {
        let store = self.store();
        match (&request.app, &request.environment) {
            (Some(app), Some(environment)) => _ = environment_named(store, app, environment).await?,
            (Some(app), None) => _ = app_named(store, app).await?,
            (None, _) => {}
        }
        if let Some(deployment) = &request.deployment {
            deployment_with(store, deployment).await?;
        }
        let after = match (request.after, &request.deployment) {
            (Some(after), _) => after,
            (None, Some(_)) => 0,
            (None, None) => store::events::latest(store).await.map_err(store_error)?,
        };
        let filter = store::events::Filter {
            app: request.app,
            environment: request.environment,
            deployment: request.deployment,
        };
        let (control, changes) = (self.clone(), store.changes());
        Ok(messages(FollowEvents { control, filter, after, changes, batch: VecDeque::new() }))
    }

    /// What a deployment prints, from after the line `after` on, until it has ended or is stuck.
    pub async fn follow_output(
        &self,
        deployment: &DeploymentId,
        after: Option<u64>,
    ) -> Result<Messages<LogLine>, Error> {
        deployment_with(self.store(), deployment).await?;
        Ok(messages(FollowOutput {
            control: self.clone(),
            deployment: deployment.clone(),
            reader: Some(self.world().outputs.reader(deployment)),
            after,
            rest: Rest::unknown(self),
            batch: VecDeque::new(),
        }))
    }

    /// The newest lines of an environment's instances, or those after the cursor, and then every line as it is
    /// written, also by instances that come later. Ends when the environment is deleted.
    pub async fn follow_logs(&self, request: ReadRequest) -> Result<Messages<CursorLine>, Error> {
        let limit = page_limit(request.limit)? as usize;
        let cursor = parse_cursor(request.after.as_deref())?;
        let (_, environment) = environment_named(self.store(), &request.app, &request.environment).await?;
        let sources = self.log_sources(&environment.id, request.component.as_ref()).await?;
        let (batch, cursor) = match cursor {
            Some(cursor) => (Vec::new(), cursor),
            None => self.read_logs(sources.clone(), None, limit).await?,
        };
        Ok(messages(FollowLogs {
            control: self.clone(),
            environment: environment.id,
            component: request.component,
            sources,
            listed: Instant::now(),
            cursor,
            batch: batch.into(),
        }))
    }

    /// Waits; fails when the server stops meanwhile.
    async fn pause(&self, time: Duration) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.inner.stopping.cancelled() => Err(stopping()),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }
}

fn stopping() -> Error {
    Error::new(ErrorKind::Unavailable, "the server is stopping").hint("come back once it is there again")
}

/// Something that gives message after message, and `None` at its end.
trait Follow: Send + 'static {
    type Message: Send + 'static;
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Message>, Error>> + Send;
}

fn messages<F: Follow>(follow: F) -> Messages<F::Message> {
    Box::pin(futures::stream::unfold(Some(follow), |follow| async {
        let mut follow = follow?;
        match follow.next().await {
            Ok(Some(message)) => Some((Ok(message), Some(follow))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct FollowEvents {
    control: Control,
    filter: store::events::Filter,
    after: i64,
    changes: watch::Receiver<u64>,
    batch: VecDeque<Event>,
}

impl Follow for FollowEvents {
    type Message = Event;

    async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.batch.pop_front() {
                return Ok(Some(event));
            }
            // Before reading: what is committed meanwhile wakes us at once.
            self.changes.borrow_and_update();
            let events = store::events::list(self.control.store(), &self.filter, self.after, BATCH as u64);
            self.batch = events.await.map_err(store_error)?.into();
            if let Some(last) = self.batch.back() {
                self.after = last.cursor;
                continue;
            }
            tokio::select! {
                waited = self.control.pause(LOOK_AGAIN) => waited?,
                Ok(()) = self.changes.changed() => {}
            }
        }
    }
}

/// Whether a deployment is at rest, asked again when something may have changed.
struct Rest {
    changes: watch::Receiver<u64>,
    asked: Option<Instant>,
    at_rest: bool,
}

impl Rest {
    fn unknown(control: &Control) -> Self {
        Self { changes: control.store().changes(), asked: None, at_rest: false }
    }

    async fn look(&mut self, control: &Control, deployment: &DeploymentId) -> Result<bool, Error> {
        let recent = self.asked.is_some_and(|asked| asked.elapsed() < LOOK_AGAIN);
        if self.at_rest || (recent && !self.changes.has_changed().unwrap_or(true)) {
            return Ok(self.at_rest);
        }
        self.changes.borrow_and_update();
        self.asked = Some(Instant::now());
        self.at_rest = match store::deployments::get(control.store(), deployment).await {
            Ok(record) => record.deployment.phase.is_end() || record.deployment.stuck.is_some(),
            // It was deleted with its app: nothing more will come.
            Err(StoreError::NotFound { .. }) => true,
            Err(e) => return Err(store_error(e)),
        };
        Ok(self.at_rest)
    }
}

struct FollowOutput {
    control: Control,
    deployment: DeploymentId,
    /// Away only while a thread reads with it.
    reader: Option<Reader>,
    after: Option<u64>,
    rest: Rest,
    batch: VecDeque<LogLine>,
}

impl Follow for FollowOutput {
    type Message = LogLine;

    async fn next(&mut self) -> Result<Option<LogLine>, Error> {
        loop {
            if let Some(line) = self.batch.pop_front() {
                return Ok(Some(line));
            }
            // Before reading: when it had ended by then, what is read is all there is.
            let at_rest = self.rest.look(&self.control, &self.deployment).await?;
            self.batch = self.read().await?.into();
            if !self.batch.is_empty() {
                continue;
            }
            if at_rest {
                return Ok(None);
            }
            self.control.pause(INTERVAL).await?;
        }
    }
}

impl FollowOutput {
    async fn read(&mut self) -> Result<Vec<LogLine>, Error> {
        let world = self.control.world();
        let mut reader = self.reader.take().unwrap_or_else(|| world.outputs.reader(&self.deployment));
        let after = self.after;
        let read = tokio::task::spawn_blocking(move || (reader.read(after, BATCH), reader));
        let (lines, reader): (io::Result<Vec<LogLine>>, Reader) = read.await.map_err(|_| Error::internal())?;
        self.reader = Some(reader);
        let lines = lines.map_err(|e| io_error("read", &world.layout.output(&self.deployment), &e))?;
        self.after = lines.last().map(|line| line.seq).or(self.after);
        Ok(lines)
    }
}

struct FollowLogs {
    control: Control,
    environment: EnvironmentId,
    component: Option<Name>,
    sources: Vec<LogSource>,
    listed: Instant,
    cursor: LogCursor,
    batch: VecDeque<CursorLine>,
}

impl Follow for FollowLogs {
    type Message = CursorLine;

    async fn next(&mut self) -> Result<Option<CursorLine>, Error> {
        loop {
            if let Some(line) = self.batch.pop_front() {
                return Ok(Some(line));
            }
            if self.listed.elapsed() >= LOOK_AGAIN && !self.list().await? {
                return Ok(None);
            }
            let read = self.control.read_logs(self.sources.clone(), Some(self.cursor.clone()), BATCH);
            let (lines, cursor) = read.await?;
            self.cursor = cursor;
            self.batch = lines.into();
            if self.batch.is_empty() {
                self.control.pause(INTERVAL).await?;
            }
        }
    }
}

impl FollowLogs {
    /// Looks which instances there are now; `false` when the environment is gone.
    async fn list(&mut self) -> Result<bool, Error> {
        match store::environments::get(self.control.store(), &self.environment).await {
            Err(StoreError::NotFound { .. }) => return Ok(false),
            other => _ = other.map_err(store_error)?,
        }
        self.sources = self.control.log_sources(&self.environment, self.component.as_ref()).await?;
        self.listed = Instant::now();
        Ok(true)
    }
}
