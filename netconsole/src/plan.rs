//! What the panic path must know of the targets, kept apart from their working state: complete,
//! checksummed, in two copies of which one is whole at any moment.
//!
//! The boot publishes a new snapshot whenever a target's addresses change. A crash in the middle of
//! that leaves the other copy; memory that was overwritten fails its checksum, and the panic path
//! broadcasts instead. Positions in the log change with every frame, so they are not in the snapshot
//! but in [`Word`](crate::guarded::Word)s, each with a checksum of its own.

use crate::format::SystemData;
use crate::guarded::TwoCopies;
use crate::host_name::HostName;
use crate::nic::BusAddress;
use crate::settings::{CPU, Format, MAX_TARGETS};
use crate::wire::{Endpoint, MacAddr};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicU64, Ordering};

/// The most network cards that are used, in normal running and in a panic: 1 without the feature `many-cards`.
pub const MAX_NICS: usize = if cfg!(feature = "many-cards") { 4 } else { 1 };

/// By which cards a target is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetCards {
    /// By this one of [`Plan::nics`]; a number that none has: by any that has link.
    One(u8),
    /// By every card with link: a broadcast target for which no device was named.
    EveryWithLink,
}

/// A set of cards, by their places in [`Plan::nics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardSet(u16);

impl CardSet {
    /// No card.
    pub const NONE: Self = Self(0);
    /// Every card.
    pub const ALL: Self = Self(u16::MAX);

    /// Whether the card of this place is in it. Panic-safe.
    pub const fn contains(self, place: usize) -> bool {
        self.0 & Self::of(place).0 != 0
    }

    /// Adds the card of this place. Panic-safe.
    pub const fn insert(&mut self, place: usize) {
        self.0 |= Self::of(place).0;
    }

    /// Takes the card of this place away. Panic-safe.
    pub const fn remove(&mut self, place: usize) {
        self.0 &= !Self::of(place).0;
    }

    /// The card of this place alone; none where there can't be a card.
    const fn of(place: usize) -> Self {
        if place < MAX_NICS { Self(1 << place) } else { Self::NONE }
    }
}

const _: () = assert!(MAX_NICS <= u16::BITS as usize);

/// Where one target's frames go and how they look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetPlan {
    /// By which cards.
    pub cards: TargetCards,
    /// The frame's sender. The card's own address replaces an all-zero one, and the card's own IP address
    /// ([`Plan::addresses`]) an unspecified one.
    pub source: Endpoint,
    /// Until when the source address is this machine's, in µs of the published clock: 0 where it never was, `u64::MAX`
    /// where that has no end. From then on it is the log's source alone: nobody is told that it is ours, and nothing
    /// that is sent to it counts. Of an unspecified source, the card's own address has its own.
    pub owned_until: u64,
    /// The frame's receiver. A broadcast Ethernet address of a target that has a next hop is not known yet.
    pub destination: Endpoint,
    /// Whose Ethernet address the receiver's is, to be asked for: the receiver or the gateway to it. `None` where
    /// nobody is to be asked: the Ethernet address was configured, or is that of a group or of all.
    pub next_hop: Option<IpAddr>,
    /// The cards on which nobody has shown yet that this target's log could be heard, from its first datagram on
    /// (or on which nothing went out yet). There the panic path sends the log from record 0 once more as soon as
    /// somebody shows it.
    pub unheard: CardSet,
    /// When the first datagram went out, in µs of the published clock; `None` where none did.
    pub first_sent: Option<u64>,
    /// How many bytes an IP packet to it may have.
    pub mtu: u16,
    /// The VLAN, if any.
    pub vlan: Option<u16>,
    /// The message format.
    pub format: Format,
    /// Only records with a lower level number go out.
    pub limit: u8,
    /// Whether the basic format shows the time.
    pub time: bool,
    /// Only the crash report goes out (`netconsole.oops_only`).
    pub only_report: bool,
    /// Whether the receiver may ask for records again (the ncrx protocol).
    pub may_ask: bool,
    /// Whether it has answered by that protocol.
    pub has_answered: bool,
    /// What the kernel adds to extended messages; never a message id, which nobody counts in a panic.
    pub system_data: SystemData,
}

impl Plan {
    /// The targets, each with its number. Panic-safe.
    pub fn targets(&self) -> impl Iterator<Item = (usize, &TargetPlan)> {
        self.targets.iter().enumerate().filter_map(|(number, target)| Some((number, target.as_ref()?)))
    }
}

