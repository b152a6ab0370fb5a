//! The route table on the disk: a line that says how long the rest is and what its BLAKE3 checksum is, then the
//! table as JSON. It is written twice, one after the other, so that damage to one file loses nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use domain::EnvironmentId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files;
use crate::route::EnvironmentRoutes;
use crate::salvage::salvage;
use crate::table::{Change, RouteTable};

const FORMAT: u32 = 1;

/// A table as it was found, and what was wrong with it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Loaded {
    pub(crate) table: RouteTable,
    /// Environments that this version can't serve, kept for one that can.
    pub(crate) unreadable: Vec<Value>,
    /// One sentence each, for people.
    pub(crate) faults: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    length: usize,
    blake3: String,
}

#[derive(Serialize, Deserialize)]
struct Content {
    sequence: u64,
    tombstones: BTreeMap<EnvironmentId, u64>,
    environments: Vec<Value>,
    #[serde(default)]
    unreadable: Vec<Value>,
}

/// Reads the folder's table. A damaged file is moved aside and its copy taken, in which case `faults` say so.
pub(crate) fn load(dir: &Path) -> Loaded {
    let main = read(dir, files::TABLE);
    let damage = match main {
        Found::Table(loaded) => return loaded,
        Found::Nothing => None,
        Found::Damage(reason) => {
            // As evidence, and so that nothing overwrites it by mistake. If it fails the next save replaces it.
            let _ = fs::rename(dir.join(files::TABLE), dir.join(files::TABLE_DAMAGED));
            Some(reason)
        }
    };
    match (read(dir, files::TABLE_COPY), damage) {
        (Found::Nothing, None) => Loaded::default(),
        (Found::Table(mut loaded), damage) => {
            let reason = damage.unwrap_or_else(|| "it is missing".to_owned());
            loaded.faults.push(format!("{} is unreadable ({reason}), so its copy is served", files::TABLE));
            // Its environments and tombstones are what counts; a failure shows at the next change.
            let _ = save(dir, files::TABLE, &loaded.table, &loaded.unreadable);
            loaded
        }
        (copy, damage) => {
            let mut reasons: Vec<_> = damage.map(|d| format!("{}: {d}", files::TABLE)).into_iter().collect();
            if let Found::Damage(d) = copy {
                reasons.push(format!("{}: {d}", files::TABLE_COPY));
            }
            let fault =
                format!("the route table is lost ({}); every environment must be routed anew", reasons.join("; "));
            Loaded { faults: vec![fault], ..Loaded::default() }
        }
    }
}

/// Writes `table` to `dir/name` whole. It is on the disk when this returns.
pub(crate) fn save(dir: &Path, name: &str, table: &RouteTable, unreadable: &[Value]) -> io::Result<()> {
    files::replace(dir, name, &encode(table, unreadable)?)
}

enum Found {
    Table(Loaded),
    Nothing,
    Damage(String),
}

fn read(dir: &Path, name: &str) -> Found {
    match fs::read(dir.join(name)) {
        Ok(bytes) => decode(&bytes).map_or_else(Found::Damage, Found::Table),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Err(e) => Found::Damage(e.to_string()),
    }
}

