//! `plimsoll rollback`: an earlier release gets the traffic again.

use domain::Name;
use operations::deployments::{Rollback, RollbackRequest};
use operations::environments::{self, EnvironmentRequest};
use operations::releases::{self, ReleaseStatus};
use operations::{Error, Operation};

use super::Context;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::follow;
use crate::text::clean;

const EXAMPLES: &str = "\
Examples:
  plimsoll rollback                      to the last good release before the active one
  plimsoll rollback v3 --env staging
  plimsoll rollback --to v1.4            to the release that was deployed with --tag v1.4
  plimsoll rollback 3 --app shop --detach";

#[derive(Debug, clap::Args)]
#[command(about = Rollback::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) request: RollbackRequest,
    /// Answer as soon as the server has taken it on.
    #[arg(long)]
    detach: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let request = args.request;
    let from = active(&connection, &request).await?;
    let started = follow::begin::<Rollback>(context, &connection, &request).await?;
    // Which release it is is the server's choice, so it is shown once it has chosen.
    let to = started.release_number.or(request.release);
    let from = describe(&connection, &request.app, from).await;
    let to = match to {
        Some(number) => describe(&connection, &request.app, number).await,
        None => "the last good release before it".to_owned(),
    };
    context.out.remark(format!(
        "{}: from {from}\n{:width$}to {to}",
        request.environment,
        "",
        width = request.environment.as_str().len() + 2
    ));
    match (args.detach, context.out.json) {
        (true, true) => context.out.document(&started),
        (true, false) => context.out.line(format!("{} is under way", started.id)),
        (false, _) => follow::to_the_end(context, &connection, started).await,
    }
}

/// Number of the release that serves now.
async fn active(connection: &Connection, request: &RollbackRequest) -> Result<u32, Failure> {
    let wanted = EnvironmentRequest { app: request.app.clone(), environment: request.environment.clone() };
    let environment = connection.call::<environments::Get>(&wanted).await?;
    environment.active.map(|active| active.release_number).ok_or_else(|| {
        Error::conflict(format!(
            "nothing serves in {} of {}, so there is nothing to roll back",
            request.environment, request.app
        ))
        .hint("Deploy first: `plimsoll deploy`")
        .into()
    })
}

/// `v5 (3f2a9c1 Fix the cart)`.
async fn describe(connection: &Connection, app: &Name, number: u32) -> String {
    let request = releases::GetRequest { app: app.clone(), number };
    // Only words for people: the rollback itself is under way.
    match connection.call::<releases::Get>(&request).await {
        Ok(ReleaseStatus { release, .. }) => match release.commit {
            Some(commit) => format!("v{number} ({} {})", commit.short(), clean(&commit.summary)),
            None => format!("v{number} ({})", release.digest.short()),
        },
        Err(_) => format!("v{number}"),
    }
}
