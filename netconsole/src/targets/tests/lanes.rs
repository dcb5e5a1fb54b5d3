//! A target's cards: what nobody was there to hear goes out again, and one card speaks for those on one network.

use super::*;
use crate::format::RingLog;
use crate::nic::fake::Card;
use crate::wire::arp;

const SECOND: u64 = 1_000_000;
const PEER: MacAddr = MacAddr([2, 0, 10, 0, 0, 2]);

/// Two cards and the log; a target that has started on those that it goes by.
struct Bench<'b> {
    ring: &'b Ring<'b>,
    keys: KeyStore,
    cards: [(Card, Stack<'static>, Life); 2],
    target: Target,
    asks_for_given: bool,
    spares_everybody: bool,
}

fn with_bench(config: &str, check: impl FnOnce(&mut Bench<'_>)) {
    with_gateway(config, None, check);
}

fn with_gateway(config: &str, gateway: Option<[u8; 4]>, check: impl FnOnce(&mut Bench<'_>)) {
    let words = |count| -> Vec<AtomicU64> { (0..count).map(|_| AtomicU64::new(0)).collect() };
    let (header, index, data) = (RingHeader::new(), words(1 << 9), words(1 << 12));
    let ring = Ring::new(&header, &index, &data);
    ring.recover(0, Audience::Everybody);
    let addressing = Addressing {
        ipv4: Ipv4Method::Static {
            address: [10, 0, 0, 1].into(),
            prefix: 24,
            gateway: gateway.map(Into::into),
        },
        ipv6: None,
        echo: false,
    };
    let card = || {
        let stack = Stack::new(None, MAC, 1500, None, &addressing, 7, 0);
        (Card::default(), stack, Life::new(MAC))
    };
    let config = crate::settings::parameter::targets(config.as_bytes()).next().expect("one").target;
    let target = Target::new(TargetName::of_command_line(0), config.expect("a target"));
    let keys = KeyStore::new();
    keys.decide(&Secrecy::Clear, || panic!("there is no key"));
    let cards = [card(), card()];
    check(&mut Bench { ring: &ring, keys, cards, target, asks_for_given: false, spares_everybody: false });
}

impl Bench<'_> {
    fn log(&self, records: usize) {
        (0..records).for_each(|_| self.ring.append_str(Level::Info, "test", 0, "text"));
    }

    /// A look at everything, as the kernel takes it; returns how many records each card got.
    fn look(&mut self, now: u64, link: [bool; 2]) -> [usize; 2] {
        let moment = Moment {
            keys: &self.keys,
            ring: self.ring,
            now,
            carrier_timeout: 4 * SECOND,
            asks_for_given: self.asks_for_given,
            spares_everybody: self.spares_everybody,
        };
        for (place, (nic, stack, life)) in self.cards.iter_mut().enumerate() {
            let link_is_up = link[place];
            let name = ["eth0", "eth1"][place];
            let mut interface = Interface { name, nic, stack, life, link_is_up, ipv4_may_come: true };
            self.target.advance(place, Some(&mut interface), &moment);
        }
        let hearing: Hearing = core::array::from_fn(|listener| {
            core::array::from_fn(|speaker| {
                self.cards.get(listener).and_then(|(.., life)| life.hears(speaker))
            })
        });
        self.target.settle_voices(&hearing, now);
        let mut sent = [0; 2];
        for (place, (nic, ..)) in self.cards.iter_mut().enumerate().filter(|(place, _)| link[*place]) {
            nic.sent.clear();
            while ship_at(now, place, &mut self.target, self.ring, nic) != Shipped::Everything {}
            sent[place] = nic.sent.iter().filter(|frame| udp::parse(frame).is_some()).count();
            self.target.was_taken(place);
            self.target.confirm(place);
        }
        sent
    }

    fn hear(&mut self, card: usize, source: MacAddr, now: u64) {
        let mut frame = vec![0; 60];
        arp::Packet::announcement(source, [10, 0, 0, 2].into()).write(None, &mut frame).expect("room");
        let (nic, stack, life) = &mut self.cards[card];
        if life.see(&frame, now) {
            nic.arriving.push_back(frame);
            stack.poll(nic, now, &mut |_| {});
        }
    }
}

fn ship_at(now: u64, card: usize, target: &mut Target, ring: &Ring<'_>, nic: &mut Card) -> Shipped {
    let keys = KeyStore::new();
    let sealing = Sealing { protection: &Protection::Clear, numbers: Numbers::Counted(&keys) };
    let timebase = &Timebase::new(0);
    let mut turn =
        Turn { log: RingLog::new(ring, timebase), common: &COMMON, sealing, now, frames: 32, recent: None };
    target.ship(card, &mut turn, b"", nic)
}

const FIRST: [bool; 2] = [true, false];

#[test]
fn a_broadcast_goes_out_again_where_it_went_into_the_void() {
    // Until the first frame of another station, and how many records go out then.
    for (heard_at, again) in [(2, 0), (6, 0), (7, 5), (36, 5)] {
        with_bench("@10.0.0.1/,@/", |bench| {
            bench.target.enable(0);
            bench.target.go_by(0, None);
            bench.log(5);
            assert_eq!(bench.look(SECOND, FIRST), [5, 0]);
            bench.hear(0, PEER, heard_at * SECOND);
            assert_eq!(bench.look(heard_at * SECOND, FIRST), [again, 0], "{heard_at}");
            bench.hear(0, PEER, 100 * SECOND);
            assert_eq!(bench.look(100 * SECOND, FIRST), [0, 0], "once");
            // After the link was away, what was sent since then is in question, and no more.
            bench.target.lose_link(0);
            bench.cards[0].2.forget();
            bench.log(2);
            assert_eq!(bench.look(110 * SECOND, FIRST), [2, 0]);
            bench.hear(0, PEER, 150 * SECOND);
            assert_eq!(bench.look(150 * SECOND, FIRST), [2, 0]);
            assert_eq!(bench.target.counters().repeated, 2 + again as u64);
        });
    }
}

#[test]
fn who_answers_late_gets_the_log_from_record_0() {
    with_bench("@10.0.0.1/,@10.0.0.2/", |bench| {
        bench.target.enable(0);
        bench.target.go_by(0, None);
        bench.log(5);
        assert_eq!(bench.look(0, FIRST), [0, 0], "it asks first");
        assert_eq!(bench.look(2 * SECOND, FIRST), [5, 0]);
        assert!(
            udp::parse(&bench.cards[0].0.sent[0])
                .is_some_and(|sent| sent.destination.mac == MacAddr::BROADCAST)
        );
        // Another station's frame has it asked at once, and is no answer.
        bench.hear(0, MacAddr([2, 0, 10, 0, 0, 9]), 33 * SECOND);
        bench.cards[0].1.forget([10, 0, 0, 2].into(), 33 * SECOND);
        assert_eq!(bench.look(33 * SECOND, FIRST), [0, 0]);
        bench.hear(0, PEER, 34 * SECOND);
        assert_eq!(bench.look(34 * SECOND, FIRST), [5, 0]);
        let frames = &bench.cards[0].0.sent;
        assert!(frames.iter().filter_map(|frame| udp::parse(frame)).all(|sent| sent.destination.mac == PEER));
        assert_eq!(bench.look(35 * SECOND, FIRST), [0, 0]);
    });
}

/// What the ring has lost meanwhile can't go out again.
#[test]
fn it_begins_with_the_oldest_record_there_is() {
    with_bench("+@10.0.0.1/,@/", |bench| {
        bench.target.enable(0);
        bench.target.go_by(0, None);
        for _ in 0..20 {
            bench.log(100);
            bench.look(SECOND, FIRST);
        }
        assert!(bench.ring.first() > 0);
        bench.hear(0, PEER, 40 * SECOND);
        let [again, _] = bench.look(40 * SECOND, FIRST);
        assert_eq!(again as u64, bench.ring.end() - bench.ring.first());
        assert_eq!(bench.target.counters().lost, 0);
    });
}

#[test]
fn of_two_cards_on_one_network_one_speaks_and_the_other_follows() {
    const BOTH: [bool; 2] = [true; 2];
    const MACS: [MacAddr; 2] = [MAC, MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x57])];
    with_bench("@10.0.0.1/,@/", |bench| {
        bench.cards[1].2 = Life::new(MACS[1]);
        for (_, _, life) in &mut bench.cards {
            life.know_siblings([Some(MACS[0]), Some(MACS[1]), None, None]);
        }
        let mut cards = CardSet::NONE;
        (0..2).for_each(|place| cards.insert(place));
        bench.target.enable(0);
        bench.target.go_everywhere(cards, 0);
        bench.log(5);
        assert_eq!(bench.look(SECOND, BOTH), [5, 0], "the second listens first");
        bench.hear(1, MACS[0], SECOND);
        assert_eq!(bench.look(3 * SECOND, BOTH), [0, 0]);
        bench.log(2);
        assert_eq!(bench.look(4 * SECOND, BOTH), [2, 0]);
        assert_eq!((bench.target.taken(), bench.target.is_sending(1, 7)), (7, false));
        // The first one's link goes: the other goes on where it was.
        bench.target.lose_link(0);
        for (_, _, life) in &mut bench.cards {
            life.forget_sibling(0);
        }
        bench.log(1);
        assert_eq!(bench.look(5 * SECOND, [false, true]), [0, 1]);
        // When it is back it listens first, and then relieves the other without a gap and without a repetition.
        bench.hear(0, MACS[1], 6 * SECOND);
        bench.hear(1, MACS[0], 6 * SECOND);
        bench.log(1);
        assert_eq!(bench.look(6 * SECOND, BOTH), [0, 1]);
        bench.log(1);
        assert_eq!(bench.look(8 * SECOND, BOTH), [1, 0]);
    });
    // On two networks each card sends all of it.
    with_bench("@10.0.0.1/,@/", |bench| {
        let mut cards = CardSet::NONE;
        (0..2).for_each(|place| cards.insert(place));
        bench.target.enable(0);
        bench.target.go_everywhere(cards, 0);
        bench.log(5);
        assert_eq!(bench.look(SECOND, BOTH), [5, 0]);
        assert!(bench.target.is_sending(1, 5));
        assert_eq!(bench.look(3 * SECOND, BOTH), [0, 5]);
        assert_eq!(bench.target.counters().records, 10);
    });
}

