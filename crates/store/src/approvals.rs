//! Approvals and the votes on them. They stay when the deployment goes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::access::{Grants, Role, Sees};
use domain::approval::{ApprovalKind, ApprovalState, Ballot, Counted, Tally, Verdict, tally};
use domain::{AppId, ApprovalId, DeploymentId, EnvironmentId, Name, UserId};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};

use crate::entity::approval_votes::{Column as VoteColumn, Entity as Votes, Model as VoteRow};
use crate::entity::approvals::{Column, Entity, Model};
use crate::entity::queue;
use crate::row::{insert as insert_row, number, parse, parse_option, seen, text};
use crate::rows::Parameters;
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// Ids in one statement.
const CHUNK: usize = 500;

/// What people are asked, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub id: ApprovalId,
    pub kind: ApprovalKind,
    pub deployment: DeploymentId,
    pub app_id: AppId,
    pub app: Name,
    pub environment_id: EnvironmentId,
    pub environment: Name,
    /// What exactly is to run: a vote repeats it.
    pub subject: String,
    /// The same for people.
    pub subject_note: String,
    /// Id of who asked.
    pub requester: String,
    /// The person behind them, who may have made the token of a program.
    pub requester_person: Option<UserId>,
    pub requester_name: String,
    pub required: u8,
    /// The least that voters are at the app.
    pub role: Role,
    pub state: ApprovalState,
    pub why: Option<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub decided_at: Option<DateTime<Utc>>,
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    pub user: UserId,
    pub name: String,
    pub verdict: Verdict,
    pub comment: Option<String>,
    /// What it was for.
    pub subject: String,
    /// The door it came through.
    pub via: String,
    pub at: DateTime<Utc>,
    /// Not from before a reset; and as long as nothing is decided, of somebody who may still vote.
    pub counts: bool,
}

/// Which ones to list; everything that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub app: Option<AppId>,
    pub environment: Option<Name>,
    pub state: Option<ApprovalState>,
    /// What this person, with these roles, may still vote on.
    pub waits_for: Option<(UserId, Grants)>,
    pub sees: Sees,
}

impl Approval {
    pub fn ballot(&self) -> Ballot<'_> {
        Ballot {
            state: self.state,
            role: self.role,
            requester: self.requester_person.as_ref(),
            expires_at: self.expires_at,
        }
    }

    /// What these votes come to.
    pub fn tally(&self, votes: &[Vote]) -> Tally {
        let counted =
            votes.iter().map(|vote| Counted { voter: &vote.user, verdict: vote.verdict, counts: vote.counts });
        tally(counted, self.required, self.requester_person.as_ref())
    }
}

/// Writes a new one. `Conflict(Id)` when its deployment has one.
pub async fn insert(tx: &Tx, approval: &Approval) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, approval.into()).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "approval" })),
    }
}

pub async fn find(session: &impl Session, id: &ApprovalId) -> Result<Option<Approval>, StoreError> {
    Entity::find_by_id(id.as_str()).one(session.connection()).await?.map(Approval::try_from).transpose()
}

/// Those of these that are there.
pub async fn many(session: &impl Session, ids: &[&ApprovalId]) -> Result<BTreeMap<ApprovalId, Approval>, StoreError> {
    let mut all = BTreeMap::new();
    for some in ids.chunks(CHUNK) {
        let query = Entity::find().filter(Column::Id.is_in(some.iter().map(|id| id.as_str())));
        for row in query.all(session.connection()).await? {
            let approval = Approval::try_from(row)?;
            all.insert(approval.id.clone(), approval);
        }
    }
    Ok(all)
}

/// Of these deployments, those that have one.
pub async fn of_deployments(session: &impl Session, ids: &[&DeploymentId]) -> Result<Vec<Approval>, StoreError> {
    let mut all = Vec::new();
    for some in ids.chunks(CHUNK) {
        let query = Entity::find().filter(Column::DeploymentId.is_in(some.iter().map(|id| id.as_str())));
        for row in query.all(session.connection()).await? {
            all.push(Approval::try_from(row)?);
        }
    }
    Ok(all)
}

/// Newest first, those before `before`.
pub async fn list(
    session: &impl Session,
    filter: &Filter,
    before: Option<&ApprovalId>,
    limit: u64,
) -> Result<Vec<Approval>, StoreError> {
    let mut query = Entity::find().filter(matching(filter)).order_by_desc(Column::Id).limit(limit);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.as_str()));
    }
    query.all(session.connection()).await?.into_iter().map(Approval::try_from).collect()
}

