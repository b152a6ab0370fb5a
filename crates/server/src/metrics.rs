//! `/metrics`: numbers for Prometheus and what understands its text.

use std::fmt;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use control::Caller;
use control::metrics::{Ingress, Metrics, Timed};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use operations::{Error, Permission, Place};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::Plane;
use crate::problem::Problem;
use crate::requests::Counted;

const OPEN_METRICS: &str = "application/openmetrics-text";

type Labels = Vec<(&'static str, String)>;

/// The page for who may look at the server.
pub(crate) async fn page(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    plane.control.admit_to(caller, "metrics.read", Permission::ServerLook, Place::Server).await?;
    open_page(State(plane), headers).await
}

/// All numbers of this moment, for whoever reaches the page.
pub(crate) async fn open_page(State(plane): State<Plane>, headers: HeaderMap) -> Result<Response, Problem> {
    let metrics = plane.control.metrics().await?;
    let text = render(metrics, plane.around.requests.counted()).map_err(|e| {
        tracing::error!("the metrics can't be written: {e}");
        Error::internal()
    })?;
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok()).any(|v| v.contains(OPEN_METRICS));
    let kind = match accepts {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    };
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response())
}

fn render(metrics: Metrics, requests: Vec<Counted>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page { metrics, requests }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Page {
    metrics: Metrics,
    requests: Vec<Counted>,
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut to = Writer(encoder);
        self.server(&mut to)?;
        self.deployments(&mut to)?;
        self.instances(&mut to)?;
        if let Some(ingress) = &self.metrics.ingress {
            traffic(ingress, &mut to)?;
        }
        Ok(())
    }
}

impl Page {
    fn server(&self, to: &mut Writer<'_>) -> fmt::Result {
        let m = &self.metrics;
        let build = vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("database", m.database.to_owned())];
        to.gauges("plimsoll_build", "This server; always 1", [(build, 1.0)])?;
        let started = m.started_at.timestamp_millis() as f64 / 1000.0;
        to.gauges("plimsoll_start_time_seconds", "When the server started", [(vec![], started)])?;
        let passed = [(vec![], m.since_pass)];
        to.gauges("plimsoll_reconciler_age_seconds", "Since the reconciler last came through", passed)?;
        let free = m.free.map(|free| (vec![], free as f64));
        to.gauges("plimsoll_data_free_bytes", "Free space where the data folder is", free)?;
        let of = |pick: fn(&control::metrics::Usage) -> f64| {
            m.processes.iter().map(move |(role, usage)| (vec![("role", (*role).to_owned())], pick(usage)))
        };
        to.gauges("plimsoll_process_resident_bytes", "Memory of our processes", of(|u| u.resident as f64))?;
        to.gauges("plimsoll_process_open_files", "Open files of our processes", of(|u| u.open_files as f64))?;
        to.counters("plimsoll_process_cpu_seconds", "Processor time of our processes", of(|u| u.cpu))?;
        let none: fn() -> Labels = Vec::new;
        to.histograms("plimsoll_database_turn_seconds", "Waits for the turn to write", [(none(), &m.turns)])?;
        to.histograms("plimsoll_database_write_seconds", "Writes with their commits", [(none(), &m.writes)])?;
        to.histograms("plimsoll_journal_append_seconds", "Durable appends to journals", [(none(), &m.journal)])?;
        let labels = |c: &Counted| {
            vec![("method", c.method.to_owned()), ("path", c.path.clone()), ("status", c.class.to_owned())]
        };
        let counts = self.requests.iter().map(|c| (labels(c), c.count as f64));
        to.counters("plimsoll_api_requests", "Answers of the API", counts)?;
        let seconds = self.requests.iter().map(|c| (labels(c), c.seconds));
        to.counters("plimsoll_api_request_seconds", "Time that they took; streams until they end", seconds)
    }

    fn deployments(&self, to: &mut Writer<'_>) -> fmt::Result {
        let m = &self.metrics;
        let open = m.open.iter().map(|(phase, n)| (vec![("phase", (*phase).to_owned())], *n as f64));
        let told = "Deployments that have not ended; `queued` waits for a slot, `active` cleans up";
        to.gauges("plimsoll_deployments_open", told, open)?;
        to.gauges("plimsoll_deployments_stuck", "Deployments that wait for an operator", [(vec![], m.stuck as f64)])?;
        let stalled = [(vec![], m.stalled as f64)];
        to.gauges("plimsoll_deployments_stalled", "Deployments without a sign of life or of progress", stalled)?;
        let ended = m.ended.iter().map(|((kind, outcome), n)| {
            (vec![("kind", (*kind).to_owned()), ("outcome", (*outcome).to_owned())], *n as f64)
        });
        to.counters("plimsoll_deployments", "Deployments that ended since the server started", ended)?;
        let phases = m.phases.iter().map(|(phase, timed)| (vec![("phase", (*phase).to_owned())], timed));
        to.histograms("plimsoll_deployment_phase_seconds", "Time in a phase, of deployments that ended", phases)
    }

    fn instances(&self, to: &mut Writer<'_>) -> fmt::Result {
        let m = &self.metrics;
        let place =
            |app: &String, environment: &String| vec![("app", app.clone()), ("environment", environment.clone())];
        let instances = m.instances.iter().map(|((app, environment, state), n)| {
            let mut labels = place(app, environment);
            labels.push(("state", (*state).to_owned()));
            (labels, *n as f64)
        });
        to.gauges("plimsoll_instances", "Instances that should run, by what they do", instances)?;
        let restarts = m.restarts.iter().map(|((app, environment), n)| (place(app, environment), *n as f64));
        to.gauges("plimsoll_instance_restarts", "Times that the present instances were started again", restarts)?;
        let revived = [(vec![], m.revived as f64)];
        to.counters("plimsoll_instances_revived", "Instances that the reconciler had to start", revived)
    }
}

