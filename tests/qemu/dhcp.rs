//! DHCP servers as real networks have them.

use crate::harness::{Boot, Capture, Content, Lease, Machine, Nic, Peer, Service, status};
use smoltcp::wire::{ArpOperation, ArpRepr, EthernetAddress};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread::sleep;
use std::time::Duration;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Beyond the subnet of the lease.
const FAR: &str = "192.0.2.7:6666";
/// On every link.
const NEAR: &str = "[fe80::2]:6666";
const PANIC_END: &str = "---[ end Kernel panic - not syncing: panic ]---";
const ROUTER: u8 = 3;
const CLASSLESS_ROUTES: u8 = 121;

fn lease(router: Option<Ipv4Addr>, duration: u32) -> Lease {
    Lease { address: OWN, router, duration }
}

fn routers() -> [Peer; 2] {
    [Peer::at("10.0.0.253"), Peer::at("10.0.0.254")]
}

/// A boot with that service, and two routers.
fn boot(name: &'static str, parameters: &str, service: Service) -> Boot {
    let boot = Boot::new(name, parameters).peer(Peer::at("10.0.0.3").serving(service));
    routers().into_iter().fold(boot, Boot::peer)
}

/// Where the datagrams to `target` came from, and to which MAC they went, each as often as that changed.
fn routes(capture: &Capture, target: &str) -> Vec<(IpAddr, EthernetAddress)> {
    let target: SocketAddr = target.parse().expect("an address and port");
    let route = |content: &Content| match content {
        Content::Udp { from, to, .. } if *to == target => Some(from.ip()),
        _ => None,
    };
    let mut routes: Vec<_> =
        capture.frames().filter_map(|frame| Some((route(&frame.content)?, frame.to_mac))).collect();
    routes.dedup();
    routes
}

/// Has something logged, and waits for it at `target`.
fn log(machine: &mut Machine, name: &str, target: &str) {
    machine.type_in(&format!("\rnetconsole=@/{name},@10.0.0.9/\r"));
    machine.wait_for_text(target, &format!("{name} doesn't exist"));
}

#[test]
fn of_two_routers_the_first_is_the_gateway() {
    let service = Service::new(lease(None, 3600)).option(ROUTER, [10, 0, 0, 253, 10, 0, 0, 254]);
    let capture = boot("dhcp-routers", "debug netconsole=+@/,@192.0.2.7/ after=exit", service).start().end();
    assert_eq!(capture.status, status::GOOD);
    assert_eq!(routes(&capture, FAR), [(OWN.into(), routers()[0].mac)]);
}

/// RFC 3442: to 192.0.2.0/24 by the second router; the router option does not count.
#[test]
fn classless_routes_lead_to_the_target() {
    let service = Service::new(lease(Some([10, 0, 0, 253].into()), 3600));
    let service = service.option(CLASSLESS_ROUTES, [24, 192, 0, 2, 10, 0, 0, 254]);
    let mut machine = boot("dhcp-classless", "debug netconsole=+@/,@192.0.2.7/", service).start();
    machine.wait_for_text(FAR, "network logging started");
    let shown = machine.command("ip");
    assert!(shown.contains("10.0.0.1/24 by DHCP\n    to 192.0.2.0/24 by 10.0.0.254\n"), "{shown}");
    let capture = machine.stop();
    assert_eq!(routes(&capture, FAR), [(OWN.into(), routers()[1].mac)]);
}

/// An offer after 6 s, and the lease after 6 more.
#[test]
fn a_slow_server_s_lease_is_taken() {
    let service = Service::new(lease(None, 3600)).delayed(Duration::from_secs(6));
    let boot = boot("dhcp-slow", "debug netconsole=+@/,@10.0.0.2/", service).peer(Peer::at("10.0.0.2"));
    let mut machine = boot.start();
    machine.wait_for_serial("eth0: IPv4 address 10.0.0.1/24 by DHCP");
    log(&mut machine, "leased", "10.0.0.2:6666");
    let capture = machine.stop();
    assert_eq!(routes(&capture, "10.0.0.2:6666").last().map(|route| route.0), Some(OWN.into()));
}

#[test]
fn a_renewal_without_a_router_leaves_the_one_there_was() {
    let service = Service::new(lease(Some([10, 0, 0, 253].into()), 10)).renewal(lease(None, 3600));
    let mut machine = boot("dhcp-bare-renewal", "debug netconsole=+@/,@192.0.2.7/", service).start();
    machine.wait_for_text(FAR, "network logging started");
    machine.wait_for("the renewal", |events| {
        let renews = |content: &Content| {
            matches!(content, Content::Udp { from, to, .. } if from.ip() == OWN && to.port() == 67)
        };
        events.sent.iter().filter_map(|sent| sent.good()).any(|frame| renews(&frame.content)).then_some(())
    });
    // Its answer is there before the ping's.
    machine.send(0, &Peer::at("10.0.0.253").ping(Nic::mac(0), OWN.into(), b"renewed?"));
    machine.wait_for("the answer to a ping", |events| {
        let is_answer = |content: &Content| matches!(content, Content::Icmp { from, .. } if *from == OWN);
        events.sent.iter().filter_map(|sent| sent.good()).any(|frame| is_answer(&frame.content)).then_some(())
    });
    log(&mut machine, "renewed", FAR);
    let shown = machine.command("ip");
    assert!(shown.contains("10.0.0.1/24 by DHCP, gateway 10.0.0.253\n"), "{shown}");
    assert_eq!(routes(&machine.stop(), FAR), [(OWN.into(), routers()[0].mac)]);
}