/// What this person, with these roles, may vote on at `now`: what ends first is first.
pub async fn waiting_for(
    session: &impl Session,
    (user, grants): (&UserId, &Grants),
    now: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Approval>, StoreError> {
    let query = open_votes(user, grants, now).limit(limit);
    query.all(session.connection()).await?.into_iter().map(Approval::try_from).collect()
}

fn open_votes(user: &UserId, grants: &Grants, now: DateTime<Utc>) -> Select<Entity> {
    Entity::find()
        .filter(waits_for(user, grants))
        .filter(Column::ExpiresAt.gt(time::to_db(now)))
        .order_by_asc(Column::ExpiresAt)
        .order_by_asc(Column::Id)
}

/// How many of an environment wait for votes; only those that one has asked for, if `requester` is given.
pub async fn pending(
    session: &impl Session,
    environment: &EnvironmentId,
    requester: Option<&str>,
) -> Result<u64, StoreError> {
    let mut query = Entity::find()
        .filter(Column::EnvironmentId.eq(environment.as_str()))
        .filter(Column::State.eq(ApprovalState::Pending.as_str()));
    if let Some(requester) = requester {
        query = query.filter(Column::Requester.eq(requester));
    }
    Ok(query.count(session.connection()).await?)
}

/// Those of an environment whose deployments have not begun: they wait for votes, or for their turn after these.
pub async fn not_begun(session: &impl Session, environment: &EnvironmentId) -> Result<Vec<Approval>, StoreError> {
    let queued = Query::select()
        .column(queue::Column::DeploymentId)
        .from(queue::Entity)
        .and_where(queue::Column::EnvironmentId.eq(environment.as_str()))
        .to_owned();
    let query = Entity::find()
        .filter(Column::EnvironmentId.eq(environment.as_str()))
        .filter(open())
        .filter(Column::DeploymentId.in_subquery(queued))
        .order_by_asc(Column::Id);
    query.all(session.connection()).await?.into_iter().map(Approval::try_from).collect()
}

/// Those whose time for votes is over at `now`, the first of them first.
pub async fn expired(session: &impl Session, now: DateTime<Utc>, limit: u64) -> Result<Vec<Approval>, StoreError> {
    let query = Entity::find()
        .filter(Column::State.eq(ApprovalState::Pending.as_str()))
        .filter(Column::ExpiresAt.lte(time::to_db(now)))
        .order_by_asc(Column::ExpiresAt)
        .limit(limit);
    query.all(session.connection()).await?.into_iter().map(Approval::try_from).collect()
}

/// When the next one expires.
pub async fn next_expiry(session: &impl Session) -> Result<Option<DateTime<Utc>>, StoreError> {
    let query = Entity::find()
        .select_only()
        .expr_as(Expr::col(Column::ExpiresAt).min(), "at")
        .filter(Column::State.eq(ApprovalState::Pending.as_str()));
    let at: Option<Option<i64>> = query.into_tuple().one(session.connection()).await?;
    at.flatten().map(time::from_db).transpose()
}

/// What has come of one.
pub async fn decide(
    tx: &Tx,
    id: &ApprovalId,
    state: ApprovalState,
    why: Option<&str>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::State, Expr::value(state.as_str()))
        .col_expr(Column::Why, Expr::value(why.map(text)))
        .col_expr(Column::DecidedAt, Expr::value(Some(time::to_db(at))))
        .filter(Column::Id.eq(id.as_str()));
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("approval", id)),
        _ => Ok(()),
    }
}

/// Notes that a deployment has ended before it began, for another reason than its votes. Returns the approval that was open.
pub async fn void(
    tx: &Tx,
    deployment: &DeploymentId,
    why: &str,
    at: DateTime<Utc>,
) -> Result<Option<ApprovalId>, StoreError> {
    let query = Entity::find().filter(Column::DeploymentId.eq(deployment.as_str())).filter(open());
    let Some(row) = query.one(tx.connection()).await? else { return Ok(None) };
    let id: ApprovalId = parse(&row.id)?;
    decide(tx, &id, ApprovalState::Void, Some(why), at).await?;
    Ok(Some(id))
}

/// Asks anew, about another subject: the votes so far stay, and count no more.
pub async fn reset(tx: &Tx, id: &ApprovalId, subject: &str, expires_at: DateTime<Utc>) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::State, Expr::value(ApprovalState::Pending.as_str()))
        .col_expr(Column::Subject, Expr::value(text(subject)))
        .col_expr(Column::ExpiresAt, Expr::value(time::to_db(expires_at)))
        .col_expr(Column::DecidedAt, Expr::value(None::<i64>))
        .filter(Column::Id.eq(id.as_str()));
    update.exec(tx.connection()).await?;
    let update = Votes::update_many()
        .col_expr(VoteColumn::Counts, Expr::value(false))
        .filter(VoteColumn::ApprovalId.eq(id.as_str()));
    update.exec(tx.connection()).await?;
    Ok(())
}

