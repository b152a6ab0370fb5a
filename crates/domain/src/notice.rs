//! Notices: what of the event log people want to be told, in words.
//!
//! Everything here is made from an event alone, so that a notice reads the same in a toast, a mail and a webhook, and
//! the same again when it is sent a second time.

mod audience;
mod digest;
mod flood;
mod retry;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use audience::{Audience, audience};
pub use digest::Digest;
pub use flood::{ALONE, Placing, Recent, SPAN, place};
pub use retry::{ATTEMPTS, next_attempt};

use crate::approval::{ApprovalKind, ApprovalState};
use crate::event::{Event, EventKind};
use crate::failure::{Cause, Failure};
use crate::id::DeploymentId;
use crate::name::Name;
use crate::phase::Phase;

/// What a notice is about; channels choose among them. The worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// A deployment can't go on or back by itself.
    DeploymentStuck,
    /// An instance ends again and again.
    InstanceCrashLooping,
    /// A deployment failed, and what served before serves.
    DeploymentFailed,
    /// It had been switched to, did not hold, and was taken back.
    DeploymentRolledBack,
    /// A deployment does nothing for longer than it should.
    DeploymentStalled,
    /// A stalled one goes on.
    DeploymentRecovered,
    /// A schedule did not run.
    ScheduleSkipped,
    /// A deployment went past a closed window.
    WindowBypassed,
    /// A deployment waits until others approve of it.
    ApprovalRequested,
    /// Somebody refused a deployment, and it has ended.
    ApprovalRefused,
    /// Too few people approved of a deployment in time, and it has ended.
    ApprovalExpired,
    /// Everything before is from a backup.
    ServerRestored,
    DeploymentCancelled,
    /// Enough people approved of a deployment: it may start.
    ApprovalApproved,
    /// A deployment got the traffic.
    DeploymentActive,
    /// Somebody tries a channel; nobody chooses it.
    Test,
}

impl Topic {
    /// What channels choose among.
    pub const ALL: [Topic; 15] = [
        Topic::DeploymentStuck,
        Topic::InstanceCrashLooping,
        Topic::DeploymentFailed,
        Topic::DeploymentRolledBack,
        Topic::DeploymentStalled,
        Topic::DeploymentRecovered,
        Topic::ScheduleSkipped,
        Topic::WindowBypassed,
        Topic::ApprovalRequested,
        Topic::ApprovalRefused,
        Topic::ApprovalExpired,
        Topic::ServerRestored,
        Topic::DeploymentCancelled,
        Topic::ApprovalApproved,
        Topic::DeploymentActive,
    ];

