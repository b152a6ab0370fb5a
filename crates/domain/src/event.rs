//! Events: what happened, in one log with one order.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::approval::{ApprovalKind, ApprovalState, Verdict};
use crate::failure::Failure;
use crate::id::{ApprovalId, CertificateId, DeploymentId, ReleaseId, ScheduleId, TokenId, UploadId, WindowId};
use crate::name::Name;
use crate::phase::Phase;
use crate::queue::Priority;
use crate::schedule::{Cron, Missed};
use crate::smoke::SmokeResult;

/// An entry of the event log. `cursor` grows by time of commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    pub cursor: i64,
    pub at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    AppCreated,
    AppDeleted,
    EnvironmentCreated,
    EnvironmentDeleted,
    /// Names only, never values.
    VariablesChanged {
        set: Vec<String>,
        unset: Vec<String>,
    },
    DeploymentQueued {
        requested_by: String,
    },
    /// `progress` in percent.
    PhaseChanged {
        phase: Phase,
        progress: u8,
    },
    /// Somebody gave a queued deployment another place, time or priority.
    DeploymentRequeued {
        by: String,
        priority: Priority,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<DateTime<Utc>>,
    },
    ScheduleCreated {
        schedule: ScheduleId,
        name: Name,
        by: String,
    },
    ScheduleChanged {
        schedule: ScheduleId,
        name: Name,
        /// As it is from now on.
        enabled: bool,
        /// When it runs from now on, if that was changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cron: Option<Box<Cron>>,
        /// What becomes of missed runs from now on, if that was changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missed: Option<Missed>,
        by: String,
    },
    ScheduleDeleted {
        schedule: ScheduleId,
        name: Name,
        by: String,
    },
    /// A plan was given up on purpose, or nothing could be deployed.
    ScheduleSkipped {
        schedule: ScheduleId,
        name: Name,
        planned_at: DateTime<Utc>,
        why: String,
    },
    WindowCreated {
        window: WindowId,
        rule: String,
        by: String,
    },
    WindowDeleted {
        window: WindowId,
        rule: String,
        by: String,
    },
    /// A deployment is not held by windows; `rule` is what would have held it just then.
    WindowBypassed {
        by: String,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
    /// The limit of deployments at work at the same time, or the policy for queued ones, was changed.
    QueueConfigured {
        by: String,
    },
    ReleaseCreated {
        release: ReleaseId,
        number: u32,
    },
    /// A round of smoke tests has ended, or will not be held.
    SmokeTested {
        results: Vec<SmokeResult>,
    },
    /// The failure is on its way to being undone.
    StepFailed {
        phase: Phase,
        #[schemars(extend("x-plimsoll-untrusted" = true))]
        message: String,
        will_retry: bool,
    },
    CancelRequested {
        by: String,
    },
    /// The end: `active`, `failed`, `cancelled` or `rolled_back`.
    DeploymentFinished {
        phase: Phase,
        failure: Option<Failure>,
    },
    DeploymentStuck {
        phase: Phase,
        #[schemars(extend("x-plimsoll-untrusted" = true))]
        message: String,
    },
    InstanceCrashLooping {
        instance: String,
        last_exit: String,
    },
    InstanceRestarted {
        instance: String,
    },
    CertificateAdded {
        certificate: CertificateId,
        names: Vec<String>,
    },
    CertificateRemoved {
        certificate: CertificateId,
        names: Vec<String>,
    },
    /// All of a file has arrived and is what was announced.
    UploadCompleted {
        upload: UploadId,
        name: String,
        size: u64,
    },
    /// Nobody had use for a file for too long.
    UploadExpired {
        upload: UploadId,
        name: String,
    },
    ServerStarted {
        version: String,
    },
    /// Everything before it is from a backup; what happened between is not known.
    ServerRestored {
        taken_at: DateTime<Utc>,
    },
    /// A deployment does not end and does nothing; `reason` says what is missing.
    DeploymentStalled {
        phase: Phase,
        reason: String,
    },
    /// One that was stalled shows signs of life again.
    DeploymentRecovered {
        phase: Phase,
    },
    /// What nobody owned any more was cleaned away.
    LeftoversRemoved {
        what: String,
        names: Vec<String>,
    },
    /// What was old was removed, by the retention policy.
    RetentionRan {
        releases: u64,
        outputs: u64,
        events: u64,
        deployments: u64,
        bytes: u64,
    },
    TokenCreated {
        token: TokenId,
        name: String,
    },
    TokenRevoked {
        token: TokenId,
        name: String,
    },
    /// A deployment waits until `required` people with `role` at the app approve of it.
    ApprovalRequested {
        approval: ApprovalId,
        about: ApprovalKind,
        required: u8,
        role: Role,
        expires_at: DateTime<Utc>,
        by: String,
    },
    /// Somebody said yes, and more are asked for.
    ApprovalVoted {
        approval: ApprovalId,
        verdict: Verdict,
        by: String,
        got: u8,
        required: u8,
    },
    /// It waits no more: approved, refused, expired, or void as the deployment ended before.
    ApprovalDecided {
        approval: ApprovalId,
        state: ApprovalState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-plimsoll-untrusted" = true))]
        why: Option<String>,
    },
    /// What it would run with has changed: the votes so far count no more.
    ApprovalReset {
        approval: ApprovalId,
        why: String,
    },
}