const GIVEN: MacAddr = MacAddr([2, 0, 0, 0, 0, 99]);

/// To whom the first card's datagrams went in the last look.
fn receivers(bench: &Bench<'_>) -> Vec<MacAddr> {
    let sent = bench.cards[0].0.sent.iter().filter_map(|frame| udp::parse(frame));
    sent.map(|sent| sent.destination.mac).collect()
}

/// What the crash kernel of a Linux does with the address that it was given before the crash.
#[test]
fn a_given_address_is_used_at_once_and_asked_for() {
    let given = GIVEN;
    // Who answers, and after how long; how many records go out then, and to whom.
    for (answer, at, again) in [(given, SECOND / 2, 0), (PEER, SECOND / 2, 5), (PEER, 36 * SECOND, 5)] {
        with_bench("@10.0.0.1/,@10.0.0.2/02:00:00:00:00:63", |bench| {
            bench.asks_for_given = true;
            bench.target.enable(0);
            bench.target.go_by(0, None);
            bench.log(5);
            assert_eq!(bench.look(0, FIRST), [5, 0], "at once");
            assert_eq!(receivers(bench), [given; 5]);
            assert_eq!(bench.target.reception(), Reception::Unheard);
            if at > SECOND {
                assert_eq!(bench.look(2 * SECOND, FIRST), [10, 0], "nobody has answered");
                assert_eq!(receivers(bench), [given, MacAddr::BROADCAST].repeat(5), "it may be right");
                assert_eq!(bench.look(3 * SECOND, FIRST), [0, 0], "once");
                assert_eq!(bench.target.reception(), Reception::Unheard);
            }
            bench.hear(0, answer, at);
            assert_eq!(bench.look(at, FIRST), [again, 0]);
            assert_eq!(receivers(bench), vec![answer; again]);
            assert_eq!(bench.target.reception(), Reception::Heard);
            bench.log(1);
            assert_eq!(bench.look(at + 1, FIRST), [1, 0]);
            assert_eq!(receivers(bench), [answer]);
        });
    }
    with_bench("@10.0.0.1/,@10.0.0.2/02:00:00:00:00:63", |bench| {
        bench.target.enable(0);
        bench.target.go_by(0, None);
        bench.log(5);
        assert_eq!(bench.look(0, FIRST), [5, 0]);
        assert_eq!(bench.look(2 * SECOND, FIRST), [0, 0], "elsewhere nobody is asked");
    });
}

