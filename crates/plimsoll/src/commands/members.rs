//! `plimsoll members`: who works on an app.

use domain::Name;
use domain::access::Role;
use operations::Operation;
use operations::members::{List, ListRequest, Member, Remove, RemoveRequest, Set, SetRequest};
use operations::users::UserRef;

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll members list --app shop
  plimsoll members set zoe@example.org --app shop --role deployer
  plimsoll members remove zoe@example.org --app shop --yes
  plimsoll users invite ann@example.org --app shop --role viewer

Who is not there yet is invited. An admin of the app does all that, but for owners.";

/// Say who works on an app, and as what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = List::SUMMARY, after_help = EXAMPLES)]
    List(Place),
    #[command(about = Set::SUMMARY, after_help = EXAMPLES)]
    Set(Change),
    #[command(about = Remove::SUMMARY, after_help = EXAMPLES)]
    Remove(Gone),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Name of the app.
    #[arg(long, short)]
    app: Name,
}

#[derive(Debug, clap::Args)]
struct Change {
    /// E-mail address or id.
    #[arg(value_name = "PERSON")]
    user: UserRef,
    #[command(flatten)]
    place: Place,
    /// viewer, deployer, admin or owner.
    #[arg(long, value_name = "ROLE")]
    role: Role,
}

#[derive(Debug, clap::Args)]
struct Gone {
    /// E-mail address or id.
    #[arg(value_name = "PERSON")]
    user: UserRef,
    #[command(flatten)]
    place: Place,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (out, connection) = (&context.out, context.connect()?);
    let (changed, done) = match args.command {
        Command::List(Place { app }) => {
            let all = connection.call::<List>(&ListRequest { app: app.clone() }).await?;
            if out.json {
                return out.document(&all);
            }
            if all.is_empty() {
                out.remark(format!("nobody has a role at {app} alone; `plimsoll users list` shows roles everywhere"));
                return Ok(());
            }
            return out.line(table(context, &all));
        }
        Command::Set(Change { user, place: Place { app }, role }) => {
            (connection.call::<Set>(&SetRequest { app, user, role }).await?, "is now")
        }
        Command::Remove(Gone { user, place: Place { app }, yes }) => {
            confirm(yes, &format!("Taking the role of {user} at {app}"))?;
            (connection.call::<Remove>(&RemoveRequest { app, user }).await?, "is no longer")
        }
    };
    match out.json {
        true => out.document(&changed),
        false => out.line(format!("{} {done} {} at {}", changed.email, changed.role, changed.app)),
    }
}

fn table(context: &Context, all: &[Member]) -> String {
    let mut table = Table::new(&context.out, &["e-mail", "name", "role", "state", "since", "by"]);
    for member in all {
        let plain = |text: String| (text, Tone::Plain);
        let state = if member.disabled { ("kept out", Tone::Bad) } else { ("may sign in", Tone::Good) };
        table.row([
            plain(member.email.to_string()),
            plain(clean(&member.name)),
            plain(member.role.to_string()),
            (state.0.to_owned(), state.1),
            plain(text::local(member.granted_at)),
            plain(clean(&member.granted_by)),
        ]);
    }
    table.keep_whole(0);
    table.render()
}
