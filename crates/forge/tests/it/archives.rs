use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use forge::ArchiveError;
use forge::archive::{Limits, unpack, unpack_file};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::makers::{Tar, ZipEnd, Zipped, gz, zip, zip_with, zst};

/// Small enough that a bomb goes off at once.
fn limits() -> Limits {
    Limits { bytes: 1 << 20, entries: 100, ratio: 50, small: 64 << 10, depth: 20, path: 300, names: 8 << 10 }
}

/// Unpacks in a folder of a folder, looks that nothing was touched outside of it, and gives what is inside: paths with
/// `x` for an executable, `-> target` for a link, or the content.
fn unpacked(archive: &[u8], limits: &Limits) -> Result<BTreeMap<String, String>, ArchiveError> {
    let outer = tempfile::tempdir().unwrap();
    fs::create_dir_all(outer.path().join("work")).unwrap();
    fs::write(outer.path().join("victim"), "untouched").unwrap();
    let dest = outer.path().join("work/app");
    let result = unpack(archive, &dest, limits);
    assert_eq!(fs::read_to_string(outer.path().join("victim")).unwrap(), "untouched");
    assert_eq!(names(outer.path()), ["victim", "work"]);
    let expected: &[&str] = if result.is_ok() { &["app"] } else { &[] };
    assert_eq!(names(&outer.path().join("work")), expected, "{result:?}");
    let mut found = BTreeMap::new();
    if result.is_ok() {
        walk(&dest, &dest, &mut found);
    }
    result.map(|_| found)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            found.insert(format!("{name}/"), String::new());
            walk(root, &path, found);
        } else if meta.is_symlink() {
            // Where it leads, if it leads anywhere, is inside.
            if let Ok(target) = path.canonicalize() {
                assert!(target.starts_with(root.canonicalize().unwrap()), "{name} leads to {}", target.display());
            }
            found.insert(name, format!("-> {}", fs::read_link(&path).unwrap().display()));
        } else {
            assert!(meta.is_file(), "{name} is neither file, folder nor link");
            let mode = meta.permissions().mode();
            assert_eq!(mode & 0o7000, 0, "{name}");
            let mark = if mode & 0o111 != 0 { "x " } else { "" };
            found.insert(name, format!("{mark}{}", String::from_utf8_lossy(&fs::read(&path).unwrap())));
        }
    }
}

fn fine(what: &str, archive: &[u8], expected: &[(&str, &str)]) {
    let found = unpacked(archive, &limits()).unwrap_or_else(|e| panic!("{what}: {e}"));
    let expected: BTreeMap<String, String> =
        expected.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect();
    assert_eq!(found, expected, "{what}");
}

fn refused(what: &str, archive: &[u8], reason: &str) {
    match unpacked(archive, &limits()) {
        Err(error) => assert!(error.to_string().contains(reason), "{what}: {error}"),
        Ok(found) => panic!("{what} was unpacked: {found:?}"),
    }
}

fn tar() -> Tar {
    Tar::default().file("index.html", "hello")
}

