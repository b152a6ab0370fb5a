//! `plimsoll users`: who may come in.

use operations::Operation;
use operations::invitations::{Invite, InviteRequest};
use operations::totp;
use operations::users::{
    Get, GetRequest, List, ListRequest, Remove, RemoveRequest, RoleOrNone, Set, SetRequest, User, UserDetail, UserRef,
};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll users list
  plimsoll users invite zoe@example.org --role deployer
  plimsoll users invite zoe@example.org --role admin --app shop --expires-in 2d
  plimsoll users invite --role owner
  plimsoll users show zoe@example.org
  plimsoll users set zoe@example.org --role admin
  plimsoll users disable zoe@example.org
  plimsoll users enable zoe@example.org
  plimsoll users remove zoe@example.org --yes
  plimsoll users remove-second-factor zoe@example.org

Whoever opens the link of an invitation chooses a password and has the role. The last owner of the server stays. Who has lost
the last one invites another on the server's own machine, as the server's user: that needs no token.";

/// Invite people, and say what they are everywhere.
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
    Show(GetRequest),
    #[command(about = Invite::SUMMARY, after_help = EXAMPLES)]
    Invite(InviteRequest),
    /// Change what somebody is everywhere.
    #[command(after_help = EXAMPLES)]
    Set(Change),
    /// Keep somebody out: sessions end, tokens and schedules stop.
    #[command(after_help = EXAMPLES)]
    Disable(Gone),
    /// Let somebody in again.
    #[command(after_help = EXAMPLES)]
    Enable(GetRequest),
    #[command(about = Remove::SUMMARY, after_help = EXAMPLES)]
    Remove(Gone),
    /// Switch off the second factor of somebody who has lost both app and recovery codes.
    #[command(after_help = EXAMPLES)]
    RemoveSecondFactor(Gone),
}

#[derive(Debug, clap::Args)]
struct Change {
    /// E-mail address or id.
    #[arg(value_name = "PERSON")]
    user: UserRef,
    /// Role at the server and at every app: viewer, deployer, admin, owner or none.
    #[arg(long, value_name = "ROLE")]
    role: RoleOrNone,
}

#[derive(Debug, clap::Args)]
struct Gone {
    /// E-mail address or id.
    #[arg(value_name = "PERSON")]
    user: UserRef,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (out, connection) = (&context.out, context.connect()?);
    match args.command {
        Command::List(request) => {
            let page = connection.call::<List>(&request).await?;
            if out.json {
                return out.document(&page);
            }
            if page.items.is_empty() {
                out.remark("there is nobody yet: invite somebody with `plimsoll users invite EMAIL --role ROLE`");
                return Ok(());
            }
            out.line(table(context, &page.items))?;
            if let Some(next) = page.next {
                out.remark(format!("more: --cursor {next}"));
            }
            Ok(())
        }
        Command::Show(request) => {
            let found = connection.call::<Get>(&request).await?;
            match out.json {
                true => out.document(&found),
                false => show(context, &found),
            }
        }
        Command::Invite(request) => {
            let made = connection.call::<Invite>(&request).await?;
            if out.json {
                return out.document(&made);
            }
            let invitation = &made.invitation;
            let client = connection.client();
            let base = made.public_url.as_deref().unwrap_or(client.base()).trim_end_matches('/');
            out.remark(format!(
                "{} is good once, until {}. Its link is shown this once, and only a hash of it is kept:",
                invitation.id,
                text::local(invitation.expires_at)
            ));
            out.line(format!("{base}/invitation#{}", made.secret.as_deref().unwrap_or_default()))
        }
        Command::Set(Change { user, role }) => {
            set(context, SetRequest { user, everywhere: Some(role), disabled: None }).await
        }
        Command::Disable(Gone { user, yes }) => {
            confirm(yes, &format!("Keeping {user} out"))?;
            set(context, SetRequest { user, everywhere: None, disabled: Some(true) }).await
        }
        Command::Enable(GetRequest { user }) => {
            set(context, SetRequest { user, everywhere: None, disabled: Some(false) }).await
        }
        Command::Remove(Gone { user, yes }) => {
            confirm(yes, &format!("Removing {user}, with sessions, roles and tokens"))?;
            let gone = connection.call::<Remove>(&RemoveRequest { user }).await?;
            match out.json {
                true => out.document(&gone),
                false => out.line(format!("removed {} ({})", gone.email, gone.id)),
            }
        }
        Command::RemoveSecondFactor(Gone { user, yes }) => {
            confirm(yes, &format!("Letting {user} sign in with the password alone"))?;
            let request = totp::RemoveRequest { user: Some(user.clone()) };
            let now = connection.call::<totp::Remove>(&request).await?;
            match out.json {
                true => out.document(&now),
                false => out.line(format!("{user} signs in with the password alone")),
            }
        }
    }
}

async fn set(context: &Context, request: SetRequest) -> Result<(), Failure> {
    let now = context.connect()?.call::<Set>(&request).await?;
    match context.out.json {
        true => context.out.document(&now),
        false => context.out.line(format!("{} is {} everywhere, and {}", now.email, role(&now), state(&now).0)),
    }
}

fn table(context: &Context, users: &[User]) -> String {
    let mut table = Table::new(&context.out, &["e-mail", "name", "everywhere", "state", "signed in"]);
    for user in users {
        let plain = |text: String| (text, Tone::Plain);
        table.row([
            plain(user.email.to_string()),
            plain(clean(&user.name)),
            plain(role(user)),
            state(user),
            plain(user.last_sign_in_at.map_or_else(|| "never".to_owned(), text::local)),
        ]);
    }
    table.keep_whole(0);
    table.render()
}

fn show(context: &Context, found: &UserDetail) -> Result<(), Failure> {
    let (out, user) = (&context.out, &found.user);
    out.line(format!("{} {} ({})", out.paint.bold(&user.email), clean(&user.name), user.id))?;
    out.line(format!("  everywhere  {}", role(user)))?;
    for at in &found.apps {
        out.line(format!("  at {}  {}", at.app, at.role))?;
    }
    out.line(format!("  state       {}", state(user).0))?;
    out.line(format!("  open        {}, {}", count(found.sessions, "session"), count(found.tokens, "token")))?;
    out.line(format!("  invited     {} by {}", text::local(user.created_at), clean(&user.created_by)))
}

fn count(n: u32, noun: &str) -> String {
    text::count(usize::try_from(n).unwrap_or(usize::MAX), noun)
}

fn role(user: &User) -> String {
    user.everywhere.map_or_else(|| "nothing".to_owned(), |role| role.to_string())
}

fn state(user: &User) -> (String, Tone) {
    match user.disabled {
        false => ("may sign in".to_owned(), Tone::Good),
        true => ("is kept out".to_owned(), Tone::Bad),
    }
}
