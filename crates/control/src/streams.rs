//! What can be followed: events, a deployment's output, the lines of instances.
//!
//! Nothing is queued for a follower: the next is looked for when it asks for it. Lines are read once for all who follow
//! them ([`crate::hub`]). Each stream ends with an error that passes when the server stops, so that its client comes back.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::DeploymentId;
use domain::access::Sees;
use domain::cursor::LogCursor;
use domain::event::Event;
use domain::notice::{KINDS, Notice};
use futures::Stream;
use operations::logs::{LogLine, ReadRequest};
use operations::{Error, ErrorKind, events};
use store::events::Stretch;
use tokio::sync::watch;

use crate::Control;
use crate::access::{Admitted, missing};
use crate::error::{io_error, store_error};
use crate::handlers::logs::{LogSource, parse_cursor};
use crate::handlers::{app_named, deployment_with, environment_named, page_limit};
use crate::hub::{Frame, Instances, Log, Output, Watcher};
use crate::notices::Listener;
use crate::output::reader::Most;
use crate::output::{Reader, last_line};

/// Messages one by one, each when it is asked for. After an error nothing follows.
pub type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>;

/// A line with the cursor behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorLine {
    pub cursor: String,
    /// The instance that printed it.
    pub instance: String,
    pub line: LogLine,
}

/// Lines of a deployment's output; the place is the last one's number.
pub type OutputFrame = Frame<LogLine, u64>;
/// Lines of an environment's instances.
pub type LogsFrame = Frame<CursorLine, LogCursor>;

/// Between two looks at the database when nothing says that it has changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Messages in one go.
const BATCH: usize = 200;
/// Events among which notices are looked for in one go.
const STRETCH: i64 = 1_000;

impl Control {
    /// Events from `after` on; without it from now on, or all when they are of one deployment.
    pub async fn follow_events(&self, who: &Admitted, request: events::ListRequest) -> Result<Messages<Event>, Error> {
        let store = self.store();
        match (&request.app, &request.environment) {
            (Some(app), Some(environment)) => _ = environment_named(store, app, environment).await?,
            (Some(app), None) => _ = app_named(store, app).await?,
            (None, _) => {}
        }
        if let Some(deployment) = &request.deployment {
            let record = deployment_with(store, deployment).await?;
            if !who.sees().includes(&record.app_id) {
                return Err(missing::deployment(deployment));
            }
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
            sees: who.sees(),
        };
        let (control, changes) = (self.clone(), store.changes());
        Ok(messages(FollowEvents { control, filter, after, changes, batch: VecDeque::new() }))
    }

    /// Notices of events behind `after` that the caller is told of.
    pub(crate) fn follow_notices(&self, who: &Admitted, after: i64) -> Messages<Notice> {
        let (listener, changes) = (Listener::of(who), self.store().changes());
        let sees = who.sees();
        messages(FollowNotices { control: self.clone(), sees, listener, after, changes, batch: VecDeque::new() })
    }

    /// What a deployment prints, from after the line `after` on, until it has ended or is stuck.
    pub async fn follow_output(
        &self,
        _: &Admitted,
        deployment: &DeploymentId,
        after: Option<u64>,
    ) -> Result<Messages<Arc<OutputFrame>>, Error> {
        deployment_with(self.store(), deployment).await?;
        let log = Output::new(self.clone(), deployment.clone());
        let (tasks, stopping) = (&self.inner.tasks, &self.inner.stopping);
        let outputs = &self.inner.hub.outputs;
        let watcher = outputs.follow(deployment.clone(), log, after.unwrap_or(0), tasks, stopping);
        Ok(messages(Following { history: None, watcher }))
    }

    /// All that a deployment has printed by now, some lines at a time.
    pub async fn whole_output(&self, _: &Admitted, deployment: &DeploymentId) -> Result<Messages<Vec<LogLine>>, Error> {
        deployment_with(self.store(), deployment).await?;
        let world = self.world();
        let path = world.layout.output(deployment);
        Ok(messages(Whole { reader: world.outputs.reader(deployment), path, after: 0, until: None }))
    }

