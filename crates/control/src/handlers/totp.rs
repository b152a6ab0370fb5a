//! One's second factor: begun, switched off. Its first code, and those that are asked for then, are looked at in [`crate::sign_in`].

use domain::{SessionId, UserId};
use identity::qr;
use operations::totp::{
    Begin, BeginRequest, Begun, Picture, Remove, RemoveRequest, SecondFactor, Setup, Show, ShowRequest,
};
use operations::{Error, ErrorKind};
use store::Session;

use super::users::person;
use crate::Control;
use crate::access::Admitted;
use crate::audit::commit;
use crate::caller::{Credential, Handle};
use crate::error::store_error;

impl Handle<Show> for Control {
    async fn handle(&self, who: &Admitted, _: ShowRequest) -> Result<SecondFactor, Error> {
        shown(self.store(), own(who)?).await
    }
}

impl Handle<Begin> for Control {
    async fn handle(&self, who: &Admitted, _: BeginRequest) -> Result<Begun, Error> {
        let (_, id) = in_a_session(who)?;
        let tx = self.write().await?;
        let user = store::users::get(&tx, id).await.map_err(store_error)?;
        let (secret, sealed) = self.new_second_factor(id)?;
        let now = store::time::micros(store::clock::now());
        if !store::totp::begin(&tx, id, &sealed, now).await.map_err(store_error)? {
            return Err(
                Error::conflict("you have a second factor already").hint("switch it off first, then begin anew")
            );
        }
        let url = secret.to_url(user.email.as_str()).map_err(|_| Error::internal())?;
        let picture = qr::picture(&url).map_err(|_| Error::internal())?;
        who.noted().target(id);
        // What is remembered is in the database, so it must not hold the secret itself.
        let recorded = self.conclude::<Begin>(&tx, who, &Begun { setup: None }).await?;
        commit(tx, recorded).await?;
        let picture = Picture { size: picture.size, path: picture.path };
        Ok(Begun { setup: Some(Setup { secret: secret.to_text().to_string(), url: url.to_string(), picture }) })
    }
}

impl Handle<Remove> for Control {
    async fn handle(&self, who: &Admitted, request: RemoveRequest) -> Result<SecondFactor, Error> {
        let tx = self.write().await?;
        let user = match &request.user {
            Some(named) => match person(&tx, named).await?.id {
                // By their name or without it: it is one's own.
                own if who.principal.person() == Some(&own) => in_a_session(who)?.1.clone(),
                other => other,
            },
            None => in_a_session(who)?.1.clone(),
        };
        let before = shown(&tx, &user).await?;
        // Twice is once.
        store::totp::remove(&tx, &user).await.map_err(store_error)?;
        let response = SecondFactor { enabled: false, since: None, recovery_codes: 0 };
        who.noted().target(&user);
        who.noted().changed(&before.enabled, &response.enabled);
        let recorded = self.conclude::<Remove>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

/// Let through to one's own is a person alone.
fn own(who: &Admitted) -> Result<&UserId, Error> {
    who.principal.person().ok_or_else(Error::internal)
}

/// A token that was stolen must not take away what stands between the thief and the person's password; and a session can be asked to
/// confirm, a token can't.
pub(crate) fn in_a_session(who: &Admitted) -> Result<(&SessionId, &UserId), Error> {
    match &who.credential {
        Credential::Session { id, .. } => Ok((id, own(who)?)),
        Credential::Token(_) | Credential::Signed { .. } | Credential::Inside => {
            Err(Error::new(ErrorKind::Forbidden, "your second factor is not changed with a token")
                .hint("sign in to the web interface, and change it on the page of your account"))
        }
    }
}

async fn shown(session: &impl Session, user: &UserId) -> Result<SecondFactor, Error> {
    let found = store::totp::find(session, user).await.map_err(store_error)?;
    let since = found.and_then(|found| found.confirmed_at);
    let left = store::recovery_codes::left(session, user).await.map_err(store_error)?;
    Ok(SecondFactor { enabled: since.is_some(), since, recovery_codes: u32::try_from(left).unwrap_or(u32::MAX) })
}
