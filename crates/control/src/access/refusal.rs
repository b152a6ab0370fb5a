//! The words for those who are not let through.

use domain::access::{Needs, Role};
use operations::{Error, ErrorKind, Place};

use super::missing;
use crate::caller::{Caller, Principal, Via};

/// As if what was named were not there.
pub(super) fn hidden(place: Place<'_>) -> Error {
    match place {
        Place::App(name) | Place::Apps(Some(name)) => missing::app(name),
        Place::Deployment(id) => missing::deployment(id),
        Place::Plan(plan) => missing::plan(plan),
        Place::Schedule(wanted) => missing::schedule(wanted),
        Place::Window(id) => missing::window(id),
        Place::Upload(id) => missing::upload(id),
        Place::Token(id) => missing::token(id),
        Place::Session(id) => missing::session(id),
        Place::Invitation(id) => missing::invitation(id),
        Place::Approval(id) => missing::approval(id),
        Place::Channel(id) => missing::channel(id),
        // Nothing of them is hidden.
        Place::Server | Place::Me | Place::Apps(None) => Error::not_found("there is no such thing"),
    }
}

/// What `what` needs, and what the caller has there.
pub(super) fn forbidden(caller: &Caller, what: &str, needs: Needs, has: Option<Role>) -> Error {
    let (who, have) = match &caller.principal {
        // Whose schedule it is reads that, not who has said it.
        Principal::Person(_) | Principal::Machine(_) if caller.via == Via::Tick => {
            (format!("whoever the {} acts for", caller.name), "has")
        }
        Principal::Person(_) => ("you".to_owned(), "have"),
        Principal::Machine(_) => (format!("the token `{}`", caller.name), "has"),
        Principal::Schedule(_) => (format!("the {}", caller.name), "has"),
        Principal::System => ("the server".to_owned(), "has"),
    };
    let there = match needs {
        Needs::Everywhere(_) => "that holds everywhere",
        Needs::App(_) | Needs::PersonAt(_) | Needs::Person | Needs::SignedIn => "there",
    };
    let has = match has {
        Some(role) => format!("{who} {have} the role {role}"),
        None => format!("{who} {have} no role {there}"),
    };
    let hint = match (&caller.principal, needs) {
        (_, Needs::Person | Needs::PersonAt(_)) if caller.principal.person().is_none() => {
            "a person does that: sign in, or use a token of your own".to_owned()
        }
        (Principal::Person(_), _) => "ask somebody who may do it, or who may give you the role".to_owned(),
        _ => "use a token that may do more: `plimsoll tokens create NAME` makes one".to_owned(),
    };
    Error::new(ErrorKind::Forbidden, format!("{has}, and {what} needs {needs}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use domain::access::Grants;
    use domain::{TokenId, UserId};
    use ulid::Ulid;

    use super::*;
    use crate::caller::Credential;

    fn caller(principal: Principal, name: &str) -> Caller {
        Caller::new(principal, Credential::Inside, Grants::default(), name)
    }

    #[test]
    fn a_refusal_says_who_has_what_and_what_it_takes() {
        let token = caller(Principal::Machine(TokenId::from_ulid(Ulid::generate())), "dashboard");
        let person = caller(Principal::Person(UserId::from_ulid(Ulid::generate())), "Ada");
        for (who, needs, has, detail, hint) in [
            (
                &token,
                Needs::App(Role::Deployer),
                Some(Role::Viewer),
                "the token `dashboard` has the role viewer, and apps.x needs the role deployer at the app",
                "tokens create",
            ),
            (
                &token,
                Needs::Everywhere(Role::Admin),
                None,
                "the token `dashboard` has no role that holds everywhere, and apps.x needs the role admin everywhere",
                "tokens create",
            ),
            (
                &token,
                Needs::PersonAt(Role::Viewer),
                Some(Role::Owner),
                "the token `dashboard` has the role owner, and apps.x needs a person with the role viewer at the app",
                "sign in",
            ),
            (
                &person,
                Needs::App(Role::Viewer),
                None,
                "you have no role there, and apps.x needs the role viewer at the app",
                "ask somebody",
            ),
        ] {
            let error = forbidden(who, "apps.x", needs, has);
            assert_eq!((error.status, error.detail.as_str()), (403, detail));
            assert!(error.hint.as_ref().is_some_and(|found| found.contains(hint)), "{error:?}");
        }
    }
}
