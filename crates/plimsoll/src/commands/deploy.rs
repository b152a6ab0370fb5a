//! `plimsoll deploy`: source to release to traffic.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::deployment::Deployment;
use domain::labels::{Key, Tag, Text};
use domain::plan::PlanRef;
use domain::queue::Priority;
use domain::schedule::{Cron, Missed, Moment, Shift, parse_instant};
use domain::source::Source;
use domain::{Name, UploadId};
use operations::deployments::{Deploy, DeployRequest};
use operations::schedules::{self, CreateRequest, Template};
use operations::{Error, Operation, apps, plans};

use super::init::{ensure_app, reachable};
use super::{Context, here};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text::count;
use crate::upload::{self, Archive};
use crate::{follow, plan_text, source};

const EXAMPLES: &str = "\
Examples:
  plimsoll deploy                        the app of this folder, to production
  plimsoll deploy shop --env staging --ref v1.4
  plimsoll deploy --dir .                this folder as it is, uncommitted changes included
  plimsoll deploy shop --git https://example.org/team/shop.git --ref main
  plimsoll deploy --tag v1.4 --meta ticket=SHOP-12 --meta by=release-team
  plimsoll deploy shop --archive shop.tar.zst
  plimsoll deploy shop --priority high --at \"2026-12-01 09:30 Europe/Berlin\" --detach
  plimsoll deploy shop --at \"in 2h\" --detach
  plimsoll deploy shop --cron \"0 6 * * MON-FRI Europe/London\"     again and again: see `plimsoll schedules`
  plimsoll deploy shop --priority critical --bypass-window \"outage of the cart\"
  git archive main | plimsoll deploy shop --archive -
  plimsoll deploy --plan 3f2a9c1d04be    what `plimsoll plan` has shown, or nothing
  plimsoll deploy --plan 3f2a9c1d04be --priority high
  plimsoll deploy --detach --json        answer at once; follow later with `plimsoll deployments show ID -f`";

