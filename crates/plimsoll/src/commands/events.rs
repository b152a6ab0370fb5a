//! `plimsoll events`: what happened, in order.

use domain::approval::Verdict;
use domain::event::{Event, EventKind};
use operations::events::{List, ListRequest};
use operations::{Operation, stream};

use super::Context;
use crate::failure::Failure;
use crate::follow::parse;
use crate::listen::{Heard, listen};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll events                        from the first on, 50 of them
  plimsoll events -f --json              as it happens, one JSON document a line
  plimsoll events --app shop --env production --after 120";

#[derive(Debug, clap::Args)]
#[command(about = List::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    request: ListRequest,
    /// Go on with what comes, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    if !args.follow {
        let page = connection.call::<List>(&args.request).await?;
        if context.out.json {
            return context.out.document(&page);
        }
        page.items.iter().try_for_each(|event| show(context, event))?;
        if let Some(next) = page.next {
            context.out.remark(format!("more: --after {next}"));
        }
        return Ok(());
    }
    let mut heard = listen(connection, path(&args.request), None);
    while let Some(heard) = heard.recv().await {
        match heard {
            Heard::Message(message) => {
                if let Some(event) = parse::<Event>(&message.data) {
                    show(context, &event)?;
                }
            }
            Heard::Away => context.out.remark("the server is away, reconnecting…"),
            Heard::Back => context.out.remark("the server is back"),
            Heard::End => break,
            Heard::Lost(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Names, ids and numbers need no escaping.
fn path(request: &ListRequest) -> String {
    let pairs = [
        ("app", request.app.as_ref().map(ToString::to_string)),
        ("environment", request.environment.as_ref().map(ToString::to_string)),
        ("deployment", request.deployment.as_ref().map(ToString::to_string)),
        ("after", request.after.map(|after| after.to_string())),
    ];
    let query: Vec<String> = pairs.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))).collect();
    match query.is_empty() {
        true => stream::EVENTS.to_owned(),
        false => format!("{}?{}", stream::EVENTS, query.join("&")),
    }
}

fn show(context: &Context, event: &Event) -> Result<(), Failure> {
    if context.out.json {
        return context.out.record(event);
    }
    let paint = context.out.paint;
    let place: Vec<&str> = [&event.app, &event.environment].into_iter().flatten().map(|n| n.as_str()).collect();
    context.out.line(format!(
        "{:>6} {} {} {}",
        event.cursor,
        paint.dim(text::local(event.at)),
        paint.tag(&place.join("/")),
        sentence(&event.kind)
    ))
}