pub(crate) fn encode(table: &RouteTable, unreadable: &[Value]) -> io::Result<Vec<u8>> {
    let content = Content {
        sequence: table.sequence,
        tombstones: table.tombstones.clone(),
        environments: table.environments.values().map(serde_json::to_value).collect::<Result<_, _>>()?,
        unreadable: unreadable.iter().filter(|raw| !is_settled(raw, table)).cloned().collect(),
    };
    let body = serde_json::to_vec_pretty(&content)?;
    let header = Header { format: FORMAT, length: body.len(), blake3: blake3::hash(&body).to_hex().to_string() };
    let mut bytes = serde_json::to_vec(&header)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The table in `bytes`, or why there is none. Environments that can't be served are left out and named.
pub(crate) fn decode(bytes: &[u8]) -> Result<Loaded, String> {
    let end = bytes.iter().position(|&b| b == b'\n').ok_or("it has no header")?;
    let (header, body) = bytes.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let header: Header = serde_json::from_slice(header).map_err(|e| format!("its header is damaged: {e}"))?;
    if header.format != FORMAT {
        return Err(format!("it has format {}, and this version reads format {FORMAT}", header.format));
    }
    if header.length != body.len() || blake3::hash(body).to_hex().as_str() != header.blake3 {
        return Err("its checksum does not match".to_owned());
    }
    let content: Content = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let mut loaded = Loaded {
        table: RouteTable { sequence: 0, tombstones: content.tombstones, ..RouteTable::default() },
        ..Loaded::default()
    };
    for raw in content.environments.into_iter().chain(content.unreadable) {
        let environment: Result<EnvironmentRoutes, String> =
            EnvironmentRoutes::deserialize(&raw).map_err(|e| e.to_string());
        let whole = environment.and_then(|e| loaded.table.apply(&Change::Put(e)).map_err(|e| e.to_string()));
        match whole {
            Ok(table) => loaded.table = table,
            Err(reason) => match salvage(&raw, &loaded.table) {
                Some(saved) => {
                    loaded.faults.extend(saved.faults);
                    loaded.table = saved.table;
                    loaded.unreadable.push(raw);
                }
                None => set_aside(&mut loaded, raw, &reason),
            },
        }
    }
    loaded.table.sequence = content.sequence;
    Ok(loaded)
}

/// Leaves an environment out, but remembers its generation, below which nothing may come.
fn set_aside(loaded: &mut Loaded, raw: Value, reason: &str) {
    let (id, generation) = identity(&raw);
    let name = raw.get("app").and_then(Value::as_str).unwrap_or("unknown app");
    loaded.faults.push(format!("an environment of `{name}` can't be served: {reason}"));
    if let (Some(id), Some(generation)) = (id, generation)
        && generation > loaded.table.floor(&id)
        && !loaded.table.environments.contains_key(&id)
    {
        // Its own deployment has exactly this generation and may put it again.
        loaded.table.tombstones.insert(id, generation - 1);
    }
    loaded.unreadable.push(raw);
}

/// Something was decided since about an environment that was set aside, as a whole or in part.
fn is_settled(raw: &Value, table: &RouteTable) -> bool {
    let (Some(id), Some(generation)) = identity(raw) else {
        return false;
    };
    let served = table.environments.get(&id);
    let is_rest = |served| salvage(raw, table).is_some_and(|s| s.table.environments.get(&id) == Some(served));
    match served {
        Some(served) => !is_rest(served),
        None => table.tombstones.get(&id).is_some_and(|&removed| removed >= generation),
    }
}

/// The environments that are not served as they should be.
pub(crate) fn damaged(unreadable: &[Value], table: &RouteTable) -> Vec<EnvironmentId> {
    let mut ids: Vec<_> =
        unreadable.iter().filter(|raw| !is_settled(raw, table)).filter_map(|r| identity(r).0).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn identity(raw: &Value) -> (Option<EnvironmentId>, Option<u64>) {
    let id = raw.get("environment").and_then(Value::as_str).and_then(|t| t.parse().ok());
    (id, raw.get("generation").and_then(Value::as_u64))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::Target;
    use crate::table::tests::{changes, routes};

    fn table_of(changes: &[Change]) -> RouteTable {
        changes.iter().fold(RouteTable::default(), |t, c| t.apply(c).unwrap_or(t))
    }

    proptest! {
        #[test]
        fn a_table_comes_back_as_it_was_or_not_at_all(
            changes in changes(), cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>(), bit in 0..8_u8,
        ) {
            let table = table_of(&changes);
            let bytes = encode(&table, &[]).unwrap();
            let whole = Loaded { table, ..Loaded::default() };
            prop_assert!(decode(&bytes).is_ok_and(|l| l == whole));
            prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
            let mut flipped = bytes.clone();
            flipped[flip.index(bytes.len())] ^= 1 << bit;
            // A flip may fall where it changes nothing, such as the case of a letter in an ignored place.
            if let Ok(loaded) = decode(&flipped) {
                prop_assert_eq!(loaded, whole);
            }
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes).is_err());
        }
    }

    #[test]
    fn one_bad_environment_is_left_out_alone_and_its_generation_stays() {
        let good = routes(1, 3, 30, &[0]);
        let mut bad = serde_json::to_value(routes(2, 7, 70, &[1])).unwrap();
        bad["environment_name"] = serde_json::json!({ "kind": "teleport" });
        let content = Content {
            sequence: 9,
            tombstones: BTreeMap::new(),
            environments: vec![bad.clone(), serde_json::to_value(&good).unwrap()],
            unreadable: vec![],
        };
        let body = serde_json::to_vec(&content).unwrap();
        let header = Header { format: FORMAT, length: body.len(), blake3: blake3::hash(&body).to_hex().to_string() };
        let bytes = [serde_json::to_vec(&header).unwrap(), body].join(&b'\n');

        let loaded = decode(&bytes).unwrap();
        assert_eq!(loaded.table.environments.values().collect::<Vec<_>>(), [&good]);
        assert!(loaded.faults[0].contains("app-2") && loaded.faults[0].contains("invalid type"), "{:?}", loaded.faults);
        assert!(loaded.table.apply(&Change::Put(routes(2, 6, 60, &[1]))).is_err());
        // It is kept for a version that can read it, until something is decided about it.
        assert_eq!(decode(&encode(&loaded.table, &loaded.unreadable).unwrap()).unwrap().unreadable, [bad]);
        let decided = loaded.table.apply(&Change::Put(routes(2, 7, 70, &[1]))).unwrap();
        assert_eq!(decode(&encode(&decided, &loaded.unreadable).unwrap()).unwrap().unreadable, [] as [Value; 0]);
    }

    #[test]
    fn one_bad_route_is_left_out_alone() {
        let mut raw = serde_json::to_value(routes(2, 7, 70, &[1, 2, 3])).unwrap();
        raw["routes"][1]["target"] = serde_json::json!({ "kind": "teleport" });
        raw["routes"][2] = serde_json::json!(7);
        let content = Content {
            sequence: 9,
            tombstones: BTreeMap::new(),
            environments: vec![raw.clone(), serde_json::to_value(routes(1, 3, 30, &[1, 4])).unwrap()],
            unreadable: vec![],
        };
        let body = serde_json::to_vec(&content).unwrap();
        let header = Header { format: FORMAT, length: body.len(), blake3: blake3::hash(&body).to_hex().to_string() };
        let loaded = decode(&[serde_json::to_vec(&header).unwrap(), body].join(&b'\n')).unwrap();

        let whole = routes(2, 7, 70, &[1, 2, 3]);
        let served = &loaded.table.environments[&whole.environment];
        assert_eq!(served.routes[0], whole.routes[0]);
        let nobody = Target::Upstreams { upstreams: vec![], standby: vec![], gate: crate::route::Gate::None };
        assert_eq!((&served.routes[1].path, &served.routes[1].target), (&whole.routes[1].path, &nobody));
        assert_eq!(served.routes.len(), 2);
        // The other environment wants a path that this one has; its own path is served all the same.
        let other = &loaded.table.environments[&routes(1, 0, 0, &[]).environment];
        assert_eq!(other.routes, routes(1, 3, 30, &[4]).routes);
        let faults = loaded.faults.join("\n");
        for part in [
            "a.localhost/api` of `app-2",
            "teleport",
            "route 3 of `app-2",
            "b.localhost/` of `app-1",
            "belongs to app-2",
        ] {
            assert!(faults.contains(part), "{part}: {faults}");
        }
        assert_eq!(damaged(&loaded.unreadable, &loaded.table).len(), 2);

        // Kept for a version that can read it, as long as nothing else is decided, and told at each start.
        let again = decode(&encode(&loaded.table, &loaded.unreadable).unwrap()).unwrap();
        assert_eq!((again.table == loaded.table, again.unreadable.len()), (true, 2));
        assert!(again.faults.len() >= loaded.faults.len());
        let mended = loaded.table.apply(&Change::Put(whole.clone())).unwrap();
        let kept = decode(&encode(&mended, &loaded.unreadable).unwrap()).unwrap();
        assert_eq!(kept.table.environments[&whole.environment], whole);
        assert_eq!(damaged(&kept.unreadable, &kept.table), std::slice::from_ref(&other.environment));
    }

    #[test]
    fn a_damaged_file_is_replaced_by_its_copy() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        let (old, new) =
            (table_of(&[Change::Put(routes(1, 1, 1, &[0]))]), table_of(&[Change::Put(routes(1, 2, 2, &[0]))]));
        assert_eq!(load(dir), Loaded::default(), "the first start");
        for damage in [&b""[..], b"{", b"\0\0\0\0", &encode(&new, &[]).unwrap()[..200]] {
            save(dir, files::TABLE_COPY, &old, &[]).unwrap();
            fs::write(dir.join(files::TABLE), damage).unwrap();
            let loaded = load(dir);
            assert_eq!((&loaded.table, loaded.faults.len()), (&old, 1));
            assert_eq!(fs::read(dir.join(files::TABLE_DAMAGED)).unwrap(), damage);
            assert!(load(dir).faults.is_empty(), "it is whole again");
        }
        fs::write(dir.join(files::TABLE), "x").unwrap();
        fs::write(dir.join(files::TABLE_COPY), "y").unwrap();
        let lost = load(dir);
        assert_eq!(lost.table, RouteTable::default());
        assert!(lost.faults[0].contains("lost"));
    }
}
