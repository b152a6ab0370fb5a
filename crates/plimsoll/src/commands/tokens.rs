//! `plimsoll tokens`: who may talk to the server.

use chrono::Utc;
use operations::Operation;
use operations::tokens::{Create, CreateRequest, List, ListRequest, Revoke, RevokeRequest, Token, TokenState};

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
  plimsoll tokens create deploy-shop --grant shop=deployer
  plimsoll tokens create laptop --for me --expires-in 30d
  plimsoll tokens revoke tok_01hf7yat00000000000000002a

A token never has more than who makes it. One for `me` is yours: it is worth no more than you are, and ends with you. One for a
machine stays; it is made by who sees to people there: owners of the server, admins of the app.

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
    let mut table = Table::new(&context.out, &["id", "name", "begins", "whose", "may", "state", "used", "ends"]);
    let now = Utc::now();
    for token in &tokens {
        let plain = |text: String| (text, Tone::Plain);
        table.row([
            plain(token.id.to_string()),
            plain(token.name.clone()),
            plain(format!("{}…", token.prefix)),
            plain(whose(token).to_owned()),
            plain(may(token)),
            state(token),
            plain(token.last_used_at.map_or_else(|| "-".to_owned(), |at| format!("{} ago", text::age(at, now)))),
            plain(token.expires_at.map_or_else(|| "-".to_owned(), text::local)),
        ]);
    }
    table.keep_whole(0);
    context.out.line(table.render())
}

fn whose(token: &Token) -> &'static str {
    match (token.local, &token.user) {
        (true, _) => "this machine's",
        (false, Some(_)) => "a person's",
        (false, None) => "a machine's",
    }
}

/// Its roles.
fn may(token: &Token) -> String {
    let roles: Vec<String> = token.grants.iter().map(ToString::to_string).collect();
    if roles.is_empty() { "nothing".to_owned() } else { roles.join(" ") }
}

fn state(token: &Token) -> (String, Tone) {
    match token.state {
        TokenState::Valid => ("valid".to_owned(), Tone::Good),
        TokenState::Expired => ("expired".to_owned(), Tone::Waiting),
        TokenState::Revoked => ("revoked".to_owned(), Tone::Bad),
    }
}
