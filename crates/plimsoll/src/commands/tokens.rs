//! `plimsoll tokens`: who may talk to the server.

use chrono::Utc;
use operations::Operation;
use operations::tokens::{Access, Create, CreateRequest, List, ListRequest, Revoke, RevokeRequest, Token, TokenState};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll tokens list
  plimsoll tokens create ci --expires-in 90d
  plimsoll tokens create dashboard --read-only
  plimsoll tokens revoke tok_01hf7yat00000000000000002a

On the server's own machine, as the server's user, this needs no token: who has lost the first one makes another.";

/// List, create and revoke API tokens.
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
    #[command(about = Create::SUMMARY, after_help = EXAMPLES)]
    Create(CreateRequest),
    #[command(about = Revoke::SUMMARY, after_help = EXAMPLES)]
    Revoke(Gone),
}

#[derive(Debug, clap::Args)]
struct Gone {
    #[command(flatten)]
    request: RevokeRequest,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let out = &context.out;
    match args.command {
        Command::List(request) => list(context, request).await,
        Command::Create(request) => {
            let made = context.connect()?.call::<Create>(&request).await?;
            if out.json {
                return out.document(&made);
            }
            out.remark(format!("made {}. The token is shown this once, and only its hash is kept:", made.token.id));
            out.line(made.secret.as_deref().unwrap_or_default())
        }
        Command::Revoke(Gone { request, yes }) => {
            let connection = context.connect()?;
            confirm(yes, &format!("Revoking {}", request.token))?;
            let gone = connection.call::<Revoke>(&request).await?;
            match out.json {
                true => out.document(&gone),
                false => out.line(format!("revoked {} ({})", clean(&gone.name), gone.id)),
            }
        }
    }
}

async fn list(context: &Context, request: ListRequest) -> Result<(), Failure> {
    let tokens = context.connect()?.call::<List>(&request).await?;
    if context.out.json {
        return context.out.document(&tokens);
    }
    let mut table = Table::new(&context.out, &["id", "name", "begins", "access", "state", "used", "ends"]);
    let now = Utc::now();
    for token in &tokens {
        let plain = |text: String| (text, Tone::Plain);
        table.row([
            plain(token.id.to_string()),
            plain(token.name.clone()),
            plain(format!("{}…", token.prefix)),
            plain(access(token).to_owned()),
            state(token),
            plain(token.last_used_at.map_or_else(|| "-".to_owned(), |at| format!("{} ago", text::age(at, now)))),
            plain(token.expires_at.map_or_else(|| "-".to_owned(), text::local)),
        ]);
    }
    table.keep_whole(0);
    context.out.line(table.render())
}

fn access(token: &Token) -> &'static str {
    match (token.local, token.access) {
        (true, _) => "this machine",
        (false, Access::Full) => "full",
        (false, Access::ReadOnly) => "read-only",
    }
}

fn state(token: &Token) -> (String, Tone) {
    match token.state {
        TokenState::Valid => ("valid".to_owned(), Tone::Good),
        TokenState::Expired => ("expired".to_owned(), Tone::Waiting),
        TokenState::Revoked => ("revoked".to_owned(), Tone::Bad),
    }
}