#[test]
fn tars_that_are_fine() {
    let long = format!("{}/f", ["x".repeat(99), "y".repeat(99)].join("/"));
    let folders = [format!("{}/", "x".repeat(99)), format!("{}/{}/", "x".repeat(99), "y".repeat(99))];
    let long_tree = [("index.html", "hello"), (&folders[0], ""), (&folders[1], ""), (&long, "far")];
    for (what, tar, expected) in [
        ("plain", tar(), &[("index.html", "hello")][..]),
        (
            "folders, with and without an entry",
            tar().folder("./a/").file("b/c//./d", "1"),
            &[("index.html", "hello"), ("a/", ""), ("b/", ""), ("b/c/", ""), ("b/c/d", "1")],
        ),
        (
            "a single folder at the top",
            Tar::default().folder("app").file("app/a", "1").file("app/b/c", "2"),
            &[("a", "1"), ("b/", ""), ("b/c", "2")],
        ),
        ("set-uid is dropped", tar().file("run.sh", "#!"), &[("index.html", "hello"), ("run.sh", "x #!")]),
        (
            "links that stay inside",
            tar()
                .file("a/b", "1")
                .link("l", "a/b")
                .link("a/up", "../index.html")
                .link("gone", "nothing")
                .hard("h", "a/b"),
            &[
                ("index.html", "hello"),
                ("a/", ""),
                ("a/b", "1"),
                ("l", "-> a/b"),
                ("a/up", "-> ../index.html"),
                ("gone", "-> nothing"),
                ("h", "1"),
            ],
        ),
        (
            "a link before what it leads to",
            Tar::default().link("l", "d").file("d/f", "1"),
            &[("l", "-> d"), ("d/", ""), ("d/f", "1")],
        ),
        ("a folder before 1988", tar().entry(0, b"old/", b"", b""), &[("index.html", "hello"), ("old/", "")]),
        (
            "git and the Finder",
            tar().file(".git/config", "[core]").file("__MACOSX/x", "").file("s/.git", "gitdir"),
            &[("index.html", "hello")],
        ),
        ("a comment for all", Tar::default().pax(b'g', &[("comment", "c0ffee")]).file("a", "1"), &[("a", "1")]),
        (
            "a long name of GNU",
            tar().entry(b'L', b"././@LongLink", b"", format!("{long}\0").as_bytes()).file("short", "far"),
            &long_tree,
        ),
        ("a long name of pax", tar().pax(b'x', &[("mtime", "1.5"), ("path", &long)]).file("short", "far"), &long_tree),
        (
            "a long link of pax",
            tar().pax(b'x', &[("linkpath", "./index.html")]).link("l", "x"),
            &[("index.html", "hello"), ("l", "-> ./index.html")],
        ),
        (
            "a size of pax",
            tar().pax(b'x', &[("size", "3")]).said(b'0', b"a", b"", 0, b"abc"),
            &[("index.html", "hello"), ("a", "abc")],
        ),
        (
            "an archive within",
            tar().file("in.tar", "PK\u{3}\u{4}"),
            &[("index.html", "hello"), ("in.tar", "PK\u{3}\u{4}")],
        ),
        (
            "names in other tongues",
            Tar::default().file("日本", "1").file("a b", "2").file("'$(x)", "3"),
            &[("日本", "1"), ("a b", "2"), ("'$(x)", "3")],
        ),
    ] {
        let plain = tar.end();
        fine(what, &plain, expected);
        fine(what, &gz(&plain), expected);
        fine(what, &zst(&plain), expected);
    }
    let plain = tar().end();
    let (head, tail) = plain.split_at(300);
    fine("gzip in members", &[gz(head), gz(b""), gz(tail)].concat(), &[("index.html", "hello")]);
    fine("zstd in frames", &[zst(head), zst(b""), zst(tail)].concat(), &[("index.html", "hello")]);
    let skippable = [&b"\x5a\x2a\x4d\x18\x03\0\0\0abc"[..], &zst(&plain)].concat();
    fine("zstd behind what is skipped", &skippable, &[("index.html", "hello")]);
    fine("filled up", &[plain.clone(), vec![0; 9000]].concat(), &[("index.html", "hello")]);
    fine("one block of zeros", &plain[..plain.len() - 512], &[("index.html", "hello")]);
}

