//! A connection for tokio. The attempt runs on a thread for blocking work, the rest is async.
//!
//! ```sh
//! cargo run -p punch --example tokio -- 127.0.0.2 127.0.0.1   # in one terminal
//! cargo run -p punch --example tokio -- 127.0.0.1 127.0.0.2   # in another
//! ```
//!
//! Ctrl-C during the attempt cancels it by [`Canceller`], since a thread cannot be dropped as a
//! future can.

use std::{error::Error, net::IpAddr};

use punch::{Canceller, Puncher};
use tokio::{
    io::{self, AsyncWriteExt},
    net::TcpStream,
    signal, task,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let peer: IpAddr = arguments.next().ok_or("usage: tokio PEER [OWN]")?.parse()?;
    let mut puncher = Puncher::new();
    if let Some(own) = arguments.next() {
        puncher = puncher.bind(own.parse()?);
    }

    eprintln!("punching towards {peer}");
    let stream = connect(puncher, peer).await?;
    eprintln!("connected: {} to {}", stream.local_addr()?, stream.peer_addr()?);

    let (mut reader, mut writer) = stream.into_split();
    let (mut stdin, mut stdout) = (io::stdin(), io::stdout());
    let sending = async {
        io::copy(&mut stdin, &mut writer).await?;
        writer.shutdown().await
    };
    let receiving = async {
        io::copy(&mut reader, &mut stdout).await?;
        stdout.flush().await
    };
    tokio::try_join!(sending, receiving)?;
    Ok(())
}

/// Connects to `peer`, unless Ctrl-C comes first.
async fn connect(puncher: Puncher, peer: IpAddr) -> Result<TcpStream, Box<dyn Error>> {
    let on_interrupt = task::spawn(cancel_on_interrupt(puncher.canceller()));
    let connected = task::spawn_blocking(move || puncher.connect(peer)).await?;
    on_interrupt.abort();
    let stream = connected?.into_stream();
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream)?)
}

async fn cancel_on_interrupt(canceller: Canceller) {
    if signal::ctrl_c().await.is_ok() {
        canceller.cancel();
    }
}
