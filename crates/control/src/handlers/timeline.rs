//! What the next hours bring.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::access::Sees;
use domain::timeline::{self, Span, What};
use domain::{AppId, DeploymentId, Name};
use operations::Error;
use operations::queue::{Ahead, Timeline, TimelineRequest};
use store::schedules::Filter;

use super::app_named;
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;
use crate::forecast::{Foreseen, foresee};

/// What people can look at.
const MOST: usize = 1000;
/// Deployments that are read with one statement.
const CHUNK: usize = 250;
/// The longest look ahead.
const WEEK: u32 = 168;

impl Handle<Timeline> for Control {
    async fn handle(&self, who: &Admitted, request: TimelineRequest) -> Result<Ahead, Error> {
        if !(1..=WEEK).contains(&request.hours) {
            return Err(Error::invalid(format!("`hours` must be 1 to {WEEK}, not {}", request.hours)));
        }
        let app = match &request.app {
            Some(app) => Some(app_named(self.store(), app).await?.id),
            None => None,
        };
        let from = store::time::micros(Utc::now());
        let until = from + TimeDelta::hours(request.hours.into());
        let foreseen = foresee(&self.inner).await.map_err(store_error)?;
        let sees = who.sees();
        let mut spans = self.deployments(&foreseen, &sees, app.as_ref(), request.environment.as_ref(), until).await?;
        spans.extend(self.runs(&foreseen, &sees, &request, until).await?);
        for record in store::windows::list(self.store(), Some(from)).await.map_err(store_error)? {
            let app = record.app.as_ref().map(|(_, name)| name);
            if record.app.as_ref().is_some_and(|(id, _)| !sees.includes(id)) {
                continue;
            }
            if fits(request.app.as_ref(), app) && fits(request.environment.as_ref(), record.environment.as_ref()) {
                let environment = record.environment.as_ref();
                spans.extend(timeline::of_window(&record.id, &record.rule, app, environment, from, until));
            }
        }
        let mut spans = timeline::sorted(spans);
        let truncated = spans.len() > MOST;
        spans.truncate(MOST);
        Ok(Ahead { from, until, spans, truncated })
    }
}

impl Control {
    /// Those at work, and those that wait and begin before `until`. However many wait, only those are read that are told of.
    async fn deployments(
        &self,
        foreseen: &Foreseen,
        sees: &Sees,
        app: Option<&AppId>,
        environment: Option<&Name>,
        until: DateTime<Utc>,
    ) -> Result<Vec<Span>, Error> {
        let world = &foreseen.world;
        let wanted = |of: &AppId| sees.includes(of) && app.is_none_or(|app| app == of);
        let mut at_work: Vec<_> = world.at_work.iter().filter(|at_work| wanted(&at_work.app)).collect();
        let mut waiting: Vec<_> = world.waiting.iter().filter(|entry| wanted(&entry.app)).collect();
        if let Some(environment) = environment {
            let places = at_work.iter().map(|at_work| &at_work.environment);
            let places: BTreeSet<_> = places.chain(waiting.iter().map(|entry| &entry.environment)).collect();
            let places: Vec<_> = places.into_iter().collect();
            let names = store::environments::names(self.store(), &places).await.map_err(store_error)?;
            at_work.retain(|at_work| names.get(&at_work.environment) == Some(environment));
            waiting.retain(|entry| names.get(&entry.environment) == Some(environment));
        }
        waiting.sort_by_key(|entry| entry.rank);
        let mut spans = Vec::new();
        let mut ids = BTreeSet::new();
        for at_work in at_work {
            let end = (!at_work.stuck).then(|| (at_work.since + at_work.took.p50).max(Utc::now()));
            ids.insert(&at_work.deployment);
            let what = What::AtWork { deployment: at_work.deployment.clone() };
            spans.push((
                &at_work.deployment,
                Span { from: at_work.since, until: end, app: None, environment: None, what },
            ));
        }
        for entry in waiting {
            // One too many tells that there are more.
            if spans.len() > MOST {
                break;
            }
            let Some(start) = foreseen.forecasts.get(&entry.deployment).and_then(|f| f.start) else { continue };
            if start.at < until && ids.insert(&entry.deployment) {
                let what = What::Queued { deployment: entry.deployment.clone(), early: start.early, late: start.late };
                let (from, until) = (start.at, Some(start.at + entry.took.p50));
                spans.push((&entry.deployment, Span { from, until, app: None, environment: None, what }));
            }
        }
        let mut named = Vec::with_capacity(spans.len());
        for part in spans.chunks(CHUNK) {
            let ids: Vec<&DeploymentId> = part.iter().map(|(id, _)| *id).collect();
            let mut records = store::deployments::many(self.store(), &ids).await.map_err(store_error)?;
            for (id, span) in part {
                // One that is gone is told of no more.
                let Some(deployment) = records.remove(*id).map(|record| record.deployment) else { continue };
                let (app, environment) = (Some(deployment.app), Some(deployment.environment));
                named.push(Span { app, environment, ..span.clone() });
            }
        }
        Ok(named)
    }

    async fn runs(
        &self,
        foreseen: &Foreseen,
        sees: &Sees,
        request: &TimelineRequest,
        until: DateTime<Utc>,
    ) -> Result<Vec<Span>, Error> {
        let mut spans = Vec::new();
        let filter = Filter { sees: sees.clone(), ..Filter::default() };
        for schedule in store::schedules::list(self.store(), &filter).await.map_err(store_error)? {
            if !fits(request.app.as_ref(), Some(&schedule.app))
                || !fits(request.environment.as_ref(), Some(&schedule.environment))
            {
                continue;
            }
            let usual = foreseen.took(&schedule.app_id, &schedule.environment_id).p50;
            for (from, end) in timeline::runs(&schedule.cron, schedule.next_at, until, usual) {
                spans.push(Span {
                    from,
                    until: Some(end),
                    app: Some(schedule.app.clone()),
                    environment: Some(schedule.environment.clone()),
                    what: What::Scheduled { schedule: schedule.id.clone(), name: schedule.name.clone() },
                });
            }
        }
        Ok(spans)
    }
}

/// Whether what belongs to `own`, or to everything, is wanted.
fn fits(wanted: Option<&Name>, own: Option<&Name>) -> bool {
    match (wanted, own) {
        (Some(wanted), Some(own)) => wanted == own,
        _ => true,
    }
}
