//! What the ingress counts, by release.

use std::collections::HashMap;

use ingress::ReleaseStats;
use operations::Error;
use operations::environments::EnvironmentRequest;
use operations::metrics::{Errors, Get, Latency, Metrics, ReleaseMetrics, Responses};
use store::StoreError;

use super::environment_named;
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;

impl Handle<Get> for Control {
    async fn handle(&self, _: &Admitted, request: EnvironmentRequest) -> Result<Metrics, Error> {
        let (app, row) = environment_named(self.store(), &request.app, &request.environment).await?;
        let stats = self.world().ingress.stats().await.map_err(|e| {
            Error::unavailable(format!("the figures are with the ingress: {e}"))
                .hint("the server starts it again within seconds; see `plimsoll version`")
        })?;
        let mut counted: Vec<_> = stats.releases.into_iter().filter(|s| s.environment == row.id).collect();
        // Ids begin with the time at which they were made.
        counted.sort_by(|a, b| b.release.cmp(&a.release).then_with(|| a.component.cmp(&b.component)));
        let mut numbers = HashMap::new();
        let mut releases = Vec::with_capacity(counted.len());
        for stats in counted {
            let number = match numbers.get(&stats.release) {
                Some(known) => *known,
                None => {
                    let found = match store::releases::get(self.store(), &stats.release).await {
                        Ok(release) => Some(release.number),
                        Err(StoreError::NotFound { .. }) => None,
                        Err(e) => return Err(store_error(e)),
                    };
                    numbers.insert(stats.release.clone(), found);
                    found
                }
            };
            let active = row.active_release.as_ref() == Some(&stats.release);
            releases.push(metrics(stats, number, active));
        }
        Ok(Metrics { app: app.name, environment: row.name, releases })
    }
}

fn metrics(stats: ReleaseStats, number: Option<u32>, active: bool) -> ReleaseMetrics {
    let [informational, successful, redirects, client_errors, server_errors] = stats.statuses;
    let ingress::Errors { bad_gateway, unavailable, timeout, aborted, fallback } = stats.errors;
    ReleaseMetrics {
        release: stats.release,
        number,
        component: stats.component,
        active,
        since: stats.since,
        requests: stats.requests,
        responses: Responses { informational, successful, redirects, client_errors, server_errors },
        errors: Errors { bad_gateway, unavailable, timeout, aborted, fallback },
        retries: stats.retries,
        abandoned: stats.abandoned,
        in_flight: stats.in_flight,
        tunnels: stats.tunnels,
        bytes_sent: stats.bytes_sent,
        latency: latency(&stats.latency),
    }
}

fn latency(latency: &ingress::Latency) -> Latency {
    let count = latency.count();
    Latency {
        count,
        mean_ms: if count == 0 { 0.0 } else { latency.sum_micros as f64 / count as f64 / 1000.0 },
        p50_ms: latency.percentile(50.0),
        p90_ms: latency.percentile(90.0),
        p95_ms: latency.percentile(95.0),
        p99_ms: latency.percentile(99.0),
        p999_ms: latency.percentile(99.9),
    }
}
