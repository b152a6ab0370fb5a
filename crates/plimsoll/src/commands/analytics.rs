//! `plimsoll analytics`: how deployments go.

use domain::analytics::{Analytics, Dora, Durations, Outcomes};
use operations::Operation;
use operations::analytics::{Show, ShowRequest};

use super::Context;
use crate::failure::Failure;
use crate::follow::tag;
use crate::table::{Table, Tone};
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll analytics                                   of all apps, the last 30 days
  plimsoll analytics --app shop --since 7d
  plimsoll analytics --app shop --env production --since 1y --json

p50 and p95 are at most 5 % off. Days are those of UTC. The guide says how the four keys of DORA are reckoned.";

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
    out.line(format!("{} to {}", text::local(found.since), text::local(found.until)))?;
    if found.changes.total + found.rollbacks.total == 0 {
        out.remark("no deployment has ended in this time");
        return Ok(());
    }
    out.line(outcomes("deployments", &found.changes))?;
    out.line(outcomes("rollbacks", &found.rollbacks))?;
    out.line("")?;
    out.line(keys(context, &found.dora))?;
    out.line("")?;
    out.line(durations(context, &found))?;
    if !found.failures.is_empty() {
        out.line("")?;
        out.line(failures(context, &found))?;
    }
    Ok(())
}

fn outcomes(what: &str, of: &Outcomes) -> String {
    let parts = [
        (of.active, "active"),
        (of.failed, "failed"),
        (of.rolled_back, "taken back"),
        (of.cancelled, "cancelled"),
        (of.superseded, "superseded"),
    ];
    let parts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, how)| format!("{n} {how}")).collect();
    let rate = of.success_rate.map(|rate| format!("; {} went well", percent(rate))).unwrap_or_default();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    format!("{what:<12} {}{parts}{rate}", of.total)
}

fn keys(context: &Context, dora: &Dora) -> String {
    let mut table = Table::new(&context.out, &["key", "value", "of"]);
    let row = |key: &str, value: String, of: String| [key.to_owned(), value, of];
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    table.plain_row(row(
        "deployment frequency",
        format!("{:.2} a day", dora.deployments_per_day),
        text::count(dora.deployments as usize, "deployment"),
    ));
    table.plain_row(row(
        "lead time for changes",
        or_none(dora.lead_time.p50_ms.map(took)),
        text::count(dora.lead_time.count as usize, "new commit"),
    ));
    table.plain_row(row(
        "change failure rate",
        or_none(dora.change_failure_rate.map(percent)),
        text::count(dora.failed_changes as usize, "failed change"),
    ));
    table.plain_row(row(
        "time to restore",
        or_none(dora.time_to_restore.p50_ms.map(took)),
        text::count(dora.time_to_restore.count as usize, "restore"),
    ));
    table.render()
}

fn durations(context: &Context, found: &Analytics) -> String {
    let mut table = Table::new(&context.out, &["phase", "passed", "p50", "p95", "failed", "p50", "p95"]);
    let mut row = |name: String, good: Durations, failed: Durations| {
        let tone = if failed.count == 0 { Tone::Plain } else { Tone::Bad };
        let shown = |ms: Option<f64>| (ms.map(took).unwrap_or_default(), Tone::Plain);
        table.row([
            (name, Tone::Plain),
            (good.count.to_string(), Tone::Plain),
            shown(good.p50_ms),
            shown(good.p95_ms),
            (failed.count.to_string(), tone),
            shown(failed.p50_ms),
            shown(failed.p95_ms),
        ]);
    };
    for figures in &found.phases {
        row(text::phase(figures.phase), figures.good, figures.failed);
    }
    for figures in &found.kinds {
        row(format!("whole {}", tag(&figures.kind)), figures.good, figures.failed);
    }
    table.render()
}

fn failures(context: &Context, found: &Analytics) -> String {
    let mut table = Table::new(&context.out, &["failed in", "cause", "times", "last"]);
    for point in &found.failures {
        table.plain_row([text::phase(point.phase), tag(&point.cause), point.count.to_string(), point.last.to_string()]);
    }
    table.keep_whole(3);
    table.render()
}

fn took(ms: f64) -> String {
    text::took(std::time::Duration::from_secs_f64(ms / 1000.0))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
