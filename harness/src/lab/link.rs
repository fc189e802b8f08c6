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

/// Longest time that the kernel's workers may need to bring up a link. They wait for the network
/// lock, which other labs hold while those are built and removed.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// Link-layer addresses of the two ends of a veth pair, the near one first; locally administered.
/// All pairs have the same, since each pair is a network of its own.
const VETH_ADDRESSES: [[u8; 6]; 2] = [[0x02, 0, 0, 0, 0, 0x01], [0x02, 0, 0, 0, 0, 0x02]];

/// One end of a veth pair.
#[derive(Debug, Clone, Copy)]
pub(crate) enum VethEnd {
    /// The end in the namespace that created the pair.
    Near,
    /// The end in the other namespace.
    Far,
}

/// Error of rtnetlink, or of the socket to it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// Refused by the kernel, or no connection to it.
    #[error(transparent)]
    Netlink(#[from] rtnetlink::Error),
    /// Everything else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A netlink connection to the namespace in which it was opened.
pub(crate) struct Links {
    handle: Handle,
}

/// Runs `work` with netlink of the calling thread's namespace.
///
/// # Errors
/// No netlink, or the error of `work`.
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
        let driver = tokio::spawn(connection);
        let result = work(Links { handle }).await;
        driver.abort();
        result
    })
}

impl Links {
    /// Brings up a link and gives it an address. Packets to the address arrive from then on.
    pub(crate) async fn configure(&self, name: &str, network: Network) -> Result<(), LinkError> {
        let index = index_of(name)?;
        let Network { address, prefix } = network;
        let mut request = self.handle.address().add(index, address, prefix);
        // With duplicate address detection an IPv6 address is unusable for more than a second.
        request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        request.execute().await?;
        self.up(index).await?;
        match address {
            IpAddr::V4(_) => Ok(()),
            IpAddr::V6(address) => self.wait_until_local(address).await,
        }
    }

    /// Waits until this namespace receives packets to one of its IPv6 addresses.
    ///
    /// A worker of the kernel enters the route for that. Until then packets leave from the address,
    /// but those to it are dropped.
    async fn wait_until_local(&self, address: Ipv6Addr) -> Result<(), LinkError> {
        let to_it = RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(address, 128)
            .build();
        wait_until(&format!("address {address}"), async || {
            let mut answer = pin!(self.handle.route().get(to_it.clone()).execute());
            let route = answer.try_next().await?;
            Ok(route.is_some_and(|route| route.header.kind == RouteType::Local))
        })
        .await
    }

    /// Sets the number of unread packets that a link holds; further ones are dropped.
    pub(crate) async fn set_queue_length(&self, name: &str, packets: u32) -> Result<(), LinkError> {
        let link = LinkUnspec::new_with_index(index_of(name)?)
            .append_extra_attribute(LinkAttribute::TxQueueLen(packets));
        Ok(self.handle.link().set(link.build()).execute().await?)
    }

    /// Brings up the loopback interface.
    pub(crate) async fn loopback_up(&self) -> Result<(), LinkError> {
        self.up(index_of("lo")?).await
    }

    /// Makes a link the default route, without a gateway.
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

    /// Makes a gateway the default route.
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

    /// Creates a veth pair: one end (`name`) here, the other (`peer_name`) in another namespace.
    pub(crate) async fn add_veth(
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
        let [near, far] = VETH_ADDRESSES.map(|end| LinkAttribute::Address(end.to_vec()));
        far_end.attributes.push(far);
        let veth = LinkVeth::new(name, peer_name)
            .append_extra_attribute(near)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)))
            .build();
        Ok(self.handle.link().add(veth).execute().await?)
    }

    /// Adds a permanent neighbour entry for one end of a veth pair.
    ///
    /// It spares the first packet the neighbour discovery (ARP, RFC 4861), of which a lost answer
    /// costs the first second of a trial. With IPv6 a host ignores the solicitation until a worker
    /// of its kernel has joined the multicast group.
    pub(crate) async fn add_neighbour(
        &self,
        name: &str,
        neighbour: IpAddr,
        end: VethEnd,
    ) -> Result<(), LinkError> {
        let request = self.handle.neighbours().add(index_of(name)?, neighbour);
        Ok(request
            .link_layer_address(&VETH_ADDRESSES[end as usize])
            .execute()
            .await?)
    }

    /// Waits until a veth pair of which both ends were brought up carries packets from this end.
    ///
    /// A worker of the kernel marks the link as operational some time later. Until then, packets
    /// sent into it are dropped.
    pub(crate) async fn wait_until_up(&self, name: &str) -> Result<(), LinkError> {
        let index = index_of(name)?;
        wait_until(&format!("link {name:?}"), async || {
            // Since Linux 6.8 the kernel does the worker's job before it answers this request.
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

/// Polls until `is_ready`, for up to [`READY_TIMEOUT`].
async fn wait_until(
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
    timeout(READY_TIMEOUT, ready).await.map_err(late)?
}

fn index_of(name: &str) -> io::Result<u32> {
    if_nametoindex(name).map_err(io::Error::from)
}
