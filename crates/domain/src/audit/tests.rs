#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;

fn key(n: u8) -> MacKey {
    MacKey::new(Zeroizing::new([n; 32]))
}

fn draft(operation: &str, detail: Value) -> Draft {
    Draft {
        at: "2026-11-21T10:20:30.123456789Z".parse().unwrap(),
        actor: "usr_01hf7yat00000000000000000a".into(),
        actor_kind: ActorKind::Person,
        actor_name: "Zoë".into(),
        token: Some("tok_01hf7yat00000000000000000b".parse().unwrap()),
        via: Via::Web,
        address: Some("::ffff:192.0.2.7".parse().unwrap()),
        request: Some("req".into()),
        operation: operation.into(),
        app_id: Some("app_01hf7yat00000000000000000c".parse().unwrap()),
        app: Some("shop".parse().unwrap()),
        environment: None,
        target: Some("FOO\0BAR".into()),
        outcome: Outcome::Done,
        of: None,
        detail: Detail::new(detail),
    }
}

fn log(count: u64, key: &MacKey) -> Vec<Record> {
    let mut end = Link::START;
    let records = (0..count).map(|n| {
        let record = chain(&end, draft("apps.create", json!({ "n": n })), key);
        end = record.link();
        record
    });
    records.collect()
}

fn verify(records: &[Record], head: Option<&Head>, keys: &[MacKey]) -> Result<Report, Fault> {
    let mut verifier = Verifier::new(keys, None);
    records.iter().try_for_each(|record| verifier.next(record))?;
    verifier.finish_at(head)
}

/// The form of what is hashed: another version, or another reader, must come to the same.
#[test]
fn the_first_record_to_the_letter() {
    let record = chain(&Link::START, draft("apps.create", json!({ "name": "shop", "a": [1, null, true] })), &key(1));
    let mut value = serde_json::to_value(&record).unwrap();
    for name in ["prev", "hash", "mac"] {
        value.as_object_mut().unwrap().remove(name);
    }
    let text = crate::canonical::canonical(&value);
    let expected = concat!(
        r#"{"actor":"usr_01hf7yat00000000000000000a","actor_kind":"person","actor_name":"Zoë","address":"::ffff:192.0.2.7","#,
        r#""app":"shop","app_id":"app_01hf7yat00000000000000000c","at":"2026-11-21T10:20:30.123456Z","#,
        r#""detail":{"a":[1,null,true],"name":"shop"},"key":"KEY","operation":"apps.create","outcome":"done","#,
        r#""request":"req","seq":1,"target":"FOO"#,
        "\u{fffd}",
        r#"BAR","token":"tok_01hf7yat00000000000000000b","via":"web"}"#,
    );
    assert_eq!(text, expected.replace("KEY", key(1).id()));
    use sha2::Digest;
    let sum = sha2::Sha256::digest(format!("plimsoll-audit-1\n{}\n{text}", "0".repeat(64)));
    assert_eq!(record.hash.as_bytes()[..], sum[..]);
    assert_eq!(record.prev, Hash::ZERO);
    // As it is read back from an export.
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
}

#[test]
fn what_is_whole_verifies_and_says_where_it_ends() {
    let key = key(1);
    let records = log(3, &key);
    let end = records[2].link();
    let head = Head::new(end, None, &key);
    let report = |unchecked| Ok(Report { records: 3, head: end.hash, unchecked });
    assert_eq!(verify(&records, Some(&head), std::slice::from_ref(&key)), report(0));
    assert_eq!(verify(&records, Some(&head), &[]), report(3), "anybody can look at the hashes");
}

