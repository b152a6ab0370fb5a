//! The contract of Plimsoll: every operation written once, as a typed request, a
//! typed response and a few constants. HTTP routes, the OpenAPI document, CLI
//! commands (and later MCP tools) come from the one list in [`for_each_operation`].
//!
//! No SQL, no axum: the server and every client share this crate and nothing else.

pub mod analytics;
pub mod approval_policies;
pub mod approvals;
pub mod apps;
pub mod audit;
pub mod auth_settings;
pub mod certificates;
pub mod channels;
pub mod client;
pub mod cluster;
pub mod deliveries;
pub mod deployments;
pub mod devices;
pub mod diagnosis;
pub mod environments;
pub mod error;
pub mod events;
pub mod figures;
pub mod guides;
pub mod ingress;
pub mod invitations;
pub mod local;
pub mod logs;
pub mod mail;
pub mod me;
pub mod members;
pub mod metrics;
pub mod mutes;
pub mod notices;
pub mod overview;
pub mod page;
pub mod place;
pub mod plans;
pub mod promotions;
pub mod queue;
pub mod releases;
pub mod retention;
pub mod schedules;
pub mod secrets;
pub mod server;
pub mod sessions;
pub mod sign_in;
pub mod smoke_tests;
pub mod sources;
pub mod stream;
pub mod tokens;
pub mod totp;
pub mod uploads;
pub mod users;
pub mod variables;
pub mod windows;

pub use client::Client;
pub use domain::access::Permission;
pub use error::{Error, ErrorKind};
pub use page::Page;
pub use place::Place;

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
    /// What whoever asks for it must be allowed to do, at [`place`](Operation::place).
    const PERMISSION: Permission;
    /// A person who signed in a while ago is asked for the password again.
    const CONFIRM: bool = Self::PERMISSION.is_sensitive() && !matches!(Self::EFFECT, Effect::Read);

    /// The permission that this very request asks for, where not all of them ask for the same.
    fn permission(_: &Self::Request) -> Permission {
        Self::PERMISSION
    }

    /// What the request is about.
    fn place(request: &Self::Request) -> Place<'_>;
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
            $crate::deployments::Abandon,
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
            $crate::me::Show,
            $crate::me::SetPreferences,
            $crate::me::ChangePassword,
            $crate::users::List,
            $crate::users::Get,
            $crate::users::Set,
            $crate::users::Remove,
            $crate::invitations::Invite,
            $crate::invitations::List,
            $crate::invitations::Withdraw,
            $crate::members::List,
            $crate::members::Set,
            $crate::members::Remove,
            $crate::sessions::List,
            $crate::sessions::End,
            $crate::audit::List,
            $crate::audit::Verify,
            $crate::devices::Show,
            $crate::devices::Approve,
            $crate::auth_settings::Show,
            $crate::auth_settings::Set,
            $crate::totp::Show,
            $crate::totp::Begin,
            $crate::totp::Confirm,
            $crate::totp::Remove,
            $crate::approvals::List,
            $crate::approvals::Get,
            $crate::approvals::Vote,
            $crate::approval_policies::List,
            $crate::approval_policies::Set,
            $crate::approval_policies::Remove,
            $crate::channels::List,
            $crate::channels::Create,
            $crate::channels::Update,
            $crate::channels::Remove,
            $crate::channels::Test,
            $crate::deliveries::List,
            $crate::deliveries::Resend,
            $crate::notices::List,
            $crate::notices::Seen,
            $crate::mutes::List,
            $crate::mutes::Set,
            $crate::mutes::Remove,
            $crate::mail::Show,
            $crate::mail::Set,
            $crate::guides::List,
            $crate::guides::Get,
            $crate::guides::Search,
            $crate::figures::Show,
            $crate::overview::Show,
            $crate::schedules::Preview,
        }
    };
}

