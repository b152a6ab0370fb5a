//! Ids, types, policies and planners of Plimsoll.
//!
//! No I/O and no clock in here: time, randomness and facts are arguments, and
//! what comes back is a value. Every other crate may depend on this one; it
//! depends on none of ours.

pub mod access;
pub mod analytics;
pub mod approval;
pub mod audit;
pub mod canonical;
pub mod channel;
pub mod config;
pub mod cookies;
pub mod cursor;
pub mod deployment;
pub mod device;
pub mod email;
pub mod estimate;
pub mod event;
pub mod failure;
pub mod forwarded;
pub mod guide;
pub mod health;
pub mod id;
pub mod instance;
pub mod labels;
pub mod lifetime;
pub mod limit;
pub mod limits;
pub mod lockout;
pub mod membership;
pub mod name;
pub mod network;
pub mod notice;
pub mod order;
pub mod own_page;
pub mod password;
pub mod phase;
pub mod plan;
pub mod procfile;
pub mod promotion;
pub mod queue;
pub mod redact;
pub mod release;
pub mod retention;
pub mod route;
pub mod schedule;
pub mod session;
pub mod smoke;
pub mod source;
pub mod spec;
pub mod stall;
pub mod timeline;
pub mod topics;
pub mod upload;
pub mod webhook;
pub mod window;

pub use id::{
    AppId, ApprovalId, BypassId, CertificateId, ChannelId, DeliveryId, DeploymentId, EnvironmentId, InvitationId,
    PlanId, ReleaseId, ScheduleId, ServerId, SessionId, TokenId, UploadId, UserId, WindowId,
};
pub use name::Name;