fn traffic(ingress: &Ingress, to: &mut Writer<'_>) -> fmt::Result {
    let connections = [(vec![], ingress.status.connections as f64)];
    to.gauges("plimsoll_ingress_connections", "Client connections that are open", connections)?;
    let degraded = f64::from(u8::from(ingress.status.degraded.is_some()));
    to.gauges("plimsoll_ingress_degraded", "1 when the ingress is not quite well", [(vec![], degraded)])?;
    let unrouted = [(vec![], ingress.unrouted as f64)];
    to.counters("plimsoll_ingress_unrouted_requests", "Requests for a host or path that nobody has", unrouted)?;
    let refused = [(vec![], ingress.refused as f64)];
    to.counters(
        "plimsoll_ingress_refused_requests",
        "Requests that were ambiguous, malformed or for no host",
        refused,
    )?;
    let labels = |t: &control::metrics::Traffic| {
        vec![
            ("app", t.app.clone()),
            ("environment", t.environment.clone()),
            ("release", t.release.clone()),
            ("component", t.stats.component.to_string()),
        ]
    };
    let with = |t: &control::metrics::Traffic, name: &'static str, value: &str| {
        let mut labels = labels(t);
        labels.push((name, value.to_owned()));
        labels
    };
    let statuses = ingress.releases.iter().flat_map(|t| {
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(t.stats.statuses);
        classes.map(move |(class, n)| (with(t, "status", class), n as f64))
    });
    to.counters("plimsoll_ingress_responses", "Responses, those that the ingress made itself included", statuses)?;
    let errors = ingress.releases.iter().flat_map(|t| {
        let e = &t.stats.errors;
        let kinds = [
            ("bad_gateway", e.bad_gateway),
            ("unavailable", e.unavailable),
            ("timeout", e.timeout),
            ("aborted", e.aborted),
            ("fallback", e.fallback),
        ];
        kinds.map(|(kind, n)| (with(t, "kind", kind), n as f64))
    });
    to.counters("plimsoll_ingress_errors", "Failures to get a whole response from a release", errors)?;
    let each = |pick: fn(&control::metrics::Traffic) -> f64| ingress.releases.iter().map(move |t| (labels(t), pick(t)));
    to.counters("plimsoll_ingress_requests", "Requests, answered or abandoned", each(|t| t.stats.requests as f64))?;
    to.counters("plimsoll_ingress_abandoned", "Requests whose client went away", each(|t| t.stats.abandoned as f64))?;
    to.counters("plimsoll_ingress_sent_bytes", "Bytes of response bodies", each(|t| t.stats.bytes_sent as f64))?;
    to.gauges("plimsoll_ingress_in_flight", "Requests that are being answered", each(|t| t.stats.in_flight as f64))?;
    to.counters("plimsoll_ingress_retries", "Attempts after the first", each(|t| t.stats.retries as f64))?;
    to.gauges("plimsoll_ingress_tunnels", "WebSockets and the like that are open", each(|t| t.stats.tunnels as f64))?;
    let quantiles = ingress.releases.iter().flat_map(|t| {
        let latency = &t.stats.latency;
        let known = [50.0, 95.0, 99.0].map(|percent| latency.percentile(percent));
        let known = [("0.5", known[0]), ("0.95", known[1]), ("0.99", known[2])];
        known.map(|(quantile, ms)| (with(t, "quantile", quantile), ms / 1000.0))
    });
    to.gauges("plimsoll_ingress_latency_seconds", "From a request's head to the first byte of its answer", quantiles)
}

/// Writes one metric after the other.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn gauges(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, f64)>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            match labels.is_empty() {
                true => metric.encode_gauge(&value)?,
                false => metric.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    /// `_total` is appended to the name.
    fn counters(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, f64)>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            match labels.is_empty() {
                true => metric.encode_counter::<Labels, f64, f64>(&value, None)?,
                false => metric.encode_family(&labels)?.encode_counter::<Labels, f64, f64>(&value, None)?,
            }
        }
        Ok(())
    }

    fn histograms<'t>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, &'t Timed)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, timed) in samples {
            let Timed { sum, count, buckets } = timed;
            match labels.is_empty() {
                true => metric.encode_histogram::<Labels>(*sum, *count, buckets, None)?,
                false => metric.encode_family(&labels)?.encode_histogram::<Labels>(*sum, *count, buckets, None)?,
            }
        }
        Ok(())
    }
}
