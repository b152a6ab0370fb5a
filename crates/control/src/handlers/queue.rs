//! Deployments that wait: looking at them, and changing when they start.

use domain::DeploymentId;
use domain::access::{At, Permission};
use domain::event::EventKind;
use domain::queue::{Waiting, before_all, between, rank};
use operations::queue::{Entry, Estimate, List, ListRequest, Move, MoveRequest, Place, Reschedule, RescheduleRequest};
use operations::{Error, Operation, Page};
use store::deployments::Record;
use store::queue::{Direction, Entry as Row, Filter, Place as After};
use store::{Session, Tx};

use super::order::{When, critical};
use super::{Write, app_named, commit, deployment_with, environment_named, page_limit};
use crate::Control;
use crate::access::{Admitted, missing};
use crate::caller::Handle;
use crate::dispatch::{Waits, renew};
use crate::error::store_error;
use crate::forecast::foresee;

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Page<Entry>, Error> {
        let limit = page_limit(request.limit)?;
        let after = request.cursor.as_deref().map(place_of).transpose()?;
        let filter = match (&request.app, &request.environment) {
            (Some(app), Some(environment)) => {
                let (_, environment) = environment_named(self.store(), app, environment).await?;
                Filter { environment: Some(environment.id), ..Filter::default() }
            }
            (Some(app), None) => Filter { app: Some(app_named(self.store(), app).await?.id), ..Filter::default() },
            (None, Some(_)) => {
                return Err(Error::unprocessable("an environment belongs to an app, and none is named")
                    .hint("name the app too"));
            }
            (None, None) => Filter::default(),
        };
        let filter = Filter { sees: who.sees(), ..filter };
        let rows = store::queue::list(self.store(), &filter, after.as_ref(), u64::from(limit) + 1).await;
        let mut rows = rows.map_err(store_error)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(cursor_of);
        let mut items = Vec::with_capacity(rows.len());
        let foreseen = match rows.is_empty() {
            true => Default::default(),
            false => foresee(&self.inner).await.map_err(store_error)?,
        };
        let positions = store::queue::positions(self.store(), &rows).await.map_err(store_error)?;
        let mut waits = Waits::new(&self.inner);
        waits.look(self.store(), &rows).await.map_err(store_error)?;
        let ids: Vec<&DeploymentId> = rows.iter().map(|row| &row.deployment).collect();
        let mut records = store::deployments::many(self.store(), &ids).await.map_err(store_error)?;
        for row in rows {
            // It may have started since.
            let (Some(record), Some(position)) = (records.remove(&row.deployment), positions.get(&row.deployment))
            else {
                continue;
            };
            let waiting = waits.of(self.store(), &row).await.map_err(store_error)?;
            let entry = shown(record, waiting, &row, *position);
            let took = foreseen.took(&row.app, &row.environment);
            let start = foreseen.forecasts.get(&row.deployment).and_then(|forecast| forecast.start);
            let estimate = start.map(|start| Estimate {
                start,
                takes_seconds: took.p50.num_seconds().max(0).unsigned_abs(),
                basis: took.basis,
            });
            items.push(Entry { estimate, ..entry });
        }
        Ok(Page { items, next })
    }
}

impl Handle<Move> for Control {
    async fn handle(&self, who: &Admitted, request: MoveRequest) -> Result<Entry, Error> {
        let tx = self.write().await?;
        let row = waiting(&tx, &request.deployment).await?;
        let rank = self.rank_at(&tx, who, &row, &request.to).await?;
        if store::queue::passes_others(&tx, &row, rank).await.map_err(store_error)? {
            who.must(Permission::Operate, At::Server, "to pass deployments of other apps")?;
        }
        store::queue::set_rank(&tx, &row.deployment, rank).await.map_err(store_error)?;
        self.changed::<Move>(who, tx, &row.deployment).await
    }
}

impl Handle<Reschedule> for Control {
    async fn handle(&self, who: &Admitted, request: RescheduleRequest) -> Result<Entry, Error> {
        let tx = self.write().await?;
        let row = waiting(&tx, &request.deployment).await?;
        let priority = request.priority.unwrap_or(row.priority);
        if priority != row.priority {
            critical(who, &row.app, priority)?;
        }
        // The time that it has may have come meanwhile: only one that is asked for is looked at.
        When { priority, not_before: request.not_before }.check(store::clock::now())?;
        let not_before = match (request.not_before, request.now) {
            (Some(_), true) => {
                return Err(
                    Error::unprocessable("`now` and `not_before` contradict each other").hint("leave one of them out")
                );
            }
            (None, false) => row.not_before,
            (asked, _) => asked,
        };
        // It becomes the newest of its environment: before those that wait there it would leave them nothing to do.
        let hastened = row.not_before.is_some() && not_before.is_none();
        let came = if hastened { store::clock::now() } else { row.enqueued_at };
        let rank = rank(came, not_before, priority);
        store::queue::set_priority(&tx, &row.deployment, priority, rank).await.map_err(store_error)?;
        store::queue::reschedule(&tx, &row.deployment, not_before, rank).await.map_err(store_error)?;
        if hastened {
            renew(&tx, &row.deployment, &row.environment).await.map_err(store_error)?;
        }
        self.changed::<Reschedule>(who, tx, &row.deployment).await
    }
}

