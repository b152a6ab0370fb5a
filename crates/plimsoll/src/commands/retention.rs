//! `plimsoll retention`: how long what is past is kept.

use domain::Name;
use operations::Operation;
use operations::retention::{
    Plan, PlanRequest, RetentionPolicy, Run, RunRequest, Set, SetRequest, Show, ShowRequest, Sweep,
};

use super::Context;
use crate::failure::Failure;
use crate::table::Table;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll retention show
  plimsoll retention set --releases 5 --outputs 30d
  plimsoll retention set --app shop --deployments forever
  plimsoll retention set --app shop --reset
  plimsoll retention run --dry-run

What serves, waits, or is what a rollback would go to always stays.";

/// How long releases, outputs, events and records are kept, and what that removes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = Show::SUMMARY, after_help = EXAMPLES)]
    Show(ShowRequest),
    #[command(about = Set::SUMMARY, after_help = EXAMPLES)]
    Set(SetRequest),
    #[command(about = Run::SUMMARY, after_help = EXAMPLES)]
    Run(Now),
}

#[derive(Debug, clap::Args)]
struct Now {
    /// Only say what would go, and how much space that would give.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let out = &context.out;
    match args.command {
        Command::Show(request) => tell(context, &connection.call::<Show>(&request).await?),
        Command::Set(request) => tell(context, &connection.call::<Set>(&request).await?),
        Command::Run(Now { dry_run }) => {
            let swept = match dry_run {
                true => connection.call::<Plan>(&PlanRequest {}).await?,
                false => connection.call::<Run>(&RunRequest {}).await?,
            };
            match out.json {
                true => out.document(&swept),
                false => out.line(sweep(&swept, if dry_run { "would go" } else { "gone" })),
            }
        }
    }
}

fn tell(context: &Context, policy: &RetentionPolicy) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        return out.document(policy);
    }
    let RetentionPolicy { app, keep, set, apps } = policy;
    let own = if app.is_some() { "of the app" } else { "of the server" };
    let from = |is_set: bool| if is_set { own } else { "default" };
    let mut table = Table::new(out, &["what", "is kept", "set"]);
    let mut row = |what: &str, kept: String, is_set| table.plain_row([what.to_owned(), kept, from(is_set).to_owned()]);
    row("files of releases", format!("{} per environment", keep.releases), set.releases.is_some());
    row("outputs", keep.outputs.to_string(), set.outputs.is_some());
    row("events", keep.events.to_string(), set.events.is_some());
    row("deployments", keep.deployments.to_string(), set.deployments.is_some());
    if app.is_none() {
        row("idempotency keys", keep.keys.to_string(), set.keys.is_some());
    }
    out.line(table.render())?;
    if !apps.is_empty() {
        let names: Vec<&str> = apps.iter().map(Name::as_str).collect();
        out.remark(format!("with settings of their own: {}", names.join(", ")));
    }
    Ok(())
}

fn sweep(swept: &Sweep, how: &str) -> String {
    let counted = |n: u64, noun: &str| text::count(usize::try_from(n).unwrap_or(usize::MAX), noun);
    let mut lines = vec![
        format!("{how}:"),
        format!("  files of {:<22} {}", counted(swept.releases, "release"), text::bytes(swept.release_bytes)),
        format!("  {:<31} {}", counted(swept.outputs, "output"), text::bytes(swept.output_bytes)),
        format!("  {}", counted(swept.events, "event")),
        format!("  {}", counted(swept.deployments, "deployment")),
        format!("  {}", counted(swept.keys, "idempotency key")),
    ];
    if swept.busy_apps > 0 {
        lines.push(format!(
            "  releases of {} are left for later: deployments are at work",
            counted(swept.busy_apps, "app")
        ));
    }
    lines.join("\n")
}
