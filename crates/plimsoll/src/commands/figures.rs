//! `plimsoll figures`: how deployments go day by day, and how releases answer.

use domain::analytics::Day;
use operations::Operation;
use operations::figures::{ReleaseFigures, Show, ShowRequest};

use super::Context;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll figures                                   of all apps, the last 30 days
  plimsoll figures --app shop --since 7d
  plimsoll figures --app shop --env production --json

Days are those of UTC; days on which nothing ended are left out here. `plimsoll analytics` sums them up.";

#[derive(Debug, clap::Args)]
#[command(about = Show::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    request: ShowRequest,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let found = context.connect()?.call::<Show>(&args.request).await?;
    let out = &context.out;
    if out.json {
        return out.document(&found);
    }
    out.line(format!("{} at work, {} waiting", found.running, found.queued))?;
    let busy: Vec<&Day> =
        found.days.iter().filter(|day| day.changes.total > 0 || day.dora.failed_changes > 0).collect();
    if busy.is_empty() {
        out.remark("no deployment has ended in this time");
    } else {
        out.line("")?;
        out.line(by_day(context, &busy))?;
    }
    match &found.releases {
        None => out.remark("the ingress does not answer, so nothing is known of requests"),
        Some(releases) if releases.is_empty() => out.remark("no requests yet"),
        Some(releases) => {
            out.line("")?;
            out.line(by_release(context, releases))?;
        }
    }
    Ok(())
}

fn by_day(context: &Context, days: &[&Day]) -> String {
    let head = ["day", "ended", "good", "success", "lead time", "failed changes", "restored in"];
    let mut table = Table::new(&context.out, &head);
    for Day { at, changes, dora } in days {
        table.plain_row([
            at.format("%Y-%m-%d").to_string(),
            changes.total.to_string(),
            changes.active.to_string(),
            share(changes.success_rate),
            took(dora.lead_time.p50_ms),
            dora.failed_changes.to_string(),
            took(dora.time_to_restore.p50_ms),
        ]);
    }
    table.render()
}

fn by_release(context: &Context, releases: &[ReleaseFigures]) -> String {
    let head = ["app", "environment", "release", "requests", "failing", "p50", "p95", "p99"];
    let mut table = Table::new(&context.out, &head);
    for of in releases {
        let tone = if of.active { Tone::Good } else { Tone::Plain };
        let failing = if of.errors > 0 { Tone::Bad } else { Tone::Plain };
        let plain = |text: String| (text, Tone::Plain);
        table.row([
            plain(of.app.to_string()),
            plain(of.environment.to_string()),
            (of.number.map_or_else(|| of.release.to_string(), |number| format!("v{number}")), tone),
            plain(of.requests.to_string()),
            (share(of.error_rate), failing),
            plain(ms(of.p50_ms)),
            plain(ms(of.p95_ms)),
            plain(ms(of.p99_ms)),
        ]);
    }
    table.render()
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn took(ms: Option<f64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| text::took(std::time::Duration::from_secs_f64(ms / 1000.0)))
}

fn ms(ms: f64) -> String {
    format!("{ms:.1} ms")
}
