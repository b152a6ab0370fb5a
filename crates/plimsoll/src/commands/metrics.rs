//! `plimsoll metrics`: requests, errors and latencies by release.

use domain::Name;
use operations::apps;
use operations::environments::{self, EnvironmentRequest};
use operations::metrics::{Get, Metrics, ReleaseMetrics};

use super::Context;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll metrics
  plimsoll metrics shop --env staging
  plimsoll metrics shop --json";

/// Show requests, errors and latencies by release, as the ingress counts them.
///
/// Errors are answers of 500 and above, those included that the ingress made in the app's place, and answers that broke
/// off. Latency is the time to the first byte of the answer.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Name of the app; by default the one of this folder.
    #[arg(value_name = "APP")]
    name: Option<Name>,
    /// Only this environment.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    environment: Option<Name>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let app = context.app(args.name)?;
    let environments = match args.environment {
        Some(name) => vec![name],
        None => {
            let all = connection.call::<environments::List>(&apps::GetRequest { app: app.clone() }).await?;
            all.into_iter().map(|e| e.name).collect()
        }
    };
    let mut found = Vec::new();
    for environment in environments {
        found.push(connection.call::<Get>(&EnvironmentRequest { app: app.clone(), environment }).await?);
    }
    let out = &context.out;
    if out.json {
        return out.document(&found);
    }
    if found.iter().all(|m| m.releases.is_empty()) {
        out.remark("no figures yet: nothing of it was routed");
        return Ok(());
    }
    out.line(table(context, &found))
}

fn table(context: &Context, found: &[Metrics]) -> String {
    let header =
        ["env", "release", "component", "requests", "errors", "retries", "in flight", "p50", "p95", "p99", "since"];
    let mut table = Table::new(&context.out, &header);
    for metrics in found {
        for counted in &metrics.releases {
            let errors = counted.responses.server_errors + counted.errors.aborted;
            let tone = if errors == 0 { Tone::Plain } else { Tone::Bad };
            let plain = |text: String| (text, Tone::Plain);
            let ms = |value: f64| plain(format!("{value:.1} ms"));
            table.row([
                plain(metrics.environment.to_string()),
                plain(release(counted)),
                plain(counted.component.to_string()),
                plain(counted.requests.to_string()),
                (errors.to_string(), tone),
                plain(counted.retries.to_string()),
                plain(counted.in_flight.to_string()),
                ms(counted.latency.p50_ms),
                ms(counted.latency.p95_ms),
                ms(counted.latency.p99_ms),
                plain(text::local(counted.since)),
            ]);
        }
    }
    table.render()
}

fn release(counted: &ReleaseMetrics) -> String {
    let name = counted.number.map_or_else(|| counted.release.to_string(), |number| format!("v{number}"));
    if counted.active { format!("{name} *") } else { name }
}
