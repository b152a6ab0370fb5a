//! `plimsoll sessions`: where people are signed in.

use operations::Operation;
use operations::sessions::{End, EndRequest, List, ListRequest, Session};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::Table;
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll sessions list
  plimsoll sessions list --user zoe@example.org
  plimsoll sessions end ses_01hf7yat00000000000000002a --yes

Without --user these are your own, for which a token of yours is needed; those of others are for owners of the server.";

/// Look at sessions of people, and end them.
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
    #[command(about = End::SUMMARY, after_help = EXAMPLES)]
    End(Gone),
}

#[derive(Debug, clap::Args)]
struct Gone {
    #[command(flatten)]
    request: EndRequest,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (out, connection) = (&context.out, context.connect()?);
    match args.command {
        Command::List(request) => {
            let all = connection.call::<List>(&request).await?;
            if out.json {
                return out.document(&all);
            }
            if all.is_empty() {
                out.remark("no session is open");
                return Ok(());
            }
            out.line(table(context, &all))
        }
        Command::End(Gone { request, yes }) => {
            confirm(yes, &format!("Ending {}", request.session))?;
            let ended = connection.call::<End>(&request).await?;
            match out.json {
                true => out.document(&ended),
                false => out.line(format!("ended {}, begun {}", ended.id, text::local(ended.created_at))),
            }
        }
    }
}

fn table(context: &Context, all: &[Session]) -> String {
    let mut table = Table::new(&context.out, &["id", "from", "with", "begun", "used", "ends"]);
    for session in all {
        table.plain_row([
            session.id.to_string(),
            clean(&session.address),
            clean(&session.agent),
            text::local(session.created_at),
            text::local(session.seen_at),
            text::local(session.ends_at),
        ]);
    }
    table.keep_whole(0);
    table.render()
}
