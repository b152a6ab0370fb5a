//! Uploads: files that are sent to the server to be deployed.
//!
//! A file is announced ([`Create`]), sent in as many pieces as it takes ([`CONTENT`]), and named by its id in a
//! deployment's source. It is gone when that deployment has ended, or when nobody had use for it for too long.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::upload::Checksum;
use domain::{DeploymentId, UploadId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

/// `PUT` bytes of the file: raw, as `application/octet-stream` or without a type. The query's `offset` says where in
/// the file they belong, 0 by default, and must be what has been [`received`](Upload::received). The answer is the
/// [`Upload`]. What has arrived of a request that was cut off counts. Written by hand in the server, as its body is
/// a stream.
pub const CONTENT: &str = "/api/v1/uploads/{upload}";

/// A file on its way, or waiting to be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upload {
    pub id: UploadId,
    /// What its owner calls it.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub name: String,
    /// Bytes of the whole file.
    pub size: u64,
    pub digest: Checksum,
    /// So many bytes have arrived: the next ones belong here.
    pub received: u64,
    /// All have arrived, and have the digest: it can be deployed.
    pub complete: bool,
    /// Deployments that were asked for with it and have not ended.
    pub in_use: Vec<DeploymentId>,
    /// Name of the token that announced it.
    pub requested_by: String,
    pub created_at: DateTime<Utc>,
    /// When it is removed, if nobody sends more of it or deploys it.
    pub expires_at: DateTime<Utc>,
}

/// Announces a file.
pub struct Create;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// What you call it, such as `app.tar.zst`; at most 255 characters. What it is, its content says.
    #[schemars(length(min = 1, max = 255), extend("pattern" = r"^[^\x00-\x1f\x7f-\x9f]+$"))]
    pub name: String,
    /// Bytes of the whole file.
    #[schemars(range(min = 1))]
    pub size: u64,
    pub digest: Checksum,
}

impl Operation for Create {
    type Request = CreateRequest;
    type Response = Upload;
    const NAME: &'static str = "uploads.create";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/uploads";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Announce an archive to be uploaded";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Apps(None)
    }
}

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<UploadId>")]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<Upload>;
    const NAME: &'static str = "uploads.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/uploads";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List uploads, newest first";
    const PERMISSION: Permission = Permission::Look;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Apps(None)
    }
}

/// Names one upload.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct UploadRequest {
    /// Id of the upload (`upl_…`).
    #[arg(value_name = "UPLOAD")]
    pub upload: UploadId,
}

pub struct Get;

impl Operation for Get {
    type Request = UploadRequest;
    type Response = Upload;
    const NAME: &'static str = "uploads.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = CONTENT;
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show an upload and how much of it has arrived";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Upload(&request.upload)
    }
}

/// Removes a file that no deployment at work needs.
pub struct Delete;

impl Operation for Delete {
    type Request = UploadRequest;
    type Response = Upload;
    const NAME: &'static str = "uploads.delete";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = CONTENT;
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Remove an upload";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Upload(&request.upload)
    }
}

/// The path of an upload's content.
pub fn content_path(upload: &UploadId, offset: u64) -> String {
    format!("{}?offset={offset}", CONTENT.replace("{upload}", upload.as_str()))
}