#[test]
fn tars_that_lead_out_or_mean_two_things() {
    let up = "../".repeat(20);
    for (what, tar, reason) in [
        ("up", tar().file("../victim", "x"), "leads out"),
        ("up in the middle", tar().file("a/../../victim", "x"), "leads out"),
        ("absolute", tar().file("/tmp/plimsoll-victim", "x"), "absolute"),
        ("absolute by pax", tar().pax(b'x', &[("path", "/tmp/plimsoll-victim")]).file("a", "x"), "absolute"),
        ("up by pax", tar().pax(b'x', &[("path", "../victim")]).file("a", "x"), "leads out"),
        ("up by a long name", tar().entry(b'L', b"x", b"", b"../victim\0").file("a", "x"), "leads out"),
        ("a NUL by pax", tar().pax(b'x', &[("path", "a\0b")]).file("a", "x"), "NUL"),
        ("a NUL in a long name", tar().entry(b'L', b"x", b"", b"a\0../victim\0").file("a", "x"), "NUL"),
        ("a folder up", tar().folder("../made"), "leads out"),
        ("backslashes", tar().file("..\\victim", "x"), "backslash"),
        ("a drive", tar().file("C:victim", "x"), "drive"),
        ("a link out", tar().link("l", "../victim"), "outside"),
        ("a link far out", tar().link("l", &format!("{up}etc/passwd")), "outside"),
        ("an absolute link", tar().link("l", "/etc/passwd"), "absolute"),
        ("a link to nothing", tar().link("l", ""), "nothing"),
        ("a link out of the single top", Tar::default().file("app/a", "1").link("app/l", "../victim"), "outside"),
        ("a link to the top and up", tar().link("d/l", "..").link("m", "d/l/.."), "outside"),
        ("a file through a link", tar().link("d", "..").file("d/victim", "x"), "outside"),
        (
            "a file through a link that stays",
            tar().file("e/f", "1").link("d", "e").file("d/victim", "x"),
            "is in it twice",
        ),
        ("a link through a link", tar().file("e/f", "1").link("d", "e").link("d/l", "f"), "is in it twice"),
        ("a folder that becomes a link", tar().file("d/f", "1").link("d", "index.html"), "is in it twice"),
        ("a link that becomes a folder", tar().link("d", "index.html").folder("d"), "is in it twice"),
        ("a file that becomes a folder", tar().file("index.html/x", "1"), "something else"),
        ("a folder that becomes a file", tar().folder("d").file("d", "1"), "twice"),
        ("a file twice", tar().file("./index.html", "other"), "twice"),
        ("a link twice", tar().link("l", "a").link("l", "b"), "twice"),
        ("a hard link out", tar().hard("h", "../victim"), "leads out"),
        ("an absolute hard link", tar().hard("h", "/etc/passwd"), "absolute"),
        ("a hard link to a link", tar().link("l", "index.html").hard("h", "l"), "no file that came before"),
        ("a hard link to a folder", tar().folder("d").hard("h", "d"), "no file that came before"),
        ("a hard link to what comes later", tar().hard("h", "later").file("later", "1"), "no file that came before"),
        ("a hard link over a file", tar().file("a", "1").hard("a", "index.html"), "twice"),
        ("a character device", tar().entry(b'3', b"null", b"", b""), "device"),
        ("a block device", tar().entry(b'4', b"sda", b"", b""), "device"),
        ("a pipe", tar().entry(b'6', b"pipe", b"", b""), "pipe"),
        ("a sparse file", tar().entry(b'S', b"s", b"", b""), "sparse"),
        ("a sparse file of pax", tar().pax(b'x', &[("GNU.sparse.major", "1")]).file("s", "x"), "sparse"),
        ("an unknown kind", tar().entry(b'Z', b"z", b"", b""), "kind `Z`"),
        ("content of a folder", tar().entry(b'5', b"d", b"", b"x"), "has content"),
        ("content of a hard link", tar().entry(b'1', b"h", b"index.html", b"x"), "has content"),
        ("the top as a file", tar().file("./", "").file(".", "x"), "must be"),
        ("a path for all", Tar::default().pax(b'g', &[("path", "a")]).file("b", "1"), "all its files"),
        (
            "two extended headers",
            tar().pax(b'x', &[("path", "a")]).pax(b'x', &[("path", "b")]).file("c", "1"),
            "two headers",
        ),
        ("a header for nothing", tar().pax(b'x', &[("path", "a")]), "nothing follows"),
        ("broken records", tar().entry(b'x', b"pax", b"", b"99 path=a\n").file("c", "1"), "extended header"),
        ("an endless extended header", tar().said(b'x', b"pax", b"", 8 << 20, b""), "extended header"),
        ("a size behind the end", tar().said(b'0', b"a", b"", 60_000, b"x"), "ends in the middle"),
        ("a size without end", tar().said(b'0', b"a", b"", u64::MAX, b"x"), "larger than"),
        (
            "a size of pax without end",
            tar().pax(b'x', &[("size", "18446744073709551615")]).file("a", "x"),
            "larger than",
        ),
        ("deep", tar().file(&"d/".repeat(21), ""), "deeper"),
        ("no files", Tar::default().folder("a/b"), "no files"),
    ] {
        refused(what, &tar.clone().end(), reason);
        refused(what, &gz(&tar.end()), reason);
    }
    refused("nothing in it", &Tar::default().end(), "no files");
}