/// Deploy a version of the source, and follow it to its end.
///
/// Without --dir, --git and --archive the app's own source is taken: for a git repository its last commit. An app that does not
/// exist is created. Ctrl-C only ends the following; the deployment goes on.
#[derive(Debug, clap::Args)]
#[command(about = Deploy::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
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
    /// Deploy this folder as it is, this once.
    #[arg(long, value_name = "DIR", conflicts_with = "git")]
    dir: Option<PathBuf>,
    /// Deploy from this git repository, this once.
    #[arg(long, value_name = "URL")]
    git: Option<String>,
    /// Carry out this plan of `plimsoll plan` and nothing else; it says app, environment and source. Its digest, or the
    /// first digits.
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["name", "named", "environment", "reference", "dir", "git", "archive", "cron"])]
    plan: Option<PlanRef>,
    /// Tag for the release, to find it and to go back to it (`plimsoll rollback --to TAG`); may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
    /// Metadata for the release, shown to everybody; may be repeated.
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = entry)]
    metadata: Vec<(Key, Text)>,
    /// Deploy this archive, this once: tar, tar.gz, tar.zst or zip; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dir", "git", "reference"])]
    archive: Option<PathBuf>,
    /// How much it matters beside others that wait: critical, high, normal or low.
    #[arg(long, value_name = "PRIORITY", default_value_t)]
    priority: Priority,
    /// Not before this time: "2026-12-01 09:30 Europe/Berlin", 2026-12-01T09:30:00+01:00 or "in 2h".
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Moment>,
    /// Not now, but at the times of this cron expression with a time zone: "0 6 * * MON-FRI Europe/London".
    #[arg(long, value_name = "CRON", conflicts_with_all = ["at", "archive", "detach", "bypass_window"])]
    cron: Option<Cron>,
    /// What the schedule is called; the name of the environment without it.
    #[arg(long, value_name = "NAME", requires = "cron")]
    schedule: Option<Name>,
    /// What to do about runs of the schedule that were missed: run_once or skip.
    #[arg(long, value_name = "POLICY", requires = "cron", default_value = "run_once", value_parser = missed)]
    missed: Missed,
    /// Begin even while a window is closed; the reason is recorded. Only with --priority critical.
    #[arg(long, value_name = "REASON")]
    bypass_window: Option<Text>,
    /// Answer as soon as the server has taken it on.
    #[arg(long, visible_alias = "no-follow")]
    detach: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    tell_shift(context, args.at.as_ref());
    let (app, environment, plan) = match args.plan {
        None => (context.app(args.name.or(args.named))?, args.environment, None),
        Some(plan) => {
            let plan = connection.call::<plans::Get>(&plans::PlanRequest { plan }).await?;
            context.out.remark(format!("plan {}: {}", plan.digest.short(), plan_text::headline(&plan)));
            let named = plan.digest.as_str().parse().map_err(|_| Error::internal())?;
            (plan.app, plan.environment, Some(named))
        }
    };
    let mut request = DeployRequest {
        app,
        environment,
        source: None,
        reference: None,
        plan,
        tags: args.tags,
        metadata: args.metadata.into_iter().collect(),
        priority: args.priority,
        not_before: args.at.map(|moment| moment.at),
        bypass_window: args.bypass_window,
    };
    if let Some(path) = &args.archive {
        let started = archive(context, &connection, request, path).await?;
        return told(context, &connection, started, args.detach).await;
    }
    // A plan says itself what is deployed.
    if request.plan.is_none() {
        (request.source, request.reference) = match (&args.dir, &args.git) {
            (Some(dir), _) => (Some(source::directory(dir)?), None),
            (None, Some(git)) => (Some(source::of_text(git, args.reference)?), None),
            (None, None) => (None, args.reference),
        };
        if let Some(source) = &request.source {
            reachable(&connection, source)?;
        }
        let own = existing_or_new(context, &connection, &request.app, request.source.as_ref()).await?;
        if request.source.is_none() {
            warn_of_uncommitted(context, own.as_ref());
        }
    }
    if let Some(cron) = args.cron {
        let DeployRequest { app, environment, source, reference, tags, metadata, priority, .. } = request;
        let order = Template { source, reference, tags, metadata, priority };
        let (name, missed) = (args.schedule, args.missed);
        let request = CreateRequest { app, environment, name, cron: cron.to_string(), missed, order };
        let made = connection.call::<schedules::Create>(&request).await?;
        return super::schedules::show(context, &made);
    }
    let started = follow::begin::<Deploy>(context, &connection, &request).await?;
    told(context, &connection, started, args.detach).await
}

/// Sends the archive and asks for its deployment.
async fn archive(
    context: &Context,
    connection: &Connection,
    mut request: DeployRequest,
    path: &Path,
) -> Result<Deployment, Failure> {
    // Before the app is made or anything is sent.
    let archive = Archive::open(path)?;
    exists_or_make(context, connection, &request.app).await?;
    let mut again = 1;
    loop {
        let upload = upload::send(context, connection, &archive).await?;
        request.source = Some(Source::Archive { upload: upload.clone() });
        match follow::begin::<Deploy>(context, connection, &request).await {
            // Another deployment of the same file ended in between, and took it along.
            Err(Failure::Problem { exit: Exit::NotFound, problem }) if again > 0 && names(&problem, &upload) => {
                again -= 1
            }
            other => return other,
        }
    }
}

fn names(problem: &Error, upload: &UploadId) -> bool {
    problem.detail.contains(upload.as_str())
}

/// An app whose source only ever comes with a deployment.
async fn exists_or_make(context: &Context, connection: &Connection, app: &Name) -> Result<(), Failure> {
    let request = apps::GetRequest { app: app.clone() };
    match connection.call::<apps::Get>(&request).await {
        Err(Failure::Problem { exit: Exit::NotFound, .. }) => {}
        other => return other.map(drop),
    }
    match connection.call::<apps::Create>(&apps::CreateRequest { name: app.clone(), source: None }).await {
        // Somebody else was quicker.
        Err(Failure::Problem { exit: Exit::Conflict, .. }) => Ok(()),
        made => {
            made?;
            context.out.remark(format!("{app} is new: created it"));
            Ok(())
        }
    }
}

