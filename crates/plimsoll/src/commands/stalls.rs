//! `plimsoll stalls`: when a deployment is taken for stalled, and what is done then.

use std::collections::BTreeMap;

use domain::Name;
use domain::limit::Span;
use domain::phase::Phase;
use domain::stall::Remedy;
use operations::Operation;
use operations::diagnosis::{SetLimits, SetLimitsRequest, ShowLimits, ShowLimitsRequest, StallLimits};

use super::Context;
use crate::failure::Failure;
use crate::table::Table;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll stalls show --app shop
  plimsoll stalls set --silence 10m --phase building=30m
  plimsoll stalls set --app shop --then fail
  plimsoll stalls set --app shop --reset

`plimsoll doctor` tells of those that are stalled, and what helps.";

/// When a deployment is taken for stalled, and what is done then.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = ShowLimits::SUMMARY, after_help = EXAMPLES)]
    Show(ShowLimitsRequest),
    #[command(about = SetLimits::SUMMARY, after_help = EXAMPLES)]
    Set(Change),
}

#[derive(Debug, clap::Args)]
struct Change {
    /// For this app; for all without limits of their own by default.
    #[arg(long, short)]
    app: Option<Name>,
    /// The longest without a sign of life of the server that drives a deployment.
    #[arg(long, value_name = "TIME")]
    heartbeat: Option<Span>,
    /// The longest without a step and without a line of output.
    #[arg(long, value_name = "TIME")]
    silence: Option<Span>,
    /// The same for one phase, in place of what was set for phases; may be given again.
    #[arg(long = "phase", value_name = "PHASE=TIME", value_parser = phase_limit)]
    phases: Vec<(Phase, Span)>,
    /// What is done about it.
    #[arg(long, value_parser = remedy, value_name = "report|fail|resume")]
    then: Option<Remedy>,
    /// Forget what was set before.
    #[arg(long)]
    reset: bool,
}

fn phase_limit(text: &str) -> Result<(Phase, Span), String> {
    let (phase, limit) = text.split_once('=').ok_or("expected a phase and a time, such as building=30m")?;
    let phase = Phase::from_name(phase).ok_or_else(|| format!("there is no phase `{phase}`"))?;
    Ok((phase, limit.parse().map_err(|e: domain::limit::InvalidSpan| e.to_string())?))
}

fn remedy(text: &str) -> Result<Remedy, String> {
    let found = Remedy::ALL.into_iter().find(|remedy| remedy.as_str() == text);
    found.ok_or_else(|| "expected report, fail or resume".to_owned())
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let limits = match args.command {
        Command::Show(request) => connection.call::<ShowLimits>(&request).await?,
        Command::Set(Change { app, heartbeat, silence, phases, then, reset }) => {
            let phases: BTreeMap<_, _> = phases.into_iter().collect();
            let phases = (!phases.is_empty()).then_some(phases);
            let request = SetLimitsRequest { app, heartbeat, silence, phases, then, reset };
            connection.call::<SetLimits>(&request).await?
        }
    };
    tell(context, &limits)
}

fn tell(context: &Context, limits: &StallLimits) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        return out.document(limits);
    }
    let policy = &limits.policy;
    let mut table = Table::new(out, &["stalled", "after"]);
    table.plain_row(["no sign of life".to_owned(), policy.heartbeat.to_string()]);
    table.plain_row(["no step and no output".to_owned(), policy.silence.to_string()]);
    for (phase, limit) in &policy.phases {
        table.plain_row([format!("the same in {}", text::phase(*phase)), limit.to_string()]);
    }
    table.plain_row(["then".to_owned(), policy.then.as_str().to_owned()]);
    out.line(table.render())
}