#[test]
fn archives_that_are_broken() {
    let plain = tar().end();
    for (what, archive, reason) in [
        ("nothing", Vec::new(), "an empty file"),
        ("text", b"#!/bin/sh\necho hello\n".repeat(40), "something else"),
        ("xz", b"\xfd7zXZ\0\0".to_vec(), "an xz file"),
        ("no end", plain[..1024].to_vec(), "end is missing"),
        ("cut off", plain[..700].to_vec(), "in the middle"),
        ("behind its end", [&plain[..], b"more"].concat(), "behind its end"),
        ("another tar behind its end", [&plain[..], &plain].concat(), "behind its end"),
        ("no tar inside", gz(&b"hello ".repeat(200)), "no tar"),
        ("an archive inside", gz(&gz(&plain)), "in the middle"),
        ("gzip cut off", gz(&plain)[..40].to_vec(), "damaged"),
        ("gzip without its sum", gz(&plain)[..gz(&plain).len() - 4].to_vec(), "damaged"),
        ("behind gzip", [gz(&plain), b"more".to_vec()].concat(), "damaged"),
        ("zstd cut off", zst(&plain)[..40].to_vec(), "damaged"),
        ("behind zstd", [zst(&plain), b"more".to_vec()].concat(), "damaged"),
    ] {
        refused(what, &archive, reason);
    }
    let mut wrong_sum = tar().file("b", "2").end();
    wrong_sum[1024 + 10] ^= 1;
    refused("a wrong sum", &wrong_sum, "sum of a header");
}

#[test]
fn bombs_go_out() {
    let many = (0..101).fold(Tar::default(), |tar, n| tar.file(&format!("f{n}"), ""));
    let names = (0..90).fold(Tar::default(), |tar, n| tar.entry(b'0', format!("{n:0>99}-{n}").as_bytes(), b"", b""));
    let large = Tar::default().entry(b'0', b"zeros", b"", &vec![0; 2 << 20]).end();
    let tight = Tar::default().entry(b'0', b"zeros", b"", &vec![0; 900 << 10]).end();
    let again = Tar::default().entry(b'0', b"a", b"", &vec![b'x'; 40 << 10]);
    let again = (0..30).fold(again, |tar, n| tar.hard(&format!("h{n}"), "a"));
    // Eight files in 15 folders each, none of which has an entry of its own.
    let deep = |n: i32| format!("{n}/").repeat(15) + "f";
    let folders = (0..8).fold(Tar::default(), |tar, n| tar.file(&deep(n), ""));
    let above_links = (0..8).fold(tar(), |tar, n| tar.link(&deep(n), "gone"));
    let headers = (0..3000).fold(Tar::default(), |tar, _| tar.pax(b'g', &[("comment", &"x".repeat(400))]));
    for (what, archive, reason) in [
        ("too many files", many.end(), "more than 100 files"),
        ("folders without entries", folders.end(), "more than 100 files and folders"),
        ("folders above links", above_links.end(), "more than 100 files and folders"),
        ("too many names", names.clone().end(), "names of more than 8"),
        ("too much", large.clone(), "larger than 1MiB"),
        ("too much, packed", gz(&large), "larger than 1MiB"),
        ("too tight", gz(&tight), "more than 50 times"),
        ("too tight by zstd", zst(&tight), "more than 50 times"),
        ("hard links are read again", again.end(), "larger than 1MiB"),
        ("headers without files", gz(&headers.end()), "more than 50 times"),
        ("zeros behind the end", gz(&[tar().end(), vec![0; 8 << 20]].concat()), "more than 50 times"),
        ("zip: too much", zip(&[Zipped::stored("a", &vec![1; 2 << 20])]), "larger than 1MiB"),
        ("zip: too tight", zip(&[Zipped::deflated("a", &vec![0; 900 << 10])]), "more than 50 times"),
        (
            "zip: too many",
            zip(&(0..101).map(|n| Zipped::stored(&format!("{n}"), b"")).collect::<Vec<_>>()),
            "more than 100",
        ),
        (
            "zip: folders without entries",
            zip(&(0..8).map(|n| Zipped::stored(&deep(n), b"")).collect::<Vec<_>>()),
            "more than 100 files and folders",
        ),
        (
            "zip: more than it says",
            zip(&[Zipped::deflated("a", &vec![0; 900 << 10]).with(|e| e.size = 10)]),
            "longer than it says",
        ),
    ] {
        refused(what, &archive, reason);
    }
    // A folder with an entry of its own counts once.
    let own = (0..50).fold(Tar::default(), |tar, n| tar.folder(&format!("d{n}")).file(&format!("d{n}/f"), ""));
    assert!(unpacked(&own.end(), &limits()).is_ok());
    // What is small may be as tight as it likes.
    let small = Tar::default().entry(b'0', b"zeros", b"", &vec![0; 32 << 10]).end();
    assert!(unpacked(&zst(&small), &limits()).is_ok());
}

