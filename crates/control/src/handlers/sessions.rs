//! Sessions: looked at and ended by their person, or by who decides about people. How they begin is in [`crate::sign_in`].

use domain::access::{At, Permission};
use domain::session::{IDLE, SessionEnd};
use operations::sessions::{End, EndRequest, List, ListRequest, Session};
use operations::{Error, ErrorKind};
use store::sessions::Record;

use super::users::person;
use crate::Control;
use crate::access::{Admitted, missing};
use crate::audit::commit;
use crate::caller::{Caller, Credential, Handle};
use crate::error::store_error;

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Vec<Session>, Error> {
        self.must_be_whole(who).await?;
        let user = match &request.user {
            Some(named) => person(self.store(), named).await?.id,
            // Let through to one's own is a person alone.
            None => who.principal.person().cloned().ok_or_else(Error::internal)?,
        };
        let now = store::clock::now();
        let rows = store::sessions::of_user(self.store(), &user, now).await.map_err(store_error)?;
        Ok(rows.into_iter().filter(|row| row.is_open(now, IDLE)).map(|row| shown(row, who)).collect())
    }
}

impl Handle<End> for Control {
    async fn handle(&self, who: &Admitted, request: EndRequest) -> Result<Session, Error> {
        self.must_be_whole(who).await?;
        let tx = self.write().await?;
        let found = store::sessions::find(&tx, &request.session).await.map_err(store_error)?;
        let row = found.ok_or_else(|| missing::session(&request.session))?;
        let now = store::time::micros(store::clock::now());
        // Twice is once.
        store::sessions::end(&tx, &row.id, now, SessionEnd::Ended).await.map_err(store_error)?;
        let response = shown(row, who);
        let recorded = self.conclude::<End>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Control {
    /// A token that was given less than its person has does not tell where they are signed in, nor end it.
    ///
    /// # Errors
    /// `Forbidden`.
    async fn must_be_whole(&self, who: &Admitted) -> Result<(), Error> {
        if matches!(who.credential, Credential::Session { .. }) || who.may(Permission::People, At::Server) {
            return Ok(());
        }
        match self.persons_grants(who).await? {
            Some(theirs) if !who.grants.covers(&theirs) => Err(Error::new(
                ErrorKind::Forbidden,
                "the token may do less than you, and sessions are for those who may do as much",
            )
            .hint("sign in, or use a token with all your roles: `plimsoll login`")),
            _ => Ok(()),
        }
    }
}

fn shown(row: Record, who: &Caller) -> Session {
    let current = matches!(&who.credential, Credential::Session { id, .. } if *id == row.id);
    Session {
        id: row.id,
        via: row.via,
        address: row.address,
        agent: row.agent,
        created_at: row.created_at,
        seen_at: row.seen_at,
        ends_at: row.ends_at,
        current,
    }
}
