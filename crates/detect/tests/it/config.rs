use std::fmt::Write as _;

use detect::{DetectError, Toolchain, detect};

use crate::support::{case, found, tree};

#[test]
fn what_is_written_wins() {
    let mut r = String::new();
    let node =
        [("services/web/package.json", r#"{"scripts":{"start":"x","build":"y"}}"#), ("services/web/server.js", "")];
    let with = |config: &'static str, more: &[(&'static str, &'static str)]| {
        let mut files = vec![("plimsoll.toml", config)];
        files.extend(more);
        files
    };
    case(&mut r, "only a name", &with("[app]\nname = 'shop'", &[("index.html", "")]));
    case(
        &mut r,
        "everything",
        &with(
            "[components.web]\nroot='services/web'\nbuild=['make','make install']\nbuild_timeout='5m'\nstart='node server.js'\nrelease='node migrate.js'\ninstances=3\nstop_timeout='1s'\nenv={A='1', NODE_ENV='test'}\nroutes=[{host='www.example.org'},{path='/x'}]\n[components.web.health]\npath='/healthz'\ninterval='1s'\nthreshold=2\n",
            &node,
        ),
    );
    case(
        &mut r,
        "a health check for a Procfile's web keeps its worker",
        &with("[components.web.health]\npath='/up'", &[("Procfile", "web: a\nworker: b")]),
    );
    case(
        &mut r,
        "two components",
        &with(
            "[components.web]\nroot='web'\ndepends_on=['api']\n[components.api]\nroot='api'\nroutes=[{path='/api'}]",
            &[("web/index.html", ""), ("api/main.py", "")],
        ),
    );
    case(
        &mut r,
        "two of one folder",
        &with(
            "[components.web]\nstart='a'\n[components.job]\nstart='b'\nlistens=false\ndepends_on=['web']",
            &[("package.json", "{}")],
        ),
    );
    case(
        &mut r,
        "kind over what is there",
        &with("[components.web]\nkind='python'", &[("package.json", "{}"), ("main.py", "")]),
    );
    case(
        &mut r,
        "publish from a build",
        &with("[components.web]\nbuild='make html'\npublish='out'\nsingle_page=true", &[("Makefile", "")]),
    );
    case(&mut r, "no build", &with("[components.web]\nbuild=[]", &[("package.json", r#"{"scripts":{"start":"x"}}"#)]));
    case(&mut r, "start with nothing recognised", &with("[components.web]\nstart='./run'", &[("run", "")]));
    case(
        &mut r,
        "a Procfile's worker with a port",
        &with("[components.hooks]\nroutes=[{path='/hooks'}]", &[("Procfile", "web: a\nhooks: b")]),
    );
    case(&mut r, "a probe by command", &with("[components.web]\nstart='a'\nhealth={command='./ok', grace='2m'}", &[]));
    insta::assert_snapshot!(r);
}

/// Each text has `«` where the error has to point.
#[test]
fn mistakes_in_it_have_a_place() {
    let mut report = String::new();
    let files = [("main.py", ""), ("site/index.html", ""), ("lib.txt/x", ""), ("empty/x", "")];
    for marked in [
        "[components.web]\nroot = «'nope'",
        "[components.web]\nroot = «'main.py'",
        "[components.web]\nroot = «'../x'",
        "«[components.a]\nstart='x'\n[components.b]\nstart='y'",
        "[components.web]\nstart='x'\n«[components.b]\nstart='y'",
        "«[components.web]\nstart='x'\n[components.b]\nstart='y'\nroutes=[{}]",
        "[components.a]\nkind='node'\n[components.b]\nkind=«'python'",
        "[components.a]\nbuild='x'\nstart='x'\n[components.b]\nbuild=«'y'\nstart='x'\nlistens=false",
        "[components.a]\n«[components.b]",
        "«[components.web]\nroot='site'\ninstances=2",
        "«[components.web]\nkind='procfile'",
        "x = «",
    ] {
        let config = marked.replace('«', "");
        let mut all = vec![("plimsoll.toml", config.as_str())];
        all.extend(files);
        let error = found(&all).expect_err(marked);
        let DetectError::Config(place) = &error else { panic!("{marked}: {error}") };
        let expected = marked.find('«').unwrap();
        assert_eq!(place.span.start, expected, "{marked}: {error}");
        writeln!(report, "{error}").unwrap();
    }
    insta::assert_snapshot!(report);
}

#[test]
fn missing_programs_are_named() {
    let none = Toolchain::default();
    let mut report = String::new();
    for files in [
        vec![("package.json", "{}"), ("server.js", "")],
        vec![("main.py", "")],
        vec![("Cargo.toml", "[package]\nname='x'"), ("src/main.rs", "")],
        vec![("main.go", "package main")],
    ] {
        let error = detect(tree(&files).path(), &none).unwrap_err();
        assert!(matches!(error, DetectError::MissingTool { .. }), "{error}");
        writeln!(report, "{error}").unwrap();
    }
    let node = Toolchain { node: Some("20.0.0".into()), npm: true, ..none.clone() };
    let yarn = tree(&[("package.json", r#"{"scripts":{"start":"x"}}"#), ("yarn.lock", "")]);
    writeln!(report, "{}", detect(yarn.path(), &node).unwrap_err()).unwrap();
    insta::assert_snapshot!(report);
    // Files need no program at all.
    assert!(detect(tree(&[("index.html", "")]).path(), &none).is_ok());
    // Nor does an app whose build is written out.
    let own = tree(&[("main.go", "package main"), ("plimsoll.toml", "[components.web]\nbuild='make'\nstart='./x'")]);
    assert!(detect(own.path(), &none).is_ok());
}