#[test]
fn zips_that_are_fine() {
    let index = || Zipped::deflated("index.html", b"hello");
    let follows = |signed, wide| index().with(|e| (e.flags, e.descriptor) = (8, Some((signed, wide))));
    let tree = &[("index.html", "hello")][..];
    for (what, archive, expected) in [
        ("deflated", zip(&[index()]), tree),
        ("stored", zip(&[Zipped::stored("index.html", b"hello")]), tree),
        ("sizes that follow", zip(&[follows(true, false)]), tree),
        (
            "without a signature",
            zip(&[follows(false, false), Zipped::stored("a/", b"")]),
            &[("index.html", "hello"), ("a/", "")],
        ),
        ("wide", zip(&[follows(true, true)]), tree),
        ("sizes of ZIP64", zip(&[index().with(|e| e.wide = true)]), tree),
        ("ZIP64", zip_with(&[index()], &ZipEnd { wide: true, ..ZipEnd::default() }), tree),
        (
            "a comment",
            zip_with(&[index()], &ZipEnd { comment: b"made by PK\x05\x06 hand".to_vec(), ..ZipEnd::default() }),
            tree,
        ),
        (
            "modes, links and the single top",
            zip(&[
                Zipped::stored("app/", b"").with(|e| e.mode = 0o040_755),
                Zipped::deflated("app/run", b"#!").with(|e| e.mode = 0o106_755),
                Zipped::stored("app/l", b"run").with(|e| e.mode = 0o120_777),
                Zipped::stored("app/dos", b"1").with(|e| e.mode = 0),
                Zipped::stored("app/.git/HEAD", b"ref"),
            ]),
            &[("run", "x #!"), ("l", "-> run"), ("dos", "1")],
        ),
    ] {
        fine(what, &archive, expected);
    }
}

