//! The OpenAPI 3.1 document, from the list of operations.
//!
//! Written as plain JSON: since 3.1 a schema in it is any JSON Schema, which is what
//! `schemars` makes, and what is left is a dozen lines of JSON per operation. A
//! library's types (`aide`) would have to be filled from the same values.

mod fields;
mod links;
#[cfg(test)]
mod tests;
mod ways;

use std::sync::OnceLock;

use bytes::Bytes;
use operations::{Effect, Error, Operation, stream};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::auth::cookie;
use crate::{idempotency, problem, streams, uploads};
use fields::Fields;

/// The document: the same bytes each time, as every object in it is sorted.
pub fn document() -> Value {
    let mut builder = Builder::new();
    builder.page("/healthz", "health.live", "Say that the process lives");
    builder.page("/readyz", "health.ready", "Say whether requests may be sent here");
    builder.metrics();
    macro_rules! describe_all {
        ($($operation:ty),* $(,)?) => { $( builder.operation::<$operation>(); )* };
    }
    operations::for_each_operation!(describe_all);
    builder.stream::<streams::EventsRequest, domain::event::Event>(
        stream::EVENTS,
        "events.stream",
        "Follow the event log",
        NUMBER,
    );
    builder.stream::<streams::OutputRequest, operations::logs::LogLine>(
        stream::OUTPUT,
        "deployments.output_stream",
        "Follow what a deployment prints, until it ends",
        NUMBER,
    );
    builder.stream::<streams::LogsRequest, operations::logs::LogLine>(
        stream::LOGS,
        "logs.stream",
        "Follow what the instances of an environment print",
        operations::logs::LOG_CURSOR,
    );
    builder.topics();
    builder.file::<streams::FileRequest>(File {
        path: stream::OUTPUT_FILE,
        name: "deployments.output_file",
        summary: "Download what a deployment has printed",
        about: "All lines that there are by now, as text: the time, the source, `|`, what was printed.",
        kind: "text/plain",
    });
    builder.file::<operations::audit::ExportRequest>(File {
        path: operations::audit::EXPORT,
        name: "audit.export",
        summary: "Download the audit log",
        about: "All records that there are by now, the oldest first: one JSON document a line, as in the list.",
        kind: crate::export::KIND,
    });
    builder.content::<uploads::ContentRequest, operations::uploads::Upload>();
    builder.ways();
    sorted(bounded(builder.finish()))
}

/// The ids of messages that are counted.
const NUMBER: &str = "^[0-9]{1,18}$";

/// The document as it is served; made once.
pub(crate) fn text() -> Bytes {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    TEXT.get_or_init(|| document().to_string().into()).clone()
}

/// A body that is no JSON document, sent as it is read.
struct File {
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    about: &'static str,
    kind: &'static str,
}

struct Builder {
    generator: SchemaGenerator,
    paths: Map<String, Value>,
    /// Schemas that no type of their own stands for.
    schemas: Map<String, Value>,
    tags: Vec<String>,
}

impl Builder {
    fn new() -> Self {
        let settings =
            SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
        Self { generator: settings.into_generator(), paths: Map::new(), schemas: Map::new(), tags: Vec::new() }
    }

    // As `routes::mount_call`.
    #[inline(never)]
    fn operation<O: Operation>(&mut self) {
        let fields = Fields::of::<O::Request>(&mut self.generator);
        let (mut parameters, rest) = fields.parameters(O::PATH);
        let mut body = None;
        if O::METHOD.has_body() {
            if !rest.is_empty() {
                let name = format!("{}Request", pascal(O::NAME));
                body = Some(json!({
                    "required": rest.any_required(),
                    "content": { "application/json": { "schema": reference("schemas", &name) } },
                }));
                self.schemas.insert(name, rest.into_object());
            }
        } else {
            parameters.extend(rest.into_query());
        }
        let mut success = json!({
            "description": O::SUMMARY,
            "content": { "application/json": { "schema": self.response::<O::Response>() } },
        });
        if let Some(links) = links::of(O::NAME) {
            success["links"] = links;
        }
        if O::EFFECT != Effect::Read {
            parameters.push(reference("parameters", "IdempotencyKey"));
            success["headers"] = json!({ "Idempotent-Replayed": reference("headers", "IdempotentReplayed") });
        }
        let mut entry = json!({
            "operationId": O::NAME,
            "summary": O::SUMMARY,
            "tags": [self.tag(O::NAME)],
            "x-plimsoll-effect": O::EFFECT,
            "parameters": parameters,
            "responses": { O::STATUS.to_string(): success, "default": reference("responses", "Problem") },
        });
        if let Some(body) = body {
            entry["requestBody"] = body;
        }
        self.insert(O::PATH, &O::METHOD.as_str().to_lowercase(), entry);
    }

