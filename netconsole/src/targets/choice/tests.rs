//! Which card serves which target.

use super::*;
use crate::nic::pci::DeviceFunction;
use crate::settings::parameter;

const ALL: Substitutes = Substitutes { for_name: true, for_mac: true };
const NO_OTHER: Substitutes = Substitutes { for_name: false, for_mac: false };

fn card(number: u8, reach: Reach) -> Candidate {
    Candidate {
        name: DeviceName::ethernet(number).expect("a name"),
        mac: MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56 + number]),
        place: BusAddress::Pci(DeviceFunction { bus: 0, device: 3 + number, function: 0 }),
        labels: Labels::default(),
        link_is_up: true,
        reach,
        may_come_nearer: false,
    }
}

fn two(first: Candidate, second: Candidate) -> Candidates {
    [Some(first), Some(second), None, None]
}

fn target(text: &str) -> TargetConfig {
    let mut parsed = parameter::targets(text.as_bytes());
    parsed.next().expect("one").target.expect("a target")
}

fn chosen(text: &str, cards: &Candidates, may: Substitutes) -> Choice {
    choose(&target(text), cards, may, false)
}

#[test]
fn what_is_named_serves() {
    let mut cards = two(card(0, Reach::OnLink), card(1, Reach::Unknown));
    if let Some(second) = &mut cards[1] {
        (second.link_is_up, second.labels) = (false, Labels { slot: Some(9), onboard: Some(2) });
    }
    for (device, choice) in [
        ("eth1", Choice::Named(1)),
        ("52:54:00:12:34:57", Choice::Named(1)),
        ("eth1.100", Choice::Named(1)),
        ("enp0s4", Choice::Meant(1)),
        ("enp0s4.100", Choice::Meant(1)),
        ("ens9", Choice::Meant(1)),
        ("eno2", Choice::Meant(1)),
        ("enx525400123457", Choice::Meant(1)),
    ] {
        for may in [ALL, NO_OTHER] {
            for to in ["10.0.0.2", "255.255.255.255"] {
                assert_eq!(chosen(&format!("@/{device},@{to}/"), &cards, may), choice, "{device} {to}");
            }
        }
    }
}

#[test]
fn another_serves_only_where_it_may() {
    let cards = two(card(0, Reach::Unknown), card(1, Reach::OnLink));
    for device in ["enp3s0", "eno1", "ens18", "br0", "bond0", "vmbr0", "wlan0", "eth7", "eth7.100"] {
        let text = format!("@/{device},@10.0.0.2/");
        assert_eq!(chosen(&text, &cards, ALL), Choice::Instead(1), "{device}");
        assert_eq!(chosen(&text, &cards, NO_OTHER), Choice::Nothing, "{device}");
    }
    let text = "@/22:33:44:55:66:77,@10.0.0.2/";
    assert_eq!(chosen(text, &cards, ALL), Choice::Instead(1));
    assert_eq!(chosen(text, &cards, Substitutes { for_mac: false, ..ALL }), Choice::Nothing);
    assert_eq!(
        Here(&cards).to_string(),
        "eth0 (00:03.0, 52:54:00:12:34:56), eth1 (00:04.0, 52:54:00:12:34:57)"
    );
}

#[test]
fn the_nearest_with_link_serves() {
    let unlinked = |card| Candidate { link_is_up: false, ..card };
    let hoping = |card| Candidate { may_come_nearer: true, ..card };
    let (far, gateway, near) = (card(0, Reach::Unknown), card(1, Reach::ByGateway), card(1, Reach::OnLink));
    for (cards, choice, after_waiting) in [
        (two(far, near), Choice::Meant(1), Choice::Meant(1)),
        (two(hoping(far), near), Choice::Meant(1), Choice::Meant(1)),
        (two(far, gateway), Choice::Meant(1), Choice::Meant(1)),
        (two(hoping(far), gateway), Choice::NotYet, Choice::Meant(1)),
        (two(far, card(1, Reach::Unknown)), Choice::Meant(0), Choice::Meant(0)),
        (two(card(0, Reach::OnLink), near), Choice::Meant(0), Choice::Meant(0)),
        (two(hoping(far), card(1, Reach::Unknown)), Choice::NotYet, Choice::Meant(0)),
        (two(unlinked(hoping(far)), gateway), Choice::Meant(1), Choice::Meant(1)),
        (two(unlinked(card(0, Reach::OnLink)), card(1, Reach::Unknown)), Choice::Meant(1), Choice::Meant(1)),
        (two(unlinked(far), unlinked(near)), Choice::NotYet, Choice::NotYet),
        // One that is alone, whatever it is.
        ([None, Some(unlinked(hoping(far))), None, None], Choice::Meant(1), Choice::Meant(1)),
        ([None; MAX_NICS], Choice::Nothing, Choice::Nothing),
    ] {
        let config = target("@/,@10.0.0.2/");
        assert_eq!(choose(&config, &cards, NO_OTHER, false), choice, "{cards:?}");
        assert_eq!(choose(&config, &cards, NO_OTHER, true), after_waiting, "{cards:?}");
    }
}

#[test]
fn what_all_hear_goes_everywhere() {
    let cards = two(card(0, Reach::OnLink), Candidate { link_is_up: false, ..card(1, Reach::OnLink) });
    let mut both = CardSet::NONE;
    (0..2).for_each(|place| both.insert(place));
    for text in ["@/,@/", "@/*,@/", "@10.0.0.1/,@255.255.255.255/", "@/,@239.1.2.3/", "@/,@ff02::1/"] {
        assert_eq!(chosen(text, &cards, NO_OTHER), Choice::Everywhere(both), "{text}");
    }
    assert_eq!(chosen("@/eth0,@/", &cards, NO_OTHER), Choice::Named(0));
    assert_eq!(chosen("@/,@/", &[None; MAX_NICS], ALL), Choice::Nothing);
}