    /// The tag in JSON, in the store and in a webhook's `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Topic::DeploymentStuck => "deployment_stuck",
            Topic::InstanceCrashLooping => "instance_crash_looping",
            Topic::DeploymentFailed => "deployment_failed",
            Topic::DeploymentRolledBack => "deployment_rolled_back",
            Topic::DeploymentStalled => "deployment_stalled",
            Topic::DeploymentRecovered => "deployment_recovered",
            Topic::ScheduleSkipped => "schedule_skipped",
            Topic::WindowBypassed => "window_bypassed",
            Topic::ApprovalRequested => "approval_requested",
            Topic::ApprovalRefused => "approval_refused",
            Topic::ApprovalExpired => "approval_expired",
            Topic::ServerRestored => "server_restored",
            Topic::DeploymentCancelled => "deployment_cancelled",
            Topic::ApprovalApproved => "approval_approved",
            Topic::DeploymentActive => "deployment_active",
            Topic::Test => "test",
        }
    }

    pub const fn level(self) -> Level {
        match self {
            Topic::DeploymentStuck
            | Topic::InstanceCrashLooping
            | Topic::DeploymentFailed
            | Topic::DeploymentRolledBack => Level::Failure,
            Topic::DeploymentStalled
            | Topic::ScheduleSkipped
            | Topic::WindowBypassed
            | Topic::ApprovalRequested
            | Topic::ApprovalRefused
            | Topic::ApprovalExpired
            | Topic::ServerRestored => Level::Warning,
            Topic::DeploymentCancelled | Topic::Test => Level::Info,
            Topic::DeploymentRecovered | Topic::ApprovalApproved | Topic::DeploymentActive => Level::Success,
        }
    }

    /// Of several, in the words of a count: `3 failed`.
    const fn counted(self) -> &'static str {
        match self {
            Topic::DeploymentStuck => "stuck",
            Topic::InstanceCrashLooping => "crash looping",
            Topic::DeploymentFailed => "failed",
            Topic::DeploymentRolledBack => "rolled back",
            Topic::DeploymentStalled => "stalled",
            Topic::DeploymentRecovered => "recovered",
            Topic::ScheduleSkipped => "schedules skipped",
            Topic::WindowBypassed => "past a closed window",
            Topic::ApprovalRequested => "waiting for approval",
            Topic::ApprovalRefused => "refused",
            Topic::ApprovalExpired => "not approved in time",
            Topic::ServerRestored => "restored",
            Topic::DeploymentCancelled => "cancelled",
            Topic::ApprovalApproved => "approved",
            Topic::DeploymentActive => "active",
            Topic::Test => "tests",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no topic that a channel can be told of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no topic: expected one of {list}", list = Topic::ALL.map(Topic::as_str).join(", "))]
pub struct UnknownTopic(String);

impl FromStr for Topic {
    type Err = UnknownTopic;

    fn from_str(text: &str) -> Result<Self, UnknownTopic> {
        let found = Topic::ALL.into_iter().find(|topic| topic.as_str() == text);
        found.ok_or_else(|| UnknownTopic(text.chars().filter(|c| !c.is_control()).take(40).collect()))
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Success,
    Warning,
    Failure,
}

/// Something that people want to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// Cursor of its event.
    pub cursor: i64,
    pub at: DateTime<Utc>,
    pub topic: Topic,
    pub level: Level,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
    /// One line, of words of ours and names.
    pub title: String,
    /// What else there is to know, in a line or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub body: Option<String>,
    /// Where the UI shows more, below its address; begins with `/`.
    pub path: String,
}

/// Longest body, in characters: what others print has no end.
const MAX_BODY: usize = 600;

/// The kinds of events that may have something to tell people: who looks for notices reads no others.
pub const KINDS: [&str; 11] = [
    "deployment_finished",
    "deployment_stuck",
    "deployment_stalled",
    "deployment_recovered",
    "instance_crash_looping",
    "schedule_skipped",
    "window_bypassed",
    "approval_requested",
    "approval_reset",
    "approval_decided",
    "server_restored",
];

/// What `event` has to tell people; most events are for machines and logs.
pub fn notice(event: &Event) -> Option<Notice> {
    // So that whoever adds one here adds it there.
    if !KINDS.contains(&event.kind.as_str()) {
        return None;
    }
    let place = place_of(event);
    let deployment = || format!("{place}: deployment");
    let (topic, title, body) = match &event.kind {
        EventKind::DeploymentFinished { phase, failure } => finished(&place, *phase, failure.as_ref())?,
        EventKind::DeploymentStuck { phase, message } => {
            (Topic::DeploymentStuck, format!("{} is stuck in {phase}", deployment()), Some(message.clone()))
        }
        EventKind::DeploymentStalled { phase, reason } => {
            (Topic::DeploymentStalled, format!("{} makes no progress in {phase}", deployment()), Some(reason.clone()))
        }
        EventKind::DeploymentRecovered { phase } => {
            (Topic::DeploymentRecovered, format!("{} goes on in {phase}", deployment()), None)
        }
        EventKind::InstanceCrashLooping { instance, last_exit } => {
            let title = format!("{place}: an instance ends again and again");
            (Topic::InstanceCrashLooping, title, Some(format!("{instance}: {last_exit}")))
        }
        EventKind::ScheduleSkipped { name, planned_at, why, .. } => {
            let planned = planned_at.format("%Y-%m-%d %H:%M UTC");
            (Topic::ScheduleSkipped, format!("{place}: schedule {name} did not run at {planned}"), Some(why.clone()))
        }
        EventKind::WindowBypassed { by, reason, .. } => {
            let title = format!("{} goes past a closed window", deployment());
            (Topic::WindowBypassed, title, Some(format!("{by}: {reason}")))
        }
        EventKind::ApprovalRequested { about, required, role, expires_at, by, .. } => {
            let past = if *about == ApprovalKind::Bypass { " past a closed window" } else { "" };
            let people = if *required == 1 { "1 person".to_owned() } else { format!("{required} people") };
            let until = expires_at.format("%Y-%m-%d %H:%M UTC");
            let title = format!("{}{past} waits for approval", deployment());
            let body = format!("{by} asks for it; it takes {people} with the role {role} at least, until {until}");
            (Topic::ApprovalRequested, title, Some(body))
        }
        EventKind::ApprovalReset { why, .. } => {
            let title = format!("{} waits for approval again", deployment());
            (Topic::ApprovalRequested, title, Some(format!("{why}: the votes so far count no more")))
        }
        EventKind::ApprovalDecided { state, why, .. } => decided(&place, *state, why.clone())?,
        EventKind::ServerRestored { taken_at } => {
            let title = "Plimsoll was restored from a backup".to_owned();
            let taken = taken_at.format("%Y-%m-%d %H:%M UTC");
            (
                Topic::ServerRestored,
                title,
                Some(format!("The backup was taken at {taken}; what happened since is not known")),
            )
        }
        _ => return None,
    };
    Some(Notice {
        cursor: event.cursor,
        at: event.at,
        topic,
        level: topic.level(),
        app: event.app.clone(),
        environment: event.environment.clone(),
        deployment: event.deployment.clone(),
        title,
        body: body.map(|body| cut(&body)),
        path: path(event),
    })
}

/// What a channel is sent to see whether it arrives.
pub fn test(channel: &str, at: DateTime<Utc>) -> Notice {
    Notice {
        cursor: 0,
        at,
        topic: Topic::Test,
        level: Topic::Test.level(),
        app: None,
        environment: None,
        deployment: None,
        title: format!("Plimsoll: a test of the channel {channel}"),
        body: Some("It arrives. Nothing has happened.".to_owned()),
        path: "/notifications".to_owned(),
    }
}

/// None where nobody waits to hear of it: one that a newer one overtook tells nothing that the newer one will not tell, and
/// that one was not approved of is [told](decided) already.
fn finished(place: &str, phase: Phase, failure: Option<&Failure>) -> Option<(Topic, String, Option<String>)> {
    if failure.is_some_and(|failure| matches!(failure.cause, Cause::Superseded | Cause::NotApproved)) {
        return None;
    }
    let why = failure.map(|failure| {
        let hint = if failure.hint.is_empty() { String::new() } else { format!("\n{}", failure.hint) };
        format!("{}{hint}", failure.message)
    });
    Some(match phase {
        Phase::Active => (Topic::DeploymentActive, format!("{place}: deployment is active"), None),
        Phase::RolledBack => (Topic::DeploymentRolledBack, format!("{place}: deployment was taken back"), why),
        Phase::Cancelled => (Topic::DeploymentCancelled, format!("{place}: deployment was cancelled"), None),
        _ => {
            let at = failure.map(|failure| format!(" in {}", failure.phase)).unwrap_or_default();
            (Topic::DeploymentFailed, format!("{place}: deployment failed{at}"), why)
        }
    })
}

/// None for one whose deployment has ended for another reason, which is told.
fn decided(place: &str, state: ApprovalState, why: Option<String>) -> Option<(Topic, String, Option<String>)> {
    let (topic, title) = match state {
        ApprovalState::Approved => (Topic::ApprovalApproved, format!("{place}: deployment was approved")),
        ApprovalState::Refused => (Topic::ApprovalRefused, format!("{place}: deployment was refused")),
        ApprovalState::Expired => (Topic::ApprovalExpired, format!("{place}: deployment was not approved in time")),
        ApprovalState::Pending | ApprovalState::Void => return None,
    };
    Some((topic, title, why))
}

/// `shop production`.
fn place_of(event: &Event) -> String {
    match (&event.app, &event.environment) {
        (Some(app), Some(environment)) => format!("{app} {environment}"),
        (Some(app), None) => app.to_string(),
        (None, _) => "Plimsoll".to_owned(),
    }
}

fn path(event: &Event) -> String {
    match (&event.deployment, &event.app, &event.environment) {
        (Some(deployment), ..) => format!("/deployments/{deployment}"),
        (None, Some(app), Some(environment)) => format!("/apps/{app}/{environment}"),
        (None, Some(app), None) => format!("/apps/{app}"),
        (None, None, _) => "/".to_owned(),
    }
}

/// At most [`MAX_BODY`] characters, without what steers terminals.
fn cut(text: &str) -> String {
    let mut kept: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).take(MAX_BODY + 1).collect();
    if kept.chars().count() > MAX_BODY {
        kept = kept.chars().take(MAX_BODY - 1).collect();
        kept.push('…');
    }
    kept
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::id::ApprovalId;

    pub(super) fn event(kind: EventKind) -> Event {
        Event {
            cursor: 7,
            at: DateTime::UNIX_EPOCH,
            app: Some("shop".parse().unwrap()),
            environment: Some("production".parse().unwrap()),
            deployment: Some(DeploymentId::from_ulid(ulid::Ulid::from_parts(1, 2))),
            kind,
        }
    }

    fn failure(cause: Cause, message: &str) -> Failure {
        Failure {
            phase: Phase::Building,
            cause,
            message: message.to_owned(),
            output: vec!["not for a notice".to_owned()],
            hint: "run it on your machine".to_owned(),
            smoke_tests: Vec::new(),
        }
    }

    fn finished(phase: Phase, failure: Option<Failure>) -> Option<Notice> {
        notice(&event(EventKind::DeploymentFinished { phase, failure }))
    }

    #[test]
    fn an_end_is_told_with_its_reason_and_its_place() {
        let failed = finished(Phase::Failed, Some(failure(Cause::Build, "npm ended with 1"))).unwrap();
        assert_eq!(failed.title, "shop production: deployment failed in building");
        assert_eq!(failed.body.as_deref(), Some("npm ended with 1\nrun it on your machine"));
        assert_eq!((failed.topic, failed.level, failed.cursor), (Topic::DeploymentFailed, Level::Failure, 7));
        assert_eq!(failed.path, format!("/deployments/{}", failed.deployment.clone().unwrap()));

        let active = finished(Phase::Active, None).unwrap();
        assert_eq!((active.title.as_str(), active.body), ("shop production: deployment is active", None));
        let back = finished(Phase::RolledBack, Some(failure(Cause::Verification, "502"))).unwrap();
        assert_eq!(back.topic, Topic::DeploymentRolledBack);
        assert_eq!(finished(Phase::Cancelled, None).unwrap().level, Level::Info);
    }

    #[test]
    fn what_a_newer_one_overtook_is_not_told() {
        for phase in [Phase::Failed, Phase::Cancelled] {
            assert_eq!(finished(phase, Some(failure(Cause::Superseded, "a newer one"))), None);
        }
        assert_eq!(finished(Phase::Cancelled, Some(failure(Cause::NotApproved, "refused by zoe"))), None);
    }

    #[test]
    fn what_waits_for_others_is_told_in_one_line_and_so_is_what_came_of_it() {
        let approval = || ApprovalId::from_ulid(ulid::Ulid::from_parts(1, 3));
        let asked = |about, required| EventKind::ApprovalRequested {
            approval: approval(),
            about,
            required,
            role: Role::Admin,
            expires_at: DateTime::UNIX_EPOCH,
            by: "Ann".to_owned(),
        };
        let told = |kind: EventKind| {
            notice(&event(kind)).map(|notice| {
                assert!(notice.path.starts_with("/deployments/dep_"), "{notice:?}");
                (notice.topic, notice.title, notice.body.unwrap_or_default())
            })
        };
        let (topic, title, body) = told(asked(ApprovalKind::Deployment, 2)).unwrap();
        assert_eq!(
            (topic, title.as_str()),
            (Topic::ApprovalRequested, "shop production: deployment waits for approval")
        );
        assert_eq!(body, "Ann asks for it; it takes 2 people with the role admin at least, until 1970-01-01 00:00 UTC");
        let (_, title, body) = told(asked(ApprovalKind::Bypass, 1)).unwrap();
        assert_eq!(title, "shop production: deployment past a closed window waits for approval");
        assert!(body.contains("it takes 1 person with"), "{body}");
        let (topic, title, body) =
            told(EventKind::ApprovalReset { approval: approval(), why: "a variable changed".to_owned() }).unwrap();
        assert_eq!(
            (topic, title.as_str()),
            (Topic::ApprovalRequested, "shop production: deployment waits for approval again")
        );
        assert_eq!(body, "a variable changed: the votes so far count no more");
        let decided = |state| {
            let why = (state != ApprovalState::Approved).then(|| "because".to_owned());
            told(EventKind::ApprovalDecided { approval: approval(), state, why })
        };
        let expected =
            |topic, end: &str, why: &str| Some((topic, format!("shop production: deployment {end}"), why.to_owned()));
        assert_eq!(decided(ApprovalState::Approved), expected(Topic::ApprovalApproved, "was approved", ""));
        assert_eq!(decided(ApprovalState::Refused), expected(Topic::ApprovalRefused, "was refused", "because"));
        assert_eq!(
            decided(ApprovalState::Expired),
            expected(Topic::ApprovalExpired, "was not approved in time", "because")
        );
        assert_eq!(decided(ApprovalState::Void), None);
    }

    #[test]
    fn what_is_for_machines_is_no_notice() {
        for kind in [
            EventKind::AppCreated,
            EventKind::PhaseChanged { phase: Phase::Building, progress: 10 },
            EventKind::DeploymentQueued { requested_by: "ann".to_owned() },
            EventKind::ServerStarted { version: "1".to_owned() },
        ] {
            assert_eq!(notice(&event(kind)), None);
        }
    }

    #[test]
    fn long_text_from_outside_is_cut_and_steers_no_terminal() {
        let long = format!("\u{1b}[31m{}", "é".repeat(1000));
        let notice = finished(Phase::Failed, Some(failure(Cause::Build, &long))).unwrap();
        let body = notice.body.unwrap();
        assert_eq!(body.chars().count(), MAX_BODY);
        assert!(!body.contains('\u{1b}') && body.ends_with('…'));
    }

    #[test]
    fn topics_are_called_as_in_json_and_listed_once_the_worst_first() {
        for topic in Topic::ALL {
            assert_eq!(serde_json::to_value(topic).unwrap(), topic.as_str());
        }
        assert!(Topic::ALL.is_sorted_by(|a, b| a < b));
        for topic in Topic::ALL {
            assert_eq!(topic.as_str().parse(), Ok(topic));
        }
        assert!("test".parse::<Topic>().is_err() && "".parse::<Topic>().is_err());
    }
}
