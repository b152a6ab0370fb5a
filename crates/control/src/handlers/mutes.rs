//! Apps that a person does not want to hear of.

use domain::Name;
use domain::access::{At, Permission};
use domain::schedule::parse_instant;
use operations::Error;
use operations::mutes::{List, ListRequest, Mute, Remove, RemoveRequest, Set, SetRequest};
use store::Session;
use store::apps::App;
use store::mutes::Mute as Record;

use super::{app_named, commit};
use crate::Control;
use crate::access::{Admitted, missing};
use crate::caller::Handle;
use crate::error::store_error;
use crate::notices::refused;

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, _: ListRequest) -> Result<Vec<Mute>, Error> {
        // Let through to one's own is a person alone.
        let user = who.principal.person().ok_or_else(Error::internal)?;
        let mut rows = store::mutes::of_user(self.store(), user, store::clock::now()).await.map_err(store_error)?;
        // An app that one sees no more is none of one's business, muted or not.
        rows.retain(|(mute, _)| who.sees().includes(&mute.app));
        Ok(rows.into_iter().map(|(mute, app)| Mute { app, until: mute.until }).collect())
    }
}

impl Handle<Set> for Control {
    async fn handle(&self, who: &Admitted, request: SetRequest) -> Result<Mute, Error> {
        let user = who.principal.person().ok_or_else(Error::internal)?;
        let now = store::clock::now();
        let until = match &request.until {
            Some(text) => {
                let at = store::time::micros(parse_instant(text, now).map_err(|e| refused("until", e))?.at);
                if at <= now {
                    return Err(refused("until", format!("{at} is past")).hint("name a time to come"));
                }
                Some(at)
            }
            None => None,
        };
        let tx = self.write().await?;
        let app = seen_app(&tx, who, &request.app).await?;
        let mute = Record { user: user.clone(), app: app.id.clone(), until };
        store::mutes::set(&tx, &mute).await.map_err(store_error)?;
        who.noted().app(&app.id, &app.name);
        let response = Mute { app: app.name, until };
        let recorded = self.conclude::<Set>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<Remove> for Control {
    async fn handle(&self, who: &Admitted, request: RemoveRequest) -> Result<Mute, Error> {
        let user = who.principal.person().ok_or_else(Error::internal)?;
        let tx = self.write().await?;
        let app = seen_app(&tx, who, &request.app).await?;
        let gone = store::mutes::remove(&tx, user, &app.id).await.map_err(store_error)?.ok_or_else(|| {
            Error::not_found(format!("you have not muted `{}`", app.name))
                .hint("`plimsoll mutes list` shows what you have")
        })?;
        who.noted().app(&app.id, &app.name);
        let response = Mute { app: app.name, until: gone.until };
        let recorded = self.conclude::<Remove>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

/// Asked here, as the place is the person: an app that one must not know of is not there.
async fn seen_app(session: &impl Session, who: &Admitted, name: &Name) -> Result<App, Error> {
    let app = app_named(session, name).await?;
    match who.may(Permission::Look, At::App(&app.id)) {
        true => Ok(app),
        false => Err(missing::app(name)),
    }
}
