use crate::support::case;

#[test]
fn static_sites() {
    let mut r = String::new();
    case(&mut r, "index.html", &[("index.html", "hi"), ("style.css", "")]);
    case(&mut r, "public", &[("public/index.html", "hi"), ("README.md", "")]);
    case(&mut r, "www, which nixpacks doesn't know", &[("www/index.html", "hi")]);
    case(&mut r, "Staticfile", &[("Staticfile", "root: web\npushstate: enabled\n"), ("web/index.html", "hi")]);
    case(&mut r, "Staticfile that leads out", &[("Staticfile", "root: ../..\n"), ("index.html", "hi")]);
    case(&mut r, "public without index.html", &[("public/app.css", "")]);
    insta::assert_snapshot!(r);
}

#[test]
fn node_processes() {
    let mut r = String::new();
    let lock = ("package-lock.json", "{}");
    case(&mut r, "npm start", &[("package.json", r#"{"scripts":{"start":"node ."}}"#), lock]);
    case(&mut r, "no lock, main", &[("package.json", r#"{"main":"lib/x.js"}"#), ("lib/x.js", "")]);
    case(&mut r, "server.js", &[("package.json", "{}"), ("server.js", "")]);
    case(
        &mut r,
        "build and development packages",
        &[
            ("package.json", r#"{"scripts":{"start":"node x","build":"tsc"},"devDependencies":{"typescript":"5"}}"#),
            lock,
        ],
    );
    case(
        &mut r,
        "heroku's hooks",
        &[
            (
                "package.json",
                r#"{"scripts":{"start":"x","build":"b","heroku-postbuild":"p","heroku-prebuild":"q","heroku-cleanup":"c"}}"#,
            ),
            lock,
        ],
    );
    case(
        &mut r,
        "yarn",
        &[("package.json", r#"{"scripts":{"start":"x"},"devDependencies":{"a":"1"}}"#), ("yarn.lock", "")],
    );
    case(
        &mut r,
        "modern yarn",
        &[("package.json", r#"{"scripts":{"start":"x"}}"#), ("yarn.lock", ""), (".yarnrc.yml", "")],
    );
    case(
        &mut r,
        "pnpm",
        &[("package.json", r#"{"scripts":{"start":"x"},"devDependencies":{"a":"1"}}"#), ("pnpm-lock.yaml", "")],
    );
    case(&mut r, "packageManager", &[("package.json", r#"{"packageManager":"pnpm@9.1.0","scripts":{"start":"x"}}"#)]);
    case(
        &mut r,
        "Procfile",
        &[
            ("package.json", r#"{"scripts":{"start":"x"}}"#),
            lock,
            ("Procfile", "web: node web.js\nworker: node worker.js\nrelease: node migrate.js\n"),
        ],
    );
    case(&mut r, "engines that fit", &[("package.json", r#"{"engines":{"node":"20.x"},"scripts":{"start":"x"}}"#)]);
    case(&mut r, "engines that don't", &[("package.json", r#"{"engines":{"node":">=22"},"scripts":{"start":"x"}}"#)]);
    case(&mut r, ".nvmrc that doesn't", &[("package.json", r#"{"scripts":{"start":"x"}}"#), (".nvmrc", "v18.1.0\n")]);
    case(&mut r, ".nvmrc lts", &[("package.json", r#"{"scripts":{"start":"x"}}"#), (".nvmrc", "lts/iron\n")]);
    case(
        &mut r,
        ".node-version nonsense",
        &[("package.json", r#"{"scripts":{"start":"x"}}"#), (".node-version", "a cat\n")],
    );
    case(&mut r, "nothing to start", &[("package.json", r#"{"name":"x"}"#)]);
    case(&mut r, "broken package.json", &[("package.json", "{\"scripts\": {\n  \"start\" }")]);
    case(&mut r, "package.json of another type", &[("package.json", "[1]")]);
    insta::assert_snapshot!(r);
}

#[test]
fn node_sites() {
    let mut r = String::new();
    let mut site = |title: &str, package: &str, more: &[(&str, &str)]| {
        let mut files = vec![("package.json", package), ("package-lock.json", "{}")];
        files.extend(more);
        case(&mut r, title, &files);
    };
    site(
        "vite and react",
        r#"{"scripts":{"dev":"vite","build":"vite build"},"dependencies":{"react":"18"},"devDependencies":{"vite":"5"}}"#,
        &[],
    );
    site(
        "vite with a folder",
        r#"{"scripts":{"build":"vite build"},"devDependencies":{"vite":"5"}}"#,
        &[("vite.config.ts", "export default { build: { outDir: 'web' } }")],
    );
    site(
        "create-react-app",
        r#"{"scripts":{"start":"react-scripts start","build":"react-scripts build"},"dependencies":{"react-scripts":"5"}}"#,
        &[],
    );
    site("astro", r#"{"scripts":{"start":"astro dev","build":"astro build"},"dependencies":{"astro":"4"}}"#, &[]);
    site(
        "next export",
        r#"{"scripts":{"start":"next start","build":"next build"},"dependencies":{"next":"15"}}"#,
        &[("next.config.mjs", "export default { output: 'export' }")],
    );
    site("next", r#"{"scripts":{"start":"next start","build":"next build"},"dependencies":{"next":"15"}}"#, &[]);
    site(
        "angular",
        r#"{"scripts":{"start":"ng serve","build":"ng build"},"devDependencies":{"@angular/cli":"18"}}"#,
        &[(
            "angular.json",
            r#"{"projects":{"shop":{"architect":{"build":{"builder":"@angular-devkit/build-angular:application","options":{"outputPath":"dist/shop"}}}}}}"#,
        )],
    );
    site(
        "vite with a server",
        r#"{"scripts":{"start":"node server.js","build":"vite build"},"dependencies":{"express":"4"},"devDependencies":{"vite":"5"}}"#,
        &[("server.js", "")],
    );
    site(
        "vite and a Procfile",
        r#"{"scripts":{"build":"vite build"},"devDependencies":{"vite":"5"}}"#,
        &[("Procfile", "web: npx serve dist")],
    );
    site("only files", r#"{"devDependencies":{"prettier":"3"}}"#, &[("index.html", "hi")]);
    insta::assert_snapshot!(r);
}

#[test]
fn python() {
    let mut r = String::new();
    let reqs = ("requirements.txt", "Flask==3.0\ngunicorn\n");
    case(
        &mut r,
        "Procfile",
        &[
            reqs,
            ("app.py", "app = Flask(__name__)"),
            ("Procfile", "release: ./migrate\nweb: gunicorn app:app\nworker: python worker.py\n"),
            (".python-version", "3.12\n"),
        ],
    );
    case(&mut r, "flask with gunicorn", &[reqs, ("app.py", "app = Flask(__name__)\n")]);
    case(&mut r, "fastapi", &[("requirements.txt", "fastapi\nuvicorn[standard]"), ("main.py", "api = FastAPI()\n")]);
    case(&mut r, "django", &[("requirements.txt", "django\ngunicorn"), ("manage.py", ""), ("shop/wsgi.py", "")]);
    case(&mut r, "django alone", &[("requirements.txt", "Django>=5"), ("manage.py", "")]);
    case(&mut r, "a script without requirements", &[("main.py", "print()")]);
    case(&mut r, "pyproject", &[("pyproject.toml", "[project]\nname='x'\n[project.scripts]\nserve='x:main'\n")]);
    case(&mut r, "uv", &[("pyproject.toml", "[project]\nname='x'\n"), ("uv.lock", ""), ("main.py", "")]);
    case(
        &mut r,
        "poetry",
        &[
            ("pyproject.toml", "[tool.poetry]\nname='x'\n[build-system]\nrequires=[]\n"),
            ("poetry.lock", ""),
            ("main.py", ""),
        ],
    );
    case(
        &mut r,
        "pipenv",
        &[("Pipfile", "[packages]\nflask='*'\n"), ("Pipfile.lock", "{}"), ("app.py", "app = Flask(__name__)")],
    );
    case(&mut r, "runtime.txt of another version", &[reqs, ("app.py", ""), ("runtime.txt", "python-3.8.10\n")]);
    case(&mut r, "runtime.txt of Python 2", &[reqs, ("app.py", ""), ("runtime.txt", "python-2.7.18\n")]);
    case(&mut r, "nothing to start", &[reqs]);
    case(&mut r, "broken pyproject", &[("pyproject.toml", "[project\n")]);
    insta::assert_snapshot!(r);
}

#[test]
fn rust_and_go() {
    let mut r = String::new();
    case(
        &mut r,
        "a package",
        &[("Cargo.toml", "[package]\nname = \"hello\"\n"), ("Cargo.lock", ""), ("src/main.rs", "")],
    );
    case(
        &mut r,
        "two programs and a default",
        &[("Cargo.toml", "[package]\nname = \"x\"\ndefault-run = \"b\"\n"), ("src/bin/a.rs", ""), ("src/bin/b.rs", "")],
    );
    case(
        &mut r,
        "two programs",
        &[("Cargo.toml", "[package]\nname = \"x\"\n"), ("src/bin/a.rs", ""), ("src/bin/b.rs", "")],
    );
    case(
        &mut r,
        "a workspace",
        &[
            ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n"),
            ("crates/lib/Cargo.toml", "[package]\nname = \"lib\"\n"),
            ("crates/srv/Cargo.toml", "[package]\nname = \"srv\"\n"),
            ("crates/srv/src/main.rs", ""),
        ],
    );
    case(&mut r, "a library", &[("Cargo.toml", "[package]\nname = \"x\"\n"), ("src/lib.rs", "")]);
    case(&mut r, "a hostile name", &[("Cargo.toml", "[package]\nname = \"x; rm -rf ~\"\n"), ("src/main.rs", "")]);
    case(&mut r, "go module", &[("go.mod", "module example.org/shop/v2\n\ngo 1.22\n"), ("main.go", "package main\n")]);
    case(
        &mut r,
        "go with cmd",
        &[
            ("go.mod", "module example.org/shop\n"),
            ("cmd/shop/main.go", "package main"),
            ("cmd/tool/main.go", "package main"),
        ],
    );
    case(
        &mut r,
        "go with unclear cmd",
        &[("go.mod", "module example.org/x\n"), ("cmd/a/main.go", "package main"), ("cmd/b/main.go", "package main")],
    );
    case(&mut r, "go file", &[("main.go", "package main\n")]);
    case(
        &mut r,
        "go with Procfile",
        &[("go.mod", "module x\n"), ("main.go", "package main // x\n"), ("Procfile", "web: bin/x -v\n")],
    );
    insta::assert_snapshot!(r);
}

#[test]
fn procfiles_and_others() {
    let mut r = String::new();
    case(&mut r, "only a Procfile", &[("Procfile", "web: ./serve\n"), ("serve", "")]);
    case(&mut r, "only a worker", &[("Procfile", "clock: ./tick\n")]);
    case(&mut r, "Procfile beside public", &[("Procfile", "web: ./serve\n"), ("public/index.html", "")]);
    case(&mut r, "a Procfile with a mistake", &[("Procfile", "web: a\nnonsense\n")]);
    case(&mut r, "names that meet", &[("Procfile", "my_job: a\nmy-job: b\n")]);
    case(&mut r, "ruby", &[("Gemfile", "")]);
    case(&mut r, "ruby with Procfile", &[("Gemfile", ""), ("Procfile", "web: rackup -p $PORT")]);
    case(
        &mut r,
        "ruby with commands",
        &[
            ("Gemfile", ""),
            ("Procfile", "web: rackup -p $PORT"),
            ("plimsoll.toml", "[components.web]\nbuild = 'bundle install'"),
        ],
    );
    case(&mut r, "php", &[("index.php", "")]);
    case(&mut r, "nothing", &[("README.md", "hello")]);
    insta::assert_snapshot!(r);
}
