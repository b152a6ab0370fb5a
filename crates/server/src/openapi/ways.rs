//! The ways in and out. They are no operations; what is said there is of the contract all the same.

use http::Method;
use operations::sign_in::{
    ACCEPT, AcceptInvitation, BeginDevice, CONFIRM, CollectDevice, ConfirmIdentity, DEVICE, DEVICE_TOKEN, DeviceAnswer,
    DeviceBegun, JWT, METHODS, SECOND_FACTOR, SIGN_IN, SIGN_OUT, SecondStep, Sign, SignIn, Signed, SignedIn, WaysIn,
};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::{Builder, reference};
use crate::auth::oidc;

type Schema = fn(&mut SchemaGenerator) -> Value;
type Query = fn(&mut SchemaGenerator) -> Vec<Value>;

struct Way {
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    about: &'static str,
    door: Door,
    sent: Sent,
    good: Good,
    /// Statuses that it is refused with besides, and why.
    refused: &'static [(&'static str, &'static str)],
}

/// Who is taken.
enum Door {
    Everybody,
    /// Who is signed in, from a page of ours.
    Session,
    Token,
}

enum Sent {
    /// It is asked for: GET.
    Query(Query),
    Nothing,
    Body(Schema),
}

/// What a good answer is.
enum Good {
    Said(Schema),
    /// The same, and a session's cookies.
    Entered(Schema),
    /// Cookies alone.
    Cookies,
    /// An address to go on at, and cookies.
    Elsewhere,
}

const FOREIGN: (&str, &str) = ("403", "A page of another origin asks");
const WRONG: (&str, &str) = ("401", "Something of it is not right; what, is not told");

const WAYS: [Way; 11] = [
    Way {
        path: METHODS,
        name: "auth.methods",
        summary: "Say how one may sign in",
        about: "What a page to sign in at has to know.",
        door: Door::Everybody,
        sent: Sent::Query(nothing),
        good: Good::Said(schema::<WaysIn>),
        refused: &[],
    },
    Way {
        path: SIGN_IN,
        name: "auth.sign_in",
        summary: "Sign in with address and password",
        about: "Neither the answer nor the time that it takes tells whether there is such an account. After some failures, this address \
            has to wait at that place.",
        door: Door::Everybody,
        sent: Sent::Body(schema::<SignIn>),
        good: Good::Entered(schema::<SignedIn>),
        refused: &[WRONG, FOREIGN],
    },
    Way {
        path: SECOND_FACTOR,
        name: "auth.second_factor",
        summary: "Send the code of the second factor",
        about: "A code is good once, a ticket for some minutes.",
        door: Door::Everybody,
        sent: Sent::Body(schema::<SecondStep>),
        good: Good::Entered(schema::<SignedIn>),
        refused: &[WRONG, FOREIGN],
    },
    Way {
        path: ACCEPT,
        name: "auth.accept",
        summary: "Accept an invitation, and be signed in",
        about: "The first owner's invitation, too. It is good once.",
        door: Door::Everybody,
        sent: Sent::Body(schema::<AcceptInvitation>),
        good: Good::Entered(schema::<SignedIn>),
        refused: &[
            FOREIGN,
            ("404", "The invitation was used, has expired, was withdrawn, or never was"),
            ("409", "The address is somebody's"),
        ],
    },
    Way {
        path: SIGN_OUT,
        name: "auth.sign_out",
        summary: "End your session",
        about: "The cookies are taken back.",
        door: Door::Session,
        sent: Sent::Nothing,
        good: Good::Cookies,
        refused: &[("401", "There is no session, or it has ended"), FOREIGN],
    },
    Way {
        path: CONFIRM,
        name: "auth.confirm",
        summary: "Prove that it is still you",
        about: "For what is refused as `confirm_identity`. The session goes on under another secret.",
        door: Door::Session,
        sent: Sent::Body(schema::<ConfirmIdentity>),
        good: Good::Cookies,
        refused: &[("401", "The proof is not right, or there is no session"), FOREIGN],
    },
    Way {
        path: DEVICE,
        name: "auth.device",
        summary: "Begin the login of a program without a browser",
        about: "A person lets it in with the code that it shows: `devices.get`, `devices.answer`.",
        door: Door::Everybody,
        sent: Sent::Body(schema::<BeginDevice>),
        good: Good::Said(schema::<DeviceBegun>),
        refused: &[FOREIGN],
    },
    Way {
        path: DEVICE_TOKEN,
        name: "auth.device_token",
        summary: "Ask whether a person has let the program in",
        about: "Every `interval` seconds. The token is made now, and told this once.",
        door: Door::Everybody,
        sent: Sent::Body(schema::<CollectDevice>),
        good: Good::Said(schema::<DeviceAnswer>),
        refused: &[FOREIGN, ("404", "The login took too long, was answered before, or never was")],
    },
    Way {
        path: JWT,
        name: "auth.jwt",
        summary: "Get a signed token in the place of an API token",
        about: "Made of the API token that the request comes with; of a session and of this machine's own token there is none.",
        door: Door::Token,
        sent: Sent::Body(schema::<Sign>),
        good: Good::Said(schema::<Signed>),
        refused: &[("401", "There is no token, or it is not known (any more)")],
    },
    Way {
        path: oidc::START,
        name: "auth.oidc_start",
        summary: "Go to the sign-in provider",
        about: "A page for browsers.",
        door: Door::Everybody,
        sent: Sent::Query(query::<oidc::Start>),
        good: Good::Elsewhere,
        refused: &[("404", "There is no provider"), ("503", "The provider does not answer as it should")],
    },
    Way {
        path: oidc::CALLBACK,
        name: "auth.oidc_callback",
        summary: "Come back from the sign-in provider",
        about: "A page for browsers. Whatever went wrong is a word in the address that they are sent to, `/sign-in?trouble=…`.",
        door: Door::Everybody,
        sent: Sent::Query(query::<oidc::Back>),
        good: Good::Elsewhere,
        refused: &[],
    },
];

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn query<T: JsonSchema>(generator: &mut SchemaGenerator) -> Vec<Value> {
    Fields::of::<T>(generator).into_query()
}

