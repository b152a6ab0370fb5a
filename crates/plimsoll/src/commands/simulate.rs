//! `plimsoll simulate`: what a plan would leave behind, if all goes well and if a step fails.

use domain::plan::PlanRef;
use operations::plans::{PlanRequest, Simulate};
use operations::{Error, Operation};

use super::Context;
use super::plan::{Wanted, make};
use crate::failure::Failure;
use crate::plan_text;

const EXAMPLES: &str = "\
Examples:
  plimsoll simulate                      a plan for the app of this folder, step by step
  plimsoll simulate --plan 3f2a9c1d04be
  plimsoll simulate shop --env staging --ref v1.4
  plimsoll simulate --rollback v3 --json";

/// Run a plan against a model: to the end, and once with a failure at each step.
///
/// The decisions are those of a real deployment, the steps are not carried out: nothing is touched. Without --plan a plan is made
/// first, of the same options as `plimsoll plan` takes.
#[derive(Debug, clap::Args)]
#[command(about = Simulate::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Digest of the plan, or its first digits; a new plan without it.
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["name", "named", "environment", "reference", "dir", "git", "archive", "rollback"])]
    plan: Option<PlanRef>,
    #[command(flatten)]
    wanted: Wanted,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let plan = match args.plan {
        Some(plan) => plan,
        None => {
            let made = make(context, &connection, args.wanted).await?;
            made.digest.as_str().parse().map_err(|_| Error::internal())?
        }
    };
    let simulation = connection.call::<Simulate>(&PlanRequest { plan }).await?;
    if context.out.json {
        return context.out.document(&simulation);
    }
    plan_text::simulation(&simulation).into_iter().try_for_each(|line| context.out.line(line))
}