impl TargetPlan {
    /// Whether it is sent by the card of this place. Panic-safe.
    pub fn uses(&self, place: usize) -> bool {
        match self.cards {
            TargetCards::One(number) => usize::from(number) == place,
            TargetCards::EveryWithLink => true,
        }
    }
}

/// The IPv4 address that the log comes from by a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardAddress {
    /// The address.
    pub ip: Ipv4Addr,
    /// As [`TargetPlan::owned_until`].
    pub owned_until: u64,
}

/// Everything the panic path must know to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Where the cards are.
    pub nics: [Option<BusAddress>; MAX_NICS],
    /// Their own IPv4 addresses, where they have one or had one until its lease was over.
    pub addresses: [Option<CardAddress>; MAX_NICS],
    /// The targets, by their place in the kernel's table.
    pub targets: [Option<TargetPlan>; MAX_TARGETS],
    /// The sender's name in syslog messages; without one they have its address.
    pub host_name: Option<HostName>,
    /// The time at which this boot's clock was 0, in µs since 1970 (UTC), where it is known.
    pub epoch: Option<u64>,
}

impl Plan {
    /// Another station was heard by the card at `place`, in a VLAN or not, that has this address. Where its lease is over
    /// at `now` µs it is the log's source no more. Panic-safe.
    pub fn give_up(&mut self, address: Ipv4Addr, place: usize, vlan: Option<u16>, now: u64) {
        let is_over = |owned_until| (1..=now).contains(&owned_until);
        if let Some(slot) = self.addresses.get_mut(place)
            && vlan.is_none()
            && slot.is_some_and(|own| own.ip == address && is_over(own.owned_until))
        {
            *slot = None;
        }
        let targets = self.targets.iter_mut().flatten();
        for target in targets.filter(|target| target.uses(place) && target.vlan == vlan) {
            if target.source.ip == address && is_over(target.owned_until) {
                target.source.ip = Ipv4Addr::UNSPECIFIED.into();
            }
        }
    }
}

const WORDS_PER_TARGET: usize = 12;
/// A length and a name.
const WORDS_OF_NAME: usize = (1 + HostName::MAX) / 8;
/// A card's place, its address, and until when that is owned.
const WORDS_PER_NIC: usize = 3;
const WORDS: usize = WORDS_PER_NIC * MAX_NICS + WORDS_OF_NAME + 1 + MAX_TARGETS * WORDS_PER_TARGET;

