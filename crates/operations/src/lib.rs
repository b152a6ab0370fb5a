//! The contract of Plimsoll: every operation written once, as a typed request, a
//! typed response and a few constants. HTTP routes, the OpenAPI document, CLI
//! commands (and later MCP tools) come from the one list in [`for_each_operation`].
//!
//! No SQL, no axum: the server and every client share this crate and nothing else.

pub mod analytics;
pub mod apps;
pub mod certificates;
pub mod client;
pub mod cluster;
pub mod deployments;
pub mod diagnosis;
pub mod environments;
pub mod error;
pub mod events;
pub mod ingress;
pub mod local;
pub mod logs;
pub mod metrics;
pub mod page;
pub mod plans;
pub mod promotions;
pub mod queue;
pub mod releases;
pub mod retention;
pub mod schedules;
pub mod server;
pub mod smoke_tests;
pub mod sources;
pub mod stream;
pub mod tokens;
pub mod uploads;
pub mod variables;
pub mod windows;

pub use client::Client;
pub use error::{Error, ErrorKind};
pub use page::Page;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// HTTP method of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }

    /// The request travels as a JSON body; otherwise in path and query alone.
    pub fn has_body(self) -> bool {
        matches!(self, Method::Post | Method::Put)
    }
}

/// What an operation does to the world. It alone decides whether an idempotency
/// key is taken and whether the CLI asks before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Read,
    Write,
    /// Something is gone afterwards.
    Destroy,
}

/// One entry of the contract.
pub trait Operation: Send + Sync + 'static {
    type Request: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;
    type Response: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// `noun.verb`, the operation's name in every door.
    const NAME: &'static str;
    const METHOD: Method;
    /// Path parameters stand in braces and are fields of the request.
    const PATH: &'static str;
    const EFFECT: Effect;
    /// Status of success.
    const STATUS: u16 = 200;
    /// One line for the API document and `--help`.
    const SUMMARY: &'static str;
}

/// Calls the macro `$with` once with every operation, in the order of the API document.
///
/// A macro, because each of its users needs another bound on the types: a list of
/// values could not carry them.
#[macro_export]
macro_rules! for_each_operation {
    ($with:ident) => {
        $with! {
            $crate::server::Info,
            $crate::cluster::Show,
            $crate::apps::Create,
            $crate::apps::List,
            $crate::apps::Get,
            $crate::apps::SetSource,
            $crate::apps::SetConcurrency,
            $crate::apps::Delete,
            $crate::environments::Create,
            $crate::environments::List,
            $crate::environments::Get,
            $crate::environments::SetSupersede,
            $crate::environments::Delete,
            $crate::metrics::Get,
            $crate::variables::List,
            $crate::variables::Set,
            $crate::variables::Unset,
            $crate::sources::Detect,
            $crate::uploads::Create,
            $crate::uploads::List,
            $crate::uploads::Get,
            $crate::uploads::Delete,
            $crate::plans::Create,
            $crate::plans::List,
            $crate::plans::Get,
            $crate::plans::Simulate,
            $crate::deployments::Deploy,
            $crate::deployments::Rollback,
            $crate::promotions::Plan,
            $crate::promotions::Promote,
            $crate::smoke_tests::Run,
            $crate::deployments::List,
            $crate::deployments::Get,
            $crate::deployments::Cancel,
            $crate::deployments::Resume,
            $crate::deployments::Output,
            $crate::queue::List,
            $crate::queue::Move,
            $crate::queue::Reschedule,
            $crate::queue::Timeline,
            $crate::schedules::Create,
            $crate::schedules::List,
            $crate::schedules::Get,
            $crate::schedules::Update,
            $crate::schedules::Delete,
            $crate::windows::Create,
            $crate::windows::List,
            $crate::windows::Delete,
            $crate::windows::Bypasses,
            $crate::releases::List,
            $crate::releases::Get,
            $crate::certificates::Add,
            $crate::certificates::List,
            $crate::certificates::Get,
            $crate::certificates::Remove,
            $crate::ingress::Restart,
            $crate::analytics::Show,
            $crate::diagnosis::Diagnose,
            $crate::diagnosis::ShowLimits,
            $crate::diagnosis::SetLimits,
            $crate::retention::Show,
            $crate::retention::Set,
            $crate::retention::Plan,
            $crate::retention::Run,
            $crate::logs::Read,
            $crate::events::List,
            $crate::tokens::List,
            $crate::tokens::Create,
            $crate::tokens::Revoke,
        }
    };
}

/// The names of a path's parameters, in order: `/a/{app}/b/{n}` has `app` and `n`.
pub fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check<O: Operation>(names: &mut BTreeSet<&'static str>, routes: &mut BTreeSet<(&'static str, &'static str)>) {
        assert!(names.insert(O::NAME), "{} is there twice", O::NAME);
        assert!(routes.insert((O::METHOD.as_str(), O::PATH)), "{} {} is there twice", O::METHOD.as_str(), O::PATH);
        assert!(O::PATH.starts_with("/api/v1/"), "{}", O::PATH);
        assert!(!O::SUMMARY.is_empty());
        assert_eq!(O::EFFECT == Effect::Read, O::METHOD == Method::Get || O::NAME == "sources.detect", "{}", O::NAME);
        let schema = schemars::schema_for!(Wrapper<O::Request>);
        let schema = serde_json::to_value(schema).unwrap_or_default();
        let text = schema.to_string();
        for parameter in path_parameters(O::PATH) {
            assert!(text.contains(&format!("\"{parameter}\"")), "{}: the request lacks `{parameter}`", O::NAME);
        }
    }

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code)]
    struct Wrapper<T> {
        request: T,
    }

    #[test]
    fn the_list_is_consistent() {
        let (mut names, mut routes) = (BTreeSet::new(), BTreeSet::new());
        macro_rules! check_all {
            ($($operation:ty),* $(,)?) => { $(check::<$operation>(&mut names, &mut routes);)* };
        }
        for_each_operation!(check_all);
        assert_eq!(names.len(), 69);
    }
}