/// The given address is that of a router, which forwards no broadcast and of which this machine knows nothing.
#[test]
fn without_a_router_a_target_elsewhere_keeps_the_given_address() {
    with_bench("@10.0.0.1/,@10.9.9.9/02:00:00:00:00:63", |bench| {
        bench.asks_for_given = true;
        bench.target.enable(0);
        bench.target.go_by(0, None);
        let mut sent = 0;
        for second in 0..70 {
            bench.log(2);
            let [records, _] = bench.look(second * SECOND, FIRST);
            assert_eq!(receivers(bench), vec![GIVEN; records], "{second} s");
            assert!(bench.cards[0].0.sent.iter().all(|frame| udp::parse(frame).is_some()), "nobody is asked");
            sent += records;
        }
        assert_eq!((sent, bench.target.counters().repeated), (140, 0));
    });
}

/// Where a router is known, but does not answer or is another one, each record goes to the given address all the same.
#[test]
fn behind_a_router_each_record_goes_to_the_given_address() {
    const FAR: &str = "@10.0.0.1/,@10.9.9.9/02:00:00:00:00:63";
    for answers in [false, true] {
        with_gateway(FAR, Some([10, 0, 0, 2]), |bench| {
            bench.asks_for_given = true;
            bench.target.enable(0);
            bench.target.go_by(0, None);
            bench.log(5);
            assert_eq!(bench.look(0, FIRST), [5, 0], "at once");
            assert_eq!(receivers(bench), [GIVEN; 5]);
            if answers {
                bench.hear(0, PEER, SECOND);
            }
            let other = if answers { PEER } else { MacAddr::BROADCAST };
            assert_eq!(bench.look(2 * SECOND, FIRST), [10, 0]);
            assert_eq!(receivers(bench), [GIVEN, other].repeat(5), "again");
            bench.log(3);
            // A card without room in between neither repeats nor leaves out a frame.
            let mut all = Vec::new();
            for _ in 0..6 {
                let (nic, ..) = &mut bench.cards[0];
                nic.sent.clear();
                nic.room = 1;
                ship_at(3 * SECOND, 0, &mut bench.target, bench.ring, nic);
                all.extend(receivers(bench));
            }
            assert_eq!(all, [GIVEN, other].repeat(3));
            assert_eq!(bench.look(4 * SECOND, FIRST), [0, 0]);
        });
    }
}

