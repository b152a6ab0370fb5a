//! How deployments go now and day by day, and how releases answer.

use std::collections::BTreeMap;

use domain::analytics::{days, report};
use domain::lifetime::Lifetime;
use domain::{EnvironmentId, ReleaseId};
use ingress::ReleaseStats;
use operations::Error;
use operations::figures::{Figures, MOST_DAYS, ReleaseFigures, Show, ShowRequest};
use store::beats::Working;

use super::analytics::{Chosen, window};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;

impl Handle<Show> for Control {
    async fn handle(&self, who: &Admitted, request: ShowRequest) -> Result<Figures, Error> {
        if request.since > Lifetime::days(MOST_DAYS) {
            return Err(Error::unprocessable(format!("`since` must be at most {MOST_DAYS}d, as each day is told"))
                .hint("`plimsoll analytics` goes back as far as you like"));
        }
        let store = self.store();
        let chosen = self.chosen(who, request.app.as_ref(), request.environment.as_ref()).await?;
        let window = window(request.since);
        let counted = store::analytics::counted_by_day(store, &chosen.scope, window.since).await;
        let counted = counted.map_err(store_error)?;
        let failures = store::analytics::failures(store, &chosen.scope, window.since).await.map_err(store_error)?;
        let working = store::beats::working(store).await.map_err(store_error)?;
        let concerns = |of: &&Working| chosen.scope.includes(&of.record.environment_id) && !of.cleans_up();
        let running = working.iter().filter(concerns).count();
        Ok(Figures {
            running: running as u64,
            queued: store::queue::count(store, &chosen.waiting).await.map_err(store_error)?,
            analytics: report(window, counted.iter().map(|(_, counted)| *counted), failures),
            days: days(window, counted),
            releases: self.release_figures(&chosen).await?,
        })
    }
}

impl Control {
    async fn release_figures(&self, chosen: &Chosen) -> Result<Option<Vec<ReleaseFigures>>, Error> {
        let Ok(stats) = self.world().ingress.stats().await else { return Ok(None) };
        let counted = together(stats.releases.into_iter().filter(|of| chosen.scope.includes(&of.environment)));
        let environments: Vec<&EnvironmentId> = counted.keys().map(|(environment, _)| environment).collect();
        let environments = store::environments::many(self.store(), &environments).await.map_err(store_error)?;
        let releases: Vec<&ReleaseId> = counted.keys().map(|(_, release)| release).collect();
        let marks = store::releases::marks(self.store(), &releases).await.map_err(store_error)?;
        let mut all: Vec<ReleaseFigures> = counted
            .iter()
            .filter_map(|((environment, release), stats)| {
                // Of one that was deleted nobody asks any more.
                let environment = environments.get(environment)?;
                let errors = failing(stats);
                Some(ReleaseFigures {
                    app: environment.app.clone(),
                    environment: environment.name.clone(),
                    release: release.clone(),
                    number: marks.get(release).map(|mark| mark.number),
                    active: environment.active_release.as_ref() == Some(release),
                    since: stats.since,
                    requests: stats.requests,
                    errors,
                    error_rate: (stats.requests > 0).then(|| (errors as f64 / stats.requests as f64).min(1.0)),
                    p50_ms: stats.latency.percentile(50.0),
                    p95_ms: stats.latency.percentile(95.0),
                    p99_ms: stats.latency.percentile(99.0),
                })
            })
            .collect();
        // Ids begin with the time at which they were made.
        all.sort_by(|a, b| (&a.app, &a.environment, &b.release).cmp(&(&b.app, &b.environment, &a.release)));
        Ok(Some(all))
    }
}

/// Requests that did not get a whole answer of the app. Those that the ingress answered in its place have a status, too.
fn failing(stats: &ReleaseStats) -> u64 {
    let [.., server_errors] = stats.statuses;
    server_errors + stats.errors.aborted
}

/// The components of a release as one.
fn together(counted: impl Iterator<Item = ReleaseStats>) -> BTreeMap<(EnvironmentId, ReleaseId), ReleaseStats> {
    let mut all: BTreeMap<(EnvironmentId, ReleaseId), ReleaseStats> = BTreeMap::new();
    for more in counted {
        let key = (more.environment.clone(), more.release.clone());
        let Some(sum) = all.get_mut(&key) else {
            all.insert(key, more);
            continue;
        };
        sum.since = sum.since.min(more.since);
        sum.requests += more.requests;
        for (sum, more) in sum.statuses.iter_mut().zip(more.statuses) {
            *sum += more;
        }
        sum.errors.aborted += more.errors.aborted;
        sum.latency.add(&more.latency);
    }
    all
}
