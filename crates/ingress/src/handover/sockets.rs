//! Files on their way from one process to another (`SCM_RIGHTS`, unix(7)).

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::connection::Scheme;
use crate::protocol::{self, Response};

/// More than any process sends.
const MAX_FILES: usize = 8;

/// Listening sockets, and what they are for.
#[derive(Debug, Default)]
pub(crate) struct Sockets(pub(crate) Vec<(Scheme, TcpListener)>);

impl Sockets {
    /// The socket for an address; port 0 stands for any port.
    pub(crate) fn take(&mut self, scheme: Scheme, wanted: SocketAddr) -> Option<TcpListener> {
        let fits = |(of, socket): &(Scheme, TcpListener)| {
            *of == scheme
                && socket
                    .local_addr()
                    .is_ok_and(|own| own.ip() == wanted.ip() && (wanted.port() == 0 || own.port() == wanted.port()))
        };
        let at = self.0.iter().position(fits)?;
        Some(self.0.swap_remove(at).1)
    }

    pub(crate) fn address(&self, scheme: Scheme) -> Option<SocketAddr> {
        self.0.iter().find(|(of, _)| *of == scheme)?.1.local_addr().ok()
    }

    /// The same sockets for somebody else.
    pub(crate) fn share(&self) -> io::Result<Self> {
        self.0.iter().map(|(scheme, socket)| Ok((*scheme, socket.try_clone()?))).collect::<io::Result<_>>().map(Self)
    }
}

/// Sends sockets, and with them the folder's lock if the other one is to own the folder.
pub(crate) async fn send_sockets(io: &mut UnixStream, sockets: &Sockets, lock: Option<&File>) -> io::Result<()> {
    let schemes = sockets.0.iter().map(|(scheme, _)| *scheme).collect();
    protocol::send(io, Response::Sockets { schemes, lock: lock.is_some() }).await?;
    let files: Vec<BorrowedFd<'_>> =
        sockets.0.iter().map(|(_, socket)| socket.as_fd()).chain(lock.map(AsFd::as_fd)).collect();
    send_files(io, &files).await
}

/// What [`send_sockets`] sent.
pub(crate) async fn receive_sockets(io: &mut UnixStream) -> io::Result<(Sockets, Option<File>)> {
    let (schemes, has_lock) = match protocol::receive(io).await? {
        Response::Sockets { schemes, lock } => (schemes, lock),
        Response::Failed(reason) => return Err(io::Error::other(reason)),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "it gave an answer to another question")),
    };
    let mut files = receive_files(io).await?;
    if files.len() != schemes.len() + usize::from(has_lock) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not all listening sockets came"));
    }
    let lock = if has_lock { files.pop().map(File::from) } else { None };
    Ok((Sockets(schemes.into_iter().zip(files.into_iter().map(TcpListener::from)).collect()), lock))
}

/// From whoever started this process, through its standard input.
pub(crate) async fn given() -> io::Result<Sockets> {
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    let stream = std::os::unix::net::UnixStream::from(input);
    stream.set_nonblocking(true)?;
    Ok(receive_sockets(&mut UnixStream::from_std(stream)?).await?.0)
}

/// They go with one byte, as a message of files alone can't be sent.
async fn send_files(io: &UnixStream, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    io.async_io(Interest::WRITABLE, || {
        let message = [ControlMessage::ScmRights(&raw)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(io.as_raw_fd(), &[IoSlice::new(&[0])], &message, flags, None).map_err(io::Error::from)
    })
    .await?;
    Ok(())
}

async fn receive_files(io: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    io.async_io(Interest::READABLE, || {
        let mut byte = [0_u8; 1];
        let mut space = nix::cmsg_space!([RawFd; MAX_FILES]);
        let mut buffers = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(io.as_raw_fd(), &mut buffers, Some(&mut space), flags)?;
        let mut files = Vec::new();
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = part {
                // SAFETY: the kernel has just made these for this process, and nobody else knows them.
                files.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(files)
    })
    .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn a_socket_keeps_its_queue_on_its_way() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let mut waiting = std::net::TcpStream::connect(address).unwrap();
        let lock = tempfile::tempfile().unwrap();
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let sockets = Sockets(vec![(Scheme::Http, socket)]);
        send_sockets(&mut ours, &sockets, Some(&lock)).await.unwrap();
        drop((sockets, ours));
        let (mut sockets, lock) = receive_sockets(&mut theirs).await.unwrap();
        assert!(lock.is_some());
        assert!(sockets.take(Scheme::Https, address).is_none());
        let socket = sockets.take(Scheme::Http, "127.0.0.1:0".parse().unwrap()).unwrap();
        let (mut accepted, _) = socket.accept().unwrap();
        waiting.write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        accepted.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }
}