fn nothing(_: &mut SchemaGenerator) -> Vec<Value> {
    Vec::new()
}

impl Builder {
    pub(super) fn ways(&mut self) {
        for way in &WAYS {
            self.way(way);
        }
    }

    fn way(&mut self, way: &Way) {
        let json = |schema: Value| json!({ "application/json": { "schema": schema } });
        let (method, parameters, body) = match way.sent {
            Sent::Query(query) => (Method::GET, query(&mut self.generator), None),
            Sent::Nothing => (Method::POST, Vec::new(), None),
            Sent::Body(schema) => (Method::POST, Vec::new(), Some(json(schema(&mut self.generator)))),
        };
        let cookies = json!({ "Set-Cookie": reference("headers", "SessionCookie") });
        let (status, answer) = match way.good {
            Good::Said(schema) => {
                ("200", json!({ "description": way.summary, "content": json(schema(&mut self.generator)) }))
            }
            Good::Entered(schema) => (
                "200",
                json!({ "description": way.summary, "content": json(schema(&mut self.generator)), "headers": cookies }),
            ),
            Good::Cookies => ("204", json!({ "description": way.summary, "headers": cookies })),
            Good::Elsewhere => {
                let location = json!({ "description": "Where to go on.", "schema": { "type": "string" } });
                ("303", json!({ "description": way.summary, "headers": { "Location": location } }))
            }
        };
        let mut responses = Map::from_iter([
            (status.to_owned(), answer),
            ("429".to_owned(), reference("responses", "Wait")),
            ("default".to_owned(), reference("responses", "Problem")),
        ]);
        for (status, why) in way.refused {
            let mut problem = super::problem();
            problem["description"] = (*why).into();
            responses.insert((*status).to_owned(), problem);
        }
        let mut entry = json!({
            "operationId": way.name,
            "summary": way.summary,
            "description": way.about,
            "tags": [self.tag(way.name)],
            "security": match way.door {
                Door::Everybody => json!([]),
                Door::Session => json!([{ "session": [], "page": [] }]),
                Door::Token => json!([{ "token": [] }]),
            },
            "parameters": parameters,
            "responses": responses,
        });
        if let Some(content) = body {
            entry["requestBody"] = json!({ "required": true, "content": content });
        }
        self.insert(way.path, &method.as_str().to_lowercase(), entry);
    }
}
