//! `plimsoll queue`: deployments that wait for their start.

use chrono::{DateTime, Utc};
use domain::DeploymentId;
use domain::queue::Priority;
use operations::Operation;
use operations::deployments::{Cancel, DeploymentRequest};
use operations::queue::{
    Entry, List, ListRequest, Move, MoveRequest, Place, Reschedule, RescheduleRequest, Timeline, TimelineRequest,
};

use super::Context;
use crate::failure::Failure;
use crate::follow;
use crate::table::Table;
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll queue
  plimsoll queue --app shop --env staging
  plimsoll queue move dep_01hf7yat00000000000000002a --first
  plimsoll queue move dep_01hf7yat00000000000000002a --before dep_01hf7yat00000000000000002b
  plimsoll queue reschedule dep_01hf7yat00000000000000002a --at \"2026-12-01 09:30 Europe/Berlin\" --priority high
  plimsoll queue reschedule dep_01hf7yat00000000000000002a --now
  plimsoll queue timeline --app shop
  plimsoll queue cancel dep_01hf7yat00000000000000002a";

/// Show what waits for its start and why, and change its order.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Without a command.
    #[command(flatten)]
    list: ListRequest,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = List::SUMMARY, after_help = EXAMPLES)]
    List(ListRequest),
    #[command(about = Move::SUMMARY, after_help = EXAMPLES)]
    Move(Moved),
    #[command(about = Reschedule::SUMMARY, after_help = EXAMPLES)]
    Reschedule(Rescheduled),
    #[command(about = Timeline::SUMMARY, after_help = EXAMPLES)]
    Timeline(TimelineRequest),
    /// End a deployment that waits, without running it.
    #[command(after_help = EXAMPLES)]
    Cancel(DeploymentRequest),
}

#[derive(Debug, clap::Args)]
struct Moved {
    /// Id of the deployment (`dep_…`).
    #[arg(value_name = "DEPLOYMENT")]
    deployment: DeploymentId,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct To {
    /// Before all others: it starts next, as soon as it can.
    #[arg(long)]
    first: bool,
    /// Behind all others.
    #[arg(long)]
    last: bool,
    /// Before this one.
    #[arg(long, value_name = "DEPLOYMENT")]
    before: Option<DeploymentId>,
    /// Behind this one.
    #[arg(long, value_name = "DEPLOYMENT")]
    behind: Option<DeploymentId>,
}

#[derive(Debug, clap::Args)]
struct Rescheduled {
    /// Id of the deployment (`dep_…`).
    #[arg(value_name = "DEPLOYMENT")]
    deployment: DeploymentId,
    /// Not before this time, such as "2026-12-01 09:30 Europe/Berlin" or "in 2h"; as it is by default.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = super::deploy::instant,
        required_unless_present_any = ["now", "priority"]
    )]
    at: Option<DateTime<Utc>>,
    /// As soon as it may: takes away the time that it was ordered for.
    #[arg(long, conflicts_with = "at")]
    now: bool,
    /// critical, high, normal or low; as it is by default.
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<Priority>,
}

impl From<To> for Place {
    fn from(to: To) -> Self {
        match to {
            To { before: Some(deployment), .. } => Place::Before { deployment },
            To { behind: Some(deployment), .. } => Place::Behind { deployment },
            To { last: true, .. } => Place::Last,
            To { .. } => Place::First,
        }
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    match args.command.unwrap_or(Command::List(args.list)) {
        Command::List(request) => {
            let page = connection.call::<List>(&request).await?;
            if context.out.json {
                return context.out.document(&page);
            }
            if page.items.is_empty() {
                context.out.remark("nothing waits");
                return Ok(());
            }
            context.out.line(table(context, &page.items))?;
            if let Some(next) = page.next {
                context.out.remark(format!("more: --cursor {next}"));
            }
            Ok(())
        }
        Command::Move(Moved { deployment, to }) => {
            let request = MoveRequest { deployment, to: to.into() };
            changed(context, &connection.call::<Move>(&request).await?)
        }
        Command::Reschedule(Rescheduled { deployment, at, now, priority }) => {
            let request = RescheduleRequest { deployment, not_before: at, now, priority };
            changed(context, &connection.call::<Reschedule>(&request).await?)
        }
        Command::Timeline(request) => super::timeline::show(context, &connection.call::<Timeline>(&request).await?),
        Command::Cancel(request) => {
            let ended = follow::begin::<Cancel>(context, &connection, &request).await?;
            match context.out.json {
                true => context.out.document(&ended),
                false => context.out.line(format!("{} is {}", ended.id, text::phase(ended.phase))),
            }
        }
    }
}

fn changed(context: &Context, entry: &Entry) -> Result<(), Failure> {
    match context.out.json {
        true => context.out.document(entry),
        false => context.out.line(format!(
            "{} is number {} of the queue; it waits for {}",
            entry.deployment,
            entry.position,
            clean(&entry.waiting_for)
        )),
    }
}

fn table(context: &Context, items: &[Entry]) -> String {
    let mut table = Table::new(&context.out, &["#", "deployment", "app", "since", "starts", "waits for"]);
    table.keep_whole(1);
    let now = Utc::now();
    for entry in items {
        table.plain_row([
            entry.position.to_string(),
            entry.deployment.to_string(),
            match entry.priority {
                Priority::Normal => format!("{}\n{}", entry.app, entry.environment),
                other => format!("{}\n{}\n{other}", entry.app, entry.environment),
            },
            text::age(entry.enqueued_at, now).to_string(),
            entry.estimate.as_ref().map(|e| super::timeline::estimate(&e.start)).unwrap_or_default(),
            clean(&entry.waiting_for),
        ]);
    }
    table.render()
}
