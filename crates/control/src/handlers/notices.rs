//! Notices: what of the event log people want to be told, without what they muted.

use std::collections::BTreeSet;

use domain::notice::KINDS;
use domain::{Name, UserId};
use operations::Error;
use operations::notices::{List, ListRequest, Mark, Notices, Seen, SeenRequest};
use store::events::{Stretch, last_of};

use super::{commit, page_limit};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;
use crate::notices::Listener;

/// Events that one page looks at.
const LOOKED_AT: i64 = 5_000;

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Notices, Error> {
        let limit = page_limit(request.limit)? as usize;
        if request.before.is_some_and(|before| before < 0) {
            return Err(Error::invalid("`before` is the number of an event, so 0 at least"));
        }
        let store = self.store();
        let until = match request.before {
            Some(before) => before.saturating_sub(1),
            None => store::events::latest(store).await.map_err(store_error)?,
        };
        let after = until.saturating_sub(LOOKED_AT).max(0);
        let sees = who.sees();
        let stretch = Stretch { kinds: &KINDS, sees: &sees, after, until };
        // Each event is one notice at most, so no more are there.
        let events = last_of(store, &stretch, LOOKED_AT.unsigned_abs()).await.map_err(store_error)?;
        let all = Listener::of(who).told(self, &events).await?;
        let seen = match who.principal.person() {
            Some(user) => store::mutes::seen(store, user).await.map_err(store_error)?,
            None => None,
        };
        let unseen = match who.principal.person() {
            Some(_) => all.iter().filter(|notice| notice.cursor > seen.unwrap_or(0)).count() as u64,
            None => 0,
        };
        let more = all.len() > limit;
        let mut items = all;
        items.truncate(limit);
        let next = match items.last().filter(|_| more) {
            Some(last) => Some(last.cursor),
            None if after > 0 => Some(after + 1),
            None => None,
        };
        Ok(Notices { items, next, unseen, seen })
    }
}

impl Handle<Seen> for Control {
    async fn handle(&self, who: &Admitted, request: SeenRequest) -> Result<Mark, Error> {
        if request.cursor < 0 {
            return Err(Error::unprocessable("`cursor` is the number of an event, so 0 at least"));
        }
        // Let through to one's own is a person alone.
        let user = who.principal.person().ok_or_else(Error::internal)?;
        let tx = self.write().await?;
        // Nobody has seen what is yet to come.
        let newest = store::events::latest(&tx).await.map_err(store_error)?;
        let cursor = request.cursor.min(newest);
        let seen = store::mutes::note_seen(&tx, user, cursor).await.map_err(store_error)?;
        who.noted().target(user);
        let response = Mark { seen };
        let recorded = self.conclude::<Seen>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Control {
    /// The apps that a person does not want to hear of just now.
    pub(crate) async fn muted(&self, person: Option<&UserId>) -> Result<BTreeSet<Name>, Error> {
        let Some(user) = person else { return Ok(BTreeSet::new()) };
        let rows = store::mutes::of_user(self.store(), user, store::clock::now()).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|(_, app)| app).collect())
    }
}
