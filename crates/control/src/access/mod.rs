//! The one place where it is decided who is let through to what, whichever door a request came through.
//!
//! A handler takes [`Admitted`], which only [`Control::admit`](crate::Control::admit) and
//! [`Control::admit_to`](crate::Control::admit_to) make: what nobody decided about can't be called. Where data of several
//! apps meets, being let through is not enough: what a handler reads there is limited by [`Admitted::sees`].

mod admit;
pub(crate) mod missing;
mod place;
mod refusal;
pub(crate) mod sources;

use std::ops::Deref;

use domain::access::{At, Decision, Permission, Sees, decide};
use operations::Error;

use crate::audit::Noted;
use crate::caller::Caller;

/// A caller who was let through to one operation, or to something else that was named.
#[derive(Debug)]
pub struct Admitted {
    caller: Caller,
    noted: Noted,
}

impl Deref for Admitted {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Admitted {
    /// What the audit log will say of what the caller does.
    pub(crate) fn noted(&self) -> &Noted {
        &self.noted
    }

    /// The apps that the caller may know of.
    pub(crate) fn sees(&self) -> Sees {
        self.grants.sees()
    }

    /// Whose uploads the caller may know of: `None` for everybody's.
    pub(crate) fn uploads(&self) -> Option<&str> {
        match self.may(Permission::Operate, At::Server) {
            true => None,
            false => Some(place::owner(&self.caller)),
        }
    }

    /// Whether the caller may do something besides what it was let through to.
    pub(crate) fn may(&self, permission: Permission, at: At<'_>) -> bool {
        self.decide(permission, at) == Decision::Allow
    }

    /// The same, as an error that says what `doing` needs and what there is.
    pub(crate) fn must(&self, permission: Permission, at: At<'_>, doing: &str) -> Result<(), Error> {
        match self.decide(permission, at) {
            Decision::Allow => Ok(()),
            // Whoever came here knows of the place already.
            Decision::Hide => Err(refusal::forbidden(&self.caller, doing, permission.needs(), None)),
            Decision::Refuse { needs, has } => Err(refusal::forbidden(&self.caller, doing, needs, has)),
        }
    }

    fn decide(&self, permission: Permission, at: At<'_>) -> Decision {
        decide(&self.grants, self.principal.person().is_some(), permission, at)
    }
}
