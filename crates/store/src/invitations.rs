//! Invitations, by the hash of their secret; the secret itself is never here.

use chrono::{DateTime, Utc};
use domain::access::Role;
use domain::email::Email;
use domain::{AppId, InvitationId, TokenId, UserId};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};

use crate::entity::invitations::{Column, Entity, Model};
use crate::entity::users;
use crate::row::{insert as insert_row, parse, parse_option, text};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// Whoever has the secret may become a person with these roles, once.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    pub id: InvitationId,
    /// SHA-256 of the secret, 64 hexadecimal digits.
    pub hash: String,
    /// The address that the person will have; whoever accepts it says one, when absent.
    pub email: Option<Email>,
    pub everywhere: Option<Role>,
    pub app: Option<(AppId, Role)>,
    /// As people call them.
    pub created_by: String,
    pub inviter: Inviter,
    /// Whoever made it decides about people: the address that it names is its person's by their word.
    pub vouches: bool,
    pub created_at: DateTime<Utc>,
    /// Refused from then on.
    pub expires_at: DateTime<Utc>,
    pub accepted: Option<Acceptance>,
}

/// Whose right it is that an invitation rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inviter {
    /// Nobody's who could lose it: the machine's own token made it, or a server of before.
    Nobody,
    /// The server's, for the first owner.
    System,
    Person(UserId),
    Machine(TokenId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    pub by: UserId,
    pub at: DateTime<Utc>,
}

impl Invitation {
    /// Whether it may be accepted.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.accepted.is_none() && now < self.expires_at
    }
}

/// Writes a new one. `Conflict(Id)` when its id or hash is taken.
pub async fn insert(tx: &Tx, invitation: &Invitation) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, invitation.into()).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "invitation" })),
    }
}

pub async fn find(session: &impl Session, id: &InvitationId) -> Result<Option<Invitation>, StoreError> {
    Entity::find_by_id(id.as_str()).one(session.connection()).await?.map(Invitation::try_from).transpose()
}

/// The one whose secret has this hash, whatever became of it: ask [`Invitation::is_open`].
pub async fn find_by_hash(session: &impl Session, hash: &str) -> Result<Option<Invitation>, StoreError> {
    let query = Entity::find().filter(Column::Hash.eq(hash));
    query.one(session.connection()).await?.map(Invitation::try_from).transpose()
}

/// Those that may be accepted at `now`, oldest first; of one app, or all.
pub async fn open(
    session: &impl Session,
    app: Option<&AppId>,
    now: DateTime<Utc>,
) -> Result<Vec<Invitation>, StoreError> {
    let mut query = Entity::find()
        .filter(Column::AcceptedAt.is_null())
        .filter(Column::ExpiresAt.gt(time::to_db(now)))
        .order_by_asc(Column::Id);
    if let Some(app) = app {
        query = query.filter(Column::AppId.eq(app.as_str()));
    }
    query.all(session.connection()).await?.into_iter().map(Invitation::try_from).collect()
}

/// Notes that it was accepted. `false` when it was before, has expired or was withdrawn: nobody becomes anything by it.
pub async fn accept(tx: &Tx, id: &InvitationId, acceptance: &Acceptance) -> Result<bool, StoreError> {
    let at = time::to_db(acceptance.at);
    let update = Entity::update_many()
        .col_expr(Column::AcceptedBy, Expr::value(Some(acceptance.by.as_str())))
        .col_expr(Column::AcceptedAt, Expr::value(Some(at)))
        .filter(Column::Id.eq(id.as_str()))
        .filter(Column::AcceptedAt.is_null())
        .filter(Column::ExpiresAt.gt(at));
    Ok(update.exec(tx.connection()).await?.rows_affected > 0)
}

/// Takes it back; `false` when it was not there, or was accepted.
pub async fn withdraw(tx: &Tx, id: &InvitationId) -> Result<bool, StoreError> {
    let delete = Entity::delete_many().filter(Column::Id.eq(id.as_str())).filter(Column::AcceptedAt.is_null());
    Ok(delete.exec(tx.connection()).await?.rows_affected > 0)
}

