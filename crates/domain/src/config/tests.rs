#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::smoke::{Check, When};

const WHOLE: &str = r#"
[app]
name = "hello"
[components.web]
root = "services/web"
kind = "node"
build = ["npm ci", "npm run build"]
build_timeout = "10m"
start = "node server.js"
release = "node migrate.js"
listens = true
instances = 2
depends_on = ["api"]
stop_timeout = "10s"
request_timeout = "90s"
env = { NODE_ENV = "production" }
[build.limits]
memory = "2GiB"
[components.web.limits]
memory = "512MiB"
cpu = 1.5
processes = 256
disk = "2GiB"
[components.web.health]
path = "/healthz?full=1"
interval = "500ms"
timeout = "2s"
threshold = 3
grace = "1m"
[[components.web.routes]]
host = "www.example.org"
path = "/"
[[components.web.routes]]
path = "/app"
[components.api]
build = "make"
start = "./api"
[components.pages]
kind = "node"
publish = "./dist/"
single_page = true
[[smoke_tests]]
name = "the cart answers"
component = "web"
path = "/cart?full=1"
method = "POST"
headers = { Accept = "application/json" }
body = "{}"
when = "before"
timeout = "2s"
retries = 3
[smoke_tests.expect]
status = [200, "201-204"]
headers = { Content-Type = "json" }
contains = "ok"
json = { "/items/0/price" = 1.5, "/ok" = true, "/tags" = ["a"] }
[[smoke_tests]]
name = "by hand"
command = "./check"
"#;

#[test]
fn a_whole_file_is_read() {
    let config = parse(WHOLE).unwrap();
    let web = &config.components[&"web".parse::<Name>().unwrap()];
    assert_eq!(config.app.name.as_ref().unwrap().as_str(), "hello");
    assert_eq!(web.root.as_path(), std::path::Path::new("services/web"));
    assert_eq!(web.build.as_ref().unwrap().iter().collect::<Vec<_>>(), ["npm ci", "npm run build"]);
    assert_eq!(web.instances.unwrap().get(), 2);
    assert_eq!(web.routes.len(), 2);
    let limits = web.limits.unwrap();
    assert_eq!((limits.memory.unwrap().get(), limits.cpu.unwrap().millis()), (512 << 20, 1500));
    assert_eq!((limits.processes.unwrap().get(), limits.disk.unwrap().get()), (256, 2 << 30));
    assert_eq!(config.build.limits.memory.unwrap().get(), 2 << 30);
    assert_eq!(web.health.as_ref().unwrap().threshold.unwrap().get(), 3);
    let pages = &config.components[&"pages".parse::<Name>().unwrap()];
    assert_eq!(pages.publish.as_ref().unwrap().as_path(), std::path::Path::new("dist"));
    let tests: Vec<_> = config.smoke_tests.iter().map(|t| t.resolve("web".parse().unwrap())).collect();
    assert_eq!((tests[0].timeout, tests[0].retries, tests[0].when), (Span::secs(2), 3, When::Before));
    let Check::Http(request) = &tests[0].check else { panic!("{tests:?}") };
    assert_eq!(request.expect.status.iter().map(ToString::to_string).collect::<Vec<_>>(), ["200", "201-204"]);
    assert_eq!(request.expect.headers["content-type"], "json");
    assert_eq!(request.expect.json["/items/0/price"], 1.5);
    assert_eq!(tests[1].check, Check::Command { command: "./check".to_owned() });
    let api = &config.components[&"api".parse::<Name>().unwrap()];
    assert_eq!(api.build.as_ref().unwrap().iter().collect::<Vec<_>>(), ["make"]);
}

#[test]
fn everything_may_be_left_out() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(parse("[app]\nname = \"x\"").unwrap().app.name.unwrap().as_str(), "x");
    assert!(parse("[components.web]").unwrap().components.values().all(|c| *c == ComponentConfig::default()));
    let none = parse("[components.web]\nbuild = []").unwrap();
    assert_eq!(none.components.values().next().unwrap().build.as_ref().unwrap().iter().count(), 0);
}

/// Each case: the text, with `«` and `»` around what the error must point at, and the error.
#[test]
fn mistakes_have_a_place_and_a_way_out() {
    let (mut report, mut misplaced) = (String::new(), Vec::new());
    for marked in MISTAKES {
        let text = marked.replace(['«', '»'], "");
        let start = marked.find('«').unwrap();
        let end = marked.find('»').unwrap() - '«'.len_utf8();
        let error = parse(&text).expect_err(marked);
        if error.span != (start..end) {
            misplaced.push(format!("{marked:?} points at {:?}: {error}", &text[error.span.clone()]));
        }
        report.push_str(&format!("{error}\n"));
    }
    assert!(misplaced.is_empty(), "{misplaced:#?}");
    insta::assert_snapshot!(report);
}

