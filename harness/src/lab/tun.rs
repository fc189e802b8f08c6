//! TUN devices: a network interface on one side, packets in a descriptor on the other.
//!
//! The one ioctl is made here, since crates that open TUN devices also configure them over netlink,
//! with some thirty dependencies.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
};

/// Path of the kernel's TUN device.
pub(crate) const DEVICE: &str = "/dev/net/tun";

/// Opens [`DEVICE`] for reading and writing.
///
/// # Errors
/// The device does not exist, or this user may not open it.
pub(crate) fn open_device() -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(DEVICE)
}

/// Creates the interface `name` in the calling thread's network namespace. The interface ends when
/// the descriptor is closed. Packets have no link-layer header, and reads and writes do not block.
///
/// # Errors
/// See [`open_device`]; or the namespace belongs to another user, or the name is taken.
pub(crate) fn create(name: &str) -> io::Result<OwnedFd> {
    let device = open_device()?;
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request
        .ifr_name
        .iter_mut()
        .take(libc::IFNAMSIZ - 1)
        .zip(name.bytes())
    {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open, and `request` is a valid ifreq that outlives the call.
    if unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(device.into())
}
