//! Finding deployments by a word: the beginning of an id or of a commit, or a tag.

use std::collections::BTreeMap;
use std::ops::Bound;

use chrono::{DateTime, Utc};
use domain::labels::Tag;
use domain::{DeploymentId, ReleaseId};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SubQueryStatement};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::deployments::{Filter, Record};
use crate::entity::deployment_tags as tags;
use crate::entity::deployments::{Column, Entity, Model};
use crate::entity::releases;
use crate::row::from_json;
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, page};

/// As many digits of a commit as people read; fewer would find too much.
pub const COMMIT_DIGITS: usize = 7;
/// Commits that begin alike with so many digits are never more than a few.
const COMMITS: u64 = 50;
/// Ids that are looked up at once.
const PAGE: u64 = 500;

/// Newest first, those before `before` that `filter` lets through and `word` names.
pub(crate) async fn list(
    session: &impl Session,
    filter: &Filter,
    word: &str,
    before: Option<&DeploymentId>,
    limit: u64,
) -> Result<Vec<Record>, StoreError> {
    let mut found: BTreeMap<String, Model> = BTreeMap::new();
    let mut add = |rows: Vec<Model>| found.extend(rows.into_iter().map(|row| (row.id.clone(), row)));
    if let Some(prefix) = id_prefix(word) {
        let begin = Column::Id.gte(prefix.as_str()).and(Column::Id.lt(format!("{prefix}~")));
        add(page::of(session, filter.ids(before).filter(begin).limit(limit)).await?);
    }
    for sha in commits(session, word).await? {
        add(page::of(session, of_commit(filter, &sha, before).limit(limit)).await?);
    }
    if let Ok(tag) = word.parse::<Tag>() {
        add(tagged(session, filter, &tag, before, limit).await?);
    }
    found.into_values().rev().take(usize::try_from(limit).unwrap_or(usize::MAX)).map(Record::try_from).collect()
}

/// What ids that the word begins look like; none if it can't begin one.
fn id_prefix(word: &str) -> Option<String> {
    let rest = word.strip_prefix("dep_").unwrap_or(word);
    let is_id = rest.len() <= 26 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    // Every id of these decades begins with `01`.
    (is_id && rest.starts_with("01")).then(|| format!("dep_{rest}"))
}

/// The commits that were deployed and begin with the word.
async fn commits(session: &impl Session, word: &str) -> Result<Vec<String>, StoreError> {
    let word = word.to_ascii_lowercase();
    let is_sha = (COMMIT_DIGITS..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit());
    let (mut found, end) = (Vec::new(), format!("{word}~"));
    let mut from = Bound::Included(word);
    // From one commit to the next through the index, however often each was deployed.
    while is_sha && (found.len() as u64) < COMMITS {
        let after = match &from {
            Bound::Included(sha) => Column::CommitSha.gte(sha.as_str()),
            Bound::Excluded(sha) => Column::CommitSha.gt(sha.as_str()),
            Bound::Unbounded => break,
        };
        let query = Entity::find().select_only().column(Column::CommitSha).filter(after);
        let query = query.filter(Column::CommitSha.lt(end.as_str())).order_by_asc(Column::CommitSha).limit(1);
        let Some(Some(sha)) = query.into_tuple::<Option<String>>().one(session.connection()).await? else { break };
        found.push(sha.clone());
        from = Bound::Excluded(sha);
    }
    Ok(found)
}

pub(crate) fn of_commit(filter: &Filter, sha: &str, before: Option<&DeploymentId>) -> Select<Entity> {
    filter.ids_of_found(before).filter(Column::CommitSha.eq(sha))
}

/// Those with a tag: those that have it are gone through. When they are many, and only those of an app or of an environment
/// are wanted, each of these is asked for it.
async fn tagged(
    session: &impl Session,
    filter: &Filter,
    tag: &Tag,
    before: Option<&DeploymentId>,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    let of_place = filter.app.is_some() || filter.environment.is_some();
    let mut found = Vec::new();
    let mut last = before.map(ToString::to_string);
    // Without another filter the first are enough.
    let mut size = if of_place { PAGE } else { Ord::min(limit, PAGE) };
    loop {
        let mut query = tags::Entity::find().select_only().column(tags::Column::DeploymentId);
        query = query.filter(tags::Column::Tag.eq(tag.as_str()));
        if let Some(last) = &last {
            query = query.filter(tags::Column::DeploymentId.lt(last.as_str()));
        }
        let query = query.order_by_desc(tags::Column::DeploymentId).limit(size);
        let ids: Vec<String> = query.into_tuple().all(session.connection()).await?;
        let more = ids.len() as u64 == size;
        if more && of_place {
            return page::of(session, with_tag(filter, tag, before).limit(limit)).await;
        }
        if let Some(end) = ids.last() {
            last = Some(end.clone());
            found.extend(page::of(session, filter.ids_of_found(None).filter(Column::Id.is_in(ids))).await?);
        }
        if !more || found.len() as u64 >= limit {
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            return Ok(found);
        }
        size = PAGE;
    }
}

/// Those that are asked for a tag each. In the place of a value, as PostgreSQL makes `EXISTS` a join with all that have the
/// tag.
pub(crate) fn with_tag(filter: &Filter, tag: &Tag, before: Option<&DeploymentId>) -> Select<Entity> {
    let has = Query::select()
        .column(tags::Column::Tag)
        .from(tags::Entity)
        .and_where(tags::Column::Tag.eq(tag.as_str()))
        .and_where(Expr::cust("deployment_tags.deployment_id = deployments.id"))
        .to_owned();
    filter.ids(before).filter(Expr::from(SubQueryStatement::from(has)).is_not_null())
}

/// Makes a deployment be found by the tags of its release.
pub(crate) async fn tag(tx: &Tx, deployment: &DeploymentId, release: &ReleaseId) -> Result<(), StoreError> {
    let found: Option<String> = releases::Entity::find_by_id(release.as_str())
        .select_only()
        .column(releases::Column::Tags)
        .into_tuple()
        .one(tx.connection())
        .await?;
    let all: Vec<Tag> = found.map(|json| from_json("the tags of a release", &json)).transpose()?.unwrap_or_default();
    for tag in all {
        let row = tags::Model { tag: tag.to_string(), deployment_id: deployment.to_string() };
        crate::row::insert::<tags::Entity, _>(tx, row).await?;
    }
    Ok(())
}

/// The first id that can have been made at `at`, or later.
pub(crate) fn first_id(at: DateTime<Utc>) -> String {
    let ms = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    DeploymentId::from_ulid(ulid::Ulid::from_parts(ms, 0)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_can_begin_an_id() {
        for (word, prefix) in [
            ("dep_01k8", Some("dep_01k8")),
            ("01k8", Some("dep_01k8")),
            ("dep_", None),
            ("stable", None),
            ("v1.2", None),
            ("01k8é", None),
            ("dep_01k8%", None),
        ] {
            assert_eq!(id_prefix(word).as_deref(), prefix, "{word}");
        }
    }
}