/// The log goes on from the address and by the router that the lease named, and says so; nobody else may take the
/// address for ours, and whoever answers for it has it.
#[test]
fn a_lease_that_is_over_leaves_the_log_its_source() {
    let service = Service::new(lease(Some([10, 0, 0, 253].into()), 10)).leases(1);
    let boot = boot("dhcp-over", "debug netconsole=+@/,@192.0.2.7/", service);
    let mut machine = boot.timeout(Duration::from_secs(90)).start();
    machine.wait_for_text(FAR, "network logging started");
    machine.wait_for_text(FAR, "eth0: no DHCP server renewed the lease of 10.0.0.1, which is over");
    let before = machine.sent().len();
    let asker = Peer::at("10.0.0.2");
    machine.send(0, &asker.arp_question(OWN));
    machine.send(0, &asker.ping(Nic::mac(0), OWN.into(), b"still there?"));
    log(&mut machine, "expired", FAR);
    let answers = |sent: &[crate::harness::Sent]| {
        let is_answer = |content: &Content| match content {
            Content::Arp(ArpRepr::EthernetIpv4 { operation, source_protocol_addr, .. }) => {
                *operation == ArpOperation::Reply || *source_protocol_addr == OWN
            }
            Content::Icmp { .. } => true,
            _ => false,
        };
        sent.iter().filter_map(|sent| sent.good()).filter(|frame| is_answer(&frame.content)).count()
    };
    assert_eq!(answers(&machine.sent()[before..]), 0);

    let other = Peer::at("10.0.0.1");
    machine.send(0, &other.arp_question(OWN));
    machine.wait_for_serial("eth0: 10.0.0.1 is used by 02:00:0a:00:00:01 now: it is given up");
    machine.wait_for_serial("/16 link-local");
    let capture = machine.stop();
    assert_eq!(routes(&capture, FAR).first(), Some(&(OWN.into(), routers()[0].mac)));
    let lines = capture.text(FAR);
    assert!(lines.contains("expired doesn't exist"), "{lines}");
}

/// A machine with this service that logs to [`FAR`] by the first router, and its neighbour by IPv6. Its report goes out
/// again so often.
fn two_networks(name: &'static str, service: Service, repeats: u8) -> (Machine, Peer) {
    let near = Peer::at("fe80::2");
    let parameters = format!(
        r#"debug panic=0 netconsole.panic_repeat={repeats} netconsole="+@/,@192.0.2.7/;+@/,@fe80::2/""#
    );
    let boot = boot(name, &parameters, service).peer(near.clone()).repeats();
    let machine = boot.timeout(Duration::from_secs(200)).start();
    [FAR, NEAR].iter().for_each(|target| {
        machine.wait_for_text(target, "network logging started");
    });
    (machine, near)
}

fn crash(machine: &mut Machine) {
    machine.type_in("\rcrash PANIC\r");
    [FAR, NEAR].iter().for_each(|target| {
        machine.wait_for_text(target, PANIC_END);
    });
}

/// Asks a machine that has panicked for its IPv4 address, and for its log in the name of [`FAR`]; returns how many
/// answers by ARP and datagrams with the log came.
fn ask(machine: &Machine, near: &Peer) -> [usize; 2] {
    let counts = || {
        let is_answer = |content: &Content| {
            matches!(content, Content::Arp(ArpRepr::EthernetIpv4 { operation: ArpOperation::Reply, .. }))
        };
        let sent = machine.sent();
        let answers = sent.iter().filter_map(|sent| sent.good()).filter(|frame| is_answer(&frame.content));
        [answers.count(), machine.count(FAR)]
    };
    let before = counts();
    let mut far = Peer::at("192.0.2.7");
    far.mac = routers()[0].mac;
    machine.send(0, &Peer::at("10.0.0.2").arp_question(OWN));
    machine.send(0, &far.datagram(6666, Nic::mac(0), (OWN, 6665).into(), b"dmesg\n"));
    // Each answer by IPv6 is a turn of the card's, and so are sixteen datagrams of what the frames before set off.
    let own = "fe80::5054:ff:fe12:3456".parse().expect("an address");
    for _ in 0..20 {
        let seen = machine.sent().len();
        machine.send(0, &near.solicitation(Nic::mac(0), own));
        machine.wait_for("the answer by IPv6", |events| {
            let is_answer = |content: &Content| matches!(content, Content::Icmp { from, .. } if *from == own);
            let mut sent = events.sent.get(seen..)?.iter().filter_map(|sent| sent.good());
            sent.any(|frame| is_answer(&frame.content)).then_some(())
        });
    }
    let after = counts();
    [after[0] - before[0], after[1] - before[1]]
}