#[test]
fn zips_that_lead_out_or_mean_two_things() {
    let a = || Zipped::deflated("a", b"hello");
    let with = |change: fn(&mut Zipped)| zip(&[a().with(change)]);
    let inner = zip(&[Zipped::stored("b", b"x")]);
    for (what, archive, reason) in [
        ("up", zip(&[Zipped::stored("../victim", b"x")]), "leads out"),
        ("absolute", zip(&[Zipped::stored("/tmp/plimsoll-victim", b"x")]), "absolute"),
        ("backslashes", zip(&[Zipped::stored("..\\victim", b"x")]), "backslash"),
        ("a drive", zip(&[Zipped::stored("c:/victim", b"x")]), "drive"),
        ("a NUL", zip(&[Zipped::stored("a\0b", b"x")]), "NUL"),
        ("twice", zip(&[a(), a()]), "twice"),
        ("a link out", with(|e| (e.mode, e.method, e.packed, e.size) = (0o120_777, 0, b"../vi".to_vec(), 5)), "sum of"),
        ("a link out, whole", zip(&[a(), Zipped::stored("l", b"../victim").with(|e| e.mode = 0o120_777)]), "outside"),
        (
            "a file through a link",
            zip(&[Zipped::stored("d", b"..").with(|e| e.mode = 0o120_777), Zipped::stored("d/victim", b"x")]),
            "outside",
        ),
        ("a device", with(|e| e.mode = 0o020_666), "device"),
        ("a pipe", with(|e| e.mode = 0o010_666), "pipe"),
        ("a socket", with(|e| e.mode = 0o140_666), "socket"),
        ("a folder with content", zip(&[Zipped::stored("d/", b"x")]), "has content"),
        ("a file named like a folder", zip(&[Zipped::stored("d/", b"").with(|e| e.mode = 0o100_644)]), "is none"),
        ("encrypted", with(|e| e.flags = 1), "encrypted"),
        ("strongly encrypted", with(|e| e.flags = 0x41), "encrypted"),
        ("another method", with(|e| e.method = 14), "LZMA"),
        ("another name", with(|e| e.own_name = Some(b"b".to_vec())), "two ways"),
        ("another name by Unicode", with(|e| e.extra = b"\x75\x70\x06\0\x01abcdb".to_vec()), "another name"),
        ("another size", with(|e| e.own_size = Some(6)), "two ways"),
        ("a wrong sum", with(|e| e.crc ^= 1), "sum of"),
        ("less than it says", with(|e| e.size = 50), "sum of"),
        ("stored in other sizes", with(|e| e.method = 0), "two ways"),
        ("no descriptor", with(|e| e.flags = 8), "two ways"),
        ("a name that is not UTF-8", with(|e| e.name = vec![0xff, 0xfe]), "UTF-8"),
        ("two that share one", zip(&[a(), a().with(|e| e.alias_of = Some(0))]), "shares bytes"),
        (
            "something in front",
            zip_with(&[a()], &ZipEnd { in_front: b"PK\x03\x04".to_vec(), ..ZipEnd::default() }),
            "in front",
        ),
        ("something behind", [zip(&[a()]), b"more".to_vec()].concat(), "something follows"),
        (
            "more entries than there are",
            zip_with(&[a()], &ZipEnd { entries: Some(2), ..ZipEnd::default() }),
            "shorter than",
        ),
        (
            "fewer entries than there are",
            zip_with(&[a(), Zipped::stored("b", b"")], &ZipEnd { entries: Some(1), ..ZipEnd::default() }),
            "longer than",
        ),
        ("empty", zip(&[]), "no files"),
        ("cut off", zip(&[a()])[..60].to_vec(), "end is missing"),
        ("the beginning alone", b"PK\x03\x04".to_vec(), "end is missing"),
    ] {
        refused(what, &archive, reason);
    }
    // Fifield's way: one entry's content holds the next one's header and content.
    let local_of_b = &inner[..inner.len() - 22 - 47];
    let mut overlapping =
        zip(&[Zipped::stored("a", local_of_b), Zipped::stored("b", b"x").with(|e| e.alias_of = Some(0))]);
    let second = overlapping.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    overlapping[second + 42..second + 46].copy_from_slice(&31u32.to_le_bytes());
    refused("one in the content of another", &overlapping, "shares bytes");
}