    /// The schema of a response. `schemars` gives all pages one name and numbers them; here
    /// a page is named after what is on it.
    fn response<T: JsonSchema>(&mut self) -> Value {
        if T::schema_name() != "Page" {
            return self.generator.subschema_for::<T>().to_value();
        }
        let page = T::json_schema(&mut self.generator).to_value();
        let item = page.pointer("/properties/items/items/$ref").and_then(Value::as_str);
        match item.and_then(|target| target.rsplit('/').next()).map(|item| format!("{item}Page")) {
            Some(name) => {
                let target = reference("schemas", &name);
                self.schemas.insert(name, page);
                target
            }
            None => page,
        }
    }

    fn stream<R: JsonSchema, M: JsonSchema>(&mut self, path: &str, name: &str, summary: &str, pattern: &str) {
        let message = self.generator.subschema_for::<M>().to_value();
        let content = json!({ "x-plimsoll-message": message });
        let about = "Server-sent events. Each message has an `id`, to be sent back as `Last-Event-ID`. \
            `event: end` is the last one: don't come back after it. Comments keep an idle line open.";
        self.messages::<R>((path, name, summary, about), pattern, content);
    }

    /// The stream whose messages are of several kinds.
    fn topics(&mut self) {
        let mut schema = |kind: &str| -> Value {
            let generator = &mut self.generator;
            match kind {
                stream::EVENT => generator.subschema_for::<domain::event::Event>(),
                stream::NOTICE => generator.subschema_for::<domain::notice::Notice>(),
                stream::DEPLOYMENT => generator.subschema_for::<stream::OutputBatch>(),
                stream::ENVIRONMENT => generator.subschema_for::<stream::LogsBatch>(),
                stream::OVER => generator.subschema_for::<stream::Over>(),
                _ => generator.subschema_for::<stream::Open>(),
            }
            .to_value()
        };
        let kinds =
            [stream::OPEN, stream::EVENT, stream::NOTICE, stream::DEPLOYMENT, stream::ENVIRONMENT, stream::OVER];
        let messages: Map<String, Value> = kinds.iter().map(|kind| ((*kind).to_owned(), schema(kind))).collect();
        let about = "Server-sent events. The name of a message (`event`) says what its data is: `open`, the first one, what is \
            followed; `events`, `notices`, `dep` and `env` something of a topic; `over` that nothing more comes of one. The `id` says \
            where one is in all topics: send it back as `Last-Event-ID`, or as `from`, which also serves another choice of \
            topics. `event: end` is the last message: don't come back after it. Comments keep an idle line open.";
        let words = (stream::TOPICS, "stream.topics", "Follow several things over one connection", about);
        let content = json!({ "x-plimsoll-messages": messages });
        self.messages::<streams::TopicsRequest>(words, domain::topics::CURSOR_PATTERN, content);
    }

