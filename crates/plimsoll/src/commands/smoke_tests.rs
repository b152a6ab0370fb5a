//! `plimsoll smoke-tests`: does what serves do what it is for?

use domain::smoke::{Outcome, SmokeResult};
use operations::Operation;
use operations::smoke_tests::{Run, RunRequest};

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text::clean;

const EXAMPLES: &str = "\
Examples:
  plimsoll smoke-tests run
  plimsoll smoke-tests run --env staging --json";

/// Run an app's smoke tests.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Exit code 6 if one fails or could not be run, or if all were skipped.
    #[command(about = Run::SUMMARY, after_help = EXAMPLES)]
    Run(RunRequest),
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let Command::Run(request) = args.command;
    let report = context.connect()?.call::<Run>(&request).await?;
    match context.out.json {
        true => context.out.document(&report)?,
        false => report.results.iter().flat_map(lines).try_for_each(|line| context.out.line(line))?,
    }
    let skipped = report.results.iter().all(|result| matches!(result.outcome, Outcome::Skipped { .. }));
    if skipped && !context.out.json {
        context.out.line("nothing is proved: every test was skipped")?;
    }
    if report.passed { Ok(()) } else { Err(Failure::Told(Exit::DeploymentFailed)) }
}

/// A result for people.
pub(crate) fn lines(result: &SmokeResult) -> Vec<String> {
    let mut lines = vec![clean(&result.to_string())];
    if let Outcome::Failed(mismatch) = &result.outcome {
        let excerpt = mismatch.excerpt.iter().flat_map(|text| text.lines());
        lines.extend(excerpt.take(10).map(|line| format!("  │ {}", clean(line))));
    }
    lines
}