#[test]
fn each_way_to_cheat_is_named() {
    let keys = [key(1)];
    let records = log(5, &keys[0]);
    let head = Head::new(records[4].link(), None, &keys[0]);
    let fault = |records: &[Record], head: Option<&Head>| {
        let fault = verify(records, head, &keys).unwrap_err();
        assert!(fault.to_string().starts_with(&format!("record {} ", fault.seq)), "{fault}");
        (fault.seq, fault.flaw)
    };
    assert_eq!(fault(&records[..3], Some(&head)), (4, Flaw::Missing { next: None }), "cut off");
    assert_eq!(fault(&records[1..], Some(&head)), (1, Flaw::Missing { next: Some(2) }), "beheaded");
    let without = [&records[..2], &records[3..]].concat();
    assert_eq!(fault(&without, Some(&head)), (3, Flaw::Missing { next: Some(4) }));
    let mut swapped = records.clone();
    swapped.swap(1, 2);
    assert_eq!(fault(&swapped, Some(&head)), (2, Flaw::Missing { next: Some(3) }));
    assert_eq!(fault(&records, None), (5, Flaw::NoHead));
    assert_eq!(fault(&[], None), (1, Flaw::Missing { next: None }), "emptied");

    let mut altered = records.clone();
    altered[1].draft.actor_name = "Ann".into();
    assert_eq!(fault(&altered, Some(&head)), (2, Flaw::Altered));
    // With new hashes all the way the chain holds, but the MACs can't be made.
    let rehashed = |from: &[Record]| {
        let mut prev = Hash::ZERO;
        let mut all = from.to_vec();
        for record in &mut all {
            record.prev = prev;
            record.hash = record.digest();
            prev = record.hash;
        }
        all
    };
    assert_eq!(fault(&rehashed(&altered), Some(&head)), (2, Flaw::Forged));
    let mut relinked = records.clone();
    relinked[3].prev = Hash::new([7; 32]);
    relinked[3].hash = relinked[3].digest();
    assert_eq!(fault(&relinked, Some(&head)), (4, Flaw::Unlinked));
    // Nor with a key of one's own, under the name of the right one.
    let stranger = key(2);
    let mut forged = log(5, &stranger);
    forged.iter_mut().for_each(|record| record.key = keys[0].id().to_owned());
    assert_eq!(fault(&rehashed(&forged), Some(&head)), (1, Flaw::Forged));

    let earlier = Head { end: records[2].link(), ..head.clone() };
    assert_eq!(fault(&records[..3], Some(&earlier)), (3, Flaw::HeadForged));
    let other = Head::new(Link { seq: 5, hash: Hash::new([9; 32]) }, None, &keys[0]);
    assert_eq!(fault(&records, Some(&other)), (5, Flaw::OtherHead));
    let strange = Head::new(records[4].link(), None, &stranger);
    assert_eq!(fault(&records, Some(&strange)), (5, Flaw::HeadForged));
    let broken = Head::new(records[4].link(), Some(4), &keys[0]);
    assert_eq!(fault(&records, Some(&broken)), (4, Flaw::AfterBreak));
    let hidden = Head { broken: None, ..broken };
    assert_eq!(fault(&records, Some(&hidden)), (5, Flaw::HeadForged));
}

/// As after a change of the key, which is because others may have the one of before.
#[test]
fn a_key_of_before_vouches_for_what_was_before_alone() {
    let keys = [key(2), key(1)];
    let add = |records: &mut Vec<Record>, key: &MacKey| {
        let end = records.last().map_or(Link::START, Record::link);
        records.push(chain(&end, draft("apps.create", Value::Null), key));
        Head::new(records[records.len() - 1].link(), None, key)
    };
    let mut records = log(2, &keys[1]);
    let before = Head::new(records[1].link(), None, &keys[1]);
    assert!(verify(&records, Some(&before), &keys).is_ok(), "nobody has used the new one");
    let head = add(&mut records, &keys[0]);
    let report = |unchecked| Ok(Report { records: 3, head: records[2].hash, unchecked });
    assert_eq!(verify(&records, Some(&head), &keys), report(0));
    assert_eq!(verify(&records, Some(&head), &keys[..1]), report(2), "the key of before was put away");

    let forged = Head::new(records[2].link(), None, &keys[1]);
    assert_eq!(verify(&records, Some(&forged), &keys), Err(Fault { seq: 3, flaw: Flaw::HeadForged }));
    let forged = add(&mut records, &keys[1]);
    for head in [&forged, &Head::new(forged.end, None, &keys[0])] {
        assert_eq!(verify(&records, Some(head), &keys), Err(Fault { seq: 4, flaw: Flaw::Forged }));
    }
}