    fn messages<R: JsonSchema>(&mut self, words: (&str, &str, &str, &str), pattern: &str, mut content: Value) {
        let (path, name, summary, about) = words;
        let (mut parameters, rest) = Fields::of::<R>(&mut self.generator).parameters(path);
        parameters.extend(rest.into_query());
        parameters.push(last_event_id(pattern));
        // OpenAPI can say itself what comes from 3.2 on (`itemSchema`).
        content["x-plimsoll-end"] = reference("schemas", "StreamEnd");
        let entry = json!({
            "operationId": name,
            "summary": summary,
            "description": about,
            "tags": [self.tag(name)],
            "x-plimsoll-effect": Effect::Read,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": "Messages; the data of each is JSON",
                    "content": { "text/event-stream": content },
                },
                "default": reference("responses", "Problem"),
            },
        });
        self.insert(path, "get", entry);
    }

    fn file<R: JsonSchema>(&mut self, file: File) {
        let File { path, name, summary, about, kind } = file;
        let (mut parameters, rest) = Fields::of::<R>(&mut self.generator).parameters(path);
        parameters.extend(rest.into_query());
        let entry = json!({
            "operationId": name,
            "summary": summary,
            "description": about,
            "tags": [self.tag(name)],
            "x-plimsoll-effect": Effect::Read,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": "One line after the other",
                    "content": { kind: { "schema": { "type": "string" } } },
                },
                "default": reference("responses", "Problem"),
            },
        });
        self.insert(path, "get", entry);
    }

    /// The one body that is not JSON.
    fn content<R: JsonSchema, T: JsonSchema>(&mut self) {
        let path = operations::uploads::CONTENT;
        let (mut parameters, rest) = Fields::of::<R>(&mut self.generator).parameters(path);
        parameters.extend(rest.into_query());
        let entry = json!({
            "operationId": "uploads.send",
            "summary": "Send bytes of an upload",
            "description": "The next bytes of the file, as they are, of any number. `offset` must be what was \
                `received`; what has arrived of a request that was cut off counts. After the last byte the digest of \
                the whole file is compared: `complete` says that it can be deployed, `unprocessable` that nothing of \
                it was kept.",
            "tags": [self.tag("uploads.send")],
            "x-plimsoll-effect": Effect::Write,
            "parameters": parameters,
            "requestBody": {
                "required": false,
                "content": { uploads::CONTENT: { "schema": { "type": "string", "format": "binary" } } },
            },
            "responses": {
                "200": {
                    "description": "The upload as it is now",
                    "content": { "application/json": { "schema": self.generator.subschema_for::<T>() } },
                },
                "default": reference("responses", "Problem"),
            },
        });
        self.insert(path, "put", entry);
    }

    fn page(&mut self, path: &str, name: &str, summary: &str) {
        let status = json!({
            "type": "object",
            "properties": {
                "status": { "type": "string" },
                "checks": {
                    "description": "What was looked at.",
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": { "type": "string" },
                            "ok": { "type": "boolean" },
                            "detail": { "type": "string" },
                        },
                        "required": ["name", "ok", "detail"],
                    },
                },
            },
            "required": ["status"],
        });
        let entry = json!({
            "operationId": name,
            "summary": summary,
            "tags": [self.tag(name)],
            "security": [],
            "responses": {
                "200": { "description": "Yes", "content": { "application/json": { "schema": status } } },
                "default": reference("responses", "Problem"),
            },
        });
        self.insert(path, "get", entry);
    }

    fn metrics(&mut self) {
        let text = json!({ "schema": { "type": "string" } });
        let entry = json!({
            "operationId": "metrics.read",
            "summary": "Numbers for Prometheus",
            "tags": [self.tag("metrics.read")],
            "x-plimsoll-effect": Effect::Read,
            "responses": {
                "200": {
                    "description": "One number a line",
                    "content": { "text/plain": text, "application/openmetrics-text": text },
                },
                "default": reference("responses", "Problem"),
            },
        });
        self.insert("/metrics", "get", entry);
    }

    fn insert(&mut self, path: &str, method: &str, entry: Value) {
        let item = self.paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        item[method] = entry;
    }

    /// The noun of a name such as `apps.create`.
    fn tag(&mut self, name: &str) -> String {
        let noun = name.split('.').next().unwrap_or(name).to_owned();
        if !self.tags.contains(&noun) {
            self.tags.push(noun.clone());
        }
        noun
    }

    fn finish(mut self) -> Value {
        let error = Error::json_schema(&mut self.generator);
        self.schemas.insert("Problem".to_owned(), error.to_value());
        let failure = reference("schemas", "Problem");
        self.schemas.insert(
            "StreamEnd".to_owned(),
            json!({
                "description": "Data of the message `end` of a stream.",
                "type": "object",
                "properties": {
                    "reason": { "description": "`complete`: all is told. `failed`: `problem` says why.", "enum": ["complete", "failed"] },
                    "problem": failure,
                },
                "required": ["reason"],
            }),
        );
        let mut schemas = self.generator.take_definitions(true);
        schemas.extend(self.schemas);
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Plimsoll",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Deploys software from source to healthy, routed instances. \
                    Errors are problem documents (RFC 9457) with a stable `code`; lists come in pages.",
                "license": { "name": "Apache-2.0 OR MIT", "identifier": env!("CARGO_PKG_LICENSE") },
            },
            "servers": [{ "url": "/" }],
            "security": [{ "token": [] }, { "session": [], "page": [] }],
            "tags": self.tags.iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
            "paths": self.paths,
            "components": {
                "securitySchemes": security_schemes(),
                "parameters": { "IdempotencyKey": idempotency_key() },
                "headers": {
                    "IdempotentReplayed": {
                        "description": "`true` when this is the recorded answer of an earlier request with the same key.",
                        "schema": { "const": "true" },
                    },
                    "SessionCookie": {
                        "description": "The cookies of a session, one to a line; those of before are taken back.",
                        "schema": { "type": "string" },
                    },
                },
                "responses": { "Problem": problem(), "Wait": wait() },
                "schemas": schemas,
            },
        })
    }
}

