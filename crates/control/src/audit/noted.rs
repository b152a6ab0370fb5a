//! What the record of an operation will say, as far as it is known.

use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::audit::{ActorKind, Detail, Draft, Outcome, Via as Door};
use domain::{AppId, Name};
use operations::secrets::{redacted, without_credentials};
use operations::{Effect, Error, Operation, Place, path_parameters};
use serde::Serialize;
use serde_json::{Map, Value, json};
use store::StoreError;

use crate::Control;
use crate::caller::{Caller, Principal, Via};
use crate::error::store_error;
use crate::handlers::schedules;

/// Made when somebody is let through to an operation, added to by its handler.
#[derive(Debug)]
pub(crate) struct Noted {
    operation: &'static str,
    /// Without its secrets; null for what is no write.
    request: Value,
    known: Mutex<Known>,
}

#[derive(Debug, Default, Clone)]
struct Known {
    about: About,
    /// How it was before, and is now.
    change: Option<(Value, Value)>,
    error: Option<Value>,
    /// Number of the record that says that it began.
    begun: Option<u64>,
    concluded: bool,
}

/// What it was done to.
#[derive(Debug, Default, Clone)]
pub(super) struct About {
    app_id: Option<AppId>,
    app: Option<Name>,
    environment: Option<Name>,
    target: Option<String>,
}

impl Noted {
    /// Of something that writes nothing.
    pub(crate) fn nothing(operation: &'static str) -> Self {
        Self { operation, request: Value::Null, known: Mutex::default() }
    }

    /// Of what the operation made, or did something to.
    pub(crate) fn target(&self, id: impl ToString) {
        self.known().about.target = Some(id.to_string());
    }

    /// Of the app that it made.
    pub(crate) fn app(&self, id: &AppId, name: &Name) {
        let mut known = self.known();
        known.about.app_id = Some(id.clone());
        known.about.app = Some(name.clone());
    }

    /// What the operation has changed: how it was, and how it is.
    pub(crate) fn changed(&self, before: &impl Serialize, after: &impl Serialize) {
        let value = |result: serde_json::Result<Value>| without_credentials(result.unwrap_or_default());
        self.known().change = Some((value(serde_json::to_value(before)), value(serde_json::to_value(after))));
    }

    /// Who makes something learns its id with the answer.
    pub(super) fn answered(&self, response: &Value) {
        let mut known = self.known();
        if known.about.target.is_none() {
            known.about.target = ["id", "digest"].iter().find_map(|field| text(response, field));
        }
    }

    pub(super) fn begun(&self, seq: u64) {
        self.known().begun = Some(seq);
    }

    pub(super) fn failed(&self, error: &Error) {
        self.known().error = Some(told(error));
    }

    pub(super) fn concluded(&self) {
        self.known().concluded = true;
    }

    pub(super) fn is_concluded(&self) -> bool {
        self.known().concluded
    }

    /// The record to be.
    pub(super) fn draft(&self, caller: &Caller, outcome: Outcome) -> Draft {
        let Known { about, change, error, begun, .. } = self.known().clone();
        let mut detail = Map::new();
        // It is in the record of the beginning.
        if begun.is_none() && !self.request.is_null() {
            detail.insert("request".to_owned(), self.request.clone());
        }
        if let Some((before, after)) = change {
            detail.extend([("before".to_owned(), before), ("after".to_owned(), after)]);
        }
        detail.extend(error.map(|error| ("error".to_owned(), error)));
        Draft { of: begun, ..draft(caller, self.operation, about, outcome, detail.into()) }
    }

    /// That somebody was let through, and refused all the same.
    pub(super) fn refusal(&self, caller: &Caller, why: &Error, times: u64) -> Draft {
        refusal(caller, self.operation, self.known().about.clone(), why, times)
    }

    pub(super) fn operation(&self) -> &'static str {
        self.operation
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// What is known of an operation before it begins.
    pub(crate) async fn note<O: Operation>(&self, caller: &Caller, request: &O::Request) -> Result<Noted, Error> {
        if O::EFFECT == Effect::Read {
            return Ok(Noted::nothing(O::NAME));
        }
        let request_of = redacted::<O>(request);
        let mut about = self.about(caller, O::place(request)).await?;
        if about.environment.is_none() {
            about.environment = text(&request_of, "environment").and_then(|name| name.parse().ok());
        }
        if about.target.is_none() {
            let mut names = path_parameters(O::PATH).filter(|name| !matches!(*name, "app" | "environment"));
            about.target = names.find_map(|name| text(&request_of, name));
        }
        let known = Known { about, ..Known::default() };
        Ok(Noted { operation: O::NAME, request: request_of, known: Mutex::new(known) })
    }

