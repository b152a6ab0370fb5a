//! `plimsoll me`: who one is to the server.

use operations::Operation;
use operations::me::{Show, ShowRequest};

use super::Context;
use crate::failure::Failure;
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll me
  plimsoll me --json";

/// Show who you are to the server, and what you may do where.
#[derive(Debug, clap::Args)]
#[command(about = Show::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(crate) async fn run(context: &Context, _: Args) -> Result<(), Failure> {
    let (out, me) = (&context.out, context.connect()?.call::<Show>(&ShowRequest {}).await?);
    if out.json {
        return out.document(&me);
    }
    let email = me.email.map(|email| format!(" {email}")).unwrap_or_default();
    out.line(format!("{}{email} ({})", out.paint.bold(clean(&me.name)), me.principal))?;
    out.line(format!("  everywhere  {}", me.grants.everywhere.map_or("nothing", |role| role.as_str())))?;
    for (app, role) in &me.grants.apps {
        out.line(format!("  at {app}  {role}"))?;
    }
    match me.session_ends_at {
        Some(end) => out.line(format!("  session     until {}", text::local(end))),
        None => Ok(()),
    }
}