    /// The newest lines of an environment's instances, or those after the cursor, and then every line as it is
    /// written, also by instances that come later. Ends when the environment is deleted.
    pub async fn follow_logs(&self, _: &Admitted, request: ReadRequest) -> Result<Messages<Arc<LogsFrame>>, Error> {
        let limit = page_limit(request.limit)? as usize;
        let cursor = parse_cursor(request.after.as_deref())?;
        let (_, environment) = environment_named(self.store(), &request.app, &request.environment).await?;
        let sources = self.log_sources(&environment.id, request.component.as_ref()).await?;
        let (history, place) = match cursor {
            Some(mut cursor) => {
                // What is gone would keep the cursor from ever being that of the others.
                cursor.keep(sources.iter().map(LogSource::instance));
                (None, cursor)
            }
            None => {
                let (lines, cursor) = self.read_logs(sources, None, limit).await?;
                let frame = (!lines.is_empty()).then(|| Arc::new(Frame::new(lines, cursor.clone())));
                (frame, cursor)
            }
        };
        let log = Instances::new(self.clone(), environment.id.clone(), request.component.clone());
        let (tasks, stopping) = (&self.inner.tasks, &self.inner.stopping);
        let key = (environment.id, request.component);
        let watcher = self.inner.hub.instances.follow(key, log, place, tasks, stopping);
        Ok(messages(Following { history, watcher }))
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

pub(crate) fn stopping() -> Error {
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

struct FollowNotices {
    control: Control,
    sees: Sees,
    listener: Listener,
    after: i64,
    changes: watch::Receiver<u64>,
    batch: VecDeque<Notice>,
}

impl Follow for FollowNotices {
    type Message = Notice;

    async fn next(&mut self) -> Result<Option<Notice>, Error> {
        loop {
            if let Some(notice) = self.batch.pop_front() {
                return Ok(Some(notice));
            }
            // Before reading: what is committed meanwhile wakes us at once.
            self.changes.borrow_and_update();
            let store = self.control.store();
            let until = store::events::latest(store).await.map_err(store_error)?;
            if until > self.after {
                // Only so far in one go, as most events are none.
                let until = until.min(self.after.saturating_add(STRETCH));
                let stretch = Stretch { kinds: &KINDS, sees: &self.sees, after: self.after, until };
                let events = store::events::first_of(store, &stretch, STRETCH.unsigned_abs());
                let events = events.await.map_err(store_error)?;
                self.after = until;
                self.batch = self.listener.told(&self.control, &events).await?.into();
                continue;
            }
            tokio::select! {
                waited = self.control.pause(LOOK_AGAIN) => waited?,
                Ok(()) = self.changes.changed() => {}
            }
        }
    }
}

/// What was there to begin with, and then what comes.
struct Following<L: Log> {
    history: Option<Arc<Frame<L::Line, L::Place>>>,
    watcher: Watcher<L>,
}

impl<L: Log> Follow for Following<L> {
    type Message = Arc<Frame<L::Line, L::Place>>;

    async fn next(&mut self) -> Result<Option<Self::Message>, Error> {
        match self.history.take() {
            Some(frame) => Ok(Some(frame)),
            None => self.watcher.next().await,
        }
    }
}

/// Lines up to the one that was the last when it began.
struct Whole {
    reader: Reader,
    path: PathBuf,
    after: u64,
    until: Option<u64>,
}

/// Of one go.
const GO: Most = Most { lines: 2_000, bytes: 256 * 1024 };

impl Follow for Whole {
    type Message = Vec<LogLine>;

    async fn next(&mut self) -> Result<Option<Vec<LogLine>>, Error> {
        let (mut reader, path, after, until) = (self.reader.clone(), self.path.clone(), self.after, self.until);
        let read = tokio::task::spawn_blocking(move || {
            let until = until.unwrap_or_else(|| last_line(&path).map_or(0, |line| line.seq));
            let lines = if after < until { reader.read(Some(after), GO)? } else { Vec::new() };
            std::io::Result::Ok((lines, until, reader))
        });
        let read = read.await.map_err(|_| Error::internal())?;
        let (mut lines, until, reader) = read.map_err(|e| io_error("read", &self.path, &e))?;
        lines.retain(|line| line.seq <= until);
        self.after = lines.last().map_or(until, |line| line.seq);
        (self.reader, self.until) = (reader, Some(until));
        Ok((!lines.is_empty()).then_some(lines))
    }
}
