//! Which notices somebody is told of, in lists and streams.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::access::Grants;
use domain::approval::may_ever_vote;
use domain::event::Event;
use domain::notice::{Audience, Notice, audience, notice};
use domain::{ApprovalId, UserId};
use operations::Error;
use store::approvals::Approval;

use crate::Control;
use crate::caller::Caller;
use crate::error::store_error;

/// Somebody who is told what happens.
pub(crate) struct Listener {
    person: Option<UserId>,
    grants: Arc<Grants>,
}

impl Listener {
    pub(crate) fn of(who: &Caller) -> Self {
        Self { person: who.principal.person().cloned(), grants: who.grants.clone() }
    }

    /// What these events have to tell them, in the same order: nothing of apps that they muted, and of approvals what concerns them.
    pub(crate) async fn told(&self, control: &Control, events: &[Event]) -> Result<Vec<Notice>, Error> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let muted = control.muted(self.person.as_ref()).await?;
        let asked: BTreeSet<&ApprovalId> = events.iter().filter_map(approval_of).collect();
        let asked: Vec<&ApprovalId> = asked.into_iter().collect();
        let approvals = store::approvals::many(control.store(), &asked).await.map_err(store_error)?;
        let concerns = |event: &&Event| self.is_among(audience(event), &approvals);
        let heard = |notice: &Notice| notice.app.as_ref().is_none_or(|app| !muted.contains(app));
        Ok(events.iter().filter(concerns).filter_map(notice).filter(heard).collect())
    }

    fn is_among(&self, audience: Audience<'_>, approvals: &BTreeMap<ApprovalId, Approval>) -> bool {
        // A program passes on what it sees.
        let Some(person) = &self.person else { return true };
        match audience {
            Audience::Everybody => true,
            Audience::Voters(id) => approvals.get(id).is_some_and(|approval| {
                let (requester, has) = (approval.requester_person.as_ref(), self.grants.at(&approval.app_id));
                may_ever_vote(approval.role, requester, Some(person), has).is_ok()
            }),
            Audience::Asker(id) => {
                let asker = approvals.get(id).map(|approval| approval.requester_person.as_ref());
                asker.is_some_and(|asker| asker.is_none_or(|asker| asker == person))
            }
        }
    }
}

fn approval_of(event: &Event) -> Option<&ApprovalId> {
    match audience(event) {
        Audience::Everybody => None,
        Audience::Voters(approval) | Audience::Asker(approval) => Some(approval),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::{DateTime, Utc};
    use domain::access::Role;
    use domain::approval::{ApprovalKind, ApprovalState};
    use domain::id::{Id, Kind};

    use super::*;

    fn id<K: Kind>(n: u128) -> Id<K> {
        Id::from_ulid(ulid::Ulid::from_parts(1, n))
    }

    fn approval(requester_person: Option<UserId>) -> Approval {
        Approval {
            id: id(9),
            kind: ApprovalKind::Deployment,
            deployment: id(8),
            app_id: id(7),
            app: "shop".parse().unwrap(),
            environment_id: id(6),
            environment: "production".parse().unwrap(),
            subject: "commit:0123#1".into(),
            subject_note: String::new(),
            requester: "ci".into(),
            requester_person,
            requester_name: "ci".into(),
            required: 1,
            role: Role::Admin,
            // What was decided stays in the list of whom it was asked.
            state: ApprovalState::Approved,
            why: None,
            created_at: DateTime::<Utc>::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH,
            decided_at: None,
        }
    }

    #[test]
    fn voters_are_asked_and_who_asked_is_answered() {
        let (ann, zoe, vic) = (id(1), id(2), id(3));
        let listener = |person: Option<&UserId>, role| {
            let apps = BTreeMap::from([(id(7), role)]);
            Listener { person: person.cloned(), grants: Arc::new(Grants { everywhere: None, apps }) }
        };
        let told = |of: &Listener, by: Option<&UserId>| {
            let all = BTreeMap::from([(id(9), approval(by.cloned()))]);
            let (asks, answers) = (Audience::Voters(&id(9)), Audience::Asker(&id(9)));
            assert!(of.is_among(Audience::Everybody, &all));
            (of.is_among(asks, &all), of.is_among(answers, &all))
        };
        let by_ann = Some(&ann);
        assert_eq!(told(&listener(Some(&ann), Role::Owner), by_ann), (false, true));
        assert_eq!(told(&listener(Some(&zoe), Role::Admin), by_ann), (true, false));
        assert_eq!(told(&listener(Some(&vic), Role::Deployer), by_ann), (false, false), "her vote would not count");
        assert_eq!(told(&listener(None, Role::Viewer), by_ann), (true, true), "a program passes it on");
        assert_eq!(told(&listener(Some(&vic), Role::Viewer), None), (false, true), "nobody in particular asked");
        assert!(!listener(Some(&zoe), Role::Admin).is_among(Audience::Voters(&id(9)), &BTreeMap::new()));
    }
}
