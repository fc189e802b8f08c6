//! Links, addresses and routes of a namespace, over rtnetlink.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    pin::pin,
    time::Duration,
};

use futures_util::TryStreamExt;
use nix::net::if_::if_nametoindex;
use rtnetlink::{
    Handle, LinkUnspec, LinkVeth, RouteMessageBuilder,
    packet_route::{
        address::AddressHeaderFlags,
        link::{InfoData, InfoVeth, LinkAttribute, LinkMessage, State},
        route::{RouteMessage, RouteType},
    },
};
use tokio::time::{sleep, timeout};

use super::netns::NetNs;
use crate::wan::Network;

/// How long the kernel's workers may take over a link: they wait for the network lock, which other
/// labs hold while they are built and removed.
const READY: Duration = Duration::from_secs(5);

/// The link-layer addresses of a cable's two ends, the near one first; locally administered. Each
/// cable is a network of its own.
const ENDS: [[u8; 6]; 2] = [[0x02, 0, 0, 0, 0, 0x01], [0x02, 0, 0, 0, 0, 0x02]];

/// An end of a cable.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// Where the cable was laid from.
    Near,
    /// The other one.
    Far,
}

/// An error of rtnetlink, or of the socket to it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The kernel, or the connection to it.
    #[error(transparent)]
    Netlink(#[from] rtnetlink::Error),
    /// Everything else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Netlink requests for the namespace in which it was opened.
pub(crate) struct Links {
    handle: Handle,
}

/// Runs `work` with netlink of the calling thread's namespace.
///
/// # Errors
/// No netlink, or what `work` says.
pub(crate) fn with_links<W, F, T>(work: W) -> Result<T, LinkError>
where
    W: FnOnce(Links) -> F,
    F: Future<Output = Result<T, LinkError>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let result = work(Links { handle }).await;
        connection.abort();
        result
    })
}

impl Links {
    /// Brings up a link and gives it an address, to which packets can be sent at once.
    pub(crate) async fn configure(&self, name: &str, network: Network) -> Result<(), LinkError> {
        let index = index_of(name)?;
        let Network { address, prefix } = network;
        let mut request = self.handle.address().add(index, address, prefix);
        // Else an IPv6 address cannot be used for more than a second.
        request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        request.execute().await?;
        self.up(index).await?;
        match address {
            IpAddr::V4(_) => Ok(()),
            IpAddr::V6(address) => self.until_local(address).await,
        }
    }

    /// Waits until packets to an IPv6 address of this namespace are taken for its own.
    ///
    /// A worker of the kernel enters the route for that; until then whatever comes to the address is
    /// dropped, though packets leave from it.
    async fn until_local(&self, address: Ipv6Addr) -> Result<(), LinkError> {
        let to_it = RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(address, 128)
            .build();
        until(&format!("address {address}"), async || {
            let mut answer = pin!(self.handle.route().get(to_it.clone()).execute());
            let route = answer.try_next().await?;
            Ok(route.is_some_and(|route| route.header.kind == RouteType::Local))
        })
        .await
    }

    /// Sets how many packets a link holds that nobody has read yet; the rest is dropped.
    pub(crate) async fn queue(&self, name: &str, packets: u32) -> Result<(), LinkError> {
        let link = LinkUnspec::new_with_index(index_of(name)?)
            .append_extra_attribute(LinkAttribute::TxQueueLen(packets));
        Ok(self.handle.link().set(link.build()).execute().await?)
    }

    /// Brings up the loopback interface.
    pub(crate) async fn loopback_up(&self) -> Result<(), LinkError> {
        self.up(index_of("lo")?).await
    }

    /// Everything leaves through this link; it needs no gateway.
    pub(crate) async fn default_through(&self, name: &str, ipv4: bool) -> Result<(), LinkError> {
        let index = index_of(name)?;
        self.route(if ipv4 {
            RouteMessageBuilder::<Ipv4Addr>::new()
                .output_interface(index)
                .build()
        } else {
            RouteMessageBuilder::<Ipv6Addr>::new()
                .output_interface(index)
                .build()
        })
        .await
    }

    /// Everything leaves through this gateway.
    pub(crate) async fn default_via(&self, gateway: IpAddr) -> Result<(), LinkError> {
        self.route(match gateway {
            IpAddr::V4(gateway) => RouteMessageBuilder::<Ipv4Addr>::new()
                .gateway(gateway)
                .build(),
            IpAddr::V6(gateway) => RouteMessageBuilder::<Ipv6Addr>::new()
                .gateway(gateway)
                .build(),
        })
        .await
    }

    /// Lays a cable from here (`name`) to another namespace (`peer_name`).
    pub(crate) async fn cable(
        &self,
        name: &str,
        peer_name: &str,
        peer: &NetNs,
    ) -> Result<(), LinkError> {
        let mut far_end = LinkMessage::default();
        far_end
            .attributes
            .push(LinkAttribute::IfName(peer_name.to_owned()));
        far_end
            .attributes
            .push(LinkAttribute::NetNsFd(peer.raw_fd()));
        let [near, far] = ENDS.map(|end| LinkAttribute::Address(end.to_vec()));
        far_end.attributes.push(far);
        let veth = LinkVeth::new(name, peer_name)
            .append_extra_attribute(near)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)))
            .build();
        Ok(self.handle.link().add(veth).execute().await?)
    }

    /// Says who is at the given end of a cable that begins or ends here.
    ///
    /// So that nobody has to ask: an answer that is lost costs the first second of a trial. With
    /// IPv6 the kernel is deaf to the question until a worker of its has joined the group that it
    /// goes to.
    pub(crate) async fn neighbour(
        &self,
        name: &str,
        neighbour: IpAddr,
        end: End,
    ) -> Result<(), LinkError> {
        let request = self.handle.neighbours().add(index_of(name)?, neighbour);
        Ok(request
            .link_layer_address(&ENDS[end as usize])
            .execute()
            .await?)
    }

    /// Waits until a cable carries packets from this end, which is up as the other one is.
    ///
    /// A worker of the kernel sees to that some time after the last of the two ends was brought up;
    /// until then, whatever is sent is dropped.
    pub(crate) async fn until_it_carries(&self, name: &str) -> Result<(), LinkError> {
        let index = index_of(name)?;
        until(&format!("link {name:?}"), async || {
            // Since Linux 6.8 the question itself has the worker's work done, before the answer.
            let mut answer = pin!(self.handle.link().get().match_index(index).execute());
            let link = answer.try_next().await?;
            let up = LinkAttribute::OperState(State::Up);
            Ok(link.is_some_and(|link| link.attributes.contains(&up)))
        })
        .await
    }

    async fn route(&self, route: RouteMessage) -> Result<(), LinkError> {
        Ok(self.handle.route().add(route).execute().await?)
    }

    async fn up(&self, index: u32) -> Result<(), LinkError> {
        let up = LinkUnspec::new_with_index(index).up().build();
        Ok(self.handle.link().set(up).execute().await?)
    }
}

/// Asks until the kernel says that something is ready.
async fn until(
    what: &str,
    is_ready: impl AsyncFn() -> Result<bool, LinkError>,
) -> Result<(), LinkError> {
    let ready = async {
        while !is_ready().await? {
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("{what} does not become ready"));
    timeout(READY, ready).await.map_err(late)?
}

fn index_of(name: &str) -> io::Result<u32> {
    if_nametoindex(name).map_err(io::Error::from)
}