#[test]
fn an_anchor_tells_of_a_log_that_was_written_anew() {
    let keys = [key(1)];
    let (records, anew) = (log(4, &keys[0]), {
        let mut end = Link::START;
        let again = (0..4).map(|_| {
            let record = chain(&end, draft("apps.delete", Value::Null), &keys[0]);
            end = record.link();
            record
        });
        again.collect::<Vec<_>>()
    });
    let anchor: Anchor = format!("3:{}", records[2].hash).parse().unwrap();
    assert_eq!(anchor.to_string().parse(), Ok(anchor));
    let against = |records: &[Record]| {
        let mut verifier = Verifier::new(&keys, Some(anchor));
        records.iter().try_for_each(|record| verifier.next(record))?;
        verifier.finish().map(|report| report.records)
    };
    assert_eq!(against(&records), Ok(4));
    assert_eq!(against(&anew), Err(Fault { seq: 3, flaw: Flaw::OtherAnchor }));
    assert_eq!(against(&records[..2]), Err(Fault { seq: 3, flaw: Flaw::Missing { next: None } }));
    for bad in ["", "3", ":", "x:00", "0:".to_owned().as_str(), &format!("0:{}", records[0].hash), "3:ABC"] {
        assert!(bad.parse::<Anchor>().is_err(), "{bad}");
    }
}

#[test]
fn names_come_back() {
    assert!(ActorKind::ALL.iter().all(|k| ActorKind::from_name(k.as_str()) == Some(*k)));
    assert!(Via::ALL.iter().all(|v| Via::from_name(v.as_str()) == Some(*v)));
    assert!(Outcome::ALL.iter().all(|o| Outcome::from_name(o.as_str()) == Some(*o)));
    assert!(Outcome::ALL.iter().all(|o| serde_json::to_value(o).unwrap() == o.as_str()));
    assert_eq!(Outcome::from_name("Done"), None);
}

#[test]
fn details_have_one_form_and_a_limit() {
    let large = 1_u64 << 53;
    let detail = Detail::new(json!({ "b": 1.5, "a": large, "c": -1, "d": large - 1 }));
    assert_eq!(detail.to_string(), r#"{"a":"9007199254740992","b":"1.5","c":-1,"d":9007199254740991}"#);
    assert_eq!(Detail::default().to_string(), "{}");
    assert_eq!(Detail::new(json!(["x"])).to_string(), r#"{"value":["x"]}"#);
    for bad in ["", "[]", "{ }", r#"{"b":1,"a":2}"#, r#"{"a":1.5}"#, r#"{"a":1,"a":1}"#, r#"{"a":"\u0041"}"#] {
        assert!(Detail::from_canonical(bad).is_err(), "{bad}");
    }
    let long = json!({ "text": "ö".repeat(20_000), "list": vec!["x".repeat(50); 1000], "name": "shop" });
    let detail = Detail::new(long).to_string();
    assert!(
        detail.len() <= Detail::MAX && detail.contains("… and ") && detail.contains(r#""name":"shop""#),
        "{detail}"
    );
    let mut deep = json!("x".repeat(60));
    for _ in 0..6 {
        deep = Value::Array(vec![deep; 5]);
    }
    assert!(Detail::new(deep).to_string().contains("left_out"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[a-z]{1000,4000}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(".{0,12}", inner, 0..8).prop_map(|m| m.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_detail_fits_and_comes_back(value in any_json()) {
        let detail = Detail::new(value);
        let text = detail.to_string();
        prop_assert!(text.len() <= Detail::MAX);
        prop_assert_eq!(Detail::from_canonical(&text).unwrap(), detail.clone());
        let record = chain(&Link::START, Draft { detail, ..draft("x", Value::Null) }, &key(1));
        let again: Record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        prop_assert_eq!(again.digest(), record.hash);
    }

    /// Whatever text of an exported record is changed: that record is named, or it can't even be read.
    #[test]
    fn one_changed_byte_is_found(n in 0usize..4, at in any::<prop::sample::Index>(), byte in 0x20u8..0x7f) {
        let keys = [key(1)];
        let records = log(4, &keys[0]);
        let mut texts: Vec<_> = records.iter().map(|r| serde_json::to_string(r).unwrap().into_bytes()).collect();
        let at = at.index(texts[n].len());
        prop_assume!(texts[n][at] != byte);
        texts[n][at] = byte;
        let head = Head::new(records[3].link(), None, &keys[0]);
        let mut verifier = Verifier::new(&keys, None);
        let mut first_bad = None;
        for (place, text) in texts.iter().enumerate() {
            let read = serde_json::from_slice::<Record>(text);
            if read.as_ref().is_ok_and(|read| *read == records[place]) && place == n {
                // Such as white space for white space.
                return Ok(());
            }
            if read.is_err() || verifier.next(&read.unwrap()).is_err() {
                first_bad = Some(place);
                break;
            }
        }
        prop_assert!(first_bad.is_some() || verifier.finish_at(Some(&head)).is_err());
        prop_assert!(first_bad.is_none_or(|place| place == n));
    }
}
