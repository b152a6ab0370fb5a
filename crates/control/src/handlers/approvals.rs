//! Approvals: what waits for the yes of others, and their votes.

use chrono::Utc;
use domain::approval::{ApprovalState, Barred, MAX_COMMENT, Tally, may_vote};
use domain::deployment::DeploymentKind;
use domain::event::EventKind;
use domain::{ApprovalId, DeploymentId};
use operations::approvals::{Approval, ApprovalRequest, CastVote, Get, List, ListRequest, Vote, VoteRequest};
use operations::{Error, ErrorKind, Page};
use store::Session;
use store::approvals::{Approval as Row, Filter, Vote as Cast};

use super::{app_named, commit, page_cursor, page_limit};
use crate::Control;
use crate::access::{Admitted, missing};
use crate::approvals::{approve, end, got, tell};
use crate::caller::Handle;
use crate::dispatch::{count_end, supersede};
use crate::error::store_error;

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Page<Approval>, Error> {
        let limit = page_limit(request.limit)?;
        let before = page_cursor::<ApprovalId>(request.cursor.as_deref())?;
        let app = match &request.app {
            Some(app) => Some(app_named(self.store(), app).await?.id),
            None => None,
        };
        let waits_for = match (request.mine, who.principal.person()) {
            (false, _) => None,
            (true, Some(person)) => Some((person.clone(), who.grants.as_ref().clone())),
            (true, None) => return Ok(Page { items: Vec::new(), next: None }),
        };
        let filter =
            Filter { app, environment: request.environment, state: request.state, waits_for, sees: who.sees() };
        let rows = store::approvals::list(self.store(), &filter, before.as_ref(), u64::from(limit) + 1).await;
        let page = Page::of(rows.map_err(store_error)?, limit, |row: &Row| row.id.to_string());
        Ok(Page { items: shown(self.store(), who, page.items).await?, next: page.next })
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, who: &Admitted, request: ApprovalRequest) -> Result<Approval, Error> {
        let row = found(self.store(), &request.approval).await?;
        one(self.store(), who, row).await
    }
}

impl Handle<Vote> for Control {
    async fn handle(&self, who: &Admitted, request: VoteRequest) -> Result<Approval, Error> {
        let comment = comment(request.comment.as_deref())?;
        let now = store::time::micros(Utc::now());
        let tx = self.write().await?;
        let row = found(&tx, &request.approval).await?;
        let voter = who.principal.person();
        may_vote(row.ballot(), voter, who.grants.at(&row.app_id), now).map_err(barred)?;
        let user = voter.cloned().ok_or_else(|| barred(Barred::Program))?;
        if request.subject != row.subject {
            return Err(Error::conflict("what is asked is not what your vote is for: it has changed since you looked")
                .hint(format!("look at it again: `plimsoll approvals show {}`", row.id)));
        }
        let vote = Cast {
            user,
            name: who.name.clone(),
            verdict: request.verdict,
            comment: comment.clone(),
            subject: request.subject,
            via: who.via.as_str().to_owned(),
            at: now,
            counts: true,
        };
        store::approvals::vote(&tx, &row.id, &vote).await.map_err(store_error)?;
        let votes = store::approvals::votes(&tx, &[&row.id]).await.map_err(store_error)?;
        let votes = votes.into_values().next().unwrap_or_default();
        let voted = EventKind::ApprovalVoted {
            approval: row.id.clone(),
            verdict: request.verdict,
            by: who.name.clone(),
            got: got(&row, &votes),
            required: row.required,
        };
        tell(&tx, &row, &voted, now).await.map_err(store_error)?;
        let mut ended = Vec::new();
        match row.tally(&votes) {
            Tally::Open { .. } => {}
            Tally::Approved => {
                let environment = store::environments::get(&tx, &row.environment_id).await.map_err(store_error)?;
                let record = store::deployments::get(&tx, &row.deployment).await.map_err(store_error)?;
                ended.extend(supersede(&tx, &environment, &record, None).await.map_err(store_error)?);
                approve(&tx, &row, &votes, now).await.map_err(store_error)?;
            }
            Tally::Refused => {
                let reason = comment.map(|comment| format!(": {}", comment.replace('\n', " "))).unwrap_or_default();
                let why = format!("refused by {}{reason}", who.name);
                end(&tx, &row, ApprovalState::Refused, why, now).await.map_err(store_error)?;
                ended.push(row.deployment.clone());
            }
        }
        let response = one(&tx, who, found(&tx, &row.id).await?).await?;
        let recorded = self.conclude::<Vote>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        for deployment in ended {
            count_end(&self.inner, &deployment).await;
        }
        Ok(response)
    }
}

