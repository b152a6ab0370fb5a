//! From the words of a request to the app that they are about.

use domain::AppId;
use operations::{Error, Place};
use store::StoreError;
use store::tokens::Token;

use crate::Control;
use crate::caller::Caller;
use crate::error::store_error;
use crate::handlers::schedules;

/// [`At`](domain::access::At), with what was found.
pub(super) enum Found {
    Server,
    App(AppId),
    Somewhere,
    Nowhere,
    Own(bool),
}

impl Control {
    pub(super) async fn find(&self, caller: &Caller, place: Place<'_>) -> Result<Found, Error> {
        let store = self.store();
        let app = |app: Option<AppId>| app.map_or(Found::Nowhere, Found::App);
        Ok(match place {
            Place::Server => Found::Server,
            Place::Me => Found::Own(true),
            Place::Apps(None) => Found::Somewhere,
            Place::App(name) | Place::Apps(Some(name)) => {
                app(store::apps::find(store, name).await.map_err(store_error)?.map(|app| app.id))
            }
            Place::Deployment(id) => app(store::deployments::app_of(store, id).await.map_err(store_error)?),
            Place::Plan(plan) => {
                let sees = caller.grants.sees();
                let mut found =
                    store::plans::find(store, &sees, plan, store::clock::now()).await.map_err(store_error)?;
                match found.len() {
                    0 | 1 => app(found.pop().map(|kept| kept.app)),
                    // Only to be told that there are several: all of them are the caller's to see.
                    _ => Found::Somewhere,
                }
            }
            Place::Schedule(wanted) => {
                app(schedules::find(store, &caller.grants.sees(), wanted).await?.map(|schedule| schedule.app_id))
            }
            Place::Window(id) => match store::windows::find(store, id).await.map_err(store_error)? {
                None => Found::Nowhere,
                Some(window) => window.app.map_or(Found::Server, |(app, _)| Found::App(app)),
            },
            Place::Upload(id) => match store::uploads::find(store, id).await.map_err(store_error)? {
                None => Found::Nowhere,
                Some(upload) => Found::Own(owns(caller, &upload)),
            },
            Place::Token(id) => match store::tokens::get(store, id).await {
                Ok(token) => token_of(caller, &token),
                Err(StoreError::NotFound { .. }) => Found::Nowhere,
                Err(e) => return Err(store_error(e)),
            },
            Place::Session(id) => match store::sessions::find(store, id).await.map_err(store_error)? {
                None => Found::Nowhere,
                Some(session) => Found::Own(caller.principal.person() == Some(&session.user)),
            },
            Place::Invitation(id) => match store::invitations::find(store, id).await.map_err(store_error)? {
                None => Found::Nowhere,
                Some(invitation) => invitation.app.map_or(Found::Server, |(app, _)| Found::App(app)),
            },
            Place::Approval(id) => {
                app(store::approvals::find(store, id).await.map_err(store_error)?.map(|found| found.app_id))
            }
            Place::Channel(id) => match store::channels::find(store, id).await.map_err(store_error)? {
                None => Found::Nowhere,
                Some(channel) => channel.app.map_or(Found::Server, |(app, _)| Found::App(app)),
            },
        })
    }
}

/// A person's token is theirs. A machine's is of those who see to its apps: asked at the one of them where the caller has
/// the least, so that who is let through there would be at each.
fn token_of(caller: &Caller, token: &Token) -> Found {
    match (&token.user, token.grants.everywhere) {
        (Some(user), _) => Found::Own(caller.principal.person() == Some(user)),
        (None, Some(_)) => Found::Server,
        (None, None) => {
            let least = token.grants.apps.keys().min_by_key(|app| caller.grants.at(app));
            least.map_or(Found::Server, |app| Found::App(app.clone()))
        }
    }
}

/// Whether an upload was announced by this caller.
pub(super) fn owns(caller: &Caller, upload: &store::uploads::Upload) -> bool {
    upload.owner == owner(caller)
}

/// The word by which the caller's uploads are known as theirs.
pub(super) fn owner(caller: &Caller) -> &str {
    caller.principal.id()
}
