//! The memory that one hash works in: 19 MiB that come from the kernel and go back to it.
//!
//! Not from the allocator, which keeps blocks of that size for itself once it has seen one: a server at rest would hold them for
//! ever, one for each thread. And what goes back to the kernel is gone, with all that was made of the password.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::slice;

use argon2::Block;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Blocks of one KiB, zeroed when they are new.
pub(crate) struct Memory {
    first: NonNull<c_void>,
    blocks: usize,
}

// SAFETY: a mapping belongs to the process, not to the thread that made it, and only its owner has the pointer.
unsafe impl Send for Memory {}

impl Memory {
    /// `None` when the kernel has no more.
    pub(crate) fn new(blocks: usize) -> Option<Self> {
        let length = NonZeroUsize::new(blocks.checked_mul(Block::SIZE)?)?;
        // SAFETY: a new mapping, wherever the kernel has room; nothing that is mapped is touched.
        let first = unsafe {
            mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE)
        };
        Some(Self { first: first.ok()?, blocks })
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks
    }

    pub(crate) fn blocks(&mut self) -> &mut [Block] {
        // SAFETY: the mapping is that long, begins at a page and so is aligned for a block, is readable and writable, and any bytes
        // are a block. It is ours alone, and borrowed as long as the slice.
        unsafe { slice::from_raw_parts_mut(self.first.cast().as_ptr(), self.blocks) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, whole, once; no slice of it is left.
        // It can't fail for a whole mapping; if it did, the memory would stay ours.
        let _ = unsafe { munmap(self.first, self.blocks * Block::SIZE) };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_and_writable_to_its_end() {
        assert!(Memory::new(0).is_none());
        assert!(Memory::new(usize::MAX).is_none());
        let mut memory = Memory::new(3).unwrap();
        assert_eq!((memory.len(), memory.blocks().len()), (3, 3));
        let words: &mut [u64] = memory.blocks()[2].as_mut();
        assert!(words.iter().all(|word| *word == 0));
        words[127] = 7;
        assert_eq!(AsRef::<[u64]>::as_ref(&memory.blocks()[2])[127], 7);
    }
}
