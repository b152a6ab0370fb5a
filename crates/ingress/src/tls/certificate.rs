//! What a certificate says, and whether it can be served with its key.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// The certificates of one file, in bytes of PEM.
pub const MAX_CHAIN: usize = 256 << 10;
/// A private key, in bytes of PEM.
pub const MAX_KEY: usize = 64 << 10;
/// Certificates in one file; a chain of more helps nobody and costs each handshake.
const MAX_LENGTH: usize = 10;
/// Names of one certificate; public authorities allow 100.
const MAX_NAMES: usize = 1000;

/// What is public about a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// DNS names in lower case, `*.` in front of those for all names one label below, and addresses. Sorted.
    pub names: Vec<String>,
    pub issuer: String,
    /// SHA-256 over the certificate, in hexadecimal, as browsers and openssl show it (but without colons).
    pub fingerprint: String,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
}

/// Why a certificate can't be served. The texts never quote a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    #[error("the {what} file is larger than {max} bytes")]
    Large { what: &'static str, max: usize },
    #[error("the certificate file holds no certificate: no `-----BEGIN CERTIFICATE-----` is in it")]
    NoCertificate,
    #[error("the {what} file is not whole PEM: {reason}")]
    Pem { what: &'static str, reason: String },
    #[error("certificate {number} of the file can't be read: {reason}")]
    Unreadable { number: usize, reason: String },
    #[error("the certificate file holds {count} certificates; at most {MAX_LENGTH} are taken")]
    Long { count: usize },
    #[error("the certificate names no host: it has no subject alternative name")]
    NoNames,
    #[error(
        "certificate {number} of the file did not issue the one before it; the server's own comes first, then its issuer, and so on"
    )]
    Order { number: usize },
    #[error("the key file holds no private key")]
    NoKey,
    #[error(
        "the key is encrypted with a passphrase, and nobody would be there to type it; decrypt it first, for instance with `openssl pkey`"
    )]
    EncryptedKey,
    #[error("the key can't be used: {0}")]
    Key(String),
    #[error("the key belongs to another certificate")]
    Mismatch,
    #[error("the certificate expired at {0}")]
    Expired(DateTime<Utc>),
}

/// Checks that `chain` (PEM, the server's own certificate first) and `key` (PEM) belong together and can be served
/// at `now`. A certificate that begins to be valid later is fine. Gives what it says, and the certificates of `chain`
/// alone: people keep keys in the same file.
pub fn inspect(chain: &str, key: &str, now: DateTime<Utc>) -> Result<(Details, String), BadCertificate> {
    let (details, _) = load(chain, key)?;
    if details.not_after <= now {
        return Err(BadCertificate::Expired(details.not_after));
    }
    Ok((details, certificates_alone(chain)))
}

fn certificates_alone(chain: &str) -> String {
    let mut alone = String::new();
    let mut inside = false;
    for line in chain.lines().map(str::trim) {
        inside |= line == "-----BEGIN CERTIFICATE-----";
        if inside {
            alone.push_str(line);
            alone.push('\n');
        }
        inside &= line != "-----END CERTIFICATE-----";
    }
    alone
}

/// The same without a look at the clock: what was taken once is served as long as it is there.
pub(crate) fn load(chain: &str, key: &str) -> Result<(Details, Arc<CertifiedKey>), BadCertificate> {
    let certificates = certificates(chain)?;
    let details = details(&certificates)?;
    let key = private_key(key)?;
    match CertifiedKey::from_der(certificates, key, &default_provider()) {
        Ok(certified) => Ok((details, Arc::new(certified))),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(BadCertificate::Mismatch),
        Err(other) => Err(BadCertificate::Key(other.to_string())),
    }
}

fn certificates(chain: &str) -> Result<Vec<CertificateDer<'static>>, BadCertificate> {
    if chain.len() > MAX_CHAIN {
        return Err(BadCertificate::Large { what: "certificate", max: MAX_CHAIN });
    }
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let read = read.map_err(|e| BadCertificate::Pem { what: "certificate", reason: e.to_string() })?;
    match read.len() {
        0 => Err(BadCertificate::NoCertificate),
        1..=MAX_LENGTH => Ok(read),
        count => Err(BadCertificate::Long { count }),
    }
}

fn private_key(key: &str) -> Result<PrivateKeyDer<'static>, BadCertificate> {
    if key.len() > MAX_KEY {
        return Err(BadCertificate::Large { what: "key", max: MAX_KEY });
    }
    if key.contains("ENCRYPTED") {
        return Err(BadCertificate::EncryptedKey);
    }
    match PrivateKeyDer::from_pem_slice(key.as_bytes()) {
        Ok(key) => Ok(key),
        Err(tokio_rustls::rustls::pki_types::pem::Error::NoItemsFound) => Err(BadCertificate::NoKey),
        // What the reader says may quote a line of the file.
        Err(_) => Err(BadCertificate::Pem { what: "key", reason: "a line is damaged or missing".to_owned() }),
    }
}

