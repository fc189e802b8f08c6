//! Two terminals that talk to each other, by the blocking interface of [`punch::Puncher`].
//!
//! Both sides on one machine, over the loopback interface:
//!
//! ```sh
//! cargo run -p punch --example chat -- 127.0.0.2 127.0.0.1   # in one terminal
//! cargo run -p punch --example chat -- 127.0.0.1 127.0.0.2   # in another
//! ```
//!
//! Between two hosts the peer's WAN address is enough: the operating system chooses the own
//! address. Ctrl-D ends the input; the program ends when both sides have ended theirs.

use std::{
    error::Error,
    io,
    net::{IpAddr, Shutdown, TcpStream},
    thread,
};

use punch::Puncher;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let peer: IpAddr = arguments.next().ok_or("usage: chat PEER [OWN]")?.parse()?;
    let mut puncher = Puncher::new();
    if let Some(own) = arguments.next() {
        puncher = puncher.bind(own.parse()?);
    }

    eprintln!("punching towards {peer}");
    let connection = puncher.connect(peer)?;
    eprintln!("connected: {} to {}", connection.local_addr(), connection.peer_addr());
    Ok(talk(connection.stream())?)
}

/// Copies in both directions. The end of standard input becomes a half close, so that the other
/// direction can go on.
fn talk(stream: &TcpStream) -> io::Result<()> {
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            io::copy(&mut io::stdin().lock(), &mut &*stream)?;
            stream.shutdown(Shutdown::Write)
        });
        io::copy(&mut &*stream, &mut io::stdout().lock())?;
        sending.join().expect("copying does not panic")
    })
}
