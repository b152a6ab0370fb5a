//! Certificates: kept sealed in the store, and brought to the ingress, which keeps copies of its own so that it serves
//! without us.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::CertificateId;
use ingress::{CertificateReport, Sealed};
use operations::certificates::{Certificate, CertificateState, EXPIRING_DAYS};
use store::certificates::Certificate as Row;
use zeroize::Zeroizing;

use crate::control::Inner;
use crate::vault::{Vault, VaultError};

/// What a private key is sealed as.
const PURPOSE: &str = "private key of a certificate";

/// A private key as it is kept: its wrapped data key, and the key sealed with that.
pub(crate) fn seal(vault: &Vault, id: &CertificateId, key: &str) -> Result<(Vec<u8>, Vec<u8>), VaultError> {
    let (data_key, wrapped) = vault.new_data_key(id.as_str())?;
    let sealed = data_key.seal(PURPOSE, key.as_bytes())?;
    Ok((wrapped, sealed))
}

fn open(vault: &Vault, row: &Row) -> Result<Zeroizing<String>, VaultError> {
    let plain = vault.unwrap(row.id.as_str(), &row.wrapped)?.open(PURPOSE, &row.sealed)?;
    let text = std::str::from_utf8(&plain).map_err(|_| VaultError::Sealed)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What the ingress has of the certificates, and whether it listens for HTTPS at all.
#[derive(Default)]
pub(crate) struct Shown {
    reports: Option<BTreeMap<CertificateId, CertificateReport>>,
    https: bool,
}

impl Shown {
    pub(crate) async fn ask(client: &ingress::Client) -> Self {
        let (status, reports) = tokio::join!(client.status(), client.certificates());
        let reports = reports.ok().map(|all| all.into_iter().map(|r| (r.id.clone(), r)).collect());
        Self { reports, https: status.is_ok_and(|s| s.https.is_some()) }
    }

    /// Whether a host is served over HTTPS with a certificate that has its name.
    pub(crate) fn covers(&self, host: &str) -> bool {
        let names = self.reports.iter().flatten().filter_map(|(_, r)| r.details.as_ref()).flat_map(|d| &d.names);
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.https && names.into_iter().any(|n| n == host || n.strip_prefix("*.").is_some_and(|p| Some(p) == parent))
    }
}

/// A certificate as people are shown it at `now`.
pub(crate) fn view(row: Row, shown: &Shown, now: DateTime<Utc>) -> Certificate {
    let (state, warning) = state(&row, shown, now);
    let Row { id, names, issuer, fingerprint, not_before, not_after, default, created_at, .. } = row;
    Certificate { id, names, issuer, fingerprint, not_before, not_after, default, state, warning, created_at }
}

fn state(row: &Row, shown: &Shown, now: DateTime<Utc>) -> (CertificateState, Option<String>) {
    let unserved = |why: &str| (CertificateState::Unserved, Some(why.to_owned()));
    let report = shown.reports.as_ref().map(|reports| reports.get(&row.id));
    match report {
        None => return unserved("the ingress does not answer"),
        Some(None) => return unserved("the ingress does not have it yet"),
        Some(Some(report)) => {
            if let Some(fault) = &report.fault {
                return unserved(fault);
            }
        }
    }
    if !shown.https {
        return unserved("the server has no address for HTTPS: start it with --ingress-https-listen");
    }
    let left = row.not_after - now;
    if left <= TimeDelta::zero() {
        let warning = format!("it expired at {}; add a new one", row.not_after);
        (CertificateState::Expired, Some(warning))
    } else if row.not_before > now {
        (CertificateState::NotYetValid, Some(format!("clients accept it from {} on", row.not_before)))
    } else if left <= TimeDelta::days(EXPIRING_DAYS) {
        let days = left.num_days();
        (CertificateState::Expiring, Some(format!("it expires in {days} days; add a new one before")))
    } else {
        (CertificateState::Serving, None)
    }
}

/// Brings the ingress's certificates in line with the store's. One that can't be brought does not keep the others
/// from it; the next pass tries again.
pub(crate) async fn bring_in_line(inner: &Inner) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let world = &inner.world;
    let rows = store::certificates::list(&world.store).await?;
    let reports = world.ingress.certificates().await?;
    let there: BTreeMap<&CertificateId, &CertificateReport> = reports.iter().map(|r| (&r.id, r)).collect();
    for row in &rows {
        let is_there = there.get(&row.id).is_some_and(|report| {
            let same = |d: &ingress::CertificateDetails| d.fingerprint == row.fingerprint;
            report.fault.is_none() && report.default == row.default && report.details.as_ref().is_some_and(same)
        });
        if is_there {
            continue;
        }
        match open(&world.vault, row) {
            Ok(key) => {
                let sealed = Sealed { chain: row.chain.clone(), key, default: row.default };
                match world.ingress.put_certificate(&row.id, sealed).await {
                    Ok(()) => tracing::info!(certificate = %row.id, "the ingress has it"),
                    Err(e) => tracing::error!(certificate = %row.id, "{e}"),
                }
            }
            Err(e) => tracing::error!(certificate = %row.id, "its key can't be opened: {e}"),
        }
    }
    for report in reports.iter().filter(|report| !rows.iter().any(|row| row.id == report.id)) {
        world.ingress.remove_certificate(&report.id).await?;
        tracing::info!(certificate = %report.id, "the ingress has it no longer");
    }
    Ok(())
}

