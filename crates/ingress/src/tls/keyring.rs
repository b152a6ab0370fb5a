//! The certificates that are served: looked up without a lock, replaced whole.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use domain::CertificateId;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::certificate::{self, Details};
use super::files::{self, Sealed};
use crate::report::CertificateReport;

/// All certificates of a folder.
pub(crate) struct Keyring {
    dir: PathBuf,
    held: Mutex<BTreeMap<CertificateId, Held>>,
    served: ArcSwap<Served>,
}

/// One certificate, if it can be served.
struct Held {
    sealed: Option<Sealed>,
    usable: Result<(Details, Arc<CertifiedKey>), String>,
}

/// By name, ready for look-ups.
#[derive(Default)]
struct Served {
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
}

impl Keyring {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), held: Mutex::default(), served: ArcSwap::default() }
    }

    /// Takes what is on the disk. One that can't be served is left out alone. Gives what is wrong, for people.
    pub(crate) fn load(&self) -> Vec<String> {
        let found = match files::load(&self.dir) {
            Ok(found) => found,
            Err(e) => return vec![format!("the certificates can't be read: {e}")],
        };
        let mut held = self.held();
        *held = found.into_iter().map(|(id, read)| (id, Held::of(read))).collect();
        self.serve(&held);
        let faults = held.iter().filter_map(|(id, h)| Some(fault(id, h.usable.as_ref().err()?)));
        faults.collect()
    }

    /// Serves a certificate from now on, also after a crash. It may block on the disk.
    pub(crate) fn put(&self, id: &CertificateId, sealed: Sealed) -> Result<(), PutError> {
        let mut held = self.held();
        if held.get(id).is_some_and(|h| h.sealed.as_ref() == Some(&sealed)) {
            return Ok(());
        }
        let new = Held::of(Ok(sealed));
        match (&new.usable, &new.sealed) {
            (Ok(_), Some(sealed)) => files::save(&self.dir, id, sealed).map_err(PutError::Disk)?,
            (Err(reason), _) => return Err(PutError::Unusable(reason.clone())),
            (Ok(_), None) => return Err(PutError::Unusable("it is empty".to_owned())),
        }
        held.insert(id.clone(), new);
        self.serve(&held);
        Ok(())
    }

    /// Serves it no longer. It may block on the disk.
    pub(crate) fn remove(&self, id: &CertificateId) -> io::Result<()> {
        let mut held = self.held();
        files::remove(&self.dir, id)?;
        held.remove(id);
        self.serve(&held);
        Ok(())
    }

    pub(crate) fn report(&self) -> Vec<CertificateReport> {
        let held = self.held();
        held.iter()
            .map(|(id, held)| CertificateReport {
                id: id.clone(),
                default: held.sealed.as_ref().is_some_and(|s| s.default),
                details: held.usable.as_ref().ok().map(|(details, _)| details.clone()),
                fault: held.usable.as_ref().err().cloned(),
            })
            .collect()
    }

    /// What is wrong now, for people.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.held().iter().filter_map(|(id, h)| Some(fault(id, h.usable.as_ref().err()?))).collect()
    }

    /// The certificate for a name in lower case: that name's own, then the one for all names below its domain, then
    /// the default. Clients that connect to an address say no name; theirs is the address.
    pub(crate) fn find(&self, name: Option<&str>, local: Option<IpAddr>) -> Option<Arc<CertifiedKey>> {
        let served = self.served.load();
        match name {
            Some(name) => served.covering(name),
            None => served.exact.get(local?.to_canonical().to_string().as_str()),
        }
        .or(served.default.as_ref())
        .cloned()
    }

    /// Whether a certificate has that name; the default alone doesn't count.
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.served.load().covering(host).is_some()
    }

    fn serve(&self, held: &BTreeMap<CertificateId, Held>) {
        let usable = held.values().filter_map(|h| {
            let (details, key) = h.usable.as_ref().ok()?;
            Some((details, key, h.sealed.as_ref().is_some_and(|s| s.default)))
        });
        self.served.store(Arc::new(Served::new(usable)));
    }

    /// A panic elsewhere can't leave it half-written: all changes are single insertions.
    fn held(&self) -> MutexGuard<'_, BTreeMap<CertificateId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a certificate is not taken.
pub(crate) enum PutError {
    Unusable(String),
    Disk(io::Error),
}

impl Held {
    fn of(read: Result<Sealed, String>) -> Self {
        match read {
            Ok(sealed) => {
                let usable = certificate::load(&sealed.chain, &sealed.key).map_err(|e| e.to_string());
                Self { sealed: Some(sealed), usable }
            }
            Err(reason) => Self { sealed: None, usable: Err(reason) },
        }
    }
}

