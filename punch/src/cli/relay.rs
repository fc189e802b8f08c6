//! Standard input and output become the connection.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

/// Relays until both directions are at their end. The end of standard input is sent on as a half
/// close, so that either side may go on alone.
///
/// # Errors
/// The connection broke, or standard output could not be written.
pub(super) fn relay(stream: &TcpStream) -> io::Result<()> {
    let sender = stream.try_clone()?;
    let sending = thread::Builder::new().name("punch-stdin".into()).spawn(move || {
        let sent = copy(&mut io::stdin().lock(), &mut &sender);
        // The peer may have closed already: then there is nobody to tell.
        let _ = sender.shutdown(Shutdown::Write);
        sent
    })?;
    copy(&mut &*stream, &mut io::stdout().lock())?;
    match sending.join() {
        Ok(sent) => sent,
        Err(_) => Err(io::Error::other("the thread that reads standard input panicked")),
    }
}

/// Copies to the end, flushing each piece: the other side may be a person.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                to.write_all(&buffer[..read])?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