    /// What a request is about, in full.
    pub(super) async fn about(&self, caller: &Caller, place: Place<'_>) -> Result<About, Error> {
        let store = self.store();
        let target = |target: &dyn ToString| About { target: Some(target.to_string()), ..About::default() };
        Ok(match place {
            Place::Server | Place::Me | Place::Apps(None) => About::default(),
            Place::App(name) | Place::Apps(Some(name)) => {
                let app = store::apps::find(store, name).await.map_err(store_error)?;
                About { app_id: app.map(|app| app.id), app: Some(name.clone()), ..About::default() }
            }
            Place::Deployment(id) => match store::deployments::get(store, id).await {
                Ok(record) => About {
                    app_id: Some(record.app_id),
                    app: Some(record.deployment.app),
                    environment: Some(record.deployment.environment),
                    ..target(id)
                },
                Err(StoreError::NotFound { .. }) => target(id),
                Err(e) => return Err(store_error(e)),
            },
            Place::Schedule(wanted) => match schedules::find(store, &caller.grants.sees(), wanted).await? {
                Some(row) => About {
                    app_id: Some(row.app_id),
                    app: Some(row.app),
                    environment: Some(row.environment),
                    ..target(&row.id)
                },
                None => target(&wanted),
            },
            Place::Window(id) => match store::windows::find(store, id).await.map_err(store_error)? {
                Some(window) => {
                    let (app_id, app) = window.app.unzip();
                    About { app_id, app, environment: window.environment, ..target(id) }
                }
                None => target(id),
            },
            Place::Plan(plan) => target(plan),
            Place::Upload(id) => target(id),
            Place::Token(id) => target(id),
            Place::Session(id) => target(id),
            Place::Invitation(id) => match store::invitations::find(store, id).await.map_err(store_error)? {
                Some(invitation) => {
                    let app_id = invitation.app.map(|(app, _)| app);
                    About { app_id, ..target(id) }
                }
                None => target(id),
            },
            Place::Approval(id) => match store::approvals::find(store, id).await.map_err(store_error)? {
                Some(approval) => About {
                    app_id: Some(approval.app_id),
                    app: Some(approval.app),
                    environment: Some(approval.environment),
                    ..target(id)
                },
                None => target(id),
            },
            Place::Channel(id) => match store::channels::find(store, id).await.map_err(store_error)? {
                Some(channel) => {
                    let (app_id, app) = channel.app.unzip();
                    About { app_id, app, ..target(id) }
                }
                None => target(id),
            },
        })
    }
}

/// That somebody was refused, and how often since it was last recorded.
pub(super) fn refusal(caller: &Caller, operation: &str, about: About, why: &Error, times: u64) -> Draft {
    let detail = json!({ "error": told(why), "times": times });
    draft(caller, operation, about, Outcome::Refused, detail)
}

fn draft(caller: &Caller, operation: &str, about: About, outcome: Outcome, detail: Value) -> Draft {
    let About { app_id, app, environment, target } = about;
    Draft {
        at: store::clock::now(),
        actor: caller.principal.id().to_owned(),
        actor_kind: actor_kind(caller),
        actor_name: kept(&caller.name),
        token: caller.credential.token().cloned(),
        via: door(caller.via),
        address: caller.address,
        request: caller.request_id.as_deref().map(kept),
        operation: operation.to_owned(),
        app_id,
        app,
        environment,
        target: target.as_deref().map(kept),
        outcome,
        of: None,
        detail: Detail::new(detail),
    }
}

