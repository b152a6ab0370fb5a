//! `plimsoll plans`: plans that can still be carried out.

use chrono::Utc;
use operations::Operation;
use operations::plans::{Get, List, ListRequest, PlanRequest};

use super::{Context, plan};
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll plans list --app shop
  plimsoll plans list --json
  plimsoll plans show 3f2a9c1d04be";

/// List and show plans.
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
    Show(PlanRequest),
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    match args.command {
        Command::List(request) => {
            let page = connection.call::<List>(&request).await?;
            if context.out.json {
                return context.out.document(&page);
            }
            if page.items.is_empty() {
                context.out.remark("there is no plan: `plimsoll plan` makes one, and it is kept for a day");
                return Ok(());
            }
            let mut table = Table::new(&context.out, &["plan", "app", "what", "release", "made", "by"]);
            let now = Utc::now();
            for plan in &page.items {
                let release = plan.release.number.map_or_else(|| "new".to_owned(), |n| format!("v{n}"));
                let commit = plan.commit.as_ref().map(|commit| format!(" of {}", commit.short())).unwrap_or_default();
                let tone = if plan.blocked { Tone::Bad } else { Tone::Plain };
                let blocked = if plan.blocked { ", would fail" } else { "" };
                table.row([
                    (plan.digest.short().to_owned(), Tone::Plain),
                    (format!("{} {}", plan.app, plan.environment), Tone::Plain),
                    (format!("{}{commit}{blocked}", plan.kind.as_str()), tone),
                    (release, Tone::Plain),
                    (format!("{} ago", text::age(plan.created_at, now)), Tone::Plain),
                    (plan.created_by.clone(), Tone::Plain),
                ]);
            }
            table.keep_whole(0);
            context.out.line(table.render())?;
            if let Some(next) = page.next {
                context.out.remark(format!("more: --cursor {next}"));
            }
            Ok(())
        }
        Command::Show(request) => {
            let found = connection.call::<Get>(&request).await?;
            plan::show(context, &found)
        }
    }
}
