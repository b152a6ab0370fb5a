//! Approval policies: which environments ask for the yes of others.

use domain::Name;
use domain::access::Role;
use domain::approval::{LONGEST, MOST_REQUIRED, Policy};
use operations::Error;
use operations::approval_policies::{ApprovalPolicy, List, ListRequest, Remove, RemoveRequest, Set, SetRequest};
use store::approval_policies::Record;

use super::{app_named, commit, environment_named};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;

impl Handle<List> for Control {
    async fn handle(&self, _: &Admitted, request: ListRequest) -> Result<Vec<ApprovalPolicy>, Error> {
        let app = app_named(self.store(), &request.app).await?;
        let all = store::approval_policies::of_app(self.store(), &app.id).await.map_err(store_error)?;
        Ok(all.into_iter().map(|record| shown(record, app.name.clone())).collect())
    }
}

impl Handle<Set> for Control {
    async fn handle(&self, who: &Admitted, request: SetRequest) -> Result<ApprovalPolicy, Error> {
        let SetRequest { app, environment, required, role, rollbacks, bypasses, expires_in } = request;
        let policy = Policy { required, role, rollbacks, bypasses, expires_in };
        check(&policy)?;
        let tx = self.write().await?;
        let (app, environment) = environment_named(&tx, &app, &environment).await?;
        let before = store::approval_policies::find(&tx, &app.id, &environment.name).await.map_err(store_error)?;
        let record = Record {
            app: app.id.clone(),
            environment: environment.name,
            policy,
            changed_by: who.name.clone(),
            changed_at: store::time::micros(store::clock::now()),
        };
        store::approval_policies::set(&tx, &record).await.map_err(store_error)?;
        let response = shown(record, app.name.clone());
        who.noted().changed(&before.map(|before| shown(before, app.name)), &response);
        let recorded = self.conclude::<Set>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<Remove> for Control {
    async fn handle(&self, who: &Admitted, request: RemoveRequest) -> Result<ApprovalPolicy, Error> {
        let tx = self.write().await?;
        let app = app_named(&tx, &request.app).await?;
        let found = store::approval_policies::find(&tx, &app.id, &request.environment).await.map_err(store_error)?;
        let Some(record) = found else {
            let what = format!("{}/{}", app.name, request.environment);
            return Err(Error::not_found(format!("deployments to {what} wait for nobody's approval"))
                .hint(format!("list the policies with `plimsoll approval-policies list --app {}`", app.name)));
        };
        store::approval_policies::remove(&tx, &app.id, &record.environment).await.map_err(store_error)?;
        let response = shown(record, app.name);
        who.noted().changed(&response, &None::<ApprovalPolicy>);
        let recorded = self.conclude::<Remove>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

fn check(policy: &Policy) -> Result<(), Error> {
    if !(1..=MOST_REQUIRED).contains(&policy.required) {
        return Err(Error::unprocessable(format!("`required` must be 1 to {MOST_REQUIRED}, not {}", policy.required)));
    }
    if policy.role < Role::Deployer {
        return Err(Error::unprocessable("a viewer looks and decides nothing, so `role` can't be viewer")
            .hint("let those vote who are at least deployer, admin or owner"));
    }
    if policy.expires_in > LONGEST {
        return Err(Error::unprocessable(format!("`expires_in` is {LONGEST} at most, not {}", policy.expires_in))
            .hint("who would approve of what was asked so long ago?"));
    }
    Ok(())
}

fn shown(record: Record, app: Name) -> ApprovalPolicy {
    let Policy { required, role, rollbacks, bypasses, expires_in } = record.policy;
    ApprovalPolicy {
        app,
        environment: record.environment,
        required,
        role,
        rollbacks,
        bypasses,
        expires_in,
        changed_by: record.changed_by,
        changed_at: record.changed_at,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_makes_no_sense_says_what_is_wrong() {
        let good = Policy {
            required: 2,
            role: Role::Admin,
            rollbacks: false,
            bypasses: true,
            expires_in: "4h".parse().unwrap(),
        };
        assert!(check(&good).is_ok());
        for (policy, words) in [
            (Policy { required: 0, ..good.clone() }, "required"),
            (Policy { required: 6, ..good.clone() }, "1 to 5"),
            (Policy { role: Role::Viewer, ..good.clone() }, "role"),
            (Policy { expires_in: "31d".parse().unwrap(), ..good.clone() }, "30d at most"),
        ] {
            let error = check(&policy).unwrap_err();
            assert!(error.status == 422 && error.detail.contains(words), "{error:?}");
        }
    }
}
