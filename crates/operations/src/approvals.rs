//! Approvals: what waits for the yes of others, and their votes.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::access::Role;
use domain::approval::{ApprovalKind, ApprovalState, Verdict};
use domain::deployment::DeploymentKind;
use domain::{ApprovalId, DeploymentId, Name, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

/// Something that people are asked to approve of, and what they said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    pub id: ApprovalId,
    pub kind: ApprovalKind,
    pub deployment: DeploymentId,
    /// What the deployment does; absent once it was removed with what is old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_kind: Option<DeploymentKind>,
    pub app: Name,
    pub environment: Name,
    /// What exactly runs when it is approved. A vote repeats it; it is another one after a reset.
    pub subject: String,
    /// The same in words for people.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub subject_note: String,
    pub requested_by: String,
    /// So many people have to say yes.
    pub required: u8,
    /// So many have.
    pub got: u8,
    /// The least that they are at the app.
    pub role: Role,
    pub state: ApprovalState,
    /// Why it is refused, expired or void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub why: Option<String>,
    /// Oldest first.
    pub votes: Vec<CastVote>,
    /// Whoever asks may vote.
    pub may_vote: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_not: Option<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<DateTime<Utc>>,
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CastVote {
    pub user: UserId,
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub name: String,
    pub verdict: Verdict,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub comment: Option<String>,
    /// The door it came through: web, api or cli.
    pub via: String,
    pub at: DateTime<Utc>,
    /// Not from before a reset.
    pub counts: bool,
}

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Only of this app.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Only of environments of this name.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// Only in this state: pending, approved, refused, expired or void.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ApprovalState>,
    /// Only what waits for your own vote.
    #[arg(long)]
    #[serde(default)]
    pub mine: bool,
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ApprovalId>")]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<Approval>;
    const NAME: &'static str = "approvals.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/approvals";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List what waits for approval and what was decided, newest first";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Apps(request.app.as_ref())
    }
}

pub struct Get;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequest {
    /// Id of the approval (`apr_…`).
    #[arg(value_name = "APPROVAL")]
    pub approval: ApprovalId,
}

impl Operation for Get {
    type Request = ApprovalRequest;
    type Response = Approval;
    const NAME: &'static str = "approvals.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/approvals/{approval}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show what is to be approved, and who said what";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Approval(&request.approval)
    }
}

/// Says yes or no. Enough people who say yes let the deployment start; one who says no ends it.
pub struct Vote;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VoteRequest {
    /// Id of the approval (`apr_…`).
    pub approval: ApprovalId,
    /// What the vote is for, as the approval says it.
    #[schemars(length(min = 1, max = 400))]
    pub subject: String,
    pub verdict: Verdict,
    /// Why, in at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub comment: Option<String>,
}

impl Operation for Vote {
    type Request = VoteRequest;
    type Response = Approval;
    const NAME: &'static str = "approvals.vote";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/approvals/{approval}/votes";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Approve of a deployment that others asked for, or refuse it";
    const PERMISSION: Permission = Permission::Vote;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Approval(&request.approval)
    }
}
