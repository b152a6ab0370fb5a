//! What the fuzzer gets at. Not there in any other build.

use crate::table_file::{decode, encode};

/// Any bytes as a route table's file; and as the body of one whose checksum is right. What can be read comes back the same when it is
/// written and read again.
///
/// # Panics
/// When it does not.
pub fn route_table(bytes: &[u8]) {
    let _ = decode(bytes);
    let header =
        format!("{{\"format\":1,\"length\":{},\"blake3\":\"{}\"}}\n", bytes.len(), blake3::hash(bytes).to_hex());
    let Ok(loaded) = decode(&[header.as_bytes(), bytes].concat()) else { return };
    let again = encode(&loaded.table, &loaded.unreadable).map_err(|e| e.to_string()).and_then(|file| decode(&file));
    assert_eq!(again.map(|again| again.table), Ok(loaded.table));
}
