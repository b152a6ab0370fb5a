//! Certificates for HTTPS. Private keys go in and never come out.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::CertificateId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::variables::Value;
use crate::{Effect, Method, Operation, Permission, Place};

/// A certificate is told as `expiring` so long before its end.
pub const EXPIRING_DAYS: i64 = 21;

/// A certificate without its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    pub id: CertificateId,
    /// DNS names in lower case, `*.` in front of those for all names one label below, and addresses.
    pub names: Vec<String>,
    pub issuer: String,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: String,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
    /// Shown to clients that ask for a name which no certificate has, or for none.
    pub default: bool,
    pub state: CertificateState,
    /// What is wrong, or will be soon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateState {
    /// The ingress shows it.
    Serving,
    /// The same, and it ends within 21 days.
    Expiring,
    /// The ingress shows it, and no client accepts it any more.
    Expired,
    /// The ingress shows it, and no client accepts it yet.
    NotYetValid,
    /// The ingress does not show it; the warning says why.
    Unserved,
}

/// Adds a certificate. One with exactly the same names that ends earlier is replaced.
pub struct Add;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddRequest {
    /// PEM: the server's own certificate, then its issuer, and so on; at most 256 KiB.
    pub certificate: String,
    /// PEM, not encrypted; at most 64 KiB.
    pub key: Value,
    /// Show it to clients that ask for a name which no certificate has, or for none.
    #[serde(default)]
    pub default: bool,
}

/// What was added, and what went for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Added {
    #[serde(flatten)]
    pub certificate: Certificate,
    /// Certificates with the same names that it has replaced.
    pub replaced: Vec<CertificateId>,
}

impl Operation for Add {
    type Request = AddRequest;
    type Response = Added;
    const NAME: &'static str = "certificates.add";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/certificates";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Serve a certificate over HTTPS, from now on";
    const PERMISSION: Permission = Permission::Operate;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

pub struct List;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<Certificate>;
    const NAME: &'static str = "certificates.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/certificates";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List certificates, their names and ends, and what is wrong with them";
    const PERMISSION: Permission = Permission::ServerLook;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

pub struct Get;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetRequest {
    /// Id of the certificate, or a name that it alone has.
    #[arg(value_name = "ID|NAME")]
    pub certificate: String,
}

impl Operation for Get {
    type Request = GetRequest;
    type Response = Certificate;
    const NAME: &'static str = "certificates.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/certificates/{certificate}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show a certificate";
    const PERMISSION: Permission = Permission::ServerLook;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

pub struct Remove;

impl Operation for Remove {
    type Request = GetRequest;
    type Response = Certificate;
    const NAME: &'static str = "certificates.remove";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/certificates/{certificate}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Stop serving a certificate and forget its key";
    const PERMISSION: Permission = Permission::Operate;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}