impl Served {
    /// Of several for a name, the one that is valid for longest: the renewed one.
    fn new<'a>(usable: impl Iterator<Item = (&'a Details, &'a Arc<CertifiedKey>, bool)>) -> Self {
        let mut served = Self::default();
        let mut until: HashMap<&str, DateTime<Utc>> = HashMap::new();
        let mut default_until = None;
        for (details, key, is_default) in usable {
            for name in &details.names {
                if until.get(name.as_str()).is_some_and(|&other| other >= details.not_after) {
                    continue;
                }
                until.insert(name, details.not_after);
                match name.strip_prefix("*.") {
                    Some(parent) => served.wildcard.insert(parent.into(), key.clone()),
                    None => served.exact.insert(name.as_str().into(), key.clone()),
                };
            }
            if is_default && default_until.is_none_or(|other| other < details.not_after) {
                default_until = Some(details.not_after);
                served.default = Some(key.clone());
            }
        }
        served
    }

    fn covering(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.strip_suffix('.').unwrap_or(name);
        self.exact.get(name).or_else(|| self.wildcard.get(name.split_once('.')?.1))
    }
}

/// The handshake's own question, after the name was found to be ours.
#[derive(Clone)]
pub(crate) struct Resolver {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) local: Option<IpAddr>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        self.keyring.find(name.as_deref(), self.local)
    }
}

fn fault(id: &CertificateId, reason: &str) -> String {
    format!("the certificate {id} can't be served: {reason}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn sealed(names: &[&str], year: i32, default: bool) -> Sealed {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        Sealed { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem().into(), default }
    }

    fn id(n: u128) -> CertificateId {
        CertificateId::from_ulid(ulid::Ulid::from_parts(1, n))
    }

    #[test]
    fn the_exact_name_wins_then_the_wildcard_then_the_default() {
        let temp = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(temp.path());
        let all = [
            sealed(&["a.example.org"], 2040, false),
            sealed(&["*.example.org"], 2090, false),
            sealed(&["fallback.test", "127.0.0.1"], 2040, true),
            sealed(&["a.example.org"], 2050, false),
        ];
        for (n, sealed) in (1..).zip(&all) {
            assert!(keyring.put(&id(n), sealed.clone()).is_ok());
        }
        let check = |keyring: &Keyring| {
            let expect = |name: Option<&str>, local: Option<&str>, n: usize| {
                let found = keyring.find(name, local.map(|l| l.parse().unwrap())).unwrap();
                let (_, key) = certificate::load(&all[n - 1].chain, &all[n - 1].key).unwrap();
                assert_eq!(found.cert, key.cert, "{name:?} {local:?}");
            };
            expect(Some("a.example.org"), None, 4);
            expect(Some("a.example.org."), None, 4);
            expect(Some("b.example.org"), None, 2);
            expect(Some("x.b.example.org"), None, 3);
            expect(Some("example.org"), None, 3);
            expect(None, Some("127.0.0.1"), 3);
            expect(None, Some("10.0.0.1"), 3);
        };
        check(&keyring);
        assert!(keyring.covers("b.example.org") && !keyring.covers("unknown.test"));
        for host in ["a.example.org", "b.example.org", "x.b.example.org", "example.org", "org", "fallback.test"] {
            let told = keyring.report().iter().any(|report| report.covers(&host.parse().unwrap()));
            assert_eq!(told, keyring.covers(host), "{host}");
        }
        let again = Keyring::new(temp.path());
        assert_eq!(again.load(), [] as [String; 0]);
        check(&again);
        again.remove(&id(3)).unwrap();
        assert!(again.find(Some("unknown.test"), None).is_none());
        assert!(again.find(None, Some("127.0.0.1".parse().unwrap())).is_none());
    }

    #[test]
    fn one_that_can_not_be_served_is_refused_or_left_out_alone() {
        let temp = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(temp.path());
        let good = sealed(&["good.test"], 2040, false);
        let mixed = Sealed { key: sealed(&["x.test"], 2040, false).key, ..sealed(&["bad.test"], 2040, false) };
        assert!(keyring.put(&id(1), good).is_ok());
        assert!(matches!(keyring.put(&id(2), mixed.clone()), Err(PutError::Unusable(_))));
        files::save(temp.path(), &id(2), &mixed).unwrap();
        let again = Keyring::new(temp.path());
        let faults = again.load();
        assert!(faults.len() == 1 && faults[0].contains(id(2).as_str()), "{faults:?}");
        assert!(again.covers("good.test") && !again.covers("bad.test"));
        assert!(again.report().iter().any(|r| r.id == id(2) && r.fault.is_some()));
    }
}
