//! `plimsoll plan`: what a deployment would do, without doing it.

use std::path::PathBuf;

use domain::Name;
use domain::plan::Plan;
use domain::source::Source;
use operations::Operation;
use operations::plans::{Create, CreateRequest};

use super::Context;
use super::init::reachable;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::upload::{self, Archive};
use crate::{plan_text, source};

const EXAMPLES: &str = "\
Examples:
  plimsoll plan                          the app of this folder, to production
  plimsoll plan shop --env staging --ref v1.4
  plimsoll plan --dir .                  this folder as it is
  plimsoll plan --rollback v3            a rollback instead
  plimsoll plan --json
  plimsoll deploy --plan 3f2a9c1d04be    carry out what was shown, or nothing";

/// Plan a deployment: its steps, why each is there, what it touches and how long it takes.
///
/// The source is fetched and compared with what serves; nothing is built and nothing that serves is touched. The plan is kept for
/// a day. Its digest stands for the facts that it rests on: `plimsoll deploy --plan DIGEST` does exactly that, or refuses with
/// what has changed since. The exit code is 4 if the deployment would fail.
#[derive(Debug, clap::Args)]
#[command(about = Create::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: Wanted,
}

/// What to plan: the options of `deploy` that matter for it.
#[derive(Debug, clap::Args)]
pub(crate) struct Wanted {
    /// Name of the app; by default that of plimsoll.toml, PLIMSOLL_APP or the folder.
    #[arg(value_name = "APP")]
    name: Option<Name>,
    /// The same, as other commands have it.
    #[arg(long = "app", short = 'a', value_name = "APP", conflicts_with = "name", hide = true)]
    named: Option<Name>,
    /// Name of the environment.
    #[arg(long = "env", short = 'e', value_name = "NAME", default_value = "production")]
    environment: Name,
    /// Branch, tag or commit.
    #[arg(long = "ref", value_name = "REF", conflicts_with = "dir")]
    reference: Option<String>,
    /// This folder as it is, instead of the app's source.
    #[arg(long, value_name = "DIR", conflicts_with = "git")]
    dir: Option<PathBuf>,
    /// This git repository, instead of the app's source.
    #[arg(long, value_name = "URL")]
    git: Option<String>,
    /// This archive: tar, tar.gz, tar.zst or zip; `-` is standard input. It is sent.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dir", "git", "reference"])]
    archive: Option<PathBuf>,
    /// A rollback to this release, instead of a deployment of source.
    #[arg(long, value_name = "RELEASE", value_parser = super::releases::number, conflicts_with_all = ["reference", "dir", "git", "archive"])]
    rollback: Option<u32>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let plan = make(context, &connection, args.wanted).await?;
    show(context, &plan)?;
    if plan.is_blocked() { Err(Failure::Told(Exit::Conflict)) } else { Ok(()) }
}

/// The plan for people, or as it is.
pub(super) fn show(context: &Context, plan: &Plan) -> Result<(), Failure> {
    if context.out.json {
        return context.out.document(plan);
    }
    plan_text::lines(plan).into_iter().try_for_each(|line| context.out.line(line))
}

/// Has the server make a plan.
pub(super) async fn make(context: &Context, connection: &Connection, wanted: Wanted) -> Result<Plan, Failure> {
    let Wanted { name, named, environment, reference, dir, git, archive, rollback } = wanted;
    let app = context.app(name.or(named))?;
    let (source, reference) = match (dir, git, archive) {
        (Some(dir), _, _) => (Some(source::directory(&dir)?), None),
        (None, Some(git), _) => (Some(source::of_text(&git, reference)?), None),
        (None, None, Some(path)) => {
            let archive = Archive::open(&path)?;
            (Some(Source::Archive { upload: upload::send(context, connection, &archive).await? }), None)
        }
        (None, None, None) => (None, reference),
    };
    if let Some(source) = &source {
        reachable(connection, source)?;
    }
    connection.call::<Create>(&CreateRequest { app, environment, source, reference, rollback }).await
}