#[test]
fn archives_of_other_programs_are_the_same_tree() {
    let dir = tempfile::tempdir().unwrap();
    let app = dir.path().join("app");
    fs::create_dir_all(app.join("sub/empty")).unwrap();
    fs::write(app.join("index.html"), "hello").unwrap();
    fs::write(app.join(format!("sub/{}", "long".repeat(40))), "x".repeat(5000)).unwrap();
    fs::write(app.join("run.sh"), "#!/bin/sh").unwrap();
    fs::set_permissions(app.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("../index.html", app.join("sub/link")).unwrap();
    let mut expected = BTreeMap::new();
    walk(&app, &app, &mut expected);
    let make = |program: &str, args: &[&str]| {
        let done = Command::new(program).args(args).current_dir(dir.path()).output().unwrap();
        assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    make("tar", &["-cf", "gnu.tar", "--format=gnu", "app"]);
    make("tar", &["-cf", "pax.tar", "--format=posix", "-C", "app", "."]);
    make("tar", &["-czf", "a.tar.gz", "app"]);
    make("python3", &["-c", "import shutil; shutil.make_archive('py', 'zip', 'app')"]);
    for name in ["gnu.tar", "pax.tar", "a.tar.gz", "py.zip"] {
        let dest = dir.path().join(format!("from-{name}"));
        let token = CancellationToken::new();
        unpack_file(&dir.path().join(name), &dest, &Limits::default(), &token)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut found = BTreeMap::new();
        walk(&dest, &dest, &mut found);
        let mut expected = expected.clone();
        if name == "py.zip" {
            // Python packs what a link leads to.
            expected.insert("sub/link".to_owned(), "hello".to_owned());
        }
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_cancel_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.tar"), tar().end()).unwrap();
    let token = CancellationToken::new();
    token.cancel();
    let result = unpack_file(&dir.path().join("a.tar"), &dir.path().join("app"), &Limits::default(), &token);
    assert_eq!(result, Err(ArchiveError::Cancelled));
    assert_eq!(names(dir.path()), ["a.tar"]);
}

/// An entry of any kind, with names that meet, lead up, and go through each other.
fn entry() -> impl Strategy<Value = (u8, String, String)> {
    let part = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c"]),
        2 => prop::sample::select(vec!["..", ".", "", "C:", "a\\..", ".git", "\u{7f}"]),
    ];
    let path = || prop::collection::vec(part.clone(), 1..5).prop_map(|parts| parts.join("/"));
    let kind = prop::sample::select(b"000511222234567".to_vec());
    (kind, path(), prop_oneof![path(), path().prop_map(|p| format!("/{p}"))])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// `unpacked` looks that nothing outside was touched, that no link leads there, and that there are files,
    /// folders and links and nothing else.
    #[test]
    fn nothing_is_ever_written_outside(entries in prop::collection::vec(entry(), 1..8)) {
        let tar = entries.iter().fold(Tar::default(), |tar, (kind, name, target)| match kind {
            b'0' => tar.file(name, "content"),
            kind => tar.entry(*kind, name.as_bytes(), target.as_bytes(), b""),
        });
        let _ = unpacked(&tar.end(), &limits());
        let zipped: Vec<_> = entries.iter().map(|(kind, name, target)| match kind {
            b'2' => Zipped::stored(name, target.as_bytes()).with(|e| e.mode = 0o120_777),
            b'5' => Zipped::stored(&format!("{name}/"), b""),
            _ => Zipped::deflated(name, b"content"),
        }).collect();
        let _ = unpacked(&zip(&zipped), &limits());
    }

    /// Bytes that were hit by anything: an answer, and nothing outside.
    #[test]
    fn damage_is_an_error_at_worst(hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), which in 0..4usize, cut in any::<prop::sample::Index>()) {
        let plain = tar().folder("d").link("d/l", "../index.html").pax(b'x', &[("path", "p")]).file("q", "1").end();
        let mut archive = match which {
            0 => plain,
            1 => gz(&plain),
            2 => zst(&plain),
            _ => zip_with(&[Zipped::deflated("a", b"hello"), Zipped::stored("b/", b"")], &ZipEnd { wide: true, ..ZipEnd::default() }),
        };
        for (at, value) in &hits {
            let at = at.index(archive.len());
            archive[at] = *value;
        }
        let _ = unpacked(&archive, &limits());
        archive.truncate(cut.index(archive.len()) + 1);
        let _ = unpacked(&archive, &limits());
    }
}
