//! `plimsoll overview`: what needs somebody, and what is live where.

use chrono::Utc;
use domain::instance::InstanceState;
use operations::Operation;
use operations::overview::{EnvironmentOverview, Need, Overview, Show, ShowRequest, Trouble};

use super::Context;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean, count};

const EXAMPLES: &str = "\
Examples:
  plimsoll overview
  plimsoll overview --limit 200 --json

`plimsoll status` shows one app after the other with all that is known of it.";

#[derive(Debug, clap::Args)]
#[command(about = Show::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    request: ShowRequest,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let found = context.connect()?.call::<Show>(&args.request).await?;
    let out = &context.out;
    if out.json {
        return out.document(&found);
    }
    out.line(format!("{} at work, {} waiting", found.running, found.queued))?;
    if found.needs_you.is_empty() {
        out.line(out.paint.green("nothing needs you"))?;
    } else {
        out.line(out.paint.red(format!("{} you:", needs(found.needs_you.len()))))?;
        found.needs_you.iter().try_for_each(|need| out.line(format!("  {}", told(need))))?;
    }
    if found.apps.is_empty() {
        out.remark("there are no apps yet: `plimsoll deploy` makes one of the folder that you are in");
        return Ok(());
    }
    out.line("")?;
    out.line(table(context, &found))?;
    if let Some(next) = found.next {
        out.remark(format!("more: --cursor {next}"));
    }
    Ok(())
}

fn needs(n: usize) -> String {
    format!("{} {}", count(n, "thing"), if n == 1 { "needs" } else { "need" })
}

fn told(need: &Need) -> String {
    let of = |what: &str, trouble: &Trouble| {
        let Trouble { deployment, app, environment, why, at, .. } = trouble;
        format!("{app}/{environment} {what} {} ago: {} ({deployment})", text::age(*at, Utc::now()), clean(why))
    };
    match need {
        Need::Stuck(trouble) => of("is stuck, since", trouble),
        Need::Stalled(trouble) => of("shows no progress, since", trouble),
        Need::Failed(trouble) => of(&format!("{},", text::phase(trouble.phase)), trouble),
        Need::CrashLoop { app, environment, instances, last_exit, .. } => {
            let (instances, end) =
                (count(usize::try_from(*instances).unwrap_or(usize::MAX), "instance"), clean(last_exit));
            format!("{app}/{environment} keeps crashing: {instances}, the last ended with: {end}")
        }
        Need::Certificate { certificate, names, why, .. } => {
            format!("the certificate of {}: {} ({certificate})", clean(&names.join(", ")), clean(why))
        }
        Need::Approval { approval, app, environment, requested_by, what, expires_at, .. } => {
            let (by, what, until) = (clean(requested_by), clean(what), text::local(*expires_at));
            format!("{app}/{environment} waits for your vote until {until}: {what}, as {by} asks ({approval})")
        }
        Need::Channel { channel, name, enabled, at, .. } => {
            let (name, since) = (clean(name), text::age(*at, Utc::now()));
            let why = if *enabled { "messages to it do not arrive" } else { "its receiver wants nothing more" };
            format!("the channel {name} has failed for {since}: {why} ({channel})")
        }
    }
}

fn table(context: &Context, found: &Overview) -> String {
    let mut table = Table::new(&context.out, &["app", "environment", "serves", "since", "state", "url"]);
    let now = Utc::now();
    for app in &found.apps {
        for environment in &app.environments {
            let active = environment.active.as_ref();
            let (state, tone) = state(environment);
            table.row([
                (app.app.name.to_string(), Tone::Plain),
                (environment.name.to_string(), Tone::Plain),
                (active.map_or_else(|| "-".to_owned(), |active| format!("v{}", active.release_number)), Tone::Plain),
                (
                    active.map_or_else(String::new, |active| format!("{} ago", text::age(active.since, now))),
                    Tone::Plain,
                ),
                (state, tone),
                (environment.urls.first().cloned().unwrap_or_default(), Tone::Plain),
            ]);
        }
    }
    table.render()
}

fn state(of: &EnvironmentOverview) -> (String, Tone) {
    if let Some(working) = &of.working {
        let what = if working.stuck { "stuck".to_owned() } else { text::phase(working.phase) };
        let tone = if working.stuck { Tone::Bad } else { Tone::Waiting };
        return (format!("{what}, {} %", working.progress), tone);
    }
    if of.queued > 0 {
        return (format!("{} waiting", of.queued), Tone::Waiting);
    }
    let Some(instances) = &of.instances else { return (format!("on {}", of.host), Tone::Plain) };
    let ill = instances.iter().filter(|i| !matches!(i.state, InstanceState::Running { .. })).count();
    match (&of.active, ill) {
        (None, _) => ("nothing serves".to_owned(), Tone::Plain),
        (Some(_), 0) => ("healthy".to_owned(), Tone::Good),
        (Some(_), ill) => (format!("{ill} of {} not running", instances.len()), Tone::Bad),
    }
}