impl EventKind {
    /// The tag in JSON and in the store.
    pub fn as_str(&self) -> &'static str {
        match self {
            EventKind::AppCreated => "app_created",
            EventKind::AppDeleted => "app_deleted",
            EventKind::EnvironmentCreated => "environment_created",
            EventKind::EnvironmentDeleted => "environment_deleted",
            EventKind::VariablesChanged { .. } => "variables_changed",
            EventKind::DeploymentQueued { .. } => "deployment_queued",
            EventKind::PhaseChanged { .. } => "phase_changed",
            EventKind::DeploymentRequeued { .. } => "deployment_requeued",
            EventKind::QueueConfigured { .. } => "queue_configured",
            EventKind::ScheduleCreated { .. } => "schedule_created",
            EventKind::ScheduleChanged { .. } => "schedule_changed",
            EventKind::ScheduleDeleted { .. } => "schedule_deleted",
            EventKind::ScheduleSkipped { .. } => "schedule_skipped",
            EventKind::WindowCreated { .. } => "window_created",
            EventKind::WindowDeleted { .. } => "window_deleted",
            EventKind::WindowBypassed { .. } => "window_bypassed",
            EventKind::ReleaseCreated { .. } => "release_created",
            EventKind::SmokeTested { .. } => "smoke_tested",
            EventKind::StepFailed { .. } => "step_failed",
            EventKind::CancelRequested { .. } => "cancel_requested",
            EventKind::DeploymentFinished { .. } => "deployment_finished",
            EventKind::DeploymentStuck { .. } => "deployment_stuck",
            EventKind::InstanceCrashLooping { .. } => "instance_crash_looping",
            EventKind::InstanceRestarted { .. } => "instance_restarted",
            EventKind::CertificateAdded { .. } => "certificate_added",
            EventKind::CertificateRemoved { .. } => "certificate_removed",
            EventKind::UploadCompleted { .. } => "upload_completed",
            EventKind::UploadExpired { .. } => "upload_expired",
            EventKind::ServerStarted { .. } => "server_started",
            EventKind::ServerRestored { .. } => "server_restored",
            EventKind::DeploymentStalled { .. } => "deployment_stalled",
            EventKind::DeploymentRecovered { .. } => "deployment_recovered",
            EventKind::LeftoversRemoved { .. } => "leftovers_removed",
            EventKind::RetentionRan { .. } => "retention_ran",
            EventKind::TokenCreated { .. } => "token_created",
            EventKind::TokenRevoked { .. } => "token_revoked",
            EventKind::ApprovalRequested { .. } => "approval_requested",
            EventKind::ApprovalVoted { .. } => "approval_voted",
            EventKind::ApprovalDecided { .. } => "approval_decided",
            EventKind::ApprovalReset { .. } => "approval_reset",
        }
    }
}
