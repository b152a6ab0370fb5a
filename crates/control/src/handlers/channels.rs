//! Channels: who is told, by which way. What is secret of them goes in and never comes out.

use std::collections::BTreeSet;

use domain::access::{At, Permission};
use domain::channel::usual_topics;
use domain::notice::Topic;
use domain::webhook::Secret as SigningKey;
use domain::{ChannelId, Name};
use operations::Error;
use operations::channels::{
    Channel, ChannelRequest, Create, CreateRequest, Created, List, ListRequest, MAX_CHANNELS, MAX_ENVIRONMENTS,
    MAX_NAME, MAX_TOPICS, Remove, Target, Test, Tested, Update, UpdateRequest,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use store::channels::{Channel as Record, Settings};
use store::{Session, deliveries};
use ulid::Ulid;

use super::{app_named, commit};
use crate::Control;
use crate::access::{Admitted, missing};
use crate::caller::Handle;
use crate::error::store_error;
use crate::notices::{self, Secrets, refused};
use crate::vault::VaultError;

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Vec<Channel>, Error> {
        if let Some(app) = &request.app {
            app_named(self.store(), app).await?;
        }
        let (sees, server) = (who.sees(), who.may(Permission::ServerLook, At::Server));
        let mut records = store::channels::list(self.store()).await.map_err(store_error)?;
        records.retain(|record| match (&record.app, &request.app) {
            (Some((id, name)), wanted) => sees.includes(id) && wanted.as_ref().is_none_or(|wanted| wanted == name),
            (None, None) => server,
            (None, Some(_)) => false,
        });
        Ok(records.into_iter().map(shown).collect())
    }
}

impl Handle<Create> for Control {
    async fn handle(&self, who: &Admitted, request: CreateRequest) -> Result<Created, Error> {
        let CreateRequest { app, name, target, topics, environments } = request;
        let name = checked_name(&name)?;
        let topics = topics.map_or_else(|| Ok(usual_topics()), checked_topics)?;
        let environments = checked_environments(environments)?;
        let (settings, mut secrets) = self.checked(&target).await?;
        let mut told = None;
        if let (Target::Webhook(_), None) = (&target, &secrets.secret) {
            let secret = SigningKey::new(rand::random()).reveal().to_string();
            told = Some(secret.clone());
            secrets.secret = Some(secret.into());
        }
        let id = ChannelId::from_ulid(Ulid::generate());
        let (wrapped, sealed) = notices::seal(&self.world().vault, id.as_str(), &secrets).map_err(not_sealed)?;

        let tx = self.write().await?;
        let app = match &app {
            Some(app) => Some(app_named(&tx, app).await?),
            None => None,
        };
        let there = store::channels::count(&tx, app.as_ref().map(|app| &app.id)).await.map_err(store_error)?;
        if there >= MAX_CHANNELS as u64 {
            return Err(Error::conflict(format!("there are {MAX_CHANNELS} channels, and no more are taken"))
                .hint("remove some: `plimsoll channels list`"));
        }
        let record = Record {
            id,
            app: app.map(|app| (app.id, app.name)),
            kind: target.kind(),
            name,
            settings,
            wrapped,
            sealed,
            topics,
            environments,
            enabled: true,
            failing_since: None,
            created_by: who.name.clone(),
            created_at: store::time::micros(store::clock::now()),
        };
        store::channels::insert(&tx, &record).await.map_err(store_error)?;
        store::notice_cursor::begin(&tx).await.map_err(store_error)?;
        let channel = shown(record);
        who.noted().target(&channel.id);
        // What is remembered is in the database, so it must not hold the secret itself.
        let recorded = self.conclude::<Create>(&tx, who, &Created { channel: channel.clone(), secret: None }).await?;
        commit(tx, recorded).await?;
        Ok(Created { channel, secret: told })
    }
}

