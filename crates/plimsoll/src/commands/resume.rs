//! `plimsoll resume`: tries again where a deployment got stuck.

use operations::Operation;
use operations::deployments::{DeploymentRequest, Get, Resume};

use super::Context;
use crate::failure::Failure;
use crate::follow;

const EXAMPLES: &str = "\
Examples:
  plimsoll resume dep_01hf7yat00000000000000002a";

#[derive(Debug, clap::Args)]
#[command(about = Resume::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    request: DeploymentRequest,
    /// Don't wait for its end.
    #[arg(long)]
    detach: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    // Asks first: a server that is not there is told at once, one that goes away later is waited for.
    connection.call::<Get>(&args.request).await?;
    let resumed = follow::begin::<Resume>(context, &connection, &args.request).await?;
    match (args.detach, context.out.json) {
        (true, true) => context.out.document(&resumed),
        (true, false) => context.out.line(format!("{} goes on", resumed.id)),
        (false, _) => follow::to_the_end(context, &connection, resumed).await,
    }
}