fn sentence(kind: &EventKind) -> String {
    match kind {
        EventKind::AppCreated => "app created".to_owned(),
        EventKind::AppDeleted => "app deleted".to_owned(),
        EventKind::EnvironmentCreated => "environment created".to_owned(),
        EventKind::EnvironmentDeleted => "environment deleted".to_owned(),
        EventKind::VariablesChanged { set, unset } => {
            let part = |verb: &str, names: &[String]| {
                (!names.is_empty()).then(|| format!("{verb} {}", clean(&names.join(", "))))
            };
            let parts: Vec<String> = [part("set", set), part("unset", unset)].into_iter().flatten().collect();
            format!("variables: {}", parts.join("; "))
        }
        EventKind::DeploymentQueued { requested_by } => {
            format!("deployment queued by {}", clean(requested_by))
        }
        EventKind::PhaseChanged { phase, progress } => {
            format!("{} ({progress}%)", text::phase(*phase))
        }
        EventKind::DeploymentRequeued { by, priority, not_before } => {
            let at = not_before.map(|at| format!(", not before {}", text::local(at))).unwrap_or_default();
            format!("place in the queue changed by {}: {priority}{at}", clean(by))
        }
        EventKind::ScheduleCreated { name, by, .. } => format!("schedule {name} created by {}", clean(by)),
        EventKind::ScheduleChanged { name, enabled, cron: None, missed: None, by, .. } => {
            format!("schedule {name} {} by {}", if *enabled { "enabled" } else { "disabled" }, clean(by))
        }
        EventKind::ScheduleChanged { name, cron, missed, by, .. } => {
            let cron = cron.iter().map(|cron| format!("cron {cron}"));
            let new: Vec<String> = cron.chain(missed.iter().map(|m| format!("missed {}", m.as_str()))).collect();
            format!("schedule {name} changed by {}: {}", clean(by), new.join(", "))
        }
        EventKind::ScheduleDeleted { name, by, .. } => format!("schedule {name} removed by {}", clean(by)),
        EventKind::ScheduleSkipped { name, planned_at, why, .. } => {
            format!("schedule {name} did not run at {}: {}", text::local(*planned_at), clean(why))
        }
        EventKind::WindowCreated { rule, by, .. } => format!("{} added by {}", clean(rule), clean(by)),
        EventKind::WindowDeleted { rule, by, .. } => format!("{} removed by {}", clean(rule), clean(by)),
        EventKind::WindowBypassed { by, reason, rule } => {
            let rule = rule.as_ref().map(|rule| format!(" ({})", clean(rule))).unwrap_or_default();
            format!("windows do not hold it{rule}, by wish of {}: {}", clean(by), clean(reason))
        }
        EventKind::QueueConfigured { by } => format!("rules of the queue changed by {}", clean(by)),
        EventKind::ReleaseCreated { number, .. } => format!("release v{number} created"),
        EventKind::SmokeTested { results } => {
            let all = results.iter().map(|result| clean(&result.to_string()));
            all.collect::<Vec<_>>().join("; ")
        }
        EventKind::StepFailed { phase, message, will_retry } => {
            format!(
                "{} failed{}: {}",
                text::phase(*phase),
                if *will_retry { ", trying again" } else { "" },
                clean(message)
            )
        }
        EventKind::CancelRequested { by } => format!("cancel asked for by {}", clean(by)),
        EventKind::DeploymentFinished { phase, failure } => match failure {
            Some(failure) => format!("deployment {}: {}", text::phase(*phase), clean(&failure.to_string())),
            None => format!("deployment {}", text::phase(*phase)),
        },
        EventKind::DeploymentStuck { phase, message } => {
            format!("deployment stuck in {}: {}", text::phase(*phase), clean(message))
        }
        EventKind::InstanceCrashLooping { instance, last_exit } => {
            format!("{} ends again and again: {}", clean(instance), clean(last_exit))
        }
        EventKind::InstanceRestarted { instance } => {
            format!("{} was started again", clean(instance))
        }
        EventKind::CertificateAdded { names, .. } => format!("certificate for {} added", clean(&names.join(", "))),
        EventKind::CertificateRemoved { names, .. } => format!("certificate for {} removed", clean(&names.join(", "))),
        EventKind::UploadCompleted { name, size, .. } => {
            format!("{} ({}) was uploaded", clean(name), text::bytes(*size))
        }
        EventKind::UploadExpired { name, .. } => format!("{} was removed: nobody had use for it", clean(name)),
        EventKind::ServerStarted { version } => format!("server {} started", clean(version)),
        EventKind::ServerRestored { taken_at } => {
            format!("server restored from a backup of {}", text::local(*taken_at))
        }
        EventKind::DeploymentStalled { phase, reason } => {
            format!("stalled in {}: {}; `plimsoll doctor` says more", text::phase(*phase), clean(reason))
        }
        EventKind::DeploymentRecovered { phase } => format!("goes on in {}", text::phase(*phase)),
        EventKind::LeftoversRemoved { what, names } => {
            format!("removed {} that nobody owned: {}", clean(what), clean(&names.join(", ")))
        }
        EventKind::RetentionRan { releases, outputs, events, deployments, bytes } => format!(
            "removed what was old: files of {}, {}, {}, {}; {} free",
            text::count(*releases as usize, "release"),
            text::count(*outputs as usize, "output"),
            text::count(*events as usize, "event"),
            text::count(*deployments as usize, "deployment"),
            text::bytes(*bytes)
        ),
        EventKind::TokenCreated { name, .. } => format!("token {} created", clean(name)),
        EventKind::TokenRevoked { name, .. } => format!("token {} revoked", clean(name)),
        EventKind::ApprovalRequested { required, role, expires_at, by, .. } => format!(
            "waits for the approval of {required} with the role {role} until {}, asked for by {}",
            text::local(*expires_at),
            clean(by)
        ),
        EventKind::ApprovalVoted { verdict: Verdict::Approve, by, got, required, .. } => {
            format!("approved by {} ({got} of {required})", clean(by))
        }
        EventKind::ApprovalVoted { verdict: Verdict::Refuse, by, .. } => format!("refused by {}", clean(by)),
        EventKind::ApprovalDecided { state, why, .. } => {
            let why = why.as_ref().map(|why| format!(": {}", clean(why))).unwrap_or_default();
            format!("approval {state}{why}")
        }
        EventKind::ApprovalReset { why, .. } => format!("votes count no more: {}", clean(why)),
    }
}