/// Tells the log of certificates that end soon or have ended.
pub(crate) async fn warn_of_ends(inner: &Inner) {
    let Ok(rows) = store::certificates::list(&inner.world.store).await else { return };
    let now = Utc::now();
    for row in rows.iter().filter(|row| row.not_after - now <= TimeDelta::days(EXPIRING_DAYS)) {
        tracing::warn!(certificate = %row.id, names = row.names.join(" "), until = %row.not_after, "a certificate expires");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn row(id: &CertificateId, from: i64, until: i64, now: DateTime<Utc>) -> Row {
        Row {
            id: id.clone(),
            names: vec!["a.test".into(), "*.b.test".into()],
            issuer: "CN=x".into(),
            fingerprint: "f".repeat(64),
            not_before: now + TimeDelta::days(from),
            not_after: now + TimeDelta::days(until),
            default: false,
            chain: String::new(),
            wrapped: vec![],
            sealed: vec![],
            created_at: now,
        }
    }

    #[test]
    fn the_state_says_what_clients_will_see() {
        let now = Utc::now();
        let id = CertificateId::from_ulid(ulid::Ulid::from_parts(1, 1));
        let report = |fault: Option<&str>| CertificateReport {
            id: id.clone(),
            default: false,
            details: None,
            fault: fault.map(str::to_owned),
        };
        let shown = |https, fault| Shown { reports: Some(BTreeMap::from([(id.clone(), report(fault))])), https };
        let of = |from, until, shown: &Shown| view(row(&id, from, until, now), shown, now).state;
        assert_eq!(of(-1, 90, &shown(true, None)), CertificateState::Serving);
        assert_eq!(of(-1, 20, &shown(true, None)), CertificateState::Expiring);
        assert_eq!(of(-9, -1, &shown(true, None)), CertificateState::Expired);
        assert_eq!(of(1, 90, &shown(true, None)), CertificateState::NotYetValid);
        assert_eq!(of(-1, 90, &shown(false, None)), CertificateState::Unserved);
        assert_eq!(of(-1, 90, &shown(true, Some("damaged"))), CertificateState::Unserved);
        assert_eq!(of(-1, 90, &Shown::default()), CertificateState::Unserved);
        assert_eq!(of(-1, 90, &Shown { reports: Some(BTreeMap::new()), https: true }), CertificateState::Unserved);
    }

    #[test]
    fn a_key_opens_only_for_its_own_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("k"), true).unwrap();
        let now = Utc::now();
        let [a, b] = [1, 2].map(|n| CertificateId::from_ulid(ulid::Ulid::from_parts(1, n)));
        let (wrapped, sealed) = seal(&vault, &a, "the key").unwrap();
        assert!(!sealed.windows(7).any(|w| w == b"the key"));
        let kept = |id: &CertificateId| Row { wrapped: wrapped.clone(), sealed: sealed.clone(), ..row(id, 0, 1, now) };
        assert_eq!(open(&vault, &kept(&a)).unwrap().as_str(), "the key");
        assert!(open(&vault, &kept(&b)).is_err());
    }
}
