//! `plimsoll notices`: what happened that people want to be told.

use domain::notice::{Level, Notice};
use operations::Operation;
use operations::notices::{List, ListRequest, Seen, SeenRequest};

use super::Context;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll notices list
  plimsoll notices list --limit 100
  plimsoll notices seen 4711
  plimsoll notices list --json

Apps that you have muted are left out: `plimsoll mutes`. `plimsoll channels` says who is told by Slack, mail and webhooks.";

/// Show what happened that people want to be told.
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
    #[command(about = Seen::SUMMARY, after_help = EXAMPLES)]
    Seen(SeenRequest),
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (out, connection) = (&context.out, context.connect()?);
    match args.command {
        Command::List(request) => {
            let page = connection.call::<List>(&request).await?;
            if out.json {
                return out.document(&page);
            }
            match page.items.is_empty() {
                true => out.remark("nothing has happened that people want to be told"),
                false => out.line(table(context, &page.items, page.seen))?,
            }
            if let Some(next) = page.next {
                out.remark(format!("more: --before {next}"));
            }
            Ok(())
        }
        Command::Seen(request) => {
            let mark = connection.call::<Seen>(&request).await?;
            match out.json {
                true => out.document(&mark),
                false => out.line(format!("seen up to {}", mark.seen)),
            }
        }
    }
}

fn table(context: &Context, all: &[Notice], seen: Option<i64>) -> String {
    let mut table = Table::new(&context.out, &["event", "when", "what", "more"]);
    for notice in all {
        let tone = match notice.level {
            Level::Failure => Tone::Bad,
            Level::Warning => Tone::Waiting,
            Level::Success => Tone::Good,
            Level::Info => Tone::Plain,
        };
        let is_new = seen.is_some_and(|seen| notice.cursor > seen);
        let plain = |text: String| (text, Tone::Plain);
        table.row([
            plain(format!("{}{}", notice.cursor, if is_new { " new" } else { "" })),
            plain(text::local(notice.at)),
            (clean(&notice.title), tone),
            plain(notice.body.as_deref().map(text::clean_lines).unwrap_or_default()),
        ]);
    }
    table.keep_whole(0);
    table.render()
}
