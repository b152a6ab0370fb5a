//! The first code of a second factor: it is asked for from then on.
//!
//! Whoever has got hold of a session must not guess the code of what was begun there: wrong ones count with wrong passwords in the same
//! session, and what was begun waits for a few minutes alone.

use chrono::{DateTime, TimeDelta, Utc};
use domain::UserId;
use identity::recovery;
use operations::Error;
use operations::totp::{Confirm, ConfirmRequest, Confirmed};
use secrecy::ExposeSecret;
use store::Session;
use store::totp::Totp;

use super::Denied;
use super::password::visitor;
use crate::Control;
use crate::access::Admitted;
use crate::audit::commit;
use crate::caller::Handle;
use crate::error::store_error;
use crate::handlers::totp::in_a_session;

/// As long as it takes to fetch the phone and to scan.
const WAITS: TimeDelta = TimeDelta::minutes(10);

impl Handle<Confirm> for Control {
    async fn handle(&self, who: &Admitted, request: ConfirmRequest) -> Result<Confirmed, Error> {
        self.confirm_second_factor(who, &request).await.map_err(|denied| denied.error)
    }
}

impl Control {
    async fn confirm_second_factor(&self, who: &Admitted, request: &ConfirmRequest) -> Result<Confirmed, Denied> {
        let (session, id) = in_a_session(who)?;
        // What can be said without a look at the code costs no attempt.
        waiting(self.store(), id, store::clock::now()).await?;
        let user = store::users::get(self.store(), id).await.map_err(store_error)?;
        let attempt = self.attempt_in_session(session, &user).await?;
        let now = store::time::micros(store::clock::now());
        let tx = self.write().await?;
        let begun = waiting(&tx, id, now).await?;
        let secret = self.open_second_factor(&begun)?;
        // By the clock that the person's app goes by, too.
        let Some(step) = secret.check(request.code.0.expose_secret(), Utc::now(), None) else {
            // The next writer's turn comes with this one's end.
            drop(tx);
            self.failed(&visitor(who), &attempt, Some(&user.email), "totp.confirm").await;
            return Err(Error::invalid("`code`: that is not the code of this moment")
                .hint("type what the app shows now; if it goes on, look whether the clock of the phone is right")
                .into());
        };
        if !store::totp::confirm(&tx, id, now, step).await.map_err(store_error)? {
            return Err(Error::internal().into());
        }
        self.forgive(&tx, &attempt).await?;
        let codes = recovery::make();
        let digest = |code: &str| self.recovery_digests(id, code).into_iter().next().ok_or_else(Error::internal);
        let hashes = codes.iter().map(|code| digest(code.expose_secret()));
        let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
        store::recovery_codes::replace(&tx, id, &hashes).await.map_err(store_error)?;
        who.noted().target(id);
        let recorded = self.conclude::<Confirm>(&tx, who, &Confirmed { recovery_codes: None }).await?;
        commit(tx, recorded).await?;
        Ok(Confirmed { recovery_codes: Some(codes.iter().map(|code| code.expose_secret().to_owned()).collect()) })
    }
}

/// The one that was begun, and waits.
async fn waiting(session: &impl Session, user: &UserId, now: DateTime<Utc>) -> Result<Totp, Error> {
    let found = store::totp::find(session, user).await.map_err(store_error)?;
    let begun = found.filter(|found| found.confirmed_at.is_none()).ok_or_else(|| {
        Error::conflict("no second factor was begun that waits for its first code")
            .hint("begin first; one that is on already needs nothing")
    })?;
    match is_over(&begun, now) {
        true => Err(Error::conflict("the second factor that was begun has waited too long for its first code")
            .hint("begin anew: it waits for ten minutes")),
        false => Ok(begun),
    }
}

fn is_over(begun: &Totp, now: DateTime<Utc>) -> bool {
    now - begun.begun_at >= WAITS
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    #[test]
    fn what_was_begun_waits_for_ten_minutes() {
        let begun_at = DateTime::UNIX_EPOCH;
        let user = UserId::from_ulid(Ulid::from_parts(1, 1));
        let begun = Totp { user, sealed: Vec::new(), begun_at, confirmed_at: None, last_step: None };
        assert!(!is_over(&begun, begun_at + TimeDelta::seconds(599)));
        assert!(is_over(&begun, begun_at + TimeDelta::minutes(10)));
    }
}
