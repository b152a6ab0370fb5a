//! `plimsoll schedules`: deployments that repeat.

use domain::schedule::{Cron, Missed, RunOutcome};
use operations::Operation;
use operations::schedules::{
    Delete, Get, List, ListRequest, Preview, PreviewRequest, Schedule, ScheduleRequest, Update, UpdateRequest,
};

use super::Context;
use super::deploy::missed;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll deploy shop --cron \"0 6 * * MON-FRI Europe/London\"       make one
  plimsoll deploy shop --env staging --cron \"30 2 * * * Europe/Berlin\" --schedule nightly --missed skip
  plimsoll schedules preview \"30 2 * * SUN Europe/Berlin\" --zone America/New_York
  plimsoll schedules list
  plimsoll schedules show nightly
  plimsoll schedules change nightly --cron \"0 3 * * * Europe/Berlin\"
  plimsoll schedules change nightly --missed run_once
  plimsoll schedules disable nightly
  plimsoll schedules enable nightly
  plimsoll schedules delete nightly --yes

A local time that the clocks skip runs once, right after the gap; one that comes twice runs the first time alone.";

/// Look at schedules, change, enable, disable and delete them; `plimsoll deploy --cron` makes them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = List::SUMMARY, after_help = EXAMPLES)]
    List(ListRequest),
    #[command(about = Get::SUMMARY, after_help = EXAMPLES)]
    Show(ScheduleRequest),
    /// Change when a schedule runs, or what becomes of runs that it misses.
    #[command(after_help = EXAMPLES)]
    Change(Box<Change>),
    /// Let a schedule run again, from its next time on.
    #[command(after_help = EXAMPLES)]
    Enable(ScheduleRequest),
    /// Keep a schedule from running.
    #[command(after_help = EXAMPLES)]
    Disable(ScheduleRequest),
    #[command(about = Delete::SUMMARY, after_help = EXAMPLES)]
    Delete(Gone),
    #[command(about = Preview::SUMMARY, after_help = EXAMPLES)]
    Preview(PreviewRequest),
}

#[derive(Debug, clap::Args)]
struct Change {
    #[command(flatten)]
    request: ScheduleRequest,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct To {
    /// Run at the times of this cron expression with a time zone, from now on: "0 6 * * MON-FRI Europe/London".
    #[arg(long, value_name = "CRON")]
    cron: Option<Cron>,
    /// What to do about runs that are missed: run_once or skip.
    #[arg(long, value_name = "POLICY", value_parser = missed)]
    missed: Option<Missed>,
}

#[derive(Debug, clap::Args)]
struct Gone {
    #[command(flatten)]
    request: ScheduleRequest,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let out = &context.out;
    let connection = context.connect()?;
    let enabled = matches!(args.command, Command::Enable(_));
    match args.command {
        Command::List(request) => {
            let all = connection.call::<List>(&request).await?;
            if out.json {
                return out.document(&all);
            }
            if all.is_empty() {
                out.remark("there are no schedules: `plimsoll deploy --cron` makes one");
                return Ok(());
            }
            out.line(table(context, &all))
        }
        Command::Show(request) => show(context, &connection.call::<Get>(&request).await?),
        Command::Change(change) => {
            let Change { request, to: To { cron, missed } } = *change;
            let cron = cron.map(|cron| cron.to_string());
            let request = UpdateRequest { schedule: request.schedule, enabled: None, cron, missed };
            changed(context, &connection.call::<Update>(&request).await?)
        }
        Command::Enable(request) | Command::Disable(request) => {
            let request =
                UpdateRequest { schedule: request.schedule, enabled: Some(enabled), cron: None, missed: None };
            changed(context, &connection.call::<Update>(&request).await?)
        }
        Command::Delete(Gone { request, yes }) => {
            confirm(yes, &format!("Deleting the schedule {}", clean(&request.schedule)))?;
            let gone = connection.call::<Delete>(&request).await?;
            match out.json {
                true => out.document(&gone),
                false => out.line(format!("deleted the schedule {} of {}", gone.name, gone.app)),
            }
        }
        Command::Preview(request) => {
            let found = connection.call::<Preview>(&request).await?;
            if out.json {
                return out.document(&found);
            }
            out.line(format!("{}, {}", found.words, found.cron.zone()))?;
            let mut table = Table::new(out, &[found.cron.zone().name(), &request.zone]);
            found.runs.iter().for_each(|run| table.plain_row([run.there.clone(), run.here.clone()]));
            out.line(table.render())
        }
    }
}

fn changed(context: &Context, schedule: &Schedule) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        return out.document(schedule);
    }
    out.line(match schedule.upcoming.first() {
        Some(next) => format!("{} runs next at {}", schedule.name, schedule.cron.zone().show(*next)),
        None => format!("{} does not run: it is disabled", schedule.name),
    })
}

fn table(context: &Context, all: &[Schedule]) -> String {
    let mut table = Table::new(&context.out, &["name", "app", "environment", "cron", "next", "last"]);
    for schedule in all {
        let (last, tone) = last(schedule);
        let next = match schedule.upcoming.first() {
            Some(next) => schedule.cron.zone().show(*next),
            None => "disabled".to_owned(),
        };
        table.row([
            (schedule.name.to_string(), Tone::Plain),
            (schedule.app.to_string(), Tone::Plain),
            (schedule.environment.to_string(), Tone::Plain),
            (schedule.cron.to_string(), Tone::Plain),
            (next, Tone::Plain),
            (last, tone),
        ]);
    }
    table.render()
}

fn last(schedule: &Schedule) -> (String, Tone) {
    match schedule.last_run.as_ref().map(|run| &run.outcome) {
        None => (String::new(), Tone::Plain),
        Some(RunOutcome::Deployed { deployment }) => (deployment.to_string(), Tone::Good),
        Some(RunOutcome::Skipped { why }) => (format!("skipped: {}", clean(why)), Tone::Waiting),
        Some(RunOutcome::Failed { why }) => (format!("failed: {}", clean(why)), Tone::Bad),
    }
}

/// One schedule, line by line.
pub(super) fn show(context: &Context, schedule: &Schedule) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        return out.document(schedule);
    }
    out.line(format!("schedule  {} ({})", schedule.name, schedule.id))?;
    out.line(format!("deploys   {} to {}", schedule.app, schedule.environment))?;
    out.line(format!("cron      {}", schedule.cron))?;
    out.line(format!("missed    {}", schedule.missed.as_str()))?;
    out.line(format!("made by   {}", clean(&schedule.created_by)))?;
    if !schedule.enabled {
        out.line("disabled")?;
    }
    for next in &schedule.upcoming {
        out.line(format!("runs at   {}", schedule.cron.zone().show(*next)))?;
    }
    if let Some(run) = &schedule.last_run {
        out.line(format!("last      {}: {}", text::local(run.planned_at), last(schedule).0))?;
    }
    Ok(())
}