/// Takes back those for the first owner that nobody has accepted; how many.
pub async fn withdraw_first(tx: &Tx) -> Result<u64, StoreError> {
    let delete = Entity::delete_many().filter(Column::Inviter.eq(SYSTEM)).filter(Column::AcceptedAt.is_null());
    Ok(delete.exec(tx.connection()).await?.rows_affected)
}

/// Whether this person's address is theirs by the word of somebody who decides about people: the invitation that they came by named
/// it, or was the first owner's, over whom there is nobody. Who came by an open one has said an address, and nobody has asked whose it
/// is. Nor does one count that somebody made who decides about one app alone: its link comes back to its maker, who can open it.
pub async fn vouches(session: &impl Session, person: &UserId, email: &Email) -> Result<bool, StoreError> {
    let named = Condition::all().add(Column::Email.eq(email.as_str())).add(Column::Vouches.eq(true));
    let query = Entity::find()
        .filter(Column::AcceptedBy.eq(person.as_str()))
        .filter(Condition::any().add(named).add(Column::Inviter.eq(SYSTEM)));
    Ok(query.count(session.connection()).await? > 0)
}

/// Forgets those that expired before `before`, but for those that [vouch](vouches) for somebody who is here; how many.
pub async fn purge(tx: &Tx, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let people = Query::select().column(users::Column::Id).from(users::Entity).to_owned();
    let silent = Condition::any().add(Column::Email.is_null()).add(Column::Vouches.eq(false));
    let needless = Condition::any()
        .add(Condition::all().add(silent).add(Column::Inviter.ne(SYSTEM)))
        .add(Column::AcceptedBy.is_null())
        .add(Column::AcceptedBy.not_in_subquery(people));
    let delete = Entity::delete_many().filter(Column::ExpiresAt.lt(time::to_db(before))).filter(needless);
    Ok(delete.exec(tx.connection()).await?.rows_affected)
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Invitation({} for {:?})", self.id, self.email)
    }
}

/// How [`Inviter::System`] is kept.
const SYSTEM: &str = "system";

impl Inviter {
    fn as_str(&self) -> &str {
        match self {
            Inviter::Nobody => "",
            Inviter::System => SYSTEM,
            Inviter::Person(id) => id.as_str(),
            Inviter::Machine(id) => id.as_str(),
        }
    }

    fn from_column(text: &str) -> Result<Self, StoreError> {
        match text {
            "" => Ok(Inviter::Nobody),
            SYSTEM => Ok(Inviter::System),
            id => match id.parse() {
                Ok(person) => Ok(Inviter::Person(person)),
                Err(_) => parse(id).map(Inviter::Machine),
            },
        }
    }
}

impl From<&Invitation> for Model {
    fn from(invitation: &Invitation) -> Self {
        Model {
            id: invitation.id.to_string(),
            hash: invitation.hash.clone(),
            email: invitation.email.as_ref().map(ToString::to_string),
            everywhere: invitation.everywhere.map(|role| role.to_string()),
            app_id: invitation.app.as_ref().map(|(app, _)| app.to_string()),
            role: invitation.app.as_ref().map(|(_, role)| role.to_string()),
            created_by: text(&invitation.created_by),
            inviter: invitation.inviter.as_str().to_owned(),
            vouches: invitation.vouches,
            created_at: time::to_db(invitation.created_at),
            expires_at: time::to_db(invitation.expires_at),
            accepted_by: invitation.accepted.as_ref().map(|acceptance| acceptance.by.to_string()),
            accepted_at: invitation.accepted.as_ref().map(|acceptance| time::to_db(acceptance.at)),
        }
    }
}

impl TryFrom<Model> for Invitation {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let accepted = match (parse_option(row.accepted_by.as_deref())?, row.accepted_at) {
            (Some(by), Some(at)) => Some(Acceptance { by, at: time::from_db(at)? }),
            _ => None,
        };
        Ok(Invitation {
            id: parse(&row.id)?,
            hash: row.hash,
            email: parse_option(row.email.as_deref())?,
            everywhere: parse_option(row.everywhere.as_deref())?,
            app: parse_option(row.app_id.as_deref())?.zip(parse_option(row.role.as_deref())?),
            created_by: row.created_by,
            inviter: Inviter::from_column(&row.inviter)?,
            vouches: row.vouches,
            created_at: time::from_db(row.created_at)?,
            expires_at: time::from_db(row.expires_at)?,
            accepted,
        })
    }
}
