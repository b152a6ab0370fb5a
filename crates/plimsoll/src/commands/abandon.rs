//! `plimsoll abandon`: ends a deployment that is stuck, as it is.

use operations::Operation;
use operations::deployments::{Abandon, DeploymentRequest, Get};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::follow;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll abandon dep_01hf7yat00000000000000002a
  plimsoll abandon dep_01hf7yat00000000000000002a --yes";

#[derive(Debug, clap::Args)]
#[command(about = Abandon::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    request: DeploymentRequest,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    // Asks first: a server that is not there is told at once, one that goes away later is waited for.
    let found = connection.call::<Get>(&args.request).await?;
    confirm(args.yes, &format!("Ending {}, without taking back what it has done", found.id))?;
    let ended = follow::begin::<Abandon>(context, &connection, &args.request).await?;
    match context.out.json {
        true => context.out.document(&ended),
        false => context.out.line(format!("abandoned {}: it is {} now", ended.id, text::phase(ended.phase))),
    }
}
