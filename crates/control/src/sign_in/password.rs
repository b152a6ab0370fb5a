//! Another password, for somebody who knows the one of now.

use std::net::{IpAddr, Ipv4Addr};

use domain::session::SessionEnd;
use identity::Password;
use operations::Error;
use operations::me::{ChangePassword, ChangePasswordRequest, PasswordChanged};
use secrecy::ExposeSecret;

use super::{Denied, Visitor, busy, unchanged};
use crate::Control;
use crate::access::Admitted;
use crate::audit::commit;
use crate::caller::{Caller, Credential, Handle};
use crate::error::store_error;

impl Handle<ChangePassword> for Control {
    async fn handle(&self, who: &Admitted, request: ChangePasswordRequest) -> Result<PasswordChanged, Error> {
        self.change_password(who, &request).await.map_err(|denied| denied.error)
    }
}

impl Control {
    async fn change_password(
        &self,
        who: &Admitted,
        request: &ChangePasswordRequest,
    ) -> Result<PasswordChanged, Denied> {
        // Let through to one's own is a person alone.
        let id = who.principal.person().ok_or_else(Error::internal)?;
        let user = store::users::get(self.store(), id).await.map_err(store_error)?;
        // What can be said without a look at the password of now costs no attempt.
        let (current, new) = (request.current.0.expose_secret(), request.new.0.expose_secret());
        let (current, new) = (Password::new(current), Password::new(new));
        if new.as_str() == current.as_str() {
            return Err(Error::invalid("`new`: it is the same as `current`").into());
        }
        domain::password::check(new.as_str(), user.email.as_str(), &user.name)
            .map_err(|weakness| Error::invalid(format!("`new`: {weakness}")))?;
        self.has_room()?;
        let visitor = visitor(who);
        let own = match &who.credential {
            Credential::Session { id, .. } => Some(id),
            Credential::Token(_) | Credential::Signed { .. } | Credential::Inside => None,
        };
        let attempt = match own {
            Some(session) => self.attempt_in_session(session, &user).await?,
            None => self.attempt(&visitor, user.email.as_str()).await?,
        };
        if self.verify(Some(&user), &current, &attempt).await?.is_none() {
            self.failed(&visitor, &attempt, Some(&user.email), "me.change_password").await;
            return Err(Error::invalid("`current`: that is not your password").into());
        }
        let hash = match self.inner.sign_ins.hasher.hash(new).await {
            Ok(hash) => hash,
            Err(full) => {
                self.give_back(&attempt).await?;
                return Err(busy(full));
            }
        };

        let now = store::time::micros(store::clock::now());
        let tx = self.write().await?;
        let user = unchanged(store::users::find(&tx, &user.id).await.map_err(store_error)?, &user)?;
        self.forgive(&tx, &attempt).await?;
        store::users::set_password(&tx, &user.id, &hash, now).await.map_err(store_error)?;
        let why = SessionEnd::PasswordChanged;
        let ended = store::sessions::end_all(&tx, &user.id, own, now, why).await.map_err(store_error)?;
        let response = PasswordChanged { ended };
        let recorded = self.conclude::<ChangePassword>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

/// Whoever is signed in already, where they are.
pub(super) fn visitor(caller: &Caller) -> Visitor {
    Visitor {
        address: caller.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        agent: String::new(),
        request_id: caller.request_id.clone(),
        place: None,
        session: None,
    }
}