impl Handle<Update> for Control {
    async fn handle(&self, who: &Admitted, request: UpdateRequest) -> Result<Channel, Error> {
        let UpdateRequest { channel, name, target, topics, environments, enabled } = request;
        let name = name.as_deref().map(checked_name).transpose()?;
        let topics = topics.map(checked_topics).transpose()?;
        let environments = environments.map(checked_environments).transpose()?;
        let given = match &target {
            Some(target) => Some(self.checked(target).await?),
            None => None,
        };

        let tx = self.write().await?;
        let mut record = channel_with(&tx, &channel).await?;
        let before = told(&record);
        if let (Some(target), Some((settings, mut secrets))) = (target, given) {
            if target.kind() != record.kind {
                return Err(Error::conflict(format!(
                    "the channel is one of {}, and can't become one of {}",
                    record.kind,
                    target.kind()
                ))
                .hint("add another one with `plimsoll channels create`, and remove this one"));
            }
            if let (Target::Webhook(_), None) = (&target, &secrets.secret) {
                secrets.secret = Secrets::open(&self.world().vault, &record).map_err(not_sealed)?.secret;
            }
            let sealed = notices::seal(&self.world().vault, record.id.as_str(), &secrets).map_err(not_sealed)?;
            (record.wrapped, record.sealed) = sealed;
            record.settings = settings;
        }
        record.name = name.unwrap_or(record.name);
        record.topics = topics.unwrap_or(record.topics);
        record.environments = environments.unwrap_or(record.environments);
        match enabled {
            Some(true) if !record.enabled => (record.enabled, record.failing_since) = (true, None),
            Some(false) => {
                // Whoever disables it needs no reminder of it.
                (record.enabled, record.failing_since) = (false, None);
                let now = store::time::micros(store::clock::now());
                let why = "the channel was disabled";
                deliveries::drop_waiting(&tx, &record.id, why, now).await.map_err(store_error)?;
            }
            Some(true) | None => {}
        }
        store::channels::update(&tx, &record).await.map_err(store_error)?;
        who.noted().changed(&before, &told(&record));
        let response = shown(record);
        let recorded = self.conclude::<Update>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<Remove> for Control {
    async fn handle(&self, who: &Admitted, request: ChannelRequest) -> Result<Channel, Error> {
        let tx = self.write().await?;
        let record = channel_with(&tx, &request.channel).await?;
        store::channels::remove(&tx, &record.id).await.map_err(store_error)?;
        let response = shown(record);
        let recorded = self.conclude::<Remove>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<Test> for Control {
    async fn handle(&self, who: &Admitted, request: ChannelRequest) -> Result<Tested, Error> {
        let channel = channel_with(self.store(), &request.channel).await?;
        // It goes out before its end can be recorded.
        let act = self.begin_act::<Test>(who).await?;
        let tested = notices::test(self, &channel).await;
        act.end(Ok(tested)).await
    }
}

impl Control {
    /// What of a target everybody may see, and what nobody may.
    async fn checked(&self, target: &Target) -> Result<(Settings, Secrets), Error> {
        match target {
            Target::Mail(mail) => {
                notify::Mail::check(&mail.to).map_err(|e| refused("target.to", e))?;
                Ok((Settings { address: None, to: mail.to.clone() }, Secrets::default()))
            }
            Target::Slack(slack) => {
                let address = self.checked_address(&slack.url.0).await?;
                Ok((Settings { address: Some(address), to: Vec::new() }, of(&slack.url.0, None)))
            }
            Target::Webhook(webhook) => {
                let address = self.checked_address(&webhook.url.0).await?;
                let secret = webhook.secret.as_ref().map(|secret| &secret.0);
                if let Some(secret) = secret {
                    secret.expose_secret().parse::<SigningKey>().map_err(|e| refused("target.secret", e))?;
                }
                Ok((Settings { address: Some(address), to: Vec::new() }, of(&webhook.url.0, secret)))
            }
        }
    }

    /// Scheme and host of an address that may be called. Whether it will be, each attempt asks again: names lead elsewhere
    /// tomorrow, so one that can't be resolved just now is taken.
    async fn checked_address(&self, url: &SecretString) -> Result<String, Error> {
        let text = url.expose_secret().trim();
        if text.len() > MAX_URL {
            return Err(refused("target.url", format!("it is longer than {MAX_URL} characters")));
        }
        let address: outgoing::Address = text.parse().map_err(|e| refused("target.url", e))?;
        let outgoing = self.outgoing().await.map_err(|e| Error::unavailable(e.to_string()))?;
        use outgoing::OutgoingError::{Malformed, Plain, Refused};
        match outgoing.check(&address).await {
            Err(e @ (Malformed { .. } | Plain { .. } | Refused { .. })) => Err(refused("target.url", e)),
            Ok(()) | Err(_) => Ok(address.origin()),
        }
    }
}

/// Longest address, in bytes.
const MAX_URL: usize = 2048;

fn of(url: &SecretString, secret: Option<&SecretString>) -> Secrets {
    Secrets { url: Some(url.expose_secret().trim().into()), secret: secret.map(|secret| secret.expose_secret().into()) }
}

fn not_sealed(error: VaultError) -> Error {
    Error::unavailable(error.to_string())
}

pub(super) async fn channel_with(session: &impl Session, id: &ChannelId) -> Result<Record, Error> {
    store::channels::find(session, id).await.map_err(store_error)?.ok_or_else(|| missing::channel(id))
}

fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    match fits {
        true => Ok(name.to_owned()),
        false => Err(refused("name", format!("1 to {MAX_NAME} characters, none of them a control character"))),
    }
}

fn checked_topics(topics: Vec<Topic>) -> Result<BTreeSet<Topic>, Error> {
    if topics.len() > MAX_TOPICS {
        return Err(refused("topics", format!("{MAX_TOPICS} at most")).hint("name each once"));
    }
    if topics.contains(&Topic::Test) {
        return Err(refused("topics", "`test` is sent by a test alone").hint("leave it out"));
    }
    match topics.is_empty() {
        true => Err(refused("topics", "none is named, so nobody would be told anything")
            .hint("leave it out for the usual ones, or disable the channel")),
        false => Ok(topics.into_iter().collect()),
    }
}

fn checked_environments(mut environments: Vec<Name>) -> Result<Vec<Name>, Error> {
    if environments.len() > MAX_ENVIRONMENTS {
        return Err(refused("environments", format!("{MAX_ENVIRONMENTS} at most")).hint("leave it out for all"));
    }
    environments.sort();
    environments.dedup();
    Ok(environments)
}

/// For the audit log.
fn told(record: &Record) -> serde_json::Value {
    json!({
        "name": record.name, "address": record.settings.address, "to": record.settings.to, "topics": record.topics,
        "environments": record.environments, "enabled": record.enabled,
    })
}

fn shown(record: Record) -> Channel {
    Channel {
        id: record.id,
        app: record.app.map(|(_, name)| name),
        kind: record.kind,
        name: record.name,
        address: record.settings.address,
        to: record.settings.to,
        topics: record.topics.into_iter().collect(),
        environments: record.environments,
        enabled: record.enabled,
        failing_since: record.failing_since,
        created_by: record.created_by,
        created_at: record.created_at,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_channel_is_refused_with_its_field() {
        assert_eq!(checked_name("  On call ").unwrap(), "On call");
        for bad in ["", "  ", "a\nb", &"x".repeat(MAX_NAME + 1)] {
            let error = checked_name(bad).unwrap_err();
            assert!(error.status == 422 && error.detail.contains("`name`"), "{error:?}");
        }
        assert!(checked_topics(vec![]).unwrap_err().detail.contains("`topics`"));
        assert!(checked_topics(vec![Topic::DeploymentFailed, Topic::Test]).is_err());
        let twice = vec![Topic::DeploymentStuck, Topic::DeploymentStuck];
        assert_eq!(checked_topics(twice).unwrap().len(), 1);
    }
}
