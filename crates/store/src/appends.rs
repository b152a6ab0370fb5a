//! Additions to journals, those of many sagas with a fixed number of statements.

use std::collections::BTreeSet;

use domain::{DeploymentId, EnvironmentId};
use serde_json::Value;

use crate::advances::{self, Advance};
use crate::row::{long, to_json};
use crate::rows::{Parameters, parts};
use crate::session::sealed::Connected;
use crate::{StoreError, Tx, beats, sagas};

/// What one saga adds to its journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    pub saga: String,
    /// The epoch of its owner.
    pub fence: u64,
    /// Number of the first of the records.
    pub seq: u64,
    pub records: Vec<Value>,
    pub end: Option<End>,
    /// What it means for the deployment that the saga is.
    pub advance: Option<Advance>,
}

/// Nothing more will be added, and the next deployment of the environment may start and act, in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub environment: EnvironmentId,
    pub deployment: DeploymentId,
}

/// Adds one, and nothing of what it means: see [`advance`]. With the same errors as [`sagas::append`].
pub async fn one(tx: &Tx, append: &Append) -> Result<(), StoreError> {
    sagas::append(tx, &append.saga, append.fence, append.seq, &append.records).await?;
    if let Some(End { environment, deployment }) = &append.end {
        sagas::finish(tx, &append.saga).await?;
        crate::environments::end(tx, environment, deployment).await?;
    }
    Ok(())
}

/// Writes what these additions mean. With the same errors as [`advances::all`].
pub async fn advance(tx: &Tx, appends: &[&Append]) -> Result<(), StoreError> {
    let advances: Vec<&Advance> = appends.iter().filter_map(|append| append.advance.as_ref()).collect();
    advances::all(tx, &advances).await
}

/// Adds these and writes what they mean. With the error of the first that is refused; then nothing may be committed.
pub async fn many(tx: &Tx, appends: &[Append]) -> Result<(), StoreError> {
    let appends: Vec<&Append> = appends.iter().collect();
    all(tx, &appends).await?.into_iter().collect::<Result<(), _>>()?;
    advance(tx, &appends).await
}

/// Adds these. Returns the error of each that is refused, which has then written nothing; the others are added.
pub(crate) async fn all(tx: &Tx, appends: &[&Append]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    if let [alone] = appends {
        return match one(tx, alone).await {
            Err(error @ (StoreError::Fenced { .. } | StoreError::Conflict(_) | StoreError::NotFound { .. })) => {
                Ok(vec![Err(error)])
            }
            other => other.map(|()| vec![Ok(())]),
        };
    }
    // Of two for one saga the second would find the first: it is looked at after it.
    let mut seen = BTreeSet::new();
    let (first, again): (Vec<&Append>, Vec<&Append>) =
        appends.iter().copied().partition(|append| !append.records.is_empty() && seen.insert(append.saga.as_str()));
    let moved = move_on(tx, &first).await?;
    let good: Vec<&Append> = first.into_iter().filter(|append| moved.contains(append.saga.as_str())).collect();
    write(tx, &good).await?;
    end(tx, &good).await?;
    let mut results = Vec::with_capacity(appends.len());
    let mut added = BTreeSet::new();
    for append in appends {
        let is_again = again.iter().any(|other| std::ptr::eq(*other, *append));
        if !is_again && moved.contains(append.saga.as_str()) && added.insert(append.saga.as_str()) {
            results.push(Ok(()));
            continue;
        }
        // Its turn comes after the others, or it is refused: then this says why.
        match one(tx, append).await {
            Err(error @ (StoreError::Fenced { .. } | StoreError::Conflict(_) | StoreError::NotFound { .. })) => {
                results.push(Err(error));
            }
            other => results.push(Ok(other?)),
        }
    }
    Ok(results)
}

/// Moves the counters of the sagas that are as they must be, and returns those.
async fn move_on(tx: &Tx, appends: &[&Append]) -> Result<BTreeSet<String>, StoreError> {
    let connection = tx.connection();
    let mut moved = BTreeSet::new();
    for part in parts(appends) {
        let mut parameters = Parameters::of(connection);
        let rows = parameters.rows(part.iter().map(|append| {
            let next = append.seq + append.records.len() as u64;
            [
                append.saga.as_str().into(),
                long(append.fence).into(),
                long(append.seq).into(),
                long(next).into(),
                append.end.is_some().into(),
            ]
        }));
        let sql = format!(
            "WITH next (saga, epoch, before, after, ended) AS ({rows}) UPDATE sagas SET seq = after, finished = ended \
             FROM next WHERE id = saga AND fence = epoch AND seq = before AND NOT finished RETURNING id"
        );
        for row in parameters.query(connection, sql).await? {
            moved.insert(row.try_get("", "id")?);
        }
    }
    Ok(moved)
}

async fn write(tx: &Tx, appends: &[&Append]) -> Result<(), StoreError> {
    let mut rows: Vec<[sea_orm::Value; 3]> = Vec::new();
    for append in appends {
        for (seq, record) in (append.seq..).zip(&append.records) {
            rows.push([append.saga.as_str().into(), long(seq).into(), to_json(record)?.into()]);
        }
    }
    for part in parts(&rows) {
        let mut parameters = Parameters::of(tx.connection());
        let rows = parameters.rows(part.iter().cloned());
        parameters.execute(tx.connection(), format!("INSERT INTO saga_records (saga_id, seq, record) {rows}")).await?;
    }
    Ok(())
}

async fn end(tx: &Tx, appends: &[&Append]) -> Result<(), StoreError> {
    let ends: Vec<&End> = appends.iter().filter_map(|append| append.end.as_ref()).collect();
    let mut freed = 0;
    for part in parts(&ends) {
        let mut parameters = Parameters::of(tx.connection());
        let rows = part.iter().map(|end| [end.environment.as_str().into(), end.deployment.as_str().into()]);
        let rows = parameters.rows(rows);
        let sql = format!(
            "WITH past (environment, deployment) AS ({rows}) UPDATE environments SET \
             running = CASE WHEN environments.running = past.deployment THEN NULL ELSE environments.running END, \
             acting = CASE WHEN environments.acting = past.deployment THEN NULL ELSE environments.acting END \
             FROM past WHERE environments.id = past.environment \
             AND past.deployment IN (environments.running, environments.acting)"
        );
        freed += parameters.execute(tx.connection(), sql).await?;
        let ended: Vec<&DeploymentId> = part.iter().map(|end| &end.deployment).collect();
        beats::end(tx, &ended).await?;
    }
    if freed > 0 {
        tx.wakes();
    }
    Ok(())
}
