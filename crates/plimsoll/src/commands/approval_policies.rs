//! `plimsoll approval-policies`: which environments ask for the yes of others.

use domain::Name;
use domain::access::Role;
use domain::lifetime::Lifetime;
use operations::Operation;
use operations::approval_policies::{
    ApprovalPolicy, List, ListRequest, Remove, RemoveRequest, Set, SetRequest, a_day, admin, one,
};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::Table;
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll approval-policies list --app shop
  plimsoll approval-policies set --app shop --env production
  plimsoll approval-policies set --app shop --env production --required 2 --role deployer --expires-in 4h
  plimsoll approval-policies set --app shop --env production --rollbacks --bypasses
  plimsoll approval-policies remove --app shop --env production --yes

Whoever asked for a deployment never counts among those who approve of it.";

/// Say which environments ask for the approval of others.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = List::SUMMARY, after_help = EXAMPLES)]
    List(Of),
    #[command(about = Set::SUMMARY, after_help = EXAMPLES)]
    Set(Asked),
    #[command(about = Remove::SUMMARY, after_help = EXAMPLES)]
    Remove(Gone),
}

#[derive(Debug, clap::Args)]
struct Of {
    /// Name of the app.
    #[arg(long, short)]
    app: Name,
}

#[derive(Debug, clap::Args)]
struct Place {
    #[command(flatten)]
    of: Of,
    /// Name of the environment.
    #[arg(long = "env", short = 'e', value_name = "NAME", default_value = "production")]
    environment: Name,
}

#[derive(Debug, clap::Args)]
struct Asked {
    #[command(flatten)]
    place: Place,
    /// So many people have to say yes, 1 to 5.
    #[arg(long, value_name = "N", default_value_t = one())]
    required: u8,
    /// The least that they are at the app: deployer, admin or owner.
    #[arg(long, value_name = "ROLE", default_value_t = admin())]
    role: Role,
    /// Rollbacks wait for them, too.
    #[arg(long)]
    rollbacks: bool,
    /// Who goes past a closed window is named with who approved of it.
    #[arg(long)]
    bypasses: bool,
    /// So long votes may take, 30d at most, such as 4h or 7d.
    #[arg(long, value_name = "TIME", default_value_t = a_day())]
    expires_in: Lifetime,
}

#[derive(Debug, clap::Args)]
struct Gone {
    #[command(flatten)]
    place: Place,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (out, connection) = (&context.out, context.connect()?);
    match args.command {
        Command::List(Of { app }) => {
            let all = connection.call::<List>(&ListRequest { app: app.clone() }).await?;
            if out.json {
                return out.document(&all);
            }
            if all.is_empty() {
                out.remark(format!("deployments of {app} wait for nobody's approval"));
                return Ok(());
            }
            out.line(table(context, &all))
        }
        Command::Set(Asked { place, required, role, rollbacks, bypasses, expires_in }) => {
            let (app, environment) = (place.of.app, place.environment);
            let request = SetRequest { app, environment, required, role, rollbacks, bypasses, expires_in };
            let made = connection.call::<Set>(&request).await?;
            match out.json {
                true => out.document(&made),
                false => {
                    out.line(format!("deployments to {}/{} wait for {}", made.app, made.environment, asked(&made)))
                }
            }
        }
        Command::Remove(Gone { place, yes }) => {
            let (app, environment) = (place.of.app, place.environment);
            confirm(yes, &format!("Having deployments to {app}/{environment} wait for nobody's approval"))?;
            let gone = connection.call::<Remove>(&RemoveRequest { app, environment }).await?;
            match out.json {
                true => out.document(&gone),
                false => out.line(format!("deployments to {}/{} wait for nobody", gone.app, gone.environment)),
            }
        }
    }
}

fn asked(policy: &ApprovalPolicy) -> String {
    let people = text::count(usize::from(policy.required), "approval");
    format!("{people} by who is at least {}, for {}", policy.role, policy.expires_in)
}

fn table(context: &Context, all: &[ApprovalPolicy]) -> String {
    let yes = |flag: bool| if flag { "too" } else { "no" }.to_owned();
    let mut table =
        Table::new(&context.out, &["environment", "asks for", "role", "rollbacks", "bypasses", "expires in", "by"]);
    for policy in all {
        table.plain_row([
            policy.environment.to_string(),
            policy.required.to_string(),
            policy.role.to_string(),
            yes(policy.rollbacks),
            yes(policy.bypasses),
            policy.expires_in.to_string(),
            clean(&policy.changed_by),
        ]);
    }
    table.keep_whole(0);
    table.render()
}
