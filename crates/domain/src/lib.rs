//! Ids, types, policies and planners of Plimsoll.
//!
//! No I/O and no clock in here: time, randomness and facts are arguments, and
//! what comes back is a value. Every other crate may depend on this one; it
//! depends on none of ours.

pub mod analytics;
pub mod config;
pub mod cursor;
pub mod deployment;
pub mod estimate;
pub mod event;
pub mod failure;
pub mod health;
pub mod id;
pub mod instance;
pub mod labels;
pub mod lifetime;
pub mod limit;
pub mod limits;
pub mod membership;
pub mod name;
pub mod order;
pub mod phase;
pub mod plan;
pub mod procfile;
pub mod promotion;
pub mod queue;
pub mod release;
pub mod retention;
pub mod route;
pub mod schedule;
pub mod smoke;
pub mod source;
pub mod spec;
pub mod stall;
pub mod timeline;
pub mod upload;
pub mod window;

pub use id::{
    AppId, BypassId, CertificateId, DeploymentId, EnvironmentId, PlanId, ReleaseId, ScheduleId, ServerId, TokenId,
    UploadId, WindowId,
};
pub use name::Name;
