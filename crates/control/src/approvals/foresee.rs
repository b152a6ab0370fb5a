//! Whether others would have to approve of a deployment that nobody has asked for yet.

use domain::approval::{Policy, may_ever_vote, needed};
use domain::deployment::DeploymentKind;
use domain::plan::PlannedApproval;
use domain::{AppId, Name};
use operations::Error;

use crate::Control;
use crate::access::Admitted;
use crate::caller::Caller;
use crate::error::store_error;

impl Control {
    /// What a deployment of this kind would wait for if the caller ordered it now, as [`Control::hold`] would have it.
    pub(crate) async fn approval_of(
        &self,
        who: &Admitted,
        app: &AppId,
        environment: &Name,
        kind: DeploymentKind,
    ) -> Result<Option<PlannedApproval>, Error> {
        let found = store::approval_policies::find(self.store(), app, environment).await.map_err(store_error)?;
        Ok(found.and_then(|found| planned(&found.policy, who, app, kind)))
    }
}

fn planned(policy: &Policy, who: &Caller, app: &AppId, kind: DeploymentKind) -> Option<PlannedApproval> {
    needed(policy, kind, false)?;
    let own = may_ever_vote(policy.role, who.behind(), who.principal.person(), who.grants.at(app));
    Some(PlannedApproval {
        required: policy.required,
        role: policy.role,
        own_counts: own.is_ok(),
        expires_in: policy.expires_in,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use domain::access::{Grants, Role};
    use domain::id::{Id, Kind};

    use super::*;
    use crate::caller::{Credential, Principal};

    fn id<K: Kind>(n: u128) -> Id<K> {
        Id::from_ulid(ulid::Ulid::from_parts(1, n))
    }

    #[test]
    fn who_orders_it_is_told_whose_yes_it_takes() {
        let policy = Policy {
            required: 2,
            role: Role::Admin,
            rollbacks: false,
            bypasses: true,
            expires_in: "4h".parse().unwrap(),
        };
        let person =
            || Caller::new(Principal::Person(id(1)), Credential::Inside, Grants::everywhere(Role::Owner), "Ann");
        let program = Caller {
            maker: Some(id(1)),
            ..Caller::new(Principal::Machine(id(2)), Credential::Token(id(2)), Grants::everywhere(Role::Owner), "ci")
        };
        let expected =
            PlannedApproval { required: 2, role: Role::Admin, own_counts: false, expires_in: policy.expires_in };
        for who in [person(), program] {
            assert_eq!(planned(&policy, &who, &id(3), DeploymentKind::Deploy), Some(expected.clone()), "{who:?}");
            assert_eq!(planned(&policy, &who, &id(3), DeploymentKind::Rollback), None);
        }
        let rollbacks = Policy { rollbacks: true, ..policy };
        assert_eq!(planned(&rollbacks, &person(), &id(3), DeploymentKind::Rollback), Some(expected));
    }
}
