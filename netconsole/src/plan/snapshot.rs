//! A plan in words that say whether they are damaged: checksummed, in two copies of which one is whole at any moment.
//!
//! The boot publishes a new snapshot whenever a target's addresses change. A crash in the middle of
//! that leaves the other copy; memory that was overwritten fails its checksum, and the panic path
//! broadcasts instead.

use super::{CardAddress, CardSet, MAX_NICS, Plan, TargetCards, TargetPlan};
use crate::format::SystemData;
use crate::guarded::TwoCopies;
use crate::host_name::HostName;
use crate::nic::BusAddress;
use crate::settings::{CPU, Format, MAX_TARGETS};
use crate::wire::{Endpoint, MacAddr};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicU64, Ordering};

const WORDS_PER_TARGET: usize = 12;
/// A length and a name.
const WORDS_OF_NAME: usize = (1 + HostName::MAX) / 8;
/// A card's place, its address, and until when that is owned.
const WORDS_PER_NIC: usize = 3;
const WORDS: usize = WORDS_PER_NIC * MAX_NICS + WORDS_OF_NAME + 1 + MAX_TARGETS * WORDS_PER_TARGET;

/// Stands for "epoch unknown" and "nothing sent".
pub(super) const NO_TIME: u64 = u64::MAX;

/// No IPv4 address.
const NO_ADDRESS: u64 = 1 << 32;

/// Neither a PCI function nor an address of MMIO.
const NO_PLACE: u64 = 1 << 16;

/// A [`Plan`] in two copies, of which one is whole at any moment.
pub struct Snapshot(TwoCopies<WORDS>);

impl Default for Snapshot {
    fn default() -> Self {
        Self::new()
    }
}

impl Snapshot {
    /// A snapshot that was never published.
    pub const fn new() -> Self {
        Self(TwoCopies::unset())
    }

    /// Replaces the older copy. Not for several contexts at once.
    pub fn publish(&self, plan: &Plan) {
        let nics = plan.nics.iter().map(|nic| encode_nic(*nic));
        let words = nics
            .chain(plan.addresses.iter().flat_map(encode_address))
            .chain(encode_name(plan.host_name.as_ref()))
            .chain([plan.epoch.unwrap_or(NO_TIME)])
            .chain(plan.targets.iter().flat_map(encode));
        self.0.set(words);
    }

    /// The newest whole copy, or `None` where both are damaged or none was ever complete. Panic-safe.
    pub fn read(&self) -> Option<Plan> {
        // Not copied: a panic's stack is small.
        let words = self.0.newest()?;
        let mut plan = Plan::default();
        let (nics, rest) = words.split_at_checked(MAX_NICS)?;
        let (addresses, rest) = rest.split_at_checked((WORDS_PER_NIC - 1) * MAX_NICS)?;
        let (name, rest) = rest.split_at_checked(WORDS_OF_NAME)?;
        let (epoch, targets) = rest.split_first()?;
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        for (nic, word) in plan.nics.iter_mut().zip(nics) {
            *nic = BusAddress::from_word(load(word));
        }
        let (addresses, _) = addresses.as_chunks::<{ WORDS_PER_NIC - 1 }>();
        for (address, [ip, owned_until]) in plan.addresses.iter_mut().zip(addresses) {
            let ip = u32::try_from(load(ip)).ok().map(Ipv4Addr::from_bits);
            *address = ip.map(|ip| CardAddress { ip, owned_until: load(owned_until) });
        }
        plan.host_name = decode_name(name);
        plan.epoch = Some(load(epoch)).filter(|&epoch| epoch != NO_TIME);
        let (targets, _) = targets.as_chunks::<WORDS_PER_TARGET>();
        for (target, words) in plan.targets.iter_mut().zip(targets) {
            *target = decode(&words.each_ref().map(load));
        }
        Some(plan)
    }

    /// Overwrites both copies with `pattern`, as a stray pointer would: for provoking that crash.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn overwrite(&self, pattern: u64) {
        self.0.overwrite(pattern);
    }
}

/// A card's place, or a word that stands for none.
fn encode_nic(nic: Option<BusAddress>) -> u64 {
    nic.map_or(NO_PLACE, BusAddress::to_word)
}

/// A card's address, or a word that stands for none, and until when it is owned.
fn encode_address(address: &Option<CardAddress>) -> [u64; WORDS_PER_NIC - 1] {
    address.map_or([NO_ADDRESS, 0], |address| [address.ip.to_bits().into(), address.owned_until])
}

/// The name's length, 0 for none, and the name.
fn encode_name(name: Option<&HostName>) -> [u64; WORDS_OF_NAME] {
    let name = name.map_or(&[][..], HostName::as_bytes);
    let mut bytes = [0; 1 + HostName::MAX];
    let text = [name.len() as u8]; // at most 63
    bytes.iter_mut().zip(text.iter().chain(name)).for_each(|(to, &from)| *to = from);
    let (words, _) = bytes.as_chunks();
    core::array::from_fn(|place| words.get(place).map_or(0, |&word| u64::from_le_bytes(word)))
}

fn decode_name(words: &[AtomicU64]) -> Option<HostName> {
    let mut bytes = [0; 1 + HostName::MAX];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        let word = word.load(Ordering::Relaxed).to_le_bytes();
        to.iter_mut().zip(word).for_each(|(to, from)| *to = from);
    }
    let (&len, name) = bytes.split_first()?;
    HostName::new(name.get(..usize::from(len))?)
}

