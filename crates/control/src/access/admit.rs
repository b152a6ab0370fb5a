//! The decision, with what it has to know.

use domain::access::{At, Decision, Permission, decide};
use operations::{Effect, Error, ErrorKind, Operation, Place};

use super::place::Found;
use super::{Admitted, refusal};
use crate::Control;
use crate::audit::Noted;
use crate::caller::{Caller, Credential, Via};

impl Control {
    /// Lets a caller through to an operation, or says why not.
    ///
    /// # Errors
    /// `NotFound` for what is not there, and for what the caller must not know of, in the same words. `Forbidden` names what it
    /// needs and what the caller has. `ConfirmIdentity` when a person is to give the password again.
    pub async fn admit<O: Operation>(&self, caller: Caller, request: &O::Request) -> Result<Admitted, Error> {
        let who = self.admit_to(caller, O::NAME, O::permission(request), O::place(request)).await?;
        // A person may always change what is their own, but not with a token that was given out to look; that itself can be
        // given back.
        let token = who.credential.token();
        let gives_back = matches!(O::place(request), Place::Token(own) if token == Some(own));
        if O::EFFECT != Effect::Read && token.is_some() && who.grants.is_read_only() && !gives_back {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("the token may look and change nothing, and {} changes something", O::NAME),
            )
            .hint("sign in, or use a token that may do more"));
        }
        let noted = self.note::<O>(&who, request).await?;
        if O::CONFIRM
            && let Credential::Session { confirmed_until, .. } = &who.credential
            && *confirmed_until <= store::clock::now()
        {
            return Err(Error::new(
                ErrorKind::ConfirmIdentity,
                format!("{} asks you to confirm first that it is you", O::NAME),
            )
            .hint("give your password or a code, then send the request again with the same idempotency key"));
        }
        Ok(Admitted { noted, ..who })
    }

    /// The same for what is no operation; `what` stands in errors.
    pub async fn admit_to(
        &self,
        caller: Caller,
        what: &'static str,
        permission: Permission,
        place: Place<'_>,
    ) -> Result<Admitted, Error> {
        if caller.via == Via::Mcp && !permission.is_for_agents() {
            let error = Error::new(ErrorKind::Forbidden, format!("{what} is not for agents"))
                .hint("a person does that, in the web UI or with the CLI");
            self.refused(&caller, what, place, &error).await;
            return Err(error);
        }
        let person = caller.principal.person().is_some();
        let judge = |at| decide(&caller.grants, person, permission, at);
        // Who may do it at any app need not be looked for at one: most requests come with such grants, and cost no read more.
        let decision = match place {
            Place::Me | Place::Upload(_) => None,
            _ => Some(judge(At::Nowhere)).filter(|decision| *decision == Decision::Allow),
        };
        let decision = match decision {
            Some(decision) => decision,
            None => match self.find(&caller, place).await? {
                Found::Server => judge(At::Server),
                Found::App(app) => judge(At::App(&app)),
                Found::Somewhere => judge(At::Somewhere),
                Found::Nowhere => judge(At::Nowhere),
                Found::Own(own) => judge(At::Own(own)),
            },
        };
        match decision {
            Decision::Allow => Ok(Admitted { caller, noted: Noted::nothing(what) }),
            Decision::Hide => Err(refusal::hidden(place)),
            Decision::Refuse { needs, has } => {
                let error = refusal::forbidden(&caller, what, needs, has);
                self.refused(&caller, what, place, &error).await;
                Err(error)
            }
        }
    }
}
