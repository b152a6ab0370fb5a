//! The mail server that mails are handed to.

use operations::Error;
use operations::mail::{Mail, MailServer, NewMailServer, Set, SetRequest, Show, ShowRequest};
use serde_json::json;
use store::settings;

use super::commit;
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;
use crate::notices::{StoredMail, open_mail, refused, seal_mail};

impl Handle<Show> for Control {
    async fn handle(&self, _: &Admitted, _: ShowRequest) -> Result<Mail, Error> {
        let stored = settings::find::<StoredMail>(self.store(), None, settings::MAIL).await.map_err(store_error)?;
        Ok(Mail { server: stored.as_ref().map(shown) })
    }
}

impl Handle<Set> for Control {
    async fn handle(&self, who: &Admitted, request: SetRequest) -> Result<Mail, Error> {
        let vault = &self.world().vault;
        let stored = match request.server {
            None => None,
            Some(server) => {
                check(&server)?;
                if server.user.is_some() != server.password.is_some() {
                    return Err(refused("server", "a user needs a password, and a password a user"));
                }
                let stored = seal_mail(vault, server).map_err(|e| Error::unavailable(e.to_string()))?;
                let opened = open_mail(vault, stored.clone()).map_err(|e| Error::unavailable(e.to_string()))?;
                opened.check().map_err(|e| refused("server", e))?;
                Some(stored)
            }
        };
        let tx = self.write().await?;
        let before = settings::find::<StoredMail>(&tx, None, settings::MAIL).await.map_err(store_error)?;
        settings::set(&tx, None, settings::MAIL, stored.as_ref()).await.map_err(store_error)?;
        let response = Mail { server: stored.as_ref().map(shown) };
        who.noted().changed(&json!(before.as_ref().map(shown)), &json!(response.server));
        let recorded = self.conclude::<Set>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

/// What the API's document says of the fields.
fn check(server: &NewMailServer) -> Result<(), Error> {
    let fits = |name: &str, text: &str, least: usize, most: usize| match (least..=most).contains(&text.chars().count())
    {
        true => Ok(()),
        false => Err(refused(name, format!("{least} to {most} characters"))),
    };
    fits("server.host", &server.host, 1, 253)?;
    fits("server.from", &server.from, 3, 254)?;
    fits("server.user", server.user.as_deref().unwrap_or_default(), 0, 254)?;
    match server.port {
        0 => Err(refused("server.port", "1 to 65535")),
        _ => Ok(()),
    }
}

fn shown(stored: &StoredMail) -> MailServer {
    MailServer {
        host: stored.host.clone(),
        port: stored.port,
        encryption: stored.encryption,
        from: stored.from.clone(),
        user: stored.user.clone(),
    }
}