fn details(chain: &[CertificateDer<'_>]) -> Result<Details, BadCertificate> {
    let parsed: Vec<X509Certificate<'_>> =
        chain.iter().enumerate().map(|(n, der)| parse(n, der)).collect::<Result<_, _>>()?;
    let (Some(own), Some(der)) = (parsed.first(), chain.first()) else {
        return Err(BadCertificate::NoCertificate);
    };
    if let Some(n) = parsed.windows(2).position(|pair| pair[0].issuer() != pair[1].subject()) {
        return Err(BadCertificate::Order { number: n + 2 });
    }
    let unreadable = |reason: String| BadCertificate::Unreadable { number: 1, reason };
    let names = names(own).map_err(unreadable)?;
    if names.is_empty() {
        return Err(BadCertificate::NoNames);
    }
    let time = |at: ASN1Time| DateTime::from_timestamp(at.timestamp(), 0);
    let validity = own.validity();
    let (Some(not_before), Some(not_after)) = (time(validity.not_before), time(validity.not_after)) else {
        return Err(unreadable("its times are out of range".to_owned()));
    };
    Ok(Details {
        names,
        issuer: own.issuer().to_string().chars().filter(|c| !c.is_control()).take(300).collect(),
        fingerprint: Sha256::digest(der).iter().map(|b| format!("{b:02x}")).collect(),
        not_before,
        not_after,
    })
}

fn parse<'a>(n: usize, der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, BadCertificate> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(BadCertificate::Unreadable { number: n + 1, reason: "something follows it".to_owned() }),
        Err(e) => Err(BadCertificate::Unreadable { number: n + 1, reason: e.to_string() }),
    }
}

/// What clients compare with the name they want; the common name is not, for ten years already.
fn names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, String> {
    let Some(extension) = certificate.subject_alternative_name().map_err(|e| e.to_string())? else {
        return Ok(vec![]);
    };
    let named = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => dns_name(name),
        GeneralName::IPAddress(bytes) => address(bytes).map(|a| a.to_string()),
        _ => None,
    });
    let mut names: Vec<String> = named.take(MAX_NAMES).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

fn dns_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let labels = name.strip_prefix("*.").unwrap_or(&name);
    let is_label = |l: &str| {
        !l.is_empty() && l.len() < 64 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    (name.len() < 254 && labels.split('.').all(is_label)).then_some(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rcgen::{CertificateParams, Issuer, KeyPair};

    use super::*;

    fn signed(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn tells_what_the_certificate_says() {
        let (chain, key) = signed(&["B.example.org", "*.example.org", "127.0.0.1"]);
        let (details, _) = inspect(&chain, &key, Utc::now()).unwrap();
        assert_eq!(details.names, ["*.example.org", "127.0.0.1", "b.example.org"]);
        assert!(details.fingerprint.len() == 64 && details.fingerprint.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(details.not_before < details.not_after);
    }

    #[test]
    fn refuses_what_can_not_be_served_and_says_why() {
        let (chain, key) = signed(&["a.example.org"]);
        let (other_chain, other_key) = signed(&["a.example.org"]);
        let check = |chain: &str, key: &str| inspect(chain, key, Utc::now()).unwrap_err();
        assert_eq!(check(&chain, &other_key), BadCertificate::Mismatch);
        assert_eq!(check("", &key), BadCertificate::NoCertificate);
        assert_eq!(check(&key, &chain), BadCertificate::NoCertificate, "the two files exchanged");
        assert_eq!(check(&chain, ""), BadCertificate::NoKey);
        assert_eq!(check(&chain, &chain), BadCertificate::NoKey);
        assert_eq!(check(&[&*chain, &*other_chain].concat(), &other_key), BadCertificate::Mismatch, "the first counts");
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(check(&chain, encrypted), BadCertificate::EncryptedKey);
        assert!(matches!(check(&chain[..chain.len() / 2], &key), BadCertificate::Pem { what: "certificate", .. }));
        assert!(matches!(check(&chain, &key[..key.len() / 2]), BadCertificate::Pem { what: "key", .. }));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(check(garbage, &key), BadCertificate::Unreadable { number: 1, .. }));
        assert_eq!(check(&chain.repeat(MAX_LENGTH + 1), &key), BadCertificate::Long { count: MAX_LENGTH + 1 });
        assert!(matches!(check(&"x".repeat(MAX_CHAIN + 1), &key), BadCertificate::Large { .. }));
        let (nameless, its_key) = signed(&[]);
        assert_eq!(check(&nameless, &its_key), BadCertificate::NoNames);
        let later = Utc::now() + chrono::Duration::days(365 * 3000);
        assert!(matches!(inspect(&chain, &key, later), Err(BadCertificate::Expired(_))));
        for error in [check(&chain, &key[..key.len() / 2]), check(&chain, &other_key)] {
            assert!(!error.to_string().contains(key.lines().nth(1).unwrap()), "{error}");
        }
    }

    #[test]
    fn a_key_in_the_certificates_file_is_left_out() {
        let (chain, key) = signed(&["a.example.org"]);
        let (_, alone) = inspect(&format!("Subject: x\n{key}{chain}\n{key}"), &key, Utc::now()).unwrap();
        assert_eq!(alone, chain.replace("\r\n", "\n"));
        assert!(load(&alone, &key).is_ok());
    }

    #[test]
    fn a_chain_stands_in_order() {
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "An Authority");
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&authority, &authority_key);
        let own = CertificateParams::new(vec!["a.org".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap().pem();
        let key = key.serialize_pem();
        let (details, _) = inspect(&[&*own, &*authority_pem].concat(), &key, Utc::now()).unwrap();
        assert!(details.issuer.contains("An Authority"));
        let (stranger, _) = signed(&["b.org"]);
        assert_eq!(
            inspect(&[&*own, &*stranger].concat(), &key, Utc::now()).unwrap_err(),
            BadCertificate::Order { number: 2 }
        );
    }
}
