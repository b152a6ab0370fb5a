//! The very first person: invited by the server itself, with a link that is printed once.

use chrono::TimeDelta;
use domain::InvitationId;
use domain::access::Role;
use domain::audit::MacKey;
use identity::secret::Kind;
use operations::Error;
use secrecy::SecretString;
use store::Store;
use store::invitations::{self, Invitation, Inviter};
use ulid::Ulid;

use crate::audit::record_first;
use crate::error::store_error;

/// It may take until somebody finds the time; another one is made by `plimsoll users invite`.
const OPEN: TimeDelta = TimeDelta::days(7);

/// An invitation to own the server, by its secret. It is worth nothing any more once somebody owns it, however they came.
///
/// `None` when somebody does, or another server was quicker.
pub(crate) async fn first(store: &Store, audit: &[MacKey]) -> Result<Option<SecretString>, Error> {
    let now = store::time::micros(store::clock::now());
    let (secret, hash) = Kind::Invitation.make();
    let invitation = Invitation {
        id: InvitationId::from_ulid(Ulid::generate()),
        hash,
        email: None,
        everywhere: Some(Role::Owner),
        app: None,
        created_by: "the server".to_owned(),
        inviter: Inviter::System,
        vouches: true,
        created_at: now,
        expires_at: now + OPEN,
        accepted: None,
    };
    let tx = store.write().await.map_err(store_error)?;
    let owned = store::users::has_owner(&tx, None).await.map_err(store_error)?;
    if owned || !invitations::open(&tx, None, now).await.map_err(store_error)?.is_empty() {
        return Ok(None);
    }
    invitations::insert(&tx, &invitation).await.map_err(store_error)?;
    record_first(&tx, audit, "invitations.create", invitation.id.as_str()).await?;
    tx.commit().await.map_err(store_error)?;
    Ok(Some(secret))
}
