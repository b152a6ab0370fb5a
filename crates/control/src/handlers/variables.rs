//! Environment variables. Values come in, are sealed, and never go out.

use domain::DeploymentId;
use domain::event::EventKind;
use operations::Error;
use operations::variables::{
    List, ListRequest, MAX_NAME, MAX_VALUE, MAX_VARIABLES, Set, SetRequest, Unset, UnsetRequest, Variable,
};
use secrecy::ExposeSecret;
use store::environments::Environment;
use store::{Session, Tx};

use super::{commit, environment_named};
use crate::Control;
use crate::access::Admitted;
use crate::approvals::{Scope, reset};
use crate::caller::Handle;
use crate::dispatch::count_ends;
use crate::environment;
use crate::error::{store_error, variables_error};

impl Handle<List> for Control {
    async fn handle(&self, _: &Admitted, request: ListRequest) -> Result<Vec<Variable>, Error> {
        let (_, environment) = environment_named(self.store(), &request.app, &request.environment).await?;
        list(self.store(), &environment).await
    }
}

impl Handle<Set> for Control {
    async fn handle(&self, who: &Admitted, request: SetRequest) -> Result<Vec<Variable>, Error> {
        if request.variables.is_empty() {
            return Err(Error::invalid("no variable was given"));
        }
        for (name, value) in &request.variables {
            check_name(name)?;
            check_value(name, value.0.expose_secret())?;
        }
        let tx = self.write().await?;
        let (_, environment) = environment_named(&tx, &request.app, &request.environment).await?;
        let key = environment::data_key(&tx, &self.world().vault, &environment.id).await.map_err(variables_error)?;
        for (name, value) in &request.variables {
            let sealed = key.seal(name, value.0.expose_secret().as_bytes());
            let sealed = sealed.map_err(|e| variables_error(e.into()))?;
            store::variables::set(&tx, &environment.id, name, &sealed).await.map_err(store_error)?;
        }
        let response = list(&tx, &environment).await?;
        if response.len() > MAX_VARIABLES {
            return Err(Error::invalid(format!(
                "an environment can have {MAX_VARIABLES} variables; with these it would have {}",
                response.len()
            )));
        }
        let ended = changed(&tx, &environment, request.variables.into_keys().collect(), Vec::new()).await?;
        let recorded = self.conclude::<Set>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        count_ends(&self.inner, &ended).await;
        Ok(response)
    }
}

impl Handle<Unset> for Control {
    async fn handle(&self, who: &Admitted, request: UnsetRequest) -> Result<Vec<Variable>, Error> {
        let mut names = request.names;
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Err(Error::invalid("no variable was named"));
        }
        let tx = self.write().await?;
        let (_, environment) = environment_named(&tx, &request.app, &request.environment).await?;
        for name in &names {
            if !store::variables::unset(&tx, &environment.id, name).await.map_err(store_error)? {
                // The transaction is dropped, and with it what was removed before.
                let name: String = name.chars().take(MAX_NAME).collect();
                return Err(Error::not_found(format!(
                    "{}/{} has no variable `{name}`; nothing was removed",
                    environment.app, environment.name
                ))
                .hint(format!("list them with `plimsoll env list --app {}`", environment.app)));
            }
        }
        let ended = changed(&tx, &environment, Vec::new(), names).await?;
        let response = list(&tx, &environment).await?;
        let recorded = self.conclude::<Unset>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        count_ends(&self.inner, &ended).await;
        Ok(response)
    }
}

async fn list(session: &impl Session, environment: &Environment) -> Result<Vec<Variable>, Error> {
    let rows = store::variables::list(session, &environment.id).await.map_err(store_error)?;
    Ok(rows.into_iter().map(|row| Variable { name: row.name }).collect())
}

/// Tells of it, and sees to what waits for approval; what has ended by that.
async fn changed(
    tx: &Tx,
    environment: &Environment,
    set: Vec<String>,
    unset: Vec<String>,
) -> Result<Vec<DeploymentId>, Error> {
    let kind = EventKind::VariablesChanged { set, unset };
    let (app, name) = (Some(&environment.app), Some(&environment.name));
    let now = store::time::micros(store::clock::now());
    store::events::insert(tx, app, name, None, &kind, now).await.map_err(store_error)?;
    let scope = Scope::Environment(&environment.id);
    reset(tx, scope, "variables of the environment have changed", now).await.map_err(store_error)
}

fn check_name(name: &str) -> Result<(), Error> {
    let shown: String = name.chars().take(MAX_NAME).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !well_formed {
        return Err(Error::invalid(format!("`{shown}` can't be the name of a variable"))
            .hint("names have letters, digits and `_`, and don't begin with a digit"));
    }
    if name.len() > MAX_NAME {
        return Err(Error::invalid(format!("the name `{shown}…` is longer than {MAX_NAME} characters")));
    }
    if name == "PORT" || name.starts_with("PLIMSOLL_") {
        return Err(Error::invalid(format!("`{name}` is set by Plimsoll itself"))
            .hint("`PORT` and names that begin with `PLIMSOLL_` are reserved; choose another name"));
    }
    Ok(())
}

/// Never says what the value is.
fn check_value(name: &str, value: &str) -> Result<(), Error> {
    if value.len() > MAX_VALUE {
        return Err(Error::invalid(format!("the value of `{name}` is longer than {MAX_VALUE} bytes"))
            .hint("put large content into a file and its path into the variable"));
    }
    if value.contains('\0') {
        return Err(Error::invalid(format!("the value of `{name}` holds a NUL, which no variable can")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_a_shell_and_ours_are_reserved() {
        for good in ["A", "_", "DATABASE_URL", "a1", "PORTS", "PLIMSOLL"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "1A", "A-B", "A=B", "A B", "É", "A\0", "PORT", "PLIMSOLL_RELEASE", &"A".repeat(MAX_NAME + 1)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn refusals_never_repeat_a_value() {
        for bad in ["hunter2\0", &"hunter2".repeat(MAX_VALUE)] {
            let error = check_value("A", bad).err().map(|e| format!("{e:?}")).unwrap_or_default();
            assert!(!error.is_empty() && !error.contains("hunter2"));
        }
        assert!(check_value("A", "").is_ok());
    }
}