#[test]
fn in_a_panic_a_leased_address_is_answered_for() {
    let service = Service::new(lease(Some([10, 0, 0, 253].into()), 3600));
    let (mut machine, near) = two_networks("dhcp-panic", service, 0);
    crash(&mut machine);
    let [answers, datagrams] = ask(&machine, &near);
    assert_eq!((answers, datagrams > 10), (1, true), "{datagrams} datagrams");
    assert_eq!(routes(&machine.stop(), FAR), [(OWN.into(), routers()[0].mac)]);
}

/// The last words still come from it, and its gateway is asked for as from no address at all.
#[test]
fn in_a_panic_an_address_whose_lease_is_over_is_the_log_s_source_alone() {
    let service = Service::new(lease(Some([10, 0, 0, 253].into()), 10)).leases(1);
    let (mut machine, near) = two_networks("dhcp-over-panic", service, 0);
    machine.wait_for_text(FAR, "eth0: no DHCP server renewed the lease of 10.0.0.1, which is over");
    let before = machine.sent().len();
    crash(&mut machine);
    assert_eq!(ask(&machine, &near), [0, 0]);
    let capture = machine.stop();
    assert_eq!(routes(&capture, FAR), [(OWN.into(), routers()[0].mac)]);
    let questions = capture.sent[before..].iter().filter_map(|sent| match sent.good()?.content {
        Content::Arp(ArpRepr::EthernetIpv4 { source_protocol_addr, .. }) => Some(source_protocol_addr),
        _ => None,
    });
    let mut questions = questions.collect::<Vec<_>>();
    questions.dedup();
    assert_eq!(questions, [Ipv4Addr::UNSPECIFIED]);
}

/// As before a panic: the report goes out again from the link-local address.
#[test]
fn in_a_panic_an_address_whose_lease_is_over_is_given_up_when_another_station_has_it() {
    let service = Service::new(lease(Some([10, 0, 0, 253].into()), 10)).leases(1);
    let (mut machine, _) = two_networks("dhcp-taken-in-panic", service, 10);
    machine.wait_for_text(FAR, "eth0: no DHCP server renewed the lease of 10.0.0.1, which is over");
    crash(&mut machine);
    machine.send(0, &Peer::at("10.0.0.1").arp_question(OWN));
    let far: SocketAddr = FAR.parse().expect("an address and port");
    let another = machine.wait_for("the report from another address", |events| {
        let source = |content: &Content| match content {
            Content::Udp { from, to, .. } if *to == far => Some(from.ip()),
            _ => None,
        };
        let mut sources = events.sent.iter().filter_map(|sent| source(&sent.good()?.content));
        sources.find(|ip| *ip != OWN)
    });
    assert!(another.to_string().starts_with("169.254."), "{another}");
    let router = routers()[0].mac;
    assert_eq!(routes(&machine.stop(), FAR), [(OWN.into(), router), (another, router)]);
}

/// Nobody renews the lease while a machine that has panicked stays.
#[test]
fn a_lease_ends_after_a_panic_too() {
    const SECONDS: u32 = 15;
    let service = Service::new(lease(Some([10, 0, 0, 253].into()), SECONDS));
    let (mut machine, near) = two_networks("dhcp-ends-in-panic", service, 0);
    crash(&mut machine);
    // The last renewal was before the panic.
    sleep(Duration::from_secs(u64::from(SECONDS) + 1));
    assert_eq!(ask(&machine, &near), [0, 0]);
    machine.stop();
}

/// IEEE 802.1Q: VLAN 0 is none, the tag sets a priority alone.
#[test]
fn a_server_and_a_router_that_tag_with_a_priority_alone_are_heard() {
    let prefix = "2001:db8:7::".parse().expect("an address");
    let server = Peer::at("10.0.0.3").serving(Service::new(lease(None, 3600))).tagging_priority();
    let receiver = Peer::at("10.0.0.2").tagging_priority();
    let (mac, router) = (receiver.mac, Peer::at("fe80::1:1").tagging_priority());
    let boot = Boot::new("dhcp-priority-tag", "debug netconsole=+@/,@10.0.0.2/");
    let mut machine = boot.peer(server).peer(receiver).start();
    machine.wait_for_text("10.0.0.2:6666", "network logging started");
    machine.send(0, &router.router_advertisement(prefix, 1800));
    machine.send(0, &Peer::at("10.0.0.2").tagging_priority().ping(Nic::mac(0), OWN.into(), b"tagged"));
    machine.wait_for("the answer to a ping", |events| {
        let is_answer = |content: &Content| matches!(content, Content::Icmp { from, .. } if *from == OWN);
        events.sent.iter().filter_map(|sent| sent.good()).any(|frame| is_answer(&frame.content)).then_some(())
    });
    let shown = machine.command("ip");
    assert!(shown.contains("2001:db8:7:0:5054:ff:fe12:3456/64\n    gateway fe80::1:1\n"), "{shown}");
    let capture = machine.stop();
    assert_eq!(routes(&capture, "10.0.0.2:6666"), [(OWN.into(), mac)]);
    assert!(capture.frames().all(|frame| frame.vlan.is_none()));
}
