//! Whether an invitation still rests on somebody's right to give what it gives.
//!
//! It is asked when it is accepted, in the same transaction: whoever was demoted, kept out or removed meanwhile has invited nobody. Nothing
//! need be withdrawn at each of those, and none is forgotten.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::access::{At, Decision, Grants, Permission, Role, decide};
use operations::Error;
use store::invitations::{Invitation, Inviter};
use store::{StoreError, Tx};

use crate::error::store_error;
use crate::tokens;

/// Whether it may be accepted, as far as its maker is concerned.
pub(super) async fn still_may(tx: &Tx, invitation: &Invitation, now: DateTime<Utc>) -> Result<bool, Error> {
    let grants = match &invitation.inviter {
        Inviter::Nobody => return Ok(true),
        // For the first owner: once there is one, they invite whom they want.
        Inviter::System => return Ok(!store::users::has_owner(tx, None).await.map_err(store_error)?),
        Inviter::Person(id) => {
            let user = store::users::find(tx, id).await.map_err(store_error)?;
            let Some(user) = user.filter(|user| !user.disabled) else { return Ok(false) };
            store::memberships::grants(tx, id, user.everywhere).await.map_err(store_error)?
        }
        Inviter::Machine(id) => {
            let token = match store::tokens::get(tx, id).await {
                Err(StoreError::NotFound { .. }) => return Ok(false),
                other => other.map_err(store_error)?,
            };
            if token.revoked || tokens::has_expired(&token, now) {
                return Ok(false);
            }
            token.grants
        }
    };
    Ok(may_give(&grants, invitation))
}

/// Everywhere, who decides about people; at an app, who governs it and has the role there.
fn may_give(grants: &Grants, invitation: &Invitation) -> bool {
    // To invite takes no person: a machine's token may, too.
    let may = |permission, at| decide(grants, true, permission, at) == Decision::Allow;
    let everywhere = invitation.everywhere.is_none() || may(Permission::People, At::Server);
    let at_app = invitation
        .app
        .as_ref()
        .is_none_or(|(app, role)| may(Permission::Govern, At::App(app)) && grants.covers(&only(app.clone(), *role)));
    everywhere && at_app
}

fn only(app: domain::AppId, role: Role) -> Grants {
    Grants { everywhere: None, apps: BTreeMap::from([(app, role)]) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;
    use domain::{AppId, InvitationId};
    use ulid::Ulid;

    use super::*;

    fn invitation(everywhere: Option<Role>, app: Option<(AppId, Role)>) -> Invitation {
        let now = Utc::now();
        Invitation {
            id: InvitationId::from_ulid(Ulid::generate()),
            hash: String::new(),
            email: None,
            everywhere,
            app,
            created_by: "ann".to_owned(),
            inviter: Inviter::Nobody,
            vouches: true,
            created_at: now,
            expires_at: now + TimeDelta::days(1),
            accepted: None,
        }
    }

    #[test]
    fn nobody_gives_what_they_have_no_more() {
        let (shop, blog) = (AppId::from_ulid(Ulid::from_parts(1, 1)), AppId::from_ulid(Ulid::from_parts(1, 2)));
        let at_shop = |role| only(shop.clone(), role);
        let deploys = invitation(None, Some((shop.clone(), Role::Deployer)));
        let owns = invitation(None, Some((shop.clone(), Role::Owner)));
        for (grants, gives_deployer, gives_owner) in [
            (at_shop(Role::Owner), true, true),
            (at_shop(Role::Admin), true, false),
            (at_shop(Role::Deployer), false, false),
            (only(blog, Role::Owner), false, false),
            (Grants::everywhere(Role::Owner), true, true),
            (Grants::everywhere(Role::Admin), true, false),
            (Grants::default(), false, false),
        ] {
            assert_eq!(may_give(&grants, &deploys), gives_deployer, "{grants:?}");
            assert_eq!(may_give(&grants, &owns), gives_owner, "{grants:?}");
        }
        let everywhere = invitation(Some(Role::Viewer), None);
        assert!(may_give(&Grants::everywhere(Role::Owner), &everywhere));
        assert!(!may_give(&Grants::everywhere(Role::Admin), &everywhere));
        assert!(!may_give(&at_shop(Role::Owner), &everywhere));
    }
}
