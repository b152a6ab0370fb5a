//! Whoever asks.

use domain::schedule::Zone;
use operations::Error;
use operations::me::{Me, MyGrants, Preferences, SetPreferences, SetPreferencesRequest, Show, ShowRequest};
use serde_json::Value;

use super::app_names;
use crate::Control;
use crate::access::Admitted;
use crate::audit::commit;
use crate::caller::{Credential, Handle};
use crate::error::store_error;

impl Handle<Show> for Control {
    async fn handle(&self, who: &Admitted, _: ShowRequest) -> Result<Me, Error> {
        let store = self.store();
        let mut grants = MyGrants { everywhere: who.grants.everywhere, ..MyGrants::default() };
        for (id, name) in app_names(store, who.grants.apps.keys().cloned()).await? {
            if let Some(role) = who.grants.apps.get(&id) {
                grants.apps.insert(name, *role);
            }
        }
        let mut me = Me {
            principal: who.principal.id().to_owned(),
            name: who.name.clone(),
            email: None,
            grants,
            session_ends_at: None,
            confirmed_until: None,
            preferences: Value::Null,
        };
        if let Some(id) = who.principal.person()
            && let Some(user) = store::users::find(store, id).await.map_err(store_error)?
        {
            me.email = Some(user.email);
            me.preferences = user.preferences;
        }
        if let Credential::Session { id, confirmed_until } = &who.credential {
            let session = store::sessions::find(store, id).await.map_err(store_error)?;
            me.session_ends_at = session.map(|session| session.ends_at);
            me.confirmed_until = Some(*confirmed_until);
        }
        Ok(me)
    }
}

impl Handle<SetPreferences> for Control {
    async fn handle(&self, who: &Admitted, request: SetPreferencesRequest) -> Result<Preferences, Error> {
        let preferences = request.preferences;
        if let Some(zone) = &preferences.zone {
            zone.parse::<Zone>().map_err(|e| Error::unprocessable(format!("`zone`: {e}")))?;
        }
        // Let through to one's own is a person alone.
        let id = who.principal.person().ok_or_else(Error::internal)?;
        let kept = serde_json::to_value(&preferences).map_err(|_| Error::internal())?;
        let tx = self.write().await?;
        store::users::set_preferences(&tx, id, &kept).await.map_err(store_error)?;
        who.noted().target(id);
        let recorded = self.conclude::<SetPreferences>(&tx, who, &preferences).await?;
        commit(tx, recorded).await?;
        Ok(preferences)
    }
}