const MISTAKES: &[&str] = &[
    // syntax
    "[app«»\nname = 1",
    "a = «»",
    // unknown keys
    "«colour» = 1",
    "[app]\n«nam» = \"x\"",
    "[components.web]\n«strat» = \"x\"",
    "[components.web.health]\n«url» = \"/\"",
    "[[components.web.routes]]\n«domain» = \"x\"",
    // types
    "app = «3»",
    "[components.web]\nstart = «3»",
    "[components.web]\nbuild = «3»",
    "[components.web]\nbuild = [«3»]",
    "[components.web]\nlistens = «\"yes\"»",
    "[components.web]\ndepends_on = «\"api\"»",
    "[components.web]\nroutes = «\"/\"»",
    "[components.web]\nenv = { A = «1» }",
    // names
    "[app]\nname = «\"Über\"»",
    "[components.«Web_1»]",
    "[components.web]\ndepends_on = «[\"A B\"]»",
    "[components.web]\nenv = { «\"A-B\"» = \"1\" }",
    "[components.web.env]\n«PORT» = \"1\"",
    "[components.web]\nenv = { A = «\"a\\u0000b\"» }",
    // folders, commands, kinds
    "[components.web]\nroot = «\"../x\"»",
    "[components.web]\nroot = «\"/etc\"»",
    "[components.web]\nroot = «\"\"»",
    "[components.web]\npublish = «\"a/../../b\"»",
    "[components.web]\nstart = «\" \"»",
    "[components.web]\nbuild = «\"\"»",
    "[components.web]\nkind = «\"ruby\"»",
    // numbers and durations
    "[components.web]\ninstances = «0»",
    "[components.web]\ninstances = «101»",
    "[components.web]\ninstances = «-1»",
    "[components.web]\ninstances = «1.5»",
    "[components.web]\nbuild_timeout = «\"10 parsecs\"»",
    "[components.web]\nbuild_timeout = «600»",
    "[components.web]\nstop_timeout = «\"25h\"»",
    // health
    "[components.web.health]\ninterval = «\"0s\"»",
    "[components.web.health]\ninterval = «\"-1s\"»",
    "[components.web.health]\nthreshold = «0»",
    "[components.web.health]\npath = «\"healthz\"»",
    "[components.web.health]\npath = «\"/a b\"»",
    "[components.web.health]\ntcp = «false»",
    "[components.web.health]\npath = \"/\"\ncommand = «\"true\"»",
    "[components.web]\nlistens = false\nhealth = { path = «\"/\"» }",
    // routes
    "[[components.web.routes]]\npath = «\"api\"»",
    "[[components.web.routes]]\nhost = «\"https://x.org\"»",
    "[components.a]\nroutes = [{ path = \"/x\" }]\n[components.b]\nroutes = [{}, «{ path = \"/x/\" }»]",
    "[components.web]\nlistens = false\nroutes = «[{}]»",
    "[components.web]\nlistens = false\nrequest_timeout = «\"5s\"»",
    "[components.web]\npublish = \"dist\"\nrequest_timeout = «\"5s\"»",
    // static or process
    "[components.web]\npublish = \"dist\"\nstart = «\"x\"»",
    "[components.web]\nkind = \"static\"\ninstances = «2»",
    "[components.web]\nstart = \"x\"\nsingle_page = «true»",
    // smoke tests
    "«[[smoke_tests]]»\npath = \"/\"",
    "[[smoke_tests]]\nname = «\" \"»",
    "[[smoke_tests]]\nname = \"a\"\n[[smoke_tests]]\nname = «\"a\"»",
    "[[smoke_tests]]\nname = \"a\"\n«url» = \"/\"",
    "[[smoke_tests]]\nname = \"a\"\nwhen = «\"later\"»",
    "[[smoke_tests]]\nname = \"a\"\nmethod = «\"get\"»",
    "[[smoke_tests]]\nname = \"a\"\nretries = «11»",
    "[[smoke_tests]]\nname = \"a\"\ntimeout = «\"0s\"»",
    "[[smoke_tests]]\nname = \"a\"\ncommand = \"x\"\npath = «\"/\"»",
    "[[smoke_tests]]\nname = \"a\"\nheaders = { Host = «\"x\"» }",
    "[[smoke_tests]]\nname = \"a\"\nheaders = { \"A B\" = «\"x\"» }",
    "[[smoke_tests]]\nname = \"a\"\nheaders = { A = «\"x\\r\\ny\"» }",
    "[[smoke_tests]]\nname = \"a\"\nexpect = { status = «600» }",
    "[[smoke_tests]]\nname = \"a\"\nexpect = { status = «\"299-200\"» }",
    "[[smoke_tests]]\nname = \"a\"\nexpect = { status = «[]» }",
    "[[smoke_tests]]\nname = \"a\"\nexpect = { contains = «\"\"» }",
    "[[smoke_tests]]\nname = \"a\"\nexpect = { json = { status = «1» } }",
    "[[smoke_tests]]\nname = \"a\"\nmethod = «\"HEAD\"»\nexpect = { contains = \"x\" }",
    // dependencies
    "[components.web]\ndepends_on = [\"api\", «\"apy\"»]\n[components.api]",
    "[components.web]\ndepends_on = [«\"redis\"»]",
    "[components.web]\ndepends_on = «[\"web\"]»",
    "[components.a]\ndepends_on = «[\"b\"]»\n[components.b]\ndepends_on = [\"c\"]\n[components.c]\ndepends_on = [\"a\"]",
];