/// Writes what somebody says, in the place of what they said before.
pub async fn vote(tx: &Tx, id: &ApprovalId, vote: &Vote) -> Result<(), StoreError> {
    let row = VoteRow {
        approval_id: id.to_string(),
        user_id: vote.user.to_string(),
        name: text(&vote.name),
        verdict: vote.verdict.to_string(),
        comment: vote.comment.as_deref().map(text),
        subject: text(&vote.subject),
        via: vote.via.clone(),
        at: time::to_db(vote.at),
        counts: vote.counts,
    };
    let mut again = OnConflict::columns([VoteColumn::ApprovalId, VoteColumn::UserId]);
    again.update_columns([
        VoteColumn::Name,
        VoteColumn::Verdict,
        VoteColumn::Comment,
        VoteColumn::Subject,
        VoteColumn::Via,
        VoteColumn::At,
        VoteColumn::Counts,
    ]);
    Votes::insert(row.into_active_model()).on_conflict(again).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The votes on each of these, oldest first; nothing for those without. Of what is not decided, the yes of who has been removed,
/// disabled, or has too low a role there by now does not count. A no stays.
pub async fn votes(session: &impl Session, ids: &[&ApprovalId]) -> Result<BTreeMap<ApprovalId, Vec<Vote>>, StoreError> {
    let mut all: BTreeMap<ApprovalId, Vec<Vote>> = BTreeMap::new();
    for some in ids.chunks(CHUNK) {
        let query = Votes::find()
            .filter(VoteColumn::ApprovalId.is_in(some.iter().map(|id| id.as_str())))
            .order_by_asc(VoteColumn::At)
            .order_by_asc(VoteColumn::UserId);
        for row in query.all(session.connection()).await? {
            all.entry(parse(&row.approval_id)?).or_default().push(row.try_into()?);
        }
    }
    if all.values().flatten().any(|vote| vote.counts && vote.verdict == Verdict::Approve) {
        let barred = barred(session, all.keys()).await?;
        for (id, user) in barred {
            for vote in all.get_mut(&id).into_iter().flatten() {
                vote.counts &= vote.user != user || vote.verdict == Verdict::Refuse;
            }
        }
    }
    Ok(all)
}

/// Who has voted on those of these that are not decided, and might not do so now.
async fn barred<'a>(
    session: &impl Session,
    ids: impl Iterator<Item = &'a ApprovalId>,
) -> Result<Vec<(ApprovalId, UserId)>, StoreError> {
    let mut parameters = Parameters::of(session.connection());
    let pending = parameters.add(ApprovalState::Pending.as_str());
    let these = parameters.rows(ids.map(|id| [id.as_str().into()]));
    let sql = format!(
        "SELECT v.approval_id, v.user_id, a.role AS needs, u.disabled, u.everywhere, m.role AS there \
         FROM approval_votes v JOIN approvals a ON a.id = v.approval_id LEFT JOIN users u ON u.id = v.user_id \
         LEFT JOIN memberships m ON m.user_id = v.user_id AND m.app_id = a.app_id \
         WHERE a.state = {pending} AND a.id IN ({these})"
    );
    let mut barred = Vec::new();
    for row in parameters.query(session.connection(), sql).await? {
        let text = |name: &str| row.try_get::<Option<String>>("", name);
        let needs: Role = parse(&row.try_get::<String>("", "needs")?)?;
        let everywhere: Option<Role> = parse_option(text("everywhere")?.as_deref())?;
        let has = everywhere.max(parse_option(text("there")?.as_deref())?);
        // Without a row they have gone.
        let away = row.try_get::<Option<bool>>("", "disabled")?.unwrap_or(true);
        if away || has < Some(needs) {
            barred.push((
                parse(&row.try_get::<String>("", "approval_id")?)?,
                parse(&row.try_get::<String>("", "user_id")?)?,
            ));
        }
    }
    Ok(barred)
}

/// Keeps which of the votes counted when it was decided.
pub async fn settle(tx: &Tx, id: &ApprovalId, votes: &[Vote]) -> Result<(), StoreError> {
    let without: Vec<&str> = votes.iter().filter(|vote| !vote.counts).map(|vote| vote.user.as_str()).collect();
    if without.is_empty() {
        return Ok(());
    }
    let update = Votes::update_many()
        .col_expr(VoteColumn::Counts, Expr::value(false))
        .filter(VoteColumn::ApprovalId.eq(id.as_str()))
        .filter(VoteColumn::UserId.is_in(without));
    update.exec(tx.connection()).await?;
    Ok(())
}

/// Undecided, or approved of and perhaps not begun.
fn open() -> Condition {
    let open = [ApprovalState::Pending, ApprovalState::Approved];
    Condition::all().add(Column::State.is_in(open.map(ApprovalState::as_str)))
}

