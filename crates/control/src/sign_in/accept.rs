//! From an invitation to a person who is signed in.

use domain::UserId;
use domain::access::Role;
use domain::email::Email;
use domain::session::SignInMethod;
use identity::Password;
use identity::secret::Kind;
use operations::{Error, ErrorKind};
use serde_json::json;
use store::StoreError;
use store::invitations::{self, Invitation};
use store::memberships::{self, Membership};
use store::users::{self, User};
use ulid::Ulid;

use super::record::Told;
use super::{Denied, Opened, Visitor, busy, inviter};
use crate::Control;
use crate::audit::commit;
use crate::error::store_error;

/// What somebody who was invited says of themselves.
pub struct Acceptance<'a> {
    /// The secret of the link.
    pub invitation: &'a str,
    pub name: &'a str,
    /// Needed where the invitation names none, and the same where it does.
    pub email: Option<&'a str>,
    pub password: &'a str,
}

/// Characters of a name.
const LONGEST_NAME: usize = 100;

impl Control {
    /// Makes the person, with the roles that the invitation gives, and begins a session. An invitation is good once.
    ///
    /// # Errors
    /// `NotFound` for an invitation that was used, has expired, was withdrawn or never was, or whose maker may not give that any more. `Invalid` names the field.
    /// `Conflict` when the address is somebody's. `Unavailable` when too many sign in at this moment.
    pub async fn accept_invitation(&self, visitor: &Visitor, said: &Acceptance<'_>) -> Result<Opened, Denied> {
        self.has_room()?;
        let hash = Kind::Invitation.hash(said.invitation).ok_or_else(not_good)?;
        let found = invitations::find_by_hash(self.store(), &hash).await.map_err(store_error)?;
        let invitation = found.filter(|found| found.is_open(store::clock::now())).ok_or_else(not_good)?;
        let (name, email) = (name(said.name)?, address(&invitation, said.email)?);
        let password = Password::new(said.password);
        domain::password::check(password.as_str(), email.as_str(), &name).map_err(|weakness| {
            Error::invalid(format!("`password`: {weakness}"))
                .hint("a few words that belong together in your head alone make a good one")
        })?;
        let password = self.inner.sign_ins.hasher.hash(password).await.map_err(busy)?;

        let now = store::time::micros(store::clock::now());
        let user = User {
            id: UserId::from_ulid(Ulid::generate()),
            email,
            name,
            password: Some(password),
            password_changed_at: Some(now),
            disabled: false,
            everywhere: invitation.everywhere,
            grants_version: 1,
            preferences: json!({}),
            created_at: now,
            created_by: invitation.created_by.clone(),
            last_sign_in_at: Some(now),
        };
        let tx = self.write().await?;
        if !inviter::still_may(&tx, &invitation, now).await? {
            return Err(not_good().into());
        }
        match users::insert(&tx, &user).await {
            Err(StoreError::Conflict(_)) => return Err(is_here_already(&user.email).into()),
            other => other.map_err(store_error)?,
        }
        // The invitation goes with its app, so one that is still open is of an app that is there.
        let acceptance = invitations::Acceptance { by: user.id.clone(), at: now };
        if !invitations::accept(&tx, &invitation.id, &acceptance).await.map_err(store_error)? {
            return Err(not_good().into());
        }
        if invitation.everywhere == Some(Role::Owner) {
            invitations::withdraw_first(&tx).await.map_err(store_error)?;
        }
        if let Some((app, role)) = &invitation.app {
            let (user, granted_by) = (user.id.clone(), invitation.created_by.clone());
            let membership = Membership { user, app: app.clone(), role: *role, granted_by, granted_at: now };
            memberships::set(&tx, &membership).await.map_err(store_error)?;
        }
        let place = self.known_from_now(&tx, visitor, &user.email, self.browser(visitor, now), now).await?;
        let opened = self.open(&tx, &user, SignInMethod::Invitation, visitor, place, now).await?;
        let told = Told { operation: "auth.accept", target: invitation.id.to_string(), failures: 0 };
        let recorded = self.record_person(&tx, &user, visitor, told, now).await?;
        commit(tx, recorded).await?;
        Ok(opened)
    }
}

fn not_good() -> Error {
    Error::not_found("this invitation is not good: it was used, has expired or was withdrawn, who made it may not give that any more, or its link is not whole")
        .hint("ask for another one; on the server's machine: `plimsoll users invite`")
}

fn is_here_already(email: &Email) -> Error {
    Error::new(ErrorKind::Conflict, format!("`email`: {email} is somebody's who can sign in already"))
        .hint("sign in instead, and ask for the roles that you need")
}

fn name(said: &str) -> Result<String, Error> {
    let name = said.trim();
    let length = name.chars().count();
    if !(1..=LONGEST_NAME).contains(&length) || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "`name`: it has 1 to {LONGEST_NAME} characters, none of them a control character"
        )));
    }
    Ok(name.to_owned())
}

/// The address that the person will have.
fn address(invitation: &Invitation, said: Option<&str>) -> Result<Email, Error> {
    let said =
        said.map(|said| said.parse::<Email>().map_err(|e| Error::invalid(format!("`email`: {e}")))).transpose()?;
    match (&invitation.email, said) {
        (None, Some(said)) => Ok(said),
        (None, None) => Err(Error::invalid("`email`: the invitation names no address, so say yours")),
        (Some(invited), None) => Ok(invited.clone()),
        (Some(invited), Some(said)) if *invited == said => Ok(said),
        (Some(_), Some(_)) => Err(Error::invalid("`email`: the invitation is for another address")
            .hint("leave it out, or ask for an invitation for this one")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::{TimeDelta, Utc};
    use domain::InvitationId;
    use store::invitations::Inviter;

    use super::*;

    fn invitation(email: Option<&str>) -> Invitation {
        let now = Utc::now();
        Invitation {
            id: InvitationId::from_ulid(Ulid::generate()),
            hash: String::new(),
            email: email.map(|email| email.parse().unwrap()),
            everywhere: None,
            app: None,
            created_by: "ann".to_owned(),
            inviter: Inviter::Nobody,
            vouches: true,
            created_at: now,
            expires_at: now + TimeDelta::days(1),
            accepted: None,
        }
    }

    #[test]
    fn an_invitation_with_an_address_is_for_that_one() {
        let (open, bound) = (invitation(None), invitation(Some("zoe@example.org")));
        assert_eq!(address(&open, Some(" Ann@Example.org")).unwrap().as_str(), "ann@example.org");
        assert_eq!(address(&bound, None).unwrap().as_str(), "zoe@example.org");
        assert_eq!(address(&bound, Some("ZOE@example.org")).unwrap().as_str(), "zoe@example.org");
        for (invitation, said) in [(&open, None), (&open, Some("ann")), (&bound, Some("ann@example.org"))] {
            let error = address(invitation, said).unwrap_err();
            assert!(error.status == 400 && error.detail.starts_with("`email`: "), "{error}");
        }
    }

    #[test]
    fn names_are_short_lines() {
        assert_eq!(name("  Zoë Ångström ").unwrap(), "Zoë Ångström");
        for bad in ["", "  ", "a\nb", &"a".repeat(101)] {
            assert!(name(bad).unwrap_err().detail.starts_with("`name`: "), "{bad:?}");
        }
    }
}