/// The log of a Linux goes to whom the command line names alone (`linux.broadcast=0`).
#[test]
fn where_everybody_is_spared_who_does_not_answer_is_waited_for() {
    let common = Common { spares_everybody: true, ..COMMON };
    with_bench("@10.0.0.1/,@10.0.0.2/", |bench| {
        (bench.asks_for_given, bench.spares_everybody) = (true, true);
        bench.target.enable(0);
        bench.target.go_by(0, None);
        bench.log(5);
        for second in 0..70 {
            assert_eq!(bench.look(second * SECOND, FIRST), [0, 0], "{second} s");
        }
        assert_eq!(bench.target.state(), "waiting for the remote ethernet address");
        assert!(bench.target.plan(0, &|_| None, &common).is_none(), "nor in a panic");
        bench.hear(0, PEER, 70 * SECOND);
        assert_eq!(bench.look(70 * SECOND, FIRST), [5, 0]);
        assert_eq!(receivers(bench), [PEER; 5]);
        assert!(bench.target.plan(0, &|_| None, &common).is_some_and(|plan| plan.destination.mac == PEER));
    });
    with_bench("@10.0.0.1/,@10.0.0.2/02:00:00:00:00:63", |bench| {
        (bench.asks_for_given, bench.spares_everybody) = (true, true);
        bench.target.enable(0);
        bench.target.go_by(0, None);
        bench.log(5);
        assert_eq!(bench.look(0, FIRST), [5, 0]);
        for second in 1..70 {
            bench.log(1);
            assert_eq!(bench.look(second * SECOND, FIRST), [1, 0], "{second} s");
            assert_eq!(receivers(bench), [GIVEN], "{second} s");
        }
        assert_eq!(bench.target.reception(), Reception::Unheard);
        bench.hear(0, PEER, 70 * SECOND);
        assert_eq!(bench.look(70 * SECOND, FIRST), [74, 0]);
        assert_eq!(receivers(bench), [PEER; 74]);
    });
}

#[test]
fn where_everybody_is_spared_no_group_is_a_receiver() {
    for config in
        ["@10.0.0.1/,@10.0.0.255/", "@10.0.0.1/,@10.0.0.2/01:00:5e:00:00:01", "@10.0.0.1/,@239.1.1.1/"]
    {
        for spares_everybody in [false, true] {
            with_bench(config, |bench| {
                (bench.asks_for_given, bench.spares_everybody) = (true, spares_everybody);
                bench.target.enable(0);
                bench.target.go_by(0, None);
                bench.log(5);
                let sent = if spares_everybody { 0 } else { 5 };
                assert_eq!(bench.look(0, FIRST), [sent, 0], "{config}");
                let state = if spares_everybody { "failed" } else { "started" };
                assert_eq!(bench.target.state(), state, "{config}");
            });
        }
    }
}
