//! Components of one app start in the order of their dependencies.

use domain::failure::Cause;
use domain::phase::Phase;
use plimsoll_tests::{Repo, Server, app};

/// `api` takes a second to become healthy; `needs` are the dependencies of both.
fn config(api_needs: &str, web_needs: &str) -> String {
    let component = |name: &str, path: &str, health: &str, needs: &str, delay: &str| {
        format!(
            "[components.{name}]\nroot = \"{name}\"\nkind = \"procfile\"\nstart = \"python3 serve.py\"\n\
             depends_on = [{needs}]\nroutes = [{{ path = \"{path}\" }}]\n\
             [components.{name}.health]\npath = \"{health}\"\ninterval = \"50ms\"\n\
             [components.{name}.env]\nSTART_DELAY = \"{delay}\"\n"
        )
    };
    component("api", "/api", "/api/healthz", api_needs, "1") + &component("web", "/", "/healthz", web_needs, "0")
}

fn commit(repo: &Repo, version: &str, config: String) {
    let mut files = vec![("plimsoll.toml", config)];
    for path in ["api/serve.py", "web/serve.py"] {
        files.push((path, app::program().to_owned()));
    }
    files.push(("api/VERSION", format!("api {version}\n")));
    files.push(("web/VERSION", format!("web {version}\n")));
    repo.commit(files, version);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_starts_when_what_it_needs_is_healthy() {
    let server = Server::start().await;
    let repo = Repo::new();
    commit(&repo, "1", config("", "\"api\""));
    server.create_app("shop", repo.source()).await;
    server.deploy_well("shop").await;
    server.assert_serves("shop", "/api/", "api 1").await;
    server.assert_serves("shop", "/", "web 1").await;

    let started = async |path: &str| {
        let (_, text) = server.get("shop", path).await.unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let (api, web) = (started("/api/started").await, started("/started").await);
    assert!(web >= api + 1.0, "web began {} s after api, which needs a second to be healthy", web - api);
    let (_, url) = server.get("shop", "/env/API_URL").await.unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert_eq!(server.pids("shop").await.into_keys().collect::<Vec<_>>(), ["api", "web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_is_refused_before_anything_is_built() {
    let server = Server::start().await;
    let repo = Repo::new();
    commit(&repo, "1", config("\"web\"", "\"api\""));
    server.create_app("shop", repo.source()).await;
    let failed = server.deploy_to_end("shop").await;
    let failure = failed.failure.clone().unwrap();
    assert_eq!((failed.phase, failure.cause), (Phase::Failed, Cause::Configuration), "{failure:#?}");
    let told = format!("{} {}", failure.message, failure.hint);
    for part in ["api, web", "line 5"] {
        assert!(told.contains(part), "`{part}` is not in {told}");
    }
    server.assert_nothing_left("shop", &failed.id).await;
}
