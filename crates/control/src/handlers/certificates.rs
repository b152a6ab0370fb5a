//! Certificates. Their keys come in, are sealed, and go to the ingress alone.

use chrono::Utc;
use domain::CertificateId;
use domain::event::EventKind;
use operations::Error;
use operations::certificates::{
    Add, AddRequest, Added, Certificate, CertificateState, Get, GetRequest, List, ListRequest, Remove,
};
use secrecy::ExposeSecret;
use store::Session;
use store::certificates::Certificate as Row;
use ulid::Ulid;

use super::commit;
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::certificates::{Shown, bring_in_line, seal, view};
use crate::error::{store_error, variables_error};

/// More than that belongs behind wildcards.
const MOST: usize = 1000;

impl Handle<Add> for Control {
    async fn handle(&self, who: &Admitted, request: AddRequest) -> Result<Added, Error> {
        let now = store::time::micros(Utc::now());
        let key = request.key.0.expose_secret();
        let (details, chain) = ingress::inspect(&request.certificate, key, now).map_err(refusal)?;
        let id = CertificateId::from_ulid(Ulid::generate());
        let (wrapped, sealed) = seal(&self.world().vault, &id, key).map_err(|e| variables_error(e.into()))?;
        let ingress::CertificateDetails { names, issuer, fingerprint, not_before, not_after } = details;
        let row = Row {
            id: id.clone(),
            names,
            issuer,
            fingerprint,
            not_before,
            not_after,
            default: request.default,
            chain,
            wrapped,
            sealed,
            created_at: now,
        };
        let tx = self.write().await?;
        let all = store::certificates::list(&tx).await.map_err(store_error)?;
        if let Some(same) = all.iter().find(|other| other.fingerprint == row.fingerprint) {
            return Err(Error::conflict(format!("this certificate is there already, as {}", same.id))
                .hint(format!("remove it first to change its settings: `plimsoll certificates remove {}`", same.id)));
        }
        if all.len() >= MOST {
            return Err(Error::conflict(format!("there are {MOST} certificates, and no more are taken")));
        }
        let outdated = |other: &&Row| other.names == row.names && other.not_after <= row.not_after;
        let replaced: Vec<&Row> = all.iter().filter(outdated).collect();
        for old in &replaced {
            store::certificates::remove(&tx, &old.id).await.map_err(store_error)?;
            told(&tx, EventKind::CertificateRemoved { certificate: old.id.clone(), names: old.names.clone() }).await?;
        }
        store::certificates::insert(&tx, &row).await.map_err(store_error)?;
        told(&tx, EventKind::CertificateAdded { certificate: id.clone(), names: row.names.clone() }).await?;
        let replaced = replaced.iter().map(|old| old.id.clone()).collect();
        let kept = view(row.clone(), &Shown::default(), now);
        let kept = Certificate { state: CertificateState::Serving, warning: None, ..kept };
        let response = Added { certificate: kept, replaced };
        who.noted().target(&id);
        let recorded = self.conclude::<Add>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        self.bring_certificates().await;
        Ok(Added { certificate: shown_now(row, self).await, ..response })
    }
}

impl Handle<List> for Control {
    async fn handle(&self, _: &Admitted, _: ListRequest) -> Result<Vec<Certificate>, Error> {
        let rows = store::certificates::list(self.store()).await.map_err(store_error)?;
        let shown = Shown::ask(&self.world().ingress).await;
        let now = Utc::now();
        let mut all: Vec<_> = rows.into_iter().map(|row| view(row, &shown, now)).collect();
        all.sort_by(|a, b| a.names.cmp(&b.names).then_with(|| a.id.cmp(&b.id)));
        Ok(all)
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, _: &Admitted, request: GetRequest) -> Result<Certificate, Error> {
        Ok(shown_now(named(self.store(), &request.certificate).await?, self).await)
    }
}

impl Handle<Remove> for Control {
    async fn handle(&self, who: &Admitted, request: GetRequest) -> Result<Certificate, Error> {
        let tx = self.write().await?;
        let row = named(&tx, &request.certificate).await?;
        store::certificates::remove(&tx, &row.id).await.map_err(store_error)?;
        told(&tx, EventKind::CertificateRemoved { certificate: row.id.clone(), names: row.names.clone() }).await?;
        let response = view(row, &Shown::default(), Utc::now());
        let response = Certificate { state: CertificateState::Unserved, warning: None, ..response };
        let recorded = self.conclude::<Remove>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        self.bring_certificates().await;
        Ok(response)
    }
}

impl Control {
    /// What fails here, the reconciler repeats.
    async fn bring_certificates(&self) {
        let _turn = self.inner.ingress_turn.lock().await;
        if let Err(e) = bring_in_line(&self.inner).await {
            tracing::warn!("the ingress's certificates are not in line yet: {e}");
        }
    }
}

async fn shown_now(row: Row, control: &Control) -> Certificate {
    view(row, &Shown::ask(&control.world().ingress).await, Utc::now())
}

/// By id, or by a name that one certificate alone has.
async fn named(session: &impl Session, wanted: &str) -> Result<Row, Error> {
    let mut all = store::certificates::list(session).await.map_err(store_error)?;
    if let Some(n) = all.iter().position(|row| row.id.as_str() == wanted) {
        return Ok(all.swap_remove(n));
    }
    let name = wanted.to_ascii_lowercase();
    let having: Vec<usize> = (0..all.len()).filter(|&n| all[n].names.contains(&name)).collect();
    match having.as_slice() {
        &[one] => Ok(all.swap_remove(one)),
        [] => {
            let wanted: String = wanted.chars().filter(|c| !c.is_control()).take(253).collect();
            Err(Error::not_found(format!("there is no certificate `{wanted}`"))
                .hint("list them with `plimsoll certificates list`"))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|&n| all[n].id.as_str()).collect();
            Err(Error::conflict(format!("{} certificates have that name", several.len()))
                .hint(format!("name one by its id: {}", ids.join(", "))))
        }
    }
}

async fn told(tx: &store::Tx, kind: EventKind) -> Result<(), Error> {
    store::events::insert(tx, None, None, None, &kind, store::clock::now()).await.map_err(store_error)?;
    Ok(())
}

fn refusal(bad: ingress::BadCertificate) -> Error {
    use ingress::BadCertificate as Bad;
    let hint = match &bad {
        Bad::Mismatch => "give the key with which the certificate was requested",
        Bad::Expired(_) => "renew it first",
        Bad::NoNames => "request a certificate that has the host as a subject alternative name",
        Bad::Order { .. } => "put the certificates of the file in order, or leave out those that don't belong there",
        Bad::EncryptedKey => "openssl pkey -in key.pem -out plain.pem",
        _ => "give two PEM files: the certificate with its chain, and its private key",
    };
    Error::unprocessable(bad.to_string()).hint(hint)
}
