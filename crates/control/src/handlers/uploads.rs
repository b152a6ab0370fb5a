//! Announcing, listing and removing uploads. Their content comes in through [`Control::receive`](crate::Control).

use domain::UploadId;
use domain::limits::Size;
use operations::uploads::{Create, CreateRequest, Delete, Get, List, ListRequest, Upload, UploadRequest};
use operations::{Error, ErrorKind, Page};
use ulid::Ulid;

use super::{commit, page_cursor, page_limit};
use crate::Control;
use crate::access::{Admitted, missing};
use crate::caller::Handle;
use crate::error::{io_error, store_error};
use crate::uploads::{self, shown};

/// The disk must have so much room left when an upload has arrived: deployments and the database need some.
const ROOM: u64 = 256 << 20;

impl Handle<Create> for Control {
    async fn handle(&self, who: &Admitted, request: CreateRequest) -> Result<Upload, Error> {
        let CreateRequest { name, size, digest } = request;
        let world = self.world();
        let limits = &world.uploads.limits;
        check_name(&name)?;
        if size == 0 {
            return Err(Error::invalid("an empty file can't be an archive").hint("check the file"));
        }
        if size > limits.size {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the file has {}, and this server takes {} at most", Size(size), Size(limits.size)),
            )
            .hint("leave out what the app does not need, or raise --max-upload of the server"));
        }
        let at = store::time::micros(store::clock::now());
        let row = store::uploads::Upload {
            id: UploadId::from_ulid(Ulid::generate()),
            name,
            size,
            digest,
            requested_by: who.name.clone(),
            owner: who.principal.id().to_owned(),
            complete: false,
            used: false,
            created_at: at,
            touched_at: at,
        };
        // What has expired must not be in the way.
        uploads::sweep(world, store::clock::now()).await?;
        let tx = self.write().await?;
        let there = store::uploads::list_all(&tx).await.map_err(store_error)?;
        let sum = there.iter().fold(size, |sum, row| sum.saturating_add(row.size));
        if there.len() >= limits.files || sum > limits.bytes {
            return Err(Error::conflict(format!("{} uploads wait on this server already", there.len()))
                .hint("remove one that nobody needs: `plimsoll uploads list`, `plimsoll uploads remove ID`"));
        }
        self.check_room(&there, size)?;
        store::uploads::insert(&tx, &row).await.map_err(store_error)?;
        let response = shown(world, row, &uploads::InUse::new())?;
        let recorded = self.conclude::<Create>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Page<Upload>, Error> {
        let limit = page_limit(request.limit)?;
        let before = page_cursor::<UploadId>(request.cursor.as_deref())?;
        let rows = store::uploads::list(self.store(), who.uploads(), before.as_ref(), u64::from(limit) + 1).await;
        let rows = rows.map_err(store_error)?;
        let in_use = uploads::in_use(self.store()).await.map_err(store_error)?;
        let items = rows.into_iter().map(|row| shown(self.world(), row, &in_use)).collect::<Result<_, _>>()?;
        Ok(Page::of(items, limit, |upload: &Upload| upload.id.to_string()))
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, _: &Admitted, request: UploadRequest) -> Result<Upload, Error> {
        self.upload(&request.upload).await
    }
}

impl Handle<Delete> for Control {
    async fn handle(&self, who: &Admitted, request: UploadRequest) -> Result<Upload, Error> {
        let tx = self.write().await?;
        let found = store::uploads::find(&tx, &request.upload).await.map_err(store_error)?;
        let row = found.ok_or_else(|| missing::upload(&request.upload))?;
        let in_use = uploads::in_use(&tx).await.map_err(store_error)?;
        let response = shown(self.world(), row, &in_use)?;
        if let Some(deployment) = response.in_use.first() {
            return Err(Error::conflict(format!("deployment {deployment} needs the upload"))
                .hint(format!("wait for it, or `plimsoll cancel {deployment}`; the upload goes with it")));
        }
        store::uploads::delete(&tx, &request.upload).await.map_err(store_error)?;
        let recorded = self.conclude::<Delete>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        // A server that dies here finds a file without a row at its next start.
        let path = self.world().layout.upload(&request.upload);
        uploads::remove(&path).map_err(|e| io_error("remove", &path, &e))?;
        Ok(response)
    }
}

impl Control {
    /// The upload as it is now.
    pub(crate) async fn upload(&self, id: &UploadId) -> Result<Upload, Error> {
        let row =
            store::uploads::find(self.store(), id).await.map_err(store_error)?.ok_or_else(|| missing::upload(id))?;
        let in_use = uploads::in_use(self.store()).await.map_err(store_error)?;
        shown(self.world(), row, &in_use)
    }

    /// Is there room for it beside what others may still send?
    fn check_room(&self, there: &[store::uploads::Upload], size: u64) -> Result<(), Error> {
        let folder = self.world().layout.uploads();
        let missing = |row: &store::uploads::Upload| {
            row.size.saturating_sub(uploads::length(&self.world().layout.upload(&row.id)).unwrap_or(0))
        };
        let promised = there.iter().map(missing).fold(size, u64::saturating_add);
        let disk = nix::sys::statvfs::statvfs(&folder).map_err(|e| io_error("look at", &folder, &e.into()))?;
        let free = (disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64);
        match promised.saturating_add(ROOM) > free {
            true => Err(Error::unavailable(format!(
                "the server's disk has {} free, and would need {}",
                Size(free),
                Size(promised.saturating_add(ROOM))
            ))
            .hint("free some space on the server, or remove uploads that nobody needs: `plimsoll uploads list`")),
            false => Ok(()),
        }
    }
}

/// It is for people: any text, but nothing that steers a terminal.
fn check_name(name: &str) -> Result<(), Error> {
    match name.chars().count() {
        0 => Err(Error::invalid("`name` is empty").hint("say what you call the file, such as app.tar.zst")),
        256.. => Err(Error::invalid("`name` has more than 255 characters").hint("shorten it; it is only for people")),
        _ if name.chars().any(char::is_control) => {
            Err(Error::invalid("`name` holds control characters").hint("leave them out; it is only for people"))
        }
        _ => Ok(()),
    }
}