/// PostgreSQL keeps no NUL: without this, who puts one into a request would leave no record.
fn kept(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn actor_kind(caller: &Caller) -> ActorKind {
    match (&caller.principal, caller.via) {
        (Principal::System, _) => ActorKind::System,
        (_, Via::Mcp) => ActorKind::Agent,
        // What its owner could do themselves, the schedule has done.
        (_, Via::Tick) | (Principal::Schedule(_), _) => ActorKind::Schedule,
        (Principal::Person(_), _) => ActorKind::Person,
        (Principal::Machine(_), _) => ActorKind::Token,
    }
}

const fn door(via: Via) -> Door {
    match via {
        Via::Web => Door::Web,
        Via::Api => Door::Api,
        Via::Cli => Door::Cli,
        Via::Mcp => Door::Mcp,
        Via::Local => Door::Local,
        Via::Tick => Door::Tick,
    }
}

fn told(error: &Error) -> Value {
    without_credentials(json!({ "code": error.code, "detail": error.detail }))
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field)?.as_str().map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use domain::access::Grants;
    use domain::{ScheduleId, TokenId, UserId};
    use ulid::Ulid;

    use super::*;
    use crate::caller::Credential;

    fn noted(request: Value) -> Noted {
        Noted { operation: "apps.set_source", request, known: Mutex::default() }
    }

    fn token() -> Caller {
        let id = TokenId::from_ulid(Ulid::generate());
        Caller::new(Principal::Machine(id.clone()), Credential::Token(id), Grants::default(), "ci")
    }

    #[test]
    fn a_record_says_who_what_and_what_has_changed() {
        let caller = Caller { via: Via::Local, request_id: Some("r1".to_owned()), ..token() };
        let noted = noted(json!({ "app": "shop" }));
        noted.changed(&json!({ "url": "https://me:pass@old" }), &json!({ "url": "https://new" }));
        noted.answered(&json!({ "id": "app_1", "digest": "d" }));
        let draft = noted.draft(&caller, Outcome::Done);
        assert_eq!((draft.actor.as_str(), draft.actor_name.as_str()), (caller.principal.id(), "ci"));
        assert_eq!((draft.actor_kind, draft.via, draft.outcome), (ActorKind::Token, Door::Local, Outcome::Done));
        assert_eq!(draft.token.as_ref().map(TokenId::as_str), Some(caller.principal.id()));
        assert_eq!((draft.operation.as_str(), draft.target.as_deref()), ("apps.set_source", Some("app_1")));
        let expected = json!({
            "request": { "app": "shop" },
            "before": { "url": "https://[secret]@old" },
            "after": { "url": "https://new" },
        });
        assert_eq!(draft.detail.value(), &expected);
        // What was named is not overwritten by what came of it.
        noted.target("app_2");
        noted.answered(&json!({ "id": "app_3" }));
        assert_eq!(noted.draft(&caller, Outcome::Done).target.as_deref(), Some("app_2"));
    }

    #[test]
    fn a_record_holds_no_nul_wherever_one_was_sent() {
        let caller = Caller { name: "c\0i".to_owned(), request_id: Some("r\0".to_owned()), ..token() };
        let noted = noted(json!({ "schedule": "night\0ly" }));
        noted.target("night\0ly");
        for draft in [noted.draft(&caller, Outcome::Done), noted.refusal(&caller, &Error::conflict("no"), 1)] {
            let texts = [Some(draft.actor_name), draft.request, draft.target];
            let expected = ["c\u{fffd}i", "r\u{fffd}", "night\u{fffd}ly"];
            assert_eq!(texts, expected.map(|text| Some(text.to_owned())));
        }
    }

    #[test]
    fn the_end_of_an_act_names_its_beginning() {
        let noted = noted(json!({ "app": "shop" }));
        let caller = token();
        let begun = noted.draft(&caller, Outcome::Begun);
        assert_eq!((begun.of, begun.detail.value()), (None, &json!({ "request": { "app": "shop" } })));
        noted.begun(7);
        noted.failed(&Error::conflict("https://me:pass@host is busy"));
        let failed = noted.draft(&caller, Outcome::Failed);
        assert_eq!(failed.of, Some(7));
        let expected = json!({ "error": { "code": "conflict", "detail": "https://[secret]@host is busy" } });
        assert_eq!(failed.detail.value(), &expected, "the request is in the record of the beginning");
    }

    #[test]
    fn it_is_told_who_acts_in_whose_name() {
        let of = |principal: Principal, via| {
            actor_kind(&Caller { via, ..Caller::new(principal, Credential::Inside, Grants::default(), "x") })
        };
        let person = || Principal::Person(UserId::from_ulid(Ulid::generate()));
        assert_eq!(of(person(), Via::Web), ActorKind::Person);
        assert_eq!(of(person(), Via::Mcp), ActorKind::Agent);
        assert_eq!(of(person(), Via::Tick), ActorKind::Schedule);
        assert_eq!(of(Principal::Schedule(ScheduleId::from_ulid(Ulid::generate())), Via::Tick), ActorKind::Schedule);
        assert_eq!(of(Principal::System, Via::Tick), ActorKind::System);
    }
}
