//! What would run with other inputs than people approved of is asked about anew, or ends.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::approval::{ApprovalKind, ApprovalState, LONGEST, next_round};
use domain::deployment::{Deployment, DeploymentKind};
use domain::event::EventKind;
use domain::{AppId, DeploymentId, EnvironmentId};
use store::approvals::Approval;
use store::{StoreError, Tx};

use super::{end, tell};

/// Where something was changed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// The variables of an environment.
    Environment(&'a EnvironmentId),
    /// The source of an app.
    App(&'a AppId),
}

/// What a change means for what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It runs as it was approved of.
    Stays,
    /// It would run with the change: that is another question.
    AskedAnew,
    /// It was accepted with what was there before, and could only fail.
    Ends,
}

/// Of all that has not begun there and that the change means something for, the votes so far count no more, and the time for them
/// begins anew; what could only fail ends. Returns what has ended, to be counted once `tx` is committed.
pub(crate) async fn reset(
    tx: &Tx,
    scope: Scope<'_>,
    why: &str,
    now: DateTime<Utc>,
) -> Result<Vec<DeploymentId>, StoreError> {
    let environments = match scope {
        Scope::Environment(id) => vec![id.clone()],
        Scope::App(app) => {
            let all = store::environments::list(tx, app).await?;
            all.into_iter().map(|environment| environment.id).collect()
        }
    };
    let mut ended = Vec::new();
    for environment in environments {
        for approval in store::approvals::not_begun(tx, &environment).await? {
            let deployment = store::deployments::get(tx, &approval.deployment).await?.deployment;
            match fate(&deployment, scope) {
                Fate::Stays => {}
                Fate::AskedAnew => ask_anew(tx, &approval, why, now).await?,
                Fate::Ends => {
                    let why = format!("{why} since it was asked for");
                    end(tx, &approval, ApprovalState::Void, why, now).await?;
                    ended.push(approval.deployment);
                }
            }
        }
    }
    Ok(ended)
}

fn fate(deployment: &Deployment, scope: Scope<'_>) -> Fate {
    match (deployment.kind, scope) {
        // The variables of its release are those that it ran with.
        (DeploymentKind::Rollback, _) | (DeploymentKind::Promotion, Scope::App(_)) => Fate::Stays,
        (DeploymentKind::Promotion, Scope::Environment(_)) => Fate::Ends,
        // What a plan tells of rests on the variables.
        (DeploymentKind::Deploy, Scope::Environment(_)) if deployment.metadata.plan.is_some() => Fate::Ends,
        (DeploymentKind::Deploy, _) => Fate::AskedAnew,
    }
}

async fn ask_anew(tx: &Tx, approval: &Approval, why: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let expires_at = now + time_for_votes(tx, approval).await?;
    let subject = next_round(&approval.subject);
    store::approvals::reset(tx, &approval.id, &subject, expires_at).await?;
    if approval.state == ApprovalState::Approved {
        store::queue::set_held(tx, &approval.deployment, true).await?;
        if approval.kind == ApprovalKind::Bypass {
            store::bypasses::approve(tx, &approval.deployment, None).await?;
        }
    }
    let event = EventKind::ApprovalReset { approval: approval.id.clone(), why: why.to_owned() };
    tell(tx, approval, &event, now).await
}