/// Stands for "epoch unknown" and "nothing sent".
const NO_TIME: u64 = u64::MAX;

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn endpoint() -> impl Strategy<Value = (MacAddr, u16)> {
        (any::<[u8; 6]>().prop_map(MacAddr), any::<u16>())
    }

    fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr, Option<IpAddr>)> {
        prop_oneof![
            any::<(Ipv4Addr, Ipv4Addr, Option<Ipv4Addr>)>().prop_map(|(a, b, hop)| (
                a.into(),
                b.into(),
                hop.map(Into::into)
            )),
            any::<(Ipv6Addr, Ipv6Addr, Option<Ipv6Addr>)>().prop_map(|(a, b, hop)| (
                a.into(),
                b.into(),
                hop.map(Into::into)
            )),
        ]
    }

    fn cards() -> impl Strategy<Value = TargetCards> {
        prop_oneof![Just(TargetCards::EveryWithLink), any::<u8>().prop_map(TargetCards::One)]
    }

    prop_compose! {
        fn target()(
            (source_mac, source_port) in endpoint(),
            (mac, port) in endpoint(),
            (source_ip, ip, next_hop) in addresses(),
            (cards, unheard, mtu) in (cards(), any::<u16>().prop_map(CardSet), any::<u16>()),
            (first_sent, owned_until) in (proptest::option::of(..NO_TIME), any::<u64>()),
            vlan in proptest::option::of(1u16..4095),
            format in prop_oneof![
                Just(Format::Basic),
                Just(Format::Syslog),
                any::<bool>().prop_map(|release| Format::Extended { release }),
            ],
            (limit, time, only_report) in (0u8..=8, any::<bool>(), any::<bool>()),
            (may_ask, has_answered) in any::<(bool, bool)>(),
            (cpu, task_name, release) in any::<(bool, bool, bool)>(),
        ) -> TargetPlan {
            TargetPlan {
                cards, next_hop, unheard, first_sent, owned_until, mtu, vlan, format, limit, time, only_report, may_ask,
                has_answered,
                system_data: SystemData { cpu: cpu.then_some(CPU), task_name, release, message_id: None },
                source: Endpoint { mac: source_mac, ip: source_ip, port: source_port },
                destination: Endpoint { mac, ip, port },
            }
        }
    }

    fn place() -> impl Strategy<Value = BusAddress> {
        prop_oneof![
            any::<u16>().prop_map(|function| BusAddress::from_word(function.into()).expect("a function")),
            (1u64 << 20..).prop_map(BusAddress::Mmio),
        ]
    }

    prop_compose! {
        fn plan()(
            nics in proptest::array::uniform4(proptest::option::of(place())),
            addresses in any::<[Option<(Ipv4Addr, u64)>; MAX_NICS]>(),
            targets in proptest::collection::vec((0..MAX_TARGETS, target()), 0..MAX_TARGETS),
            name in proptest::option::of("[0-9a-zA-Z.-]{1,63}"),
            epoch in proptest::option::of(..NO_TIME),
        ) -> Plan {
            let host_name = name.map(|name| HostName::new(name.as_bytes()).expect("a name"));
            let addresses = addresses.map(|own| own.map(|(ip, owned_until)| CardAddress { ip, owned_until }));
            let mut plan = Plan { nics, addresses, host_name, epoch, ..Plan::default() };
            for (place, target) in targets {
                plan.targets[place] = Some(target);
            }
            plan
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn gives_back_the_newest_plan(plans in proptest::collection::vec(plan(), 1..4)) {
            let snapshot = Snapshot::new();
            for plan in &plans {
                snapshot.publish(plan);
                prop_assert_eq!(snapshot.read(), Some(*plan));
            }
        }

        /// Of all addresses alone those go that another station has on the same network, and whose lease is over.
        #[test]
        fn an_address_is_given_up_once_its_lease_is_over(
            mut plan in plan(), target in target(), own: Ipv4Addr, over in 1u64..1000, place in 0..MAX_NICS,
            now in 0u64..2000, other: Ipv4Addr,
        ) {
            let address = CardAddress { ip: own, owned_until: over };
            let source = Endpoint { ip: own.into(), ..target.source };
            let target = TargetPlan {
                source, owned_until: over, vlan: None, cards: TargetCards::One(place as u8), ..target
            };
            (plan.addresses[place], plan.targets[0]) = (Some(address), Some(target));
            let before = plan;
            let elsewhere = (place + 1) % MAX_NICS;
            plan.give_up(own, place, Some(7), now);
            prop_assert_eq!((plan.addresses[place], plan.targets[0]), (Some(address), Some(target)));
            plan.give_up(own, elsewhere, None, now);
            plan.give_up(other, place, None, if other == own { 0 } else { now });
            prop_assert_eq!((plan.addresses[place], plan.targets[0]), (Some(address), Some(target)));

            plan.give_up(own, place, None, now);
            let source = plan.targets[0].map(|target| target.source.ip);
            if over <= now {
                prop_assert_eq!((plan.addresses[place], source), (None, Some(Ipv4Addr::UNSPECIFIED.into())));
            } else {
                prop_assert_eq!((plan.addresses[place], source), (Some(address), Some(own.into())));
            }
            for owned_until in [0, u64::MAX] {
                let mut plan = before;
                plan.addresses[place] = Some(CardAddress { owned_until, ..address });
                plan.give_up(own, place, None, now);
                prop_assert!(plan.addresses[place].is_some());
            }
        }

        #[test]
        fn a_set_has_the_cards_that_were_inserted(
            places in proptest::collection::vec((0..2 * MAX_NICS, any::<bool>()), 0..8),
        ) {
            let (mut set, mut expected) = (CardSet::NONE, std::collections::BTreeSet::new());
            for (place, inserted) in places {
                if inserted {
                    set.insert(place);
                    expected.insert(place);
                } else {
                    set.remove(place);
                    expected.remove(&place);
                }
            }
            for place in 0..MAX_NICS {
                prop_assert_eq!(set.contains(place), expected.contains(&place));
                prop_assert!(CardSet::ALL.contains(place));
            }
            prop_assert!(!set.contains(MAX_NICS));
        }
    }

    #[test]
    fn what_was_never_complete_is_none() {
        let snapshot = Snapshot::new();
        assert_eq!(snapshot.read(), None);
        snapshot.publish(&Plan::default());
        snapshot.overwrite(0xa5a5_a5a5_a5a5_a5a5);
        assert_eq!(snapshot.read(), None);
    }
}
