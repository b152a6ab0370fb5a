use domain::upload::{Algorithm, Checksum};
use store::uploads::{self, Upload};
use store::{Constraint, StoreError};

use crate::database::Database;
use crate::fixture::{id, kept, now};

pub(crate) fn announced(size: u64) -> Upload {
    Upload {
        id: id(),
        name: "app \u{1f6a2}.tar.zst".into(),
        size,
        digest: Checksum::new(Algorithm::Sha256, &[171; 32]),
        requested_by: "admin".into(),
        owner: "usr_01hf7yat00000000000000000a".into(),
        complete: false,
        used: false,
        created_at: kept(),
        touched_at: kept(),
    }
}

pub(crate) async fn rows(db: Database) {
    let store = db.open().await;
    let (one, two) = (announced(0), announced(u64::from(u32::MAX) * 1000));
    let tx = store.write().await.unwrap();
    uploads::insert(&tx, &one).await.unwrap();
    uploads::insert(&tx, &two).await.unwrap();
    assert_eq!(uploads::insert(&tx, &two).await, Err(StoreError::Conflict(Constraint::Id { what: "upload" })));
    tx.commit().await.unwrap();
    assert_eq!(uploads::find(&store, &two.id).await.unwrap().as_ref(), Some(&two));
    assert_eq!(uploads::list(&store, None, None, 1).await.unwrap(), std::slice::from_ref(&two));
    assert_eq!(uploads::list(&store, None, Some(&two.id), 9).await.unwrap(), std::slice::from_ref(&one));
    let of_other = uploads::list(&store, Some("usr_other"), None, 9).await.unwrap();
    assert_eq!((of_other.len(), uploads::list(&store, Some(&one.owner), None, 9).await.unwrap().len()), (0, 2));
    assert_eq!(uploads::list_all(&store).await.unwrap(), [one.clone(), two.clone()]);

    let tx = store.write().await.unwrap();
    let later = now() + chrono::TimeDelta::seconds(5);
    uploads::touch(&tx, &one.id, later).await.unwrap();
    uploads::complete(&tx, &one.id).await.unwrap();
    uploads::used(&tx, &one.id).await.unwrap();
    assert!(uploads::delete(&tx, &two.id).await.unwrap());
    assert!(!uploads::delete(&tx, &two.id).await.unwrap());
    assert!(matches!(uploads::complete(&tx, &two.id).await, Err(StoreError::NotFound { .. })));
    tx.commit().await.unwrap();
    let found = uploads::find(&store, &one.id).await.unwrap().unwrap();
    let touched_at = kept() + chrono::TimeDelta::seconds(5);
    assert_eq!(found, Upload { complete: true, used: true, touched_at, ..one });
    assert_eq!(uploads::find(&store, &two.id).await.unwrap(), None);
}
