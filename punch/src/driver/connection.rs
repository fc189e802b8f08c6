//! [`Connection`], a TCP connection to the peer.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    net::{SocketAddr, TcpStream},
};

#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};

use super::{closing::ClosingSockets, event_loop::Elected};
use crate::proto::connection::Role;

/// A TCP connection to the peer.
///
/// It implements [`Read`] and [`Write`] as a [`TcpStream`] does. `&Connection` implements them as
/// well, so that one thread may read while another writes. [`Self::stream`] gives the stream
/// itself, for the other methods of a [`TcpStream`].
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    role: Role,
    closing: ClosingSockets,
}

impl Connection {
    /// The TCP connection as a stream.
    ///
    /// It is blocking and has the system's default options, with one exception on Linux: while few
    /// segments are in flight, a lost one is repeated at a constant interval
    /// (`TCP_THIN_LINEAR_TIMEOUTS`).
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Local address and port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Address and port of the peer, as seen from here.
    pub fn peer_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Role of this side in the election. Exactly one side leads, so that the role can decide which
    /// side speaks first.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The stream alone. The connections that were not chosen are closed in the background, within
    /// 4 s. If the process ends sooner, they may be reset.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// The stream, and the connections that were not chosen. A process that is about to end should
    /// wait for the latter ([`ClosingSockets::wait`]).
    pub fn into_parts(self) -> (TcpStream, ClosingSockets) {
        (self.stream, self.closing)
    }
}

impl Read for &Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&self.stream).read_vectored(buffers)
    }
}

impl Write for &Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.stream).write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.stream).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&self.stream).flush()
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

#[cfg(unix)]
impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(windows)]
impl AsSocket for Connection {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.stream.as_socket()
    }
}

impl From<Elected> for Connection {
    fn from(elected: Elected) -> Self {
        let Elected { socket, local, remote, role, closing } = elected;
        Self { stream: socket.into(), local, remote, role, closing }
    }
}