#[test]
fn columns_count_characters() {
    let error = parse("[app]\n  name = \"ü\" # é\nx = 1").unwrap_err();
    assert_eq!((error.line, error.column), (2, 10));
}

#[test]
fn a_huge_file_is_refused() {
    let error = parse(&"#".repeat(300_000)).unwrap_err();
    assert!(error.to_string().contains("300000 bytes"), "{error}");
    let nested = parse(&format!("a = {}", "[".repeat(50_000))).unwrap_err();
    assert_eq!(nested.line, 1);
}

/// The schema names every key that the parser knows, and no other.
#[test]
fn the_schema_fits_the_parser() {
    let schema = serde_json::to_value(schema()).unwrap();
    let keys = |pointer: &str| -> Vec<String> {
        schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect()
    };
    let known = |text: &str| -> Vec<String> {
        let error = parse(text).unwrap_err();
        let (_, list) = error.hint.as_deref().unwrap().split_once("known keys here: ").unwrap();
        let mut keys: Vec<_> = list.split(", ").map(str::to_owned).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys("/properties"), known("zzzzzz = 1"));
    assert_eq!(keys("/$defs/ComponentConfig/properties"), known("[components.a]\nzzzzzz = 1"));
    assert_eq!(keys("/$defs/HealthConfig/properties"), known("[components.a.health]\nzzzzzz = 1"));
    assert_eq!(keys("/$defs/SmokeTestConfig/properties"), known("[[smoke_tests]]\nname = 'a'\nzzzzzz = 1"));
    assert_eq!(keys("/$defs/ExpectConfig/properties"), known("[[smoke_tests]]\nname = 'a'\nexpect.zzzzzz = 1"));
    assert_eq!(keys("/$defs/RoutePattern/properties"), known("[[components.a.routes]]\nzzzzzz = 1"));
    for definition in
        ["ComponentConfig", "SmokeTestConfig", "ExpectConfig", "HealthConfig", "RoutePattern", "AppConfig"]
    {
        let closed = schema.pointer(&format!("/$defs/{definition}/additionalProperties"));
        assert_eq!(closed, Some(&serde_json::Value::Bool(false)), "{definition}");
    }
}

#[test]
fn what_is_read_can_be_written_and_read_again() {
    let config = parse(WHOLE).unwrap();
    let again = parse(&toml::to_string(&config).unwrap()).unwrap();
    assert_eq!(config, again);
}

proptest! {
    #[test]
    fn never_panics_on_text(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn never_panics_on_something_like_configuration(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("[components.web]\n"), Just("[components.é]\n"), Just("[[components.web.routes]]\n"),
                Just("[components.web.health]\n"), Just("path = \"/\"\n"), Just("start = \"ü\"\n"), Just("root = \".\"\n"),
                Just("depends_on = [\"web\"]\n"), Just("instances = 9999999999\n"), Just("= \n"), Just("\"\"\"\n"),
                Just("health = []\n"), Just("kind = 'static'\n"), Just("tcp = false\n"), Just("\u{feff}"), Just("\r"),
            ],
            0..12,
        )
    ) {
        let text = parts.concat();
        if let Err(error) = parse(&text) {
            prop_assert!(text.get(error.span.clone()).is_some());
            prop_assert!(error.line >= 1 && error.column >= 1);
        }
    }
}
