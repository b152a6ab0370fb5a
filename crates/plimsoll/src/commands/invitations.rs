//! `plimsoll invitations`: those that wait.

use operations::Operation;
use operations::invitations::{Invitation, List, ListRequest, Withdraw, WithdrawRequest};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::Table;
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll invitations list
  plimsoll invitations list --app shop
  plimsoll invitations withdraw inv_01hf7yat00000000000000002a --yes
  plimsoll users invite zoe@example.org --role deployer

The link of an invitation is told when it is made; who has lost it takes the invitation back and makes another.";

/// Look at invitations that wait, and take them back.
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
    #[command(about = Withdraw::SUMMARY, after_help = EXAMPLES)]
    Withdraw(Gone),
}

#[derive(Debug, clap::Args)]
struct Gone {
    #[command(flatten)]
    request: WithdrawRequest,
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
                out.remark("no invitation waits");
                return Ok(());
            }
            let mut table = Table::new(out, &["id", "for", "role", "at", "by", "until"]);
            for invitation in &all {
                table.plain_row([
                    invitation.id.to_string(),
                    whom(invitation),
                    invitation.role.to_string(),
                    place(invitation),
                    clean(&invitation.created_by),
                    text::local(invitation.expires_at),
                ]);
            }
            table.keep_whole(0);
            out.line(table.render())
        }
        Command::Withdraw(Gone { request, yes }) => {
            confirm(yes, &format!("Taking {} back", request.invitation))?;
            let gone = connection.call::<Withdraw>(&request).await?;
            match out.json {
                true => out.document(&gone),
                false => out.line(format!("took back {} for {}", gone.id, whom(&gone))),
            }
        }
    }
}

fn whom(invitation: &Invitation) -> String {
    invitation.email.as_ref().map_or_else(|| "whoever has the link".to_owned(), ToString::to_string)
}

fn place(invitation: &Invitation) -> String {
    invitation.app.as_ref().map_or_else(|| "everywhere".to_owned(), ToString::to_string)
}
