use super::snapshot::NO_TIME;
use super::*;
use crate::settings::CPU;
use crate::wire::MacAddr;
use core::net::Ipv6Addr;
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
