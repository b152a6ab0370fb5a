//! `plimsoll promote`: the release of one environment, as it was built, to another.

use domain::Name;
use domain::labels::Text;
use domain::promotion::{Comparison, PromotionReport, Severity, Version};
use domain::queue::Priority;
use operations::promotions::{Plan, PlanRequest, Promote, PromoteRequest};
use operations::{Error, Operation};

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow;
use crate::text::{clean, count};

const EXAMPLES: &str = "\
Examples:
  plimsoll promote staging production
  plimsoll promote staging production --dry-run         what it would bring, and what speaks against it
  plimsoll promote staging production --release v12 --app shop
  plimsoll promote staging production --force one-sandbox-for-both";

/// Nothing is built: the files are the very same. The variables are the target's, and its release command is run.
#[derive(Debug, clap::Args)]
#[command(about = Promote::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Environment that the release comes from.
    from: Name,
    /// Environment that it is to go to.
    to: Name,
    /// Name of the app.
    #[arg(long, short)]
    app: Name,
    /// Number of a release that has served in the source; what serves there now by default.
    #[arg(long, value_name = "RELEASE", value_parser = super::releases::number)]
    release: Option<u32>,
    /// Only compare; the exit code is 4 if the promotion would be refused.
    #[arg(long, visible_alias = "plan")]
    dry_run: bool,
    /// Promote against what blocks it; the reason is recorded.
    #[arg(long, value_name = "REASON", conflicts_with = "dry_run")]
    force: Option<Text>,
    /// How much it matters beside others that wait: critical, high, normal or low.
    #[arg(long, value_name = "PRIORITY", default_value_t)]
    priority: Priority,
    /// Answer as soon as the server has taken it on.
    #[arg(long)]
    detach: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let Args { from, to, app, release, dry_run, force, priority, detach } = args;
    let compare = PlanRequest { app: app.clone(), environment: to.clone(), from: from.clone(), release };
    let report = connection.call::<Plan>(&compare).await?;
    let blocked = report.findings.iter().any(|f| f.severity == Severity::Blocking);
    if dry_run {
        match context.out.json {
            true => context.out.document(&report)?,
            false => lines(&report).into_iter().try_for_each(|line| context.out.line(line))?,
        }
        return if blocked { Err(Failure::Told(Exit::Conflict)) } else { Ok(()) };
    }
    lines(&report).into_iter().for_each(|line| context.out.remark(line));
    if blocked && force.is_none() {
        return Err(Error::conflict(format!("{from} is not promoted to {to}: see what blocks it"))
            .hint("Put it right, or say --force with the reason")
            .into());
    }
    // What was compared is what is promoted, whatever serves in the source by now.
    let request = PromoteRequest { app, environment: to, from, release: Some(report.promoted.number), force, priority };
    let started = follow::begin::<Promote>(context, &connection, &request).await?;
    match (detach, context.out.json) {
        (true, true) => context.out.document(&started),
        (true, false) => context.out.line(format!("{} is under way", started.id)),
        (false, _) => follow::to_the_end(context, &connection, started).await,
    }
}

/// The report for people.
fn lines(report: &PromotionReport) -> Vec<String> {
    let mut lines = vec![format!("{} of {}: {}", report.from, report.app, version(&report.promoted))];
    lines.push(match &report.live {
        Some(live) => format!("{} has {}", report.to, version(live)),
        None => format!("nothing serves in {} yet", report.to),
    });
    for finding in &report.findings {
        let what = match finding.severity {
            Severity::Blocking => "blocks it:",
            Severity::Warning => "warning:",
        };
        lines.push(format!("{what} {}", clean(&finding.message)));
        lines.push(format!("  try: {}", clean(&finding.hint)));
    }
    let variables = |wanted: Comparison| -> Vec<String> {
        report.variables.iter().filter(|v| v.comparison == wanted).map(|v| clean(&v.name)).collect()
    };
    for (what, wanted) in [
        (format!("variables only in {}", report.from), Comparison::OnlyInSource),
        (format!("variables only in {}", report.to), Comparison::OnlyInTarget),
        ("variables that differ".to_owned(), Comparison::Different),
        ("variables that are the same".to_owned(), Comparison::Same),
    ] {
        let names = variables(wanted);
        if !names.is_empty() {
            lines.push(format!("{what}: {}", names.join(", ")));
        }
    }
    let commits = &report.commits;
    for (what, all) in [("brings", &commits.added), ("takes away", &commits.removed)] {
        if !all.is_empty() {
            lines.push(format!("{what} {}:", count(all.len(), "commit")));
            lines.extend(all.iter().map(|c| format!("  {} {}", c.short(), clean(&c.summary))));
        }
    }
    lines.extend(commits.unknown.iter().map(|why| format!("commits are not known: {}", clean(why))));
    for setting in &report.configuration {
        let shown = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or_else(|| "nothing".to_owned(), |value| clean(&value.to_string()))
        };
        lines.push(format!(
            "{}: {} becomes {}",
            clean(&setting.setting),
            shown(&setting.live),
            shown(&setting.promoted)
        ));
    }
    for route in report.routes.iter().filter(|r| r.live != r.promoted) {
        let shown = |name: &Option<Name>| name.as_ref().map_or("nothing", Name::as_str).to_owned();
        lines.push(format!("{}: {} becomes {}", route.route, shown(&route.live), shown(&route.promoted)));
    }
    lines.extend(report.release_commands.iter().map(|c| format!("runs in {}: {}", report.to, clean(c))));
    lines
}

fn version(version: &Version) -> String {
    match &version.commit {
        Some(commit) => format!("v{} ({} {})", version.number, commit.short(), clean(&commit.summary)),
        None => format!("v{} ({})", version.number, version.artifact.short()),
    }
}