fn matching(filter: &Filter) -> Condition {
    let mut all = Condition::all().add_option(seen(Column::AppId, &filter.sees));
    if let Some(app) = &filter.app {
        all = all.add(Column::AppId.eq(app.as_str()));
    }
    if let Some(environment) = &filter.environment {
        all = all.add(Column::Environment.eq(environment.as_str()));
    }
    if let Some(state) = filter.state {
        all = all.add(Column::State.eq(state.as_str()));
    }
    if let Some((user, grants)) = &filter.waits_for {
        all = all.add(waits_for(user, grants));
    }
    all
}

/// [`domain::approval::may_vote`] in the words of the database, but for the time.
fn waits_for(user: &UserId, grants: &Grants) -> Condition {
    let mut with_role = Condition::any();
    for role in Role::ALL {
        let of_role = Column::Role.eq(role.as_str());
        with_role = match grants.everywhere >= Some(role) {
            true => with_role.add(of_role),
            false => {
                let apps = grants.apps.iter().filter(|(_, has)| **has >= role).map(|(app, _)| app.as_str());
                with_role.add(of_role.and(Column::AppId.is_in(apps)))
            }
        };
    }
    // Each by its key: what somebody has voted on since ever is not gone through.
    let voted = Query::select()
        .expr(Expr::value(1))
        .from(Votes)
        .and_where(Expr::col((Votes, VoteColumn::ApprovalId)).equals((Entity, Column::Id)))
        .and_where(VoteColumn::UserId.eq(user.as_str()))
        .and_where(VoteColumn::Counts.eq(true))
        .to_owned();
    let other = Condition::any().add(Column::RequesterPerson.is_null()).add(Column::RequesterPerson.ne(user.as_str()));
    Condition::all()
        .add(Column::State.eq(ApprovalState::Pending.as_str()))
        .add(other)
        .add(with_role)
        .add(Expr::exists(voted).not())
}

impl From<&Approval> for Model {
    fn from(approval: &Approval) -> Self {
        Model {
            id: approval.id.to_string(),
            kind: approval.kind.to_string(),
            deployment_id: approval.deployment.to_string(),
            app_id: approval.app_id.to_string(),
            app: approval.app.to_string(),
            environment_id: approval.environment_id.to_string(),
            environment: approval.environment.to_string(),
            subject: text(&approval.subject),
            subject_note: text(&approval.subject_note),
            requester: approval.requester.clone(),
            requester_person: approval.requester_person.as_ref().map(ToString::to_string),
            requester_name: text(&approval.requester_name),
            required: i32::from(approval.required),
            role: approval.role.to_string(),
            state: approval.state.to_string(),
            why: approval.why.as_deref().map(text),
            created_at: time::to_db(approval.created_at),
            expires_at: time::to_db(approval.expires_at),
            decided_at: approval.decided_at.map(time::to_db),
        }
    }
}

impl TryFrom<Model> for Approval {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Approval {
            id: parse(&row.id)?,
            kind: parse(&row.kind)?,
            deployment: parse(&row.deployment_id)?,
            app_id: parse(&row.app_id)?,
            app: parse(&row.app)?,
            environment_id: parse(&row.environment_id)?,
            environment: parse(&row.environment)?,
            subject: row.subject,
            subject_note: row.subject_note,
            requester: row.requester,
            requester_person: parse_option(row.requester_person.as_deref())?,
            requester_name: row.requester_name,
            required: number("a number of people", row.required.into())?,
            role: parse(&row.role)?,
            state: parse(&row.state)?,
            why: row.why,
            created_at: time::from_db(row.created_at)?,
            expires_at: time::from_db(row.expires_at)?,
            decided_at: row.decided_at.map(time::from_db).transpose()?,
        })
    }
}

impl TryFrom<VoteRow> for Vote {
    type Error = StoreError;

    fn try_from(row: VoteRow) -> Result<Self, StoreError> {
        Ok(Vote {
            user: parse(&row.user_id)?,
            name: row.name,
            verdict: parse(&row.verdict)?,
            comment: row.comment,
            subject: row.subject,
            via: row.via,
            at: time::from_db(row.at)?,
            counts: row.counts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::plan;
    use crate::{DatabaseUrl, Store};

    #[tokio::test]
    async fn who_has_votes_is_told_out_of_what_is_pending_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
        let user = UserId::from_ulid(ulid::Ulid::from_parts(1, 1));
        let app = AppId::from_ulid(ulid::Ulid::from_parts(1, 2));
        let at_one = Grants { everywhere: None, apps: BTreeMap::from([(app, Role::Admin)]) };
        for grants in [Grants::everywhere(Role::Owner), at_one] {
            let found = plan(&store, open_votes(&user, &grants, DateTime::UNIX_EPOCH).limit(50)).await;
            assert!(found.contains("INDEX approvals_state_expires_at (state=? AND expires_at>?)"), "{found}");
            assert!(found.contains("(approval_id=? AND user_id=?)") && !found.contains("SCAN"), "{found}");
        }
        store.close().await;
    }
}
