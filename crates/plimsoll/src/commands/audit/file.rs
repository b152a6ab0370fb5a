//! Looking at an export, without a server.

use std::path::Path;

use domain::audit::{Anchor, Fault, Flaw, InvalidAnchor, Link, Record, Report, Verifier};
use operations::audit::{Fault as Told, Verified};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::failure::Failure;

/// Whether an export is as it was written, as far as hashes tell: its MACs can be looked at by the server alone. What was cut off
/// at its end is noticed by an `anchor` behind it.
pub(super) async fn verify(path: &Path, anchor: Option<&str>) -> Result<Verified, Failure> {
    let anchor = anchor.map(str::parse::<Anchor>).transpose();
    let anchor = anchor.map_err(|e: InvalidAnchor| Failure::usage(e.to_string()))?;
    let failed = |e: std::io::Error| Failure::file("read", path, &e);
    let mut lines = BufReader::new(tokio::fs::File::open(path).await.map_err(failed)?).lines();
    let mut verifier = Verifier::new(&[], anchor);
    let fault = loop {
        let Some(line) = lines.next_line().await.map_err(failed)? else { break None };
        if let Err(fault) = next(&mut verifier, &line) {
            break Some(fault);
        }
    };
    Ok(match fault.map_or_else(|| verifier.finish(), Err) {
        Ok(report) => sound(&report),
        Err(fault) => Verified {
            sound: false,
            records: fault.seq.saturating_sub(1),
            anchor: None,
            unchecked: 0,
            fault: Some(Told { seq: fault.seq, what: fault.to_string() }),
        },
    })
}

fn next(verifier: &mut Verifier<'_>, line: &str) -> Result<(), Fault> {
    let record: Record = serde_json::from_str(line)
        .map_err(|e| Fault { seq: verifier.next_seq(), flaw: Flaw::Unreadable { why: e.to_string() } })?;
    verifier.next(&record)
}

fn sound(report: &Report) -> Verified {
    let anchor = Anchor(Link { seq: report.records, hash: report.head });
    Verified {
        sound: true,
        records: report.records,
        anchor: (report.records > 0).then(|| anchor.to_string()),
        unchecked: report.unchecked,
        fault: None,
    }
}