fn problem() -> Value {
    json!({
        "description": "What went wrong, and what to do about it",
        "content": { problem::CONTENT: { "schema": reference("schemas", "Problem") } },
    })
}

fn wait() -> Value {
    let mut problem = problem();
    problem["description"] = "Too many requests, or too many failures, came from there".into();
    problem["headers"] = json!({ "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": { "type": "string", "pattern": "^[0-9]{1,9}$" },
    } });
    problem
}

fn security_schemes() -> Value {
    json!({
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token, or a signed one; the first one is shown at the server's first start.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie::SECURE,
            "description": format!(
                "The cookie of who is signed in. Browsers that keep no such cookie on plain HTTP have one called `{}`.",
                cookie::PLAIN
            ),
        },
        "page": {
            "type": "apiKey",
            "in": "header",
            "name": "Sec-Fetch-Site",
            "description": "A cookie changes something only from a page of this server. Browsers say so themselves, in this header as \
                `same-origin`, or, where they are older, in `Origin`. What only reads needs neither.",
        },
    })
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "A promise that two requests with this key are one: the second gets the answer of the first. \
            The same key with another request is refused.",
        "schema": { "type": "string", "minLength": 1, "maxLength": idempotency::MAX_KEY, "pattern": "^[!-~]+$" },
    })
}

/// `pattern` is that of the stream's own ids; an empty one means none, as the specification of server-sent events has it.
fn last_event_id(pattern: &str) -> Value {
    let pattern = format!("^({})?$", pattern.trim_start_matches('^').trim_end_matches('$'));
    json!({
        "name": "Last-Event-ID",
        "in": "header",
        "required": false,
        "description": "The `id` of the last message that has arrived: the stream goes on after it.",
        "schema": { "type": "string", "pattern": pattern },
    })
}

fn reference(section: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{section}/{name}") })
}

/// `apps.set_source` is `AppsSetSource`.
fn pascal(name: &str) -> String {
    name.split(['.', '_'])
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_uppercase(), rest.to_owned()]
        })
        .collect()
}

/// The order of `serde_json`'s maps depends on features that any dependency may turn on: this one does not.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(fields.into_iter().map(|(name, value)| (name, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// Says of each integer how large it may be: `format` alone is a comment to most readers.
fn bounded(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            let most: Option<u64> = match fields.get("format").and_then(Value::as_str) {
                Some("uint8") => Some(u8::MAX.into()),
                Some("uint16") => Some(u16::MAX.into()),
                Some("uint32") => Some(u32::MAX.into()),
                Some("uint64") => Some(u64::MAX),
                Some("int64") => Some(i64::MAX.unsigned_abs()),
                _ => None,
            };
            if let Some(most) = most {
                fields.entry("maximum").or_insert_with(|| most.into());
                if fields.get("format").is_some_and(|format| format == "int64") {
                    fields.entry("minimum").or_insert_with(|| i64::MIN.into());
                }
            }
            fields.values_mut().for_each(|field| *field = bounded(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = bounded(item.take())),
        _ => {}
    }
    value
}