/// The id alone, or the whole story.
async fn told(
    context: &Context,
    connection: &Arc<Connection>,
    started: Deployment,
    detach: bool,
) -> Result<(), Failure> {
    match (detach, context.out.json) {
        (true, true) => context.out.document(&started),
        (true, false) => {
            context.out.line(format!("{} is under way", started.id))?;
            context.out.remark(format!("follow it: plimsoll deployments show {} -f", started.id));
            Ok(())
        }
        (false, _) => follow::to_the_end(context, connection, started).await,
    }
}

/// A point in time as people write it.
pub(super) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    moment(text).map(|moment| moment.at)
}

fn moment(text: &str) -> Result<Moment, String> {
    parse_instant(text, Utc::now()).map_err(|e| e.to_string())
}

pub(super) fn missed(text: &str) -> Result<Missed, String> {
    Missed::from_name(text).ok_or_else(|| "expected run_once or skip".to_owned())
}

/// A time at which clocks change is not quite what was written, or could mean two.
fn tell_shift(context: &Context, moment: Option<&Moment>) {
    let Some(Moment { at, shift: Some(shift) }) = moment else { return };
    context.out.warn(match shift {
        Shift::Skipped(zone) => format!("the clocks skip that time: it is taken as {}, right after", zone.show(*at)),
        Shift::Repeated(zone) => format!("that time comes twice: it is taken as the first, {}", zone.show(*at)),
    });
}

fn entry(text: &str) -> Result<(Key, Text), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as ticket=SHOP-12")?;
    let value = value.parse().map_err(|e: domain::labels::InvalidLabel| e.to_string())?;
    Ok((key.parse().map_err(|e: domain::labels::InvalidLabel| e.to_string())?, value))
}

/// The app's own source; the app is made if it isn't there and it is known where it comes from.
async fn existing_or_new(
    context: &Context,
    connection: &Connection,
    app: &Name,
    given: Option<&Source>,
) -> Result<Option<Source>, Failure> {
    let missing = match connection.call::<apps::Get>(&apps::GetRequest { app: app.clone() }).await {
        Ok(found) => return Ok(found.app.source),
        Err(failure) => failure,
    };
    let Failure::Problem { exit: Exit::NotFound, .. } = &missing else {
        return Err(missing);
    };
    let source = match given {
        Some(source) => source.clone(),
        // Only a repository, or a folder that says it is an app, is meant to be deployed.
        None => match source::of_folder(&here()?)? {
            (source, Some(_)) => source,
            (source, None) if here()?.join(domain::config::FILE_NAME).is_file() => source,
            _ => {
                return Err(
                    missing.hint("Deploy from its repository, or say --git URL or --dir DIR: the app is then created")
                );
            }
        },
    };
    reachable(connection, &source)?;
    let (made, _) = ensure_app(connection, app, &source).await?;
    context.out.remark(format!("{app} is new: created it with the source {}", source::describe(&source)));
    Ok(made.source)
}

/// People expect what they see in their editor to be deployed; from a repository it is the last commit.
fn warn_of_uncommitted(context: &Context, own: Option<&Source>) {
    let Some(Source::Git { url, .. }) = own else {
        return;
    };
    let Some(repository) = here().ok().and_then(|dir| forge::local::describe(&dir)) else {
        return;
    };
    let same = std::path::Path::new(url).canonicalize().ok() == repository.root.canonicalize().ok();
    if same && repository.dirty_files > 0 {
        context.out.warn(format!(
            "{} with uncommitted changes: the last commit is deployed without them (`plimsoll deploy --dir .` takes them along)",
            count(repository.dirty_files, "file")
        ));
    }
}
