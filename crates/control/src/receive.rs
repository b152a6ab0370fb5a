//! Taking in the bytes of an upload.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use domain::UploadId;
use domain::event::EventKind;
use futures::{Stream, StreamExt};
use operations::uploads::Upload;
use operations::{Error, ErrorKind};
use tokio::io::AsyncWriteExt;

use crate::Control;
use crate::access::{Admitted, missing};
use crate::audit::commit;
use crate::error::{io_error, store_error};
use crate::uploads;

/// A sender that is silent for so long has gone: nobody else can write while it is waited for.
const SILENCE: Duration = Duration::from_secs(30);

impl Control {
    /// Appends `body` to an upload, from `offset` on, which must be where its bytes end so far. `announced` is the
    /// length of the body, if it is known; its error `Interrupted` says that the server stops. What has arrived counts, however the body ends. The last byte is followed
    /// by a look at the whole file: the upload is then complete, or begins anew.
    ///
    /// Not to be dropped half-way: run it in a task of its own.
    pub async fn receive(
        &self,
        who: &Admitted,
        id: &UploadId,
        offset: u64,
        announced: Option<u64>,
        body: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<Upload, Error> {
        let world = self.world();
        let _writer = world.uploads.begin(id)?;
        let upload = self.upload(id).await?;
        if upload.complete {
            let size = upload.size;
            return match announced == Some(0) && offset == size {
                // The answer was lost; the same again does no harm.
                true => Ok(upload),
                false => Err(Error::conflict(format!("{id} is complete already")).hint("deploy it")),
            };
        }
        if offset != upload.received {
            return Err(Error::conflict(format!(
                "{} bytes of {id} were received, so that none can be taken at offset {offset}",
                upload.received
            ))
            .hint(format!("go on at offset {}", upload.received)));
        }
        if announced.is_some_and(|length| length > upload.size - offset) {
            return Err(too_much(&upload));
        }
        let path = world.layout.upload(id);
        let failed = |e: io::Error| io_error("write to", &path, &e);
        let mut file = tokio::fs::File::from_std(uploads::open(&path).map_err(failed)?);
        let taken = self.take(&mut file, &upload, body).await;
        // However it ended: what was written is there after a power cut, too, before anybody is told.
        file.sync_data().await.map_err(failed)?;
        drop(file);
        if matches!(&taken, Err(error) if error.code == ErrorKind::TooLarge) {
            // It is not the file that was announced. What came before this request may be.
            let path = path.clone();
            let cut = tokio::task::spawn_blocking(move || uploads::open(&path)?.set_len(offset));
            cut.await.map_err(|_| Error::internal())?.map_err(failed)?;
        }
        // Not recorded: an upload is when it is announced and when it is complete, not each piece of it.
        let tx = self.store().write().await.map_err(store_error)?;
        match store::uploads::touch(&tx, id, store::clock::now()).await {
            Err(store::StoreError::NotFound { .. }) => {
                // It was removed meanwhile.
                uploads::remove(&path).map_err(failed)?;
                return Err(missing::upload(id));
            }
            other => other.map_err(store_error)?,
        }
        tx.commit().await.map_err(store_error)?;
        taken?;
        let now = self.upload(id).await?;
        if now.received < now.size { Ok(now) } else { self.complete(who, now).await }
    }

    async fn take(
        &self,
        file: &mut tokio::fs::File,
        upload: &Upload,
        body: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<(), Error> {
        let mut body = std::pin::pin!(body);
        let mut left = upload.size - upload.received;
        loop {
            let next = tokio::select! {
                next = tokio::time::timeout(SILENCE, body.next()) => next,
                () = self.inner.stopping.cancelled() => Ok(Some(Err(io::ErrorKind::Interrupted.into()))),
            };
            let piece = match next {
                Ok(Some(Ok(piece))) => piece,
                Ok(None) => break,
                Ok(Some(Err(e))) if e.kind() == io::ErrorKind::Interrupted => {
                    return Err(Error::unavailable("the server is stopping").hint("go on once it is back"));
                }
                Ok(Some(Err(_))) => {
                    return Err(Error::invalid("the body was cut off before its end").hint("go on where it ended"));
                }
                Err(_) => {
                    let silence = format!("nothing arrived for {} seconds", SILENCE.as_secs());
                    return Err(Error { status: 408, ..Error::invalid(silence) }.hint("go on where it ended"));
                }
            };
            left = left.checked_sub(piece.len() as u64).ok_or_else(|| too_much(upload))?;
            let written = file.write_all(&piece).await;
            written.map_err(|e| io_error("write to", &self.world().layout.upload(&upload.id), &e))?;
        }
        file.flush().await.map_err(|e| io_error("write to", &self.world().layout.upload(&upload.id), &e))
    }

    async fn complete(&self, who: &Admitted, upload: Upload) -> Result<Upload, Error> {
        let path = self.world().layout.upload(&upload.id);
        let (read, algorithm) = (path.clone(), upload.digest.algorithm);
        let digest = tokio::task::spawn_blocking(move || uploads::digest(&read, algorithm));
        let digest = digest.await.map_err(|_| Error::internal())?.map_err(|e| io_error("read", &path, &e))?;
        if digest != upload.digest {
            uploads::remove(&path).map_err(|e| io_error("remove", &path, &e))?;
            return Err(Error::unprocessable(format!(
                "what arrived has the digest {digest}, and not {}",
                upload.digest
            ))
            .hint("nothing of it is kept: send the file again from offset 0; if it has changed, announce it anew"));
        }
        let at = store::clock::now();
        let tx = self.write().await?;
        match store::uploads::complete(&tx, &upload.id).await {
            Err(store::StoreError::NotFound { .. }) => return Err(missing::upload(&upload.id)),
            other => other.map_err(store_error)?,
        }
        let completed =
            EventKind::UploadCompleted { upload: upload.id.clone(), name: upload.name.clone(), size: upload.size };
        store::events::insert(&tx, None, None, None, &completed, at).await.map_err(store_error)?;
        who.noted().target(&upload.id);
        let recorded = self.conclude_before_answer(&tx, who).await?;
        commit(tx, recorded).await?;
        Ok(Upload { complete: true, ..upload })
    }
}

fn too_much(upload: &Upload) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{} was announced with {} bytes, and more came", upload.id, upload.size))
        .hint("announce the file anew if it has changed")
}