async fn found(session: &impl Session, id: &ApprovalId) -> Result<Row, Error> {
    store::approvals::find(session, id).await.map_err(store_error)?.ok_or_else(|| missing::approval(id))
}

async fn one(session: &impl Session, who: &Admitted, row: Row) -> Result<Approval, Error> {
    shown(session, who, vec![row]).await?.pop().ok_or_else(Error::internal)
}

/// As the caller may see them, with a few statements for all.
async fn shown(session: &impl Session, who: &Admitted, rows: Vec<Row>) -> Result<Vec<Approval>, Error> {
    let ids: Vec<&ApprovalId> = rows.iter().map(|row| &row.id).collect();
    let mut votes = store::approvals::votes(session, &ids).await.map_err(store_error)?;
    let ids: Vec<&DeploymentId> = rows.iter().map(|row| &row.deployment).collect();
    let deployments = store::deployments::many(session, &ids).await.map_err(store_error)?;
    let show = |row: Row| {
        let kind = deployments.get(&row.deployment).map(|record| record.deployment.kind);
        let votes = votes.remove(&row.id).unwrap_or_default();
        as_seen(who, row, kind, votes)
    };
    Ok(rows.into_iter().map(show).collect())
}

fn as_seen(who: &Admitted, row: Row, deployment_kind: Option<DeploymentKind>, votes: Vec<Cast>) -> Approval {
    let voter = who.principal.person();
    let barred = may_vote(row.ballot(), voter, who.grants.at(&row.app_id), Utc::now()).err();
    let got = got(&row, &votes);
    let cast = |vote: Cast| CastVote {
        user: vote.user,
        name: vote.name,
        verdict: vote.verdict,
        comment: vote.comment,
        via: vote.via,
        at: vote.at,
        counts: vote.counts,
    };
    Approval {
        id: row.id,
        kind: row.kind,
        deployment: row.deployment,
        deployment_kind,
        app: row.app,
        environment: row.environment,
        subject: row.subject,
        subject_note: row.subject_note,
        requested_by: row.requester_name,
        required: row.required,
        got,
        role: row.role,
        state: row.state,
        why: row.why,
        votes: votes.into_iter().map(cast).collect(),
        may_vote: barred.is_none(),
        may_not: barred.map(|barred| barred.to_string()),
        created_at: row.created_at,
        expires_at: row.expires_at,
        decided_at: row.decided_at,
    }
}

fn barred(why: Barred) -> Error {
    match why {
        Barred::Decided(_) | Barred::TooLate => Error::conflict(why.to_string()),
        Barred::Own => Error::new(ErrorKind::Forbidden, why.to_string())
            .hint("ask somebody else; cancel it if you change your mind"),
        Barred::Program => Error::new(ErrorKind::Forbidden, why.to_string())
            .hint("sign in, or use a token of your own: `plimsoll tokens create NAME --for me`"),
        Barred::Role { .. } => Error::new(ErrorKind::Forbidden, why.to_string())
            .hint("ask somebody who has the role; a token may have less than its person"),
    }
}

fn comment(text: Option<&str>) -> Result<Option<String>, Error> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().count() > MAX_COMMENT || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Error::unprocessable(format!(
            "`comment` has more than {MAX_COMMENT} characters, or control characters"
        )));
    }
    Ok(Some(text.to_owned()))
}
