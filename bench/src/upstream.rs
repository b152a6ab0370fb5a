//! An app that costs next to nothing, so that what is measured is not the app: this program, under another name.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers each request with the file `VERSION` of its folder, on `PORT`, until it is killed. A polite signal ends it at once,
/// with whatever it has in hand: nothing here helps a cutover to look good.
pub(crate) async fn serve() {
    let version = std::fs::read_to_string("VERSION").unwrap_or_else(|_| std::env::var("VERSION").unwrap());
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{version}", version.len());
    let answer: &'static [u8] = answer.leak().as_bytes();
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(connection(stream, answer));
    }
}

/// GETs one after the other, without bodies.
async fn connection(mut stream: TcpStream, answer: &[u8]) {
    let mut bytes = Vec::new();
    let _ = stream.set_nodelay(true);
    loop {
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) if bytes.ends_with(b"\r\n\r\n") => bytes.clear(),
            Ok(_) => continue,
        }
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// One that runs beside the benchmark, ended with the value.
pub(crate) struct Upstream {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Upstream {
    pub(crate) fn start(version: &str) -> Self {
        let address = plimsoll_tests::server::free_address();
        let child = Command::new(std::env::current_exe().unwrap())
            .arg("upstream")
            .env("PORT", address.port().to_string())
            .env("VERSION", version)
            .current_dir(Path::new("/"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        while std::net::TcpStream::connect(address).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Self { child, address }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
