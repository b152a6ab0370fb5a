//! Certificates that the ingress shows. Their private keys arrive sealed; this crate can't read them.

use chrono::{DateTime, Utc};
use domain::CertificateId;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::certificates::{Column, Entity, Model};
use crate::row::{from_json, insert as insert_row, parse, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// A certificate with its sealed key. Times of validity are rounded down to a microsecond.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    pub id: CertificateId,
    /// DNS names and addresses.
    pub names: Vec<String>,
    pub issuer: String,
    /// SHA-256, 64 hexadecimal digits.
    pub fingerprint: String,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
    /// Shown to clients that ask for a name which no certificate has.
    pub default: bool,
    /// PEM.
    pub chain: String,
    /// The data key that the private key is sealed with, itself wrapped by the key file's.
    pub wrapped: Vec<u8>,
    pub sealed: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

/// Writes a new one. `Conflict(Certificate)` when the same one is there.
pub async fn insert(tx: &Tx, certificate: &Certificate) -> Result<(), StoreError> {
    let row = Model {
        id: certificate.id.to_string(),
        names: to_json(&certificate.names)?,
        issuer: certificate.issuer.clone(),
        fingerprint: certificate.fingerprint.clone(),
        not_before: time::to_db(certificate.not_before),
        not_after: time::to_db(certificate.not_after),
        fallback: certificate.default,
        chain: certificate.chain.clone(),
        wrapped: certificate.wrapped.clone(),
        sealed: certificate.sealed.clone(),
        created_at: time::to_db(certificate.created_at),
    };
    match insert_row::<Entity, _>(tx, row).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Certificate)),
    }
}

/// Its data key, wrapped anew.
pub async fn rewrap(tx: &Tx, id: &CertificateId, wrapped: &[u8]) -> Result<(), StoreError> {
    let update = Entity::update_many().col_expr(Column::Wrapped, Expr::value(wrapped.to_vec()));
    update.filter(Column::Id.eq(id.as_str())).exec(tx.connection()).await?;
    Ok(())
}

/// Removes one; `false` when it was not there.
pub async fn remove(tx: &Tx, id: &CertificateId) -> Result<bool, StoreError> {
    Ok(Entity::delete_by_id(id.as_str()).exec(tx.connection()).await?.rows_affected > 0)
}

/// All, oldest first.
pub async fn list(session: &impl Session) -> Result<Vec<Certificate>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Id).all(session.connection()).await?;
    rows.into_iter().map(Certificate::try_from).collect()
}

impl TryFrom<Model> for Certificate {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Certificate {
            id: parse(&row.id)?,
            names: from_json("the names of a certificate", &row.names)?,
            issuer: row.issuer,
            fingerprint: row.fingerprint,
            not_before: time::from_db(row.not_before)?,
            not_after: time::from_db(row.not_after)?,
            default: row.fallback,
            chain: row.chain,
            wrapped: row.wrapped,
            sealed: row.sealed,
            created_at: time::from_db(row.created_at)?,
        })
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({} {})", self.id, self.fingerprint)
    }
}