impl Control {
    /// Tells of the change and answers with the entry as it is now.
    async fn changed<O>(&self, who: &Admitted, tx: Write, id: &DeploymentId) -> Result<Entry, Error>
    where
        O: Operation<Response = Entry>,
    {
        let row = waiting(&tx, id).await?;
        let ahead = store::queue::ahead(&tx, &Filter::default(), &row).await.map_err(store_error)?;
        let waiting = Waits::new(&self.inner).of(&tx, &row).await.map_err(store_error)?;
        let entry = shown(deployment_with(&tx, id).await?, waiting, &row, ahead + 1);
        let (priority, not_before) = (row.priority, row.not_before);
        let event = EventKind::DeploymentRequeued { by: who.name.clone(), priority, not_before };
        let (app, environment) = (Some(&entry.app), Some(&entry.environment));
        store::events::insert(&tx, app, environment, Some(id), &event, store::clock::now())
            .await
            .map_err(store_error)?;
        let recorded = self.conclude::<O>(&tx, who, &entry).await?;
        commit(tx, recorded).await?;
        Ok(entry)
    }

    /// The rank that brings an entry to a place.
    async fn rank_at(&self, tx: &Tx, who: &Admitted, row: &Row, to: &Place) -> Result<i64, Error> {
        let neighbour = |of: Row, way| async move {
            let next = store::queue::neighbour(tx, &of, way).await.map_err(store_error)?;
            // The moved one is not its own neighbour.
            match next {
                Some(next) if next.deployment == row.deployment => {
                    store::queue::neighbour(tx, &next, way).await.map_err(store_error)
                }
                other => Ok(other),
            }
        };
        let rank_of = |entry: Option<Row>| entry.map(|entry| entry.rank);
        let found = match to {
            Place::First => {
                let first = store::queue::end(tx, Direction::Before).await.map_err(store_error)?;
                // Who may pass other apps passes their turns with it; others change the order of their own.
                match rank_of(first) {
                    Some(first) if who.may(Permission::Operate, At::Server) => before_all(first),
                    first => between(None, first),
                }
            }
            Place::Last => {
                let last = store::queue::end(tx, Direction::Behind).await.map_err(store_error)?;
                between(rank_of(last), None)
            }
            Place::Before { deployment } => {
                let next = other(tx, who, row, deployment).await?;
                between(rank_of(neighbour(next.clone(), Direction::Before).await?), Some(next.rank))
            }
            Place::Behind { deployment } => {
                let previous = other(tx, who, row, deployment).await?;
                let next = neighbour(previous.clone(), Direction::Behind).await?;
                between(Some(previous.rank), rank_of(next))
            }
        };
        found.ok_or_else(|| {
            Error::conflict("there is no room left between these two in the queue")
                .hint("move it to another place, or move one of the two first")
        })
    }
}

/// `None` when it was started or ended meanwhile.
fn shown(record: Record, waiting: Waiting, row: &Row, position: u64) -> Entry {
    let deployment = record.deployment;
    Entry {
        deployment: deployment.id,
        app: deployment.app,
        environment: deployment.environment,
        kind: deployment.kind,
        position,
        priority: row.priority,
        enqueued_at: row.enqueued_at,
        not_before: row.not_before,
        host: row.host.clone(),
        waiting_for: waiting.to_string(),
        waiting,
        estimate: None,
        requested_by: deployment.requested_by,
    }
}

async fn waiting(session: &impl Session, id: &DeploymentId) -> Result<Row, Error> {
    if let Some(row) = store::queue::find(session, id).await.map_err(store_error)? {
        return Ok(row);
    }
    let deployment = deployment_with(session, id).await?.deployment;
    let what = if deployment.phase.is_end() { "has ended" } else { "has started" };
    Err(Error::conflict(format!("the deployment does not wait: it {what}")).hint("`plimsoll queue` shows what waits"))
}

/// The neighbour that was named.
async fn other(session: &impl Session, who: &Admitted, row: &Row, id: &DeploymentId) -> Result<Row, Error> {
    if *id == row.deployment {
        return Err(Error::unprocessable("a deployment can't be moved before or behind itself"));
    }
    let app = deployment_with(session, id).await?.app_id;
    if !who.sees().includes(&app) {
        return Err(missing::deployment(id));
    }
    waiting(session, id).await
}

fn cursor_of(row: &Row) -> String {
    format!("{}.{}", row.rank, row.deployment)
}

fn place_of(cursor: &str) -> Result<After, Error> {
    let parts = cursor.split_once('.').and_then(|(rank, id)| Some((rank.parse().ok()?, id.parse().ok()?)));
    let (rank, deployment) = parts.ok_or_else(|| {
        Error::unprocessable("`cursor` is not one of this list")
            .hint("use the `next` of the page before, or leave it out")
    })?;
    Ok(After { rank, deployment })
}