/// The names of a path's parameters, in order: `/a/{app}/b/{n}` has `app` and `n`.
pub fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    /// What is asked with a body, and changes nothing all the same.
    const LOOKS: [&str; 3] = ["sources.detect", "audit.verify", "schedules.preview"];

    fn check<O: Operation>(names: &mut BTreeSet<&'static str>, routes: &mut BTreeSet<(&'static str, &'static str)>) {
        assert!(names.insert(O::NAME), "{} is there twice", O::NAME);
        assert!(routes.insert((O::METHOD.as_str(), O::PATH)), "{} {} is there twice", O::METHOD.as_str(), O::PATH);
        assert!(O::PATH.starts_with("/api/v1/"), "{}", O::PATH);
        assert!(!O::SUMMARY.is_empty());
        assert_eq!(O::EFFECT == Effect::Read, O::METHOD == Method::Get || LOOKS.contains(&O::NAME), "{}", O::NAME);
        let schema = schemars::schema_for!(Wrapper<O::Request>);
        let schema = serde_json::to_value(schema).unwrap_or_default();
        let text = schema.to_string();
        for parameter in path_parameters(O::PATH) {
            assert!(text.contains(&format!("\"{parameter}\"")), "{}: the request lacks `{parameter}`", O::NAME);
        }
    }

    /// Values for the fields that requests can't be without.
    fn sample(field: &str) -> Value {
        match field {
            "app" | "environment" | "from" | "name" => json!("shop"),
            "deployment" => json!("dep_01jd0000000000000000000000"),
            "window" => json!("win_01jd0000000000000000000000"),
            "upload" => json!("upl_01jd0000000000000000000000"),
            "token" => json!("tok_01jd0000000000000000000000"),
            "plan" => json!("0123abcd"),
            "schedule" => json!("nightly"),
            "certificate" | "key" => json!("shop"),
            "variables" => json!({}),
            "names" => json!([]),
            "source" => json!({ "kind": "directory", "path": "/srv/shop" }),
            "cron" => json!("0 6 * * * UTC"),
            "limit" | "number" | "size" => json!(1),
            "policy" => json!("run_all"),
            "to" => json!({ "place": "first" }),
            "digest" => json!(format!("sha256:{}", "0".repeat(64))),
            "rule" => json!({ "kind": "freeze", "reason": "sale" }),
            "user" => json!("zoe@example.org"),
            "current" | "new" => json!("otter gravel teapot"),
            "session" => json!("ses_01jd0000000000000000000000"),
            "invitation" => json!("inv_01jd0000000000000000000000"),
            "role" => json!("viewer"),
            "approval" => json!("apr_01jd0000000000000000000000"),
            "subject" => json!("commit:0123abcd#1"),
            "verdict" => json!("approve"),
            "preferences" => json!({}),
            "user_code" => json!("WDJB-MJHT"),
            "code" => json!("123456"),
            "channel" => json!("chn_01jd0000000000000000000000"),
            "delivery" => json!("dlv_01jd0000000000000000000000"),
            "target" => json!({ "kind": "mail", "to": ["ann@example.org"] }),
            "cursor" => json!(1),
            "page" => json!("runbook"),
            "words" => json!("the queue"),
            other => panic!("what is a good `{other}`?"),
        }
    }

    /// A request with what it must have, and with an app if it may have one.
    fn request<O: Operation>(with_app: bool) -> O::Request {
        let schema = serde_json::to_value(schemars::schema_for!(O::Request)).unwrap();
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut fields: serde_json::Map<_, _> = required.map(|name| (name.to_owned(), sample(name))).collect();
        if with_app && schema["properties"]["app"].is_object() {
            fields.insert("app".to_owned(), sample("app"));
        }
        serde_json::from_value(Value::Object(fields.clone())).unwrap_or_else(|e| panic!("{}: {fields:?}: {e}", O::NAME))
    }

    /// The permission fits what the operation does, and the place what its request names.
    fn check_access<O: Operation>() {
        use Permission::{Audit, Create, Govern, Hello, Local, Look, Mine, Operate, People, ServerLook};
        let (name, permission) = (O::NAME, O::PERMISSION);
        let looks = matches!(permission, Hello | Look | ServerLook | Audit);
        // Of people not everybody may know, and one's own is nobody else's.
        let private = matches!(permission, Mine | Govern | People);
        // To detect, the server fetches what it is told to.
        let reads = looks || name == "sources.detect";
        assert_eq!(O::EFFECT == Effect::Read, reads || private && O::METHOD == Method::Get, "{name}: {permission}");
        assert_ne!(permission, Local, "{name}: that is asked besides");
        let (with, without) = (request::<O>(true), request::<O>(false));
        let (with, without) = (O::place(&with), O::place(&without));
        let names: Vec<&str> = path_parameters(O::PATH).collect();
        let shop = "shop".parse().unwrap();
        match names.first().copied() {
            // To mute an app is about who does not want to hear of it.
            Some("app") if permission == Mine => assert_eq!(with, Place::Me, "{name}"),
            Some("app") => assert_eq!(with, Place::App(&shop), "{name}"),
            Some("channel") => assert!(matches!(with, Place::Channel(_)), "{name}: {with:?}"),
            Some("deployment") => assert!(matches!(with, Place::Deployment(_)), "{name}: {with:?}"),
            Some("plan") => assert!(matches!(with, Place::Plan(_)), "{name}: {with:?}"),
            Some("schedule") => assert!(matches!(with, Place::Schedule(_)), "{name}: {with:?}"),
            Some("window") => assert!(matches!(with, Place::Window(_)), "{name}: {with:?}"),
            Some("upload") => assert!(matches!(with, Place::Upload(_)), "{name}: {with:?}"),
            Some("session") => assert!(matches!(with, Place::Session(_)), "{name}: {with:?}"),
            Some("invitation") => assert!(matches!(with, Place::Invitation(_)), "{name}: {with:?}"),
            Some("approval") => assert!(matches!(with, Place::Approval(_)), "{name}: {with:?}"),
            Some("user_code") => assert_eq!(with, Place::Me, "{name}"),
            Some("user" | "page") => assert_eq!(with, Place::Server, "{name}"),
            Some("token") => assert!(matches!(with, Place::Token(_)), "{name}: {with:?}"),
            Some("certificate") => assert_eq!(with, Place::Server, "{name}"),
            Some(other) => panic!("{name}: what place is `{other}`?"),
            None if matches!(with, Place::App(_) | Place::Apps(Some(_))) => {
                assert!(matches!(with, Place::App(app) | Place::Apps(Some(app)) if *app == shop), "{name}: {with:?}");
                if with == without {
                    return assert!(with == Place::App(&shop), "{name}: the app is no filter, it must be there");
                }
                // What would hold for all apps is no list of what one sees.
                let all = if looks { O::EFFECT == Effect::Read } else { without == Place::Server };
                assert!(all && matches!(without, Place::Apps(None) | Place::Server), "{name}: {without:?}");
            }
            None => assert!(matches!(with, Place::Server | Place::Apps(None) | Place::Me), "{name}: {with:?}"),
        }
        if matches!(permission, Create | ServerLook | Operate | People) {
            assert_eq!(with, Place::Server, "{name}: {permission}");
        }
        assert!(!O::CONFIRM || O::EFFECT != Effect::Read, "{name}: nothing happens, so there is nothing to confirm");
    }

    #[test]
    fn every_operation_asks_for_what_it_does_where_it_does_it() {
        macro_rules! check_all {
            ($($operation:ty),* $(,)?) => { $(check_access::<$operation>();)* };
        }
        for_each_operation!(check_all);
        const { assert!(apps::Delete::CONFIRM && tokens::Create::CONFIRM && !deployments::Deploy::CONFIRM) };
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
        assert_eq!(names.len(), 121);
    }
}
