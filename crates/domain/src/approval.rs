//! Approvals: whether a deployment waits for the yes of others, whose yes counts, and what comes of their votes.
//!
//! A policy holds for one environment. What it asks for names its subject, which is what will run: a vote is for that and
//! for nothing else. One's own vote never counts, through whatever door or token it comes.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::deployment::DeploymentKind;
use crate::id::{ReleaseId, UploadId, UserId};
use crate::lifetime::Lifetime;
use crate::release::Digest;
use crate::upload::Checksum;

/// The most people that a policy may ask for.
pub const MOST_REQUIRED: u8 = 5;
/// Of one environment at a time: whoever starts what waits looks past them.
pub const MOST_PENDING: u64 = 50;
/// Of these, asked for by one: nobody takes the room of the others.
pub const MOST_PENDING_OF_ONE: u64 = 10;
/// How long votes may take at most.
pub const LONGEST: Lifetime = Lifetime::days(30);
/// Characters of a comment.
pub const MAX_COMMENT: usize = 500;

/// What an environment asks for before something is deployed to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// So many people say yes: 1 to [`MOST_REQUIRED`].
    pub required: u8,
    /// The least that they are at the app.
    pub role: Role,
    /// Going back waits for them, too.
    pub rollbacks: bool,
    /// Going past a closed window is what they are asked about, if that is wanted.
    pub bypasses: bool,
    /// So long votes may take; then the deployment ends.
    pub expires_in: Lifetime,
}

/// What people are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalKind {
    /// A deployment.
    Deployment,
    /// A deployment that goes past closed windows.
    Bypass,
}

/// Where an approval is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// It waits for votes, and the deployment for it.
    Pending,
    /// Enough people said yes.
    Approved,
    /// Somebody said no; the deployment has ended.
    Refused,
    /// Not enough people said anything in time; the deployment has ended.
    Expired,
    /// The deployment ended for another reason before it began.
    Void,
}

/// What somebody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Approve,
    /// Ends it.
    Refuse,
}

/// The text names none of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not one of {known}")]
pub struct Unknown {
    text: String,
    known: &'static str,
}

macro_rules! words {
    ($name:ident, $known:literal, $($variant:ident => $word:literal),* $(,)?) => {
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = Unknown;

            fn from_str(text: &str) -> Result<Self, Unknown> {
                let known = Self::ALL.iter().copied().find(|one| one.as_str() == text);
                known.ok_or_else(|| Unknown { text: text.chars().take(40).collect(), known: $known })
            }
        }
    };
}

words!(ApprovalKind, "deployment, bypass", Deployment => "deployment", Bypass => "bypass");
words!(
    ApprovalState, "pending, approved, refused, expired, void",
    Pending => "pending", Approved => "approved", Refused => "refused", Expired => "expired", Void => "void",
);
words!(Verdict, "approve, refuse", Approve => "approve", Refuse => "refuse");

/// What exactly is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// Of a git repository, in full.
    Commit(String),
    /// The files of a release, as they are.
    Release {
        release: ReleaseId,
        artifact: Digest,
    },
    Upload {
        upload: UploadId,
        digest: Checksum,
    },
    /// All that a plan rests on, the source included.
    Plan(Digest),
}

impl Pin {
    /// The words that a vote repeats. They end with the round: what is asked again is another question.
    pub fn subject(&self) -> String {
        format!("{self}#1")
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Commit(sha) => write!(f, "commit:{sha}"),
            Pin::Release { release, artifact } => write!(f, "release:{release}:{}", artifact.as_str()),
            Pin::Upload { upload, digest } => write!(f, "upload:{upload}:{digest}"),
            Pin::Plan(digest) => write!(f, "plan:{}", digest.as_str()),
        }
    }
}

/// The subject of the next round: what runs is the same, but not what it runs with.
pub fn next_round(subject: &str) -> String {
    let (pin, round) = subject.rsplit_once('#').unwrap_or((subject, "1"));
    let round = round.parse::<u32>().unwrap_or(1).saturating_add(1);
    format!("{pin}#{round}")
}

/// What a deployment of this kind has to wait for, if for anything. `bypass`: it is to go past closed windows.
pub fn needed(policy: &Policy, kind: DeploymentKind, bypass: bool) -> Option<ApprovalKind> {
    match kind {
        // No window holds one.
        DeploymentKind::Rollback => policy.rollbacks.then_some(ApprovalKind::Deployment),
        DeploymentKind::Deploy | DeploymentKind::Promotion => match bypass && policy.bypasses {
            true => Some(ApprovalKind::Bypass),
            false => Some(ApprovalKind::Deployment),
        },
    }
}

/// Why somebody's vote does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    #[error("it is {0} already")]
    Decided(ApprovalState),
    #[error("its time is over")]
    TooLate,
    #[error("a person votes, and no program")]
    Program,
    #[error("you asked for it yourself, and one's own approval does not count")]
    Own,
    #[error("it needs the role {needs} at the app, and you have {}", .has.map_or("none", Role::as_str))]
    Role { needs: Role, has: Option<Role> },
}

/// What decides about whose vote counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ballot<'a> {
    pub state: ApprovalState,
    pub role: Role,
    /// The person who asked, or whose token or schedule did, or who made the program's token; none when a program of nobody's
    /// did.
    pub requester: Option<&'a UserId>,
    pub expires_at: DateTime<Utc>,
}

/// Whether somebody may vote: `voter` is the person behind whatever they came with, and `has` their role at the app.
pub fn may_vote(
    ballot: Ballot<'_>,
    voter: Option<&UserId>,
    has: Option<Role>,
    now: DateTime<Utc>,
) -> Result<(), Barred> {
    may_ever_vote(ballot.role, ballot.requester, voter, has)?;
    match ballot.state {
        ApprovalState::Pending if now < ballot.expires_at => Ok(()),
        ApprovalState::Pending => Err(Barred::TooLate),
        decided => Err(Barred::Decided(decided)),
    }
}

/// The same before it is asked, and after it was decided: whether the vote of somebody counts at all on what needs `role` and
/// `requester` asks for.
pub fn may_ever_vote(
    role: Role,
    requester: Option<&UserId>,
    voter: Option<&UserId>,
    has: Option<Role>,
) -> Result<(), Barred> {
    let Some(voter) = voter else { return Err(Barred::Program) };
    if requester == Some(voter) {
        return Err(Barred::Own);
    }
    match has < Some(role) {
        true => Err(Barred::Role { needs: role, has }),
        false => Ok(()),
    }
}

/// One vote, as far as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted<'a> {
    pub voter: &'a UserId,
    pub verdict: Verdict,
    /// Not of an earlier round.
    pub counts: bool,
}

/// What votes come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// So many people have said yes, and more are asked for.
    Open {
        got: u8,
    },
    Approved,
    Refused,
}

/// Counts people, not votes. A no is enough to end it; `requester` counts for nothing.
pub fn tally<'a>(votes: impl IntoIterator<Item = Counted<'a>>, required: u8, requester: Option<&UserId>) -> Tally {
    let mut yes: BTreeSet<&UserId> = BTreeSet::new();
    for vote in votes.into_iter().filter(|vote| vote.counts && Some(vote.voter) != requester) {
        match vote.verdict {
            Verdict::Refuse => return Tally::Refused,
            Verdict::Approve => {
                yes.insert(vote.voter);
            }
        }
    }
    let got = u8::try_from(yes.len()).unwrap_or(u8::MAX);
    // Never without anybody, whatever a row says.
    if got >= required.max(1) { Tally::Approved } else { Tally::Open { got } }
}

#[cfg(test)]
mod tests;
