//! The guides: reading and searching them.

use domain::guide::{Contents, Guide, Hit, Library, ROOT};
use operations::Error;
use operations::guides::{Get, GetRequest, List, ListRequest, Search, SearchRequest};

use super::{check_word, page_limit};
use crate::Control;
use crate::access::{Admitted, missing};
use crate::caller::Handle;

impl Handle<List> for Control {
    async fn handle(&self, _: &Admitted, _: ListRequest) -> Result<Vec<Contents>, Error> {
        Ok(self.library()?.guides().iter().map(Guide::contents).collect())
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, _: &Admitted, request: GetRequest) -> Result<Guide, Error> {
        let GetRequest { page, section } = request;
        let guide = self.library()?.guide(&page).ok_or_else(|| missing::guide(&page))?;
        match &section {
            None => Ok(guide.clone()),
            Some(section) => guide.part(section).ok_or_else(|| missing::section(&guide.page, section)),
        }
    }
}

impl Handle<Search> for Control {
    async fn handle(&self, _: &Admitted, request: SearchRequest) -> Result<Vec<Hit>, Error> {
        let limit = page_limit(request.limit)?;
        check_word("words", Some(&request.words))?;
        Ok(self.library()?.search(&request.words, limit as usize))
    }
}

impl Control {
    fn library(&self) -> Result<&Library, Error> {
        if let Some(library) = self.inner.guides.get() {
            return Ok(library);
        }
        let guides: Vec<Guide> = serde_json::from_str(self.inner.options.guides).map_err(|e| {
            tracing::error!("the guides below {ROOT} can't be read: {e}");
            Error::internal()
        })?;
        Ok(self.inner.guides.get_or_init(|| Library::new(guides)))
    }
}