/// What the environment's policy gives them. Where there is none any more, so long as they had so far.
async fn time_for_votes(tx: &Tx, approval: &Approval) -> Result<Duration, StoreError> {
    let policy = store::approval_policies::find(tx, &approval.app_id, &approval.environment).await?;
    let had = || (approval.expires_at - approval.created_at).to_std().unwrap_or_default();
    Ok(policy.map_or_else(had, |found| found.policy.expires_in.get()).min(LONGEST.get()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;
    use domain::ApprovalId;
    use domain::access::Role;
    use domain::approval::Policy;
    use domain::deployment::Metadata;
    use domain::id::{Id, Kind};
    use domain::phase::Phase;
    use domain::release::Digest;
    use store::deployments::Record;
    use store::environments::Environment;
    use store::queue::Entry;
    use store::{DatabaseUrl, Store};
    use ulid::Ulid;

    use super::*;
    use crate::deployment::state::Order;
    use crate::deployment::{Deploy, State};

    fn id<K: Kind>() -> Id<K> {
        Id::from_ulid(Ulid::generate())
    }

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-21T{text}:00Z").parse().unwrap()
    }

    async fn place(store: &Store) -> Environment {
        let app = store::apps::App {
            id: id(),
            name: "hello".parse().unwrap(),
            source: None,
            created_at: at("09:00"),
            concurrency: 2,
        };
        let environment = Environment {
            id: id(),
            app_id: app.id.clone(),
            app: app.name.clone(),
            name: "production".parse().unwrap(),
            generation: 0,
            acting: None,
            active_deployment: None,
            active_generation: 0,
            active_release: None,
            created_at: at("09:00"),
            host: "here".to_owned(),
            running: None,
            supersede: Default::default(),
        };
        let tx = store.write().await.unwrap();
        store::apps::insert(&tx, &app).await.unwrap();
        store::environments::insert(&tx, &environment).await.unwrap();
        let policy = Policy {
            required: 1,
            role: Role::Admin,
            rollbacks: true,
            bypasses: false,
            expires_in: "4h".parse().unwrap(),
        };
        let record = store::approval_policies::Record {
            app: app.id,
            environment: environment.name.clone(),
            policy,
            changed_by: "Ann".to_owned(),
            changed_at: at("09:00"),
        };
        store::approval_policies::set(&tx, &record).await.unwrap();
        tx.commit().await.unwrap();
        environment
    }

    /// A deployment that was asked about at ten and waits; four hours were given.
    async fn asked(store: &Store, place: &Environment, kind: DeploymentKind, plan: Option<Digest>) -> ApprovalId {
        let tx = store.write().await.unwrap();
        let generation = store::environments::next_generation(&tx, &place.id).await.unwrap();
        let deployment = Deployment {
            id: id(),
            app: place.app.clone(),
            environment: place.name.clone(),
            kind,
            generation,
            phase: Phase::Queued,
            progress: 0,
            source: None,
            release: None,
            release_number: None,
            metadata: Metadata { plan, ..Metadata::default() },
            phases: Vec::new(),
            failure: None,
            cancelling: false,
            stuck: None,
            requested_by: "Ann".to_owned(),
            created_at: at("10:00"),
            updated_at: at("10:00"),
            finished_at: None,
        };
        let record = Record { app_id: place.app_id.clone(), environment_id: place.id.clone(), deployment };
        store::deployments::insert(&tx, &record).await.unwrap();
        let deployment = record.deployment;
        let state = State::deploy(Order {
            kind,
            deployment: deployment.id.clone(),
            app: place.app_id.clone(),
            app_name: place.app.clone(),
            environment: place.id.clone(),
            environment_name: place.name.clone(),
            generation,
            source: None,
            labels: Default::default(),
            promotion: None,
            plan: None,
            approval: None,
        });
        let opening = serde_json::to_value(saga::opening::<Deploy>(state, at("10:00")).unwrap()).unwrap();
        store::sagas::create(&tx, deployment.id.as_str(), "deploy", 1).await.unwrap();
        store::sagas::append(&tx, deployment.id.as_str(), 0, 0, &[opening]).await.unwrap();
        let entry = Entry {
            deployment: deployment.id.clone(),
            app: place.app_id.clone(),
            environment: place.id.clone(),
            host: place.host.clone(),
            priority: Default::default(),
            rank: 1,
            not_before: None,
            enqueued_at: at("10:00"),
            attempt: 1,
            held: true,
        };
        store::queue::insert(&tx, &entry).await.unwrap();
        let approval = Approval {
            id: id(),
            kind: ApprovalKind::Deployment,
            deployment: deployment.id,
            app_id: place.app_id.clone(),
            app: place.app.clone(),
            environment_id: place.id.clone(),
            environment: place.name.clone(),
            subject: "commit:0123#1".to_owned(),
            subject_note: String::new(),
            requester: "usr_01hf7yat00000000000000000a".to_owned(),
            requester_person: None,
            requester_name: "Ann".to_owned(),
            required: 1,
            role: Role::Admin,
            state: ApprovalState::Pending,
            why: None,
            created_at: at("10:00"),
            expires_at: at("14:00"),
            decided_at: None,
        };
        store::approvals::insert(&tx, &approval).await.unwrap();
        tx.commit().await.unwrap();
        approval.id
    }

    async fn changed(store: &Store, scope: Scope<'_>, now: DateTime<Utc>) -> Vec<DeploymentId> {
        let tx = store.write().await.unwrap();
        let ended = reset(&tx, scope, "variables of the environment have changed", now).await.unwrap();
        tx.commit().await.unwrap();
        ended
    }

    async fn row(store: &Store, id: &ApprovalId) -> Approval {
        store::approvals::find(store, id).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn the_time_for_votes_begins_anew_and_grows_with_no_reset() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
        let place = place(&store).await;
        let id = asked(&store, &place, DeploymentKind::Deploy, None).await;
        for (round, now) in [(2, at("12:00")), (3, at("13:00")), (4, at("15:30"))] {
            assert!(changed(&store, Scope::Environment(&place.id), now).await.is_empty());
            let found = row(&store, &id).await;
            assert_eq!(found.expires_at, now + TimeDelta::hours(4));
            assert_eq!((found.state, found.subject), (ApprovalState::Pending, format!("commit:0123#{round}")));
        }
        // Without a policy it is as long as it was, and never longer than any policy gives.
        let tx = store.write().await.unwrap();
        assert!(store::approval_policies::remove(&tx, &place.app_id, &place.name).await.unwrap());
        tx.commit().await.unwrap();
        let late = at("10:00") + TimeDelta::days(90);
        for _ in 0..2 {
            changed(&store, Scope::Environment(&place.id), late).await;
            assert!(row(&store, &id).await.expires_at <= late + TimeDelta::days(30));
        }
    }

    #[tokio::test]
    async fn what_could_only_fail_ends_and_what_goes_back_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
        let place = place(&store).await;
        let plan = Some(Digest("0123456789abcdef".to_owned()));
        let promotion = asked(&store, &place, DeploymentKind::Promotion, None).await;
        let planned = asked(&store, &place, DeploymentKind::Deploy, plan).await;
        let back = asked(&store, &place, DeploymentKind::Rollback, None).await;
        // Of the app's source nothing is taken for a promotion; a plan has its own, and is looked at again.
        assert!(changed(&store, Scope::App(&place.app_id), at("11:00")).await.is_empty());
        assert_eq!(row(&store, &promotion).await.subject, "commit:0123#1");
        assert_eq!(row(&store, &planned).await.subject, "commit:0123#2");

        let mut ended = changed(&store, Scope::Environment(&place.id), at("12:00")).await;
        let of = [row(&store, &promotion).await, row(&store, &planned).await];
        let mut expected = of.each_ref().map(|approval| approval.deployment.clone());
        ended.sort();
        expected.sort();
        assert_eq!(ended, expected);
        for approval in of {
            assert_eq!(approval.state, ApprovalState::Void);
            assert!(approval.why.unwrap().contains("have changed since it was asked for"));
            let deployment = store::deployments::get(&store, &approval.deployment).await.unwrap().deployment;
            assert_eq!(deployment.phase, Phase::Cancelled);
            assert!(deployment.failure.unwrap().message.contains("variables of the environment have changed"));
            assert_eq!(store::queue::find(&store, &approval.deployment).await.unwrap(), None);
        }
        let back = row(&store, &back).await;
        assert_eq!((back.state, back.subject.as_str()), (ApprovalState::Pending, "commit:0123#1"));
    }
}
