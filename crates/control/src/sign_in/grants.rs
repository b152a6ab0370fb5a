//! What people may do, kept as long as it stays so: most requests of a person come with the grants of the one before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::UserId;
use domain::access::Grants;
use operations::Error;
use store::users::User;

use crate::Control;
use crate::caller::Caller;
use crate::error::store_error;

/// People whose grants are kept.
const MOST: usize = 10_000;

/// Grants by person, each with the version at which they were read.
#[derive(Default)]
pub(super) struct Kept(Mutex<HashMap<UserId, (u64, Arc<Grants>)>>);

impl Kept {
    fn find(&self, user: &User) -> Option<Arc<Grants>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&user.id).filter(|(version, _)| *version == user.grants_version).map(|(_, grants)| grants.clone())
    }

    fn keep(&self, user: &User, grants: &Arc<Grants>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST && !kept.contains_key(&user.id) {
            kept.clear();
        }
        kept.insert(user.id.clone(), (user.grants_version, grants.clone()));
    }
}

impl Control {
    /// What this person may do. The version was read with the row: a change made meanwhile has another one.
    pub(crate) async fn grants_of(&self, user: &User) -> Result<Arc<Grants>, Error> {
        let kept = &self.inner.sign_ins.grants;
        if let Some(grants) = kept.find(user) {
            return Ok(grants);
        }
        let grants = store::memberships::grants(self.store(), &user.id, user.everywhere).await.map_err(store_error)?;
        let grants = Arc::new(grants);
        kept.keep(user, &grants);
        Ok(grants)
    }

    /// What the person behind a caller may do by now, whatever they came with; `None` when it is no person.
    pub(crate) async fn persons_grants(&self, who: &Caller) -> Result<Option<Arc<Grants>>, Error> {
        let Some(person) = who.principal.person() else { return Ok(None) };
        match store::users::find(self.store(), person).await.map_err(store_error)? {
            Some(user) => self.grants_of(&user).await.map(Some),
            None => Ok(None),
        }
    }
}
