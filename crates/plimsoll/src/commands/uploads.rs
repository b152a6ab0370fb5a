//! `plimsoll uploads`: archives on the server that wait to be deployed.

use chrono::Utc;
use operations::Operation;
use operations::uploads::{Delete, List, ListRequest, Upload, UploadRequest};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll uploads list
  plimsoll uploads remove upl_01k8m3v5q2w4x6y8z0a1b2c3d4 --yes
  plimsoll deploy --archive app.tar.zst    sends an archive and deploys it";

/// List and remove archives that were sent and wait to be deployed.
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
    #[command(about = Delete::SUMMARY, after_help = EXAMPLES, alias = "delete")]
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
struct Remove {
    #[command(flatten)]
    request: UploadRequest,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
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
                context
                    .out
                    .remark("no uploads: `plimsoll deploy --archive FILE` makes one, for as long as it needs it");
                return Ok(());
            }
            context.out.line(table(context, &page.items))?;
            if let Some(next) = page.next {
                context.out.remark(format!("more: --cursor {next}"));
            }
            Ok(())
        }
        Command::Remove(Remove { request, yes }) => {
            confirm(yes, &format!("removing {}", request.upload))?;
            let removed = connection.call::<Delete>(&request).await?;
            match context.out.json {
                true => context.out.document(&removed),
                false => context.out.line(format!("removed {} ({})", removed.id, text::clean(&removed.name))),
            }
        }
    }
}

fn table(context: &Context, items: &[Upload]) -> String {
    let mut table = Table::new(&context.out, &["upload", "name", "size", "received", "made", "state"]);
    table.keep_whole(0);
    let now = Utc::now();
    for upload in items {
        let (state, tone) = match (upload.in_use.first(), upload.complete) {
            (Some(deployment), _) => (format!("needed by {deployment}"), Tone::Waiting),
            (None, true) => ("complete".to_owned(), Tone::Good),
            (None, false) => ("incomplete".to_owned(), Tone::Plain),
        };
        table.row([
            (upload.id.to_string(), Tone::Plain),
            (upload.name.clone(), Tone::Plain),
            (text::bytes(upload.size), Tone::Plain),
            (format!("{} %", upload.received.saturating_mul(100) / upload.size.max(1)), Tone::Plain),
            (format!("{} ago", text::age(upload.created_at, now)), Tone::Plain),
            (state, tone),
        ]);
    }
    table.render()
}