/// The first word: bit 0 present, 1 time, 2 IPv6, 3 a VLAN, 4 only the report, 5 may ask, 6 has answered;
/// then from bit 8 format, limit, card; from bit 32 both ports. The second word: the VLAN, from bit 16 system
/// data, 19 every card, 20 a next hop, from bit 32 the MTU and the cards on which it is unheard. Then the time
/// of the first datagram, until when the source is owned, both Ethernet and the three IP addresses.
fn encode(target: &Option<TargetPlan>) -> [u64; WORDS_PER_TARGET] {
    let Some(plan) = target else { return [0; WORDS_PER_TARGET] };
    let is_ipv6 = plan.destination.ip.is_ipv6();
    let format: u8 = match plan.format {
        Format::Basic => 0,
        Format::Extended { release: false } => 1,
        Format::Extended { release: true } => 2,
        Format::Syslog => 3,
    };
    let (every, nic) = match plan.cards {
        TargetCards::One(nic) => (false, nic),
        TargetCards::EveryWithLink => (true, 0),
    };
    let flags = 1
        | u64::from(plan.time) << 1
        | u64::from(is_ipv6) << 2
        | u64::from(plan.vlan.is_some()) << 3
        | u64::from(plan.only_report) << 4
        | u64::from(plan.may_ask) << 5
        | u64::from(plan.has_answered) << 6
        | u64::from(format) << 8
        | u64::from(plan.limit) << 16
        | u64::from(nic) << 24
        | u64::from(plan.source.port) << 32
        | u64::from(plan.destination.port) << 48;
    let [source_high, source_low] = encode_ip(plan.source.ip);
    let [destination_high, destination_low] = encode_ip(plan.destination.ip);
    let [hop_high, hop_low] = plan.next_hop.map_or([0; 2], encode_ip);
    let extra = u64::from(plan.vlan.unwrap_or(0))
        | u64::from(plan.system_data.cpu.is_some()) << 16
        | u64::from(plan.system_data.task_name) << 17
        | u64::from(plan.system_data.release) << 18
        | u64::from(every) << 19
        | u64::from(plan.next_hop.is_some()) << 20
        | u64::from(plan.mtu) << 32
        | u64::from(plan.unheard.0) << 48;
    [
        flags,
        extra,
        plan.first_sent.unwrap_or(NO_TIME),
        plan.owned_until,
        encode_mac(plan.source.mac),
        encode_mac(plan.destination.mac),
        source_high,
        source_low,
        destination_high,
        destination_low,
        hop_high,
        hop_low,
    ]
}

fn decode(words: &[u64; WORDS_PER_TARGET]) -> Option<TargetPlan> {
    let [flags, extra, first_sent, owned_until, source_mac, destination_mac, ips @ ..] = *words;
    let [source_high, source_low, high, low, hop_high, hop_low] = ips;
    if flags & 1 == 0 {
        return None;
    }
    let [_, format, limit, nic, a, b, c, d] = flags.to_le_bytes();
    let [vlan_low, vlan_high, _, _, mtu_low, mtu_high, unheard_low, unheard_high] = extra.to_le_bytes();
    let is_ipv6 = flags & 1 << 2 != 0;
    Some(TargetPlan {
        cards: if extra & 1 << 19 != 0 { TargetCards::EveryWithLink } else { TargetCards::One(nic) },
        next_hop: (extra & 1 << 20 != 0).then(|| decode_ip(is_ipv6, hop_high, hop_low)),
        unheard: CardSet(u16::from_le_bytes([unheard_low, unheard_high])),
        first_sent: Some(first_sent).filter(|&time| time != NO_TIME),
        mtu: u16::from_le_bytes([mtu_low, mtu_high]),
        owned_until,
        source: Endpoint {
            mac: decode_mac(source_mac),
            ip: decode_ip(is_ipv6, source_high, source_low),
            port: u16::from_le_bytes([a, b]),
        },
        destination: Endpoint {
            mac: decode_mac(destination_mac),
            ip: decode_ip(is_ipv6, high, low),
            port: u16::from_le_bytes([c, d]),
        },
        vlan: (flags & 1 << 3 != 0).then_some(u16::from_le_bytes([vlan_low, vlan_high])),
        format: match format {
            0 => Format::Basic,
            3 => Format::Syslog,
            number => Format::Extended { release: number == 2 },
        },
        limit,
        time: flags & 1 << 1 != 0,
        only_report: flags & 1 << 4 != 0,
        may_ask: flags & 1 << 5 != 0,
        has_answered: flags & 1 << 6 != 0,
        system_data: SystemData {
            cpu: (extra & 1 << 16 != 0).then_some(CPU),
            task_name: extra & 1 << 17 != 0,
            release: extra & 1 << 18 != 0,
            message_id: None,
        },
    })
}

fn encode_mac(MacAddr([a, b, c, d, e, f]): MacAddr) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

fn decode_mac(word: u64) -> MacAddr {
    let [_, _, a, b, c, d, e, f] = word.to_be_bytes();
    MacAddr([a, b, c, d, e, f])
}

fn encode_ip(ip: IpAddr) -> [u64; 2] {
    match ip {
        IpAddr::V4(ip) => [0, u32::from(ip).into()],
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h, rest @ ..] = ip.octets();
            [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(rest)]
        }
    }
}

fn decode_ip(is_ipv6: bool, high: u64, low: u64) -> IpAddr {
    if is_ipv6 {
        Ipv6Addr::from(u128::from(high) << 64 | u128::from(low)).into()
    } else {
        let [.., a, b, c, d] = low.to_be_bytes();
        Ipv4Addr::from([a, b, c, d]).into()
    }
}
