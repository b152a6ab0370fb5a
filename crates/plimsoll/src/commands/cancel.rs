//! `plimsoll cancel`: takes a deployment back that is not active yet.

use domain::{DeploymentId, Name};
use operations::deployments::{Cancel, DeploymentRequest, Get};
use operations::environments::{self, EnvironmentRequest};
use operations::{Error, Operation};

use super::Context;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::follow;

const EXAMPLES: &str = "\
Examples:
  plimsoll cancel                                     the one that is at work on this app
  plimsoll cancel --app shop --env staging
  plimsoll cancel dep_01hf7yat00000000000000002a --detach";

#[derive(Debug, clap::Args)]
#[command(about = Cancel::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Id of the deployment; the one in progress of the app and environment by default.
    #[arg(value_name = "DEPLOYMENT")]
    deployment: Option<DeploymentId>,
    /// Name of the app.
    #[arg(long, short, conflicts_with = "deployment")]
    app: Option<Name>,
    /// Name of the environment.
    #[arg(long = "env", short = 'e', value_name = "NAME", default_value = "production")]
    environment: Name,
    /// Don't wait until it is taken back.
    #[arg(long)]
    detach: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let deployment = match args.deployment {
        // Asks first: a server that is not there is told at once, one that goes away later is waited for.
        Some(deployment) => connection.call::<Get>(&DeploymentRequest { deployment }).await?.id,
        None => in_progress(&connection, context.app(args.app)?, args.environment).await?,
    };
    let asked = follow::begin::<Cancel>(context, &connection, &DeploymentRequest { deployment }).await?;
    if args.detach {
        return match context.out.json {
            true => context.out.document(&asked),
            false => context.out.line(format!("asked to cancel {}", asked.id)),
        };
    }
    match follow::to_the_end(context, &connection, asked).await {
        // What was asked for has happened.
        Err(Failure::Told(crate::exit::Exit::Cancelled)) => Ok(()),
        other => other,
    }
}

/// The newest deployment that has not ended: the one that would win.
async fn in_progress(connection: &Connection, app: Name, environment: Name) -> Result<DeploymentId, Failure> {
    let request = EnvironmentRequest { app, environment };
    let found = connection.call::<environments::Get>(&request).await?;
    found.in_progress.into_iter().next_back().ok_or_else(|| {
        Error::conflict(format!("nothing is being deployed to {} of {}", request.environment, request.app))
            .hint("`plimsoll deployments list` shows what was")
            .into()
    })
}
