//! The wall in a browser: `scripts/test wall` installs Chromium and runs these.

mod chromium;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::model;
use crate::serving::Serving;
use chromium::Browser;

const OOPS: &str = include_str!("../../crashes/oops-x86.log");

/// Sends a log of receiver/tests/crashes, where each line has its level first.
fn send_log(socket: &UdpSocket, from: u64, log: &str) {
    let lines = log.lines().filter(|line| !line.starts_with('#'));
    for (line, sequence) in lines.zip(from..) {
        let (level, text) = line.split_at(2);
        let (time, text) =
            text.trim_start().strip_prefix('[').expect("a time").split_once("] ").expect("its end");
        let micros: u64 = time.trim().replace('.', "").parse().expect("a number");
        let level = level.trim().parse().unwrap_or(6);
        socket.send(format!("{level},{sequence},{micros},-;{text}\n").as_bytes()).expect("loopback");
    }
}

/// A page that shows the wall.
fn page(serving: &Serving) -> Browser {
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", serving.place));
    browser.until("byId('connection').textContent === 'connected'");
    browser
}

/// Nothing that the page was told made it run or load something, or fail.
#[track_caller]
fn nothing_was_wrong(browser: &Browser) {
    let complaints: Vec<_> = browser.complaints.iter().filter(|text| !text.contains("favicon.ico")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
#[ignore = "needs Chromium: scripts/test wall"]
fn a_crash_appears_without_a_reload() {
    let dir = tempfile::tempdir().expect("a directory");
    let map = dir.path().join("System.map");
    fs::write(
        &map,
        "ffffffff81000000 T _stext\nffffffff81001200 t some_driver_irq\nffffffff82000000 T _etext\n",
    )
    .expect("a file");
    let map = map.to_str().expect("a plain path");
    let serving = Serving::start(&["--name", "127.0.0.1=board7", "--system-map", map]);
    let mut browser = page(&serving);
    browser.value("window.stays = 1");
    let socket = serving.receiver.socket();
    socket.send(&model::datagram(0, "Linux version 6.12.0")).expect("loopback");
    browser.until("wall.tiles.get('board7')?.data.state === 'booting'");
    socket.send(b"6,1,1000000,-;Run /sbin/init as init process\n").expect("loopback");
    browser.until("wall.tiles.get('board7').data.state === 'up'");
    browser.value("document.querySelector('.tile').click()");
    browser.until("wall.shown.length === 2");
    send_log(&socket, 2, OOPS);
    browser.until("document.querySelector('.tile').dataset.state === 'crashed'");
    browser.until("byId('summary').textContent === '1 machine, 1 crashed'");
    // The same with an address that the map has.
    let end = OOPS.lines().count() as u64 + 2;
    for (sequence, text) in
        [(end, "Kernel panic - not syncing: Fatal exception"), (end + 1, " [<ffffffff81001234>] 0x0")]
    {
        socket.send(format!("0,{sequence},13000000,-;{text}\n").as_bytes()).expect("loopback");
    }
    browser.until("document.querySelectorAll('#reports details').length > 0");
    browser.until(
        "document.querySelector('#reports pre').textContent.includes('BUG: kernel NULL pointer dereference')",
    );
    browser.until("document.querySelector('#reports details').open");
    browser.until(
        "[...document.querySelectorAll('#reports .symbol')].some((symbol) => symbol.textContent.includes('some_driver_irq+0x34'))",
    );
    // To the crash in the log, and to the boot.
    browser.until("byId('view').scrollTop > 0");
    browser.value("byId('boot').click()");
    browser.until("document.querySelector('.mark')?.textContent.includes('Linux version 6.12.0')");
    browser.value("byId('crash').click()");
    browser.until("document.querySelector('.mark')?.textContent.startsWith('… crash report from ')");
    // It is started again.
    socket.send(b"6,0,5,-;Linux version 6.12.0\n6,1,6,-;x\n").expect("loopback");
    socket.send(b"6,1,6,-;x\n").expect("loopback");
    browser.until("document.querySelector('.tile').dataset.state === 'rebooted'");
    assert_eq!(browser.value("window.stays"), 1);
    nothing_was_wrong(&browser);
}

/// What a machine says and how it is called is text, and nothing else.
#[test]
#[ignore = "needs Chromium: scripts/test wall"]
fn what_looks_like_markup_stays_text() {
    const TEXT: &str = "<script>window.evil=1</script><img src=x onerror=window.evil=1>";
    let serving = Serving::start(&["--name", "127.0.0.1=<img src=x onerror=window.evil=1>"]);
    let mut browser = page(&serving);
    let own = browser.value("document.querySelectorAll('script, img, iframe, b').length");
    let socket = serving.receiver.socket();
    socket.send(format!("4,0,1,-;{TEXT} \\x1b[31mred\\x1b[0m \u{202e}evil\n").as_bytes()).expect("loopback");
    socket.send(format!("0,1,2,-;Kernel panic - not syncing: {TEXT}\n").as_bytes()).expect("loopback");
    browser.until("wall.tiles.size === 1");
    browser.value("document.querySelector('.tile').click()");
    browser.until("wall.shown.length >= 3 && document.querySelectorAll('#reports details').length === 1");
    let shown = browser.value("document.querySelector('.row.l4 .text').textContent");
    assert_eq!(shown, format!("{TEXT} \\x1b[31mred\\x1b[0m \\u{{202e}}evil"));
    let markup = browser.value("document.querySelectorAll('script, img, iframe, b').length");
    assert_eq!(markup.as_u64(), own.as_u64().map(|own| own + 1), "the tile's own name alone");
    assert_eq!(browser.value("window.evil ?? null"), serde_json::Value::Null);
    assert!(
        browser
            .value("document.querySelector('#reports summary').textContent")
            .as_str()
            .expect("text")
            .contains(TEXT)
    );
    assert!(
        browser
            .value("document.querySelector('.tile b').textContent")
            .as_str()
            .expect("text")
            .contains("<img src=x onerror")
    );
    nothing_was_wrong(&browser);
}

/// Crashed machines are the first, then whose state changed last; a log is limited by level, and what is shown is copied.
#[test]
#[ignore = "needs Chromium: scripts/test wall"]
fn tiles_are_in_order_and_a_log_is_limited_and_copied() {
    let names = ["127.0.3.1=first", "127.0.3.2=second", "127.0.3.3=third"];
    let serving = Serving::start(&names.map(|name| ["--name", name]).concat());
    let mut browser = page(&serving);
    let machines = [1, 2, 3].map(|last| {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 3, last], 0))).expect("loopback");
        socket.connect(("127.0.0.1", serving.receiver.port)).expect("loopback");
        socket
    });
    let names = "[...document.querySelectorAll('.tile b')].map((name) => name.textContent).join(' ')";
    let mut shows = |socket: &UdpSocket, record: &str, expected: &str| {
        socket.send(record.as_bytes()).expect("loopback");
        browser.until(&format!("{names} === '{expected}'"));
    };
    let [first, second, third] = &machines;
    shows(third, "0,0,1,-;Kernel panic - not syncing: test\n", "third");
    shows(first, "6,0,2,-;Linux version 6.12.0\n", "third first");
    shows(second, "6,0,3,-;Linux version 6.12.0\n", "third second first");
    shows(first, "6,1,1000000,-;Run /sbin/init as init process\n", "third first second");
    first.send(b"3,2,1000001,-;an error\n").expect("loopback");
    browser.value("location.hash = '#machine=first'");
    browser.until("wall.shown.length === 3");
    browser.value("byId('level').value = '3'; byId('level').dispatchEvent(new Event('change'))");
    browser.until("wall.shown.length === 1 && byId('rows').children.length === 1");
    browser.value(
        "navigator.clipboard.writeText = async (text) => { window.copied = text }; byId('copy').click()",
    );
    browser.until("window.copied === '[    1.000001] an error\\n'");
    browser.until("byId('told').textContent === '1 line copied'");
    nothing_was_wrong(&browser);
}

/// Each record of all is counted, each line of the log that is looked at came, and the page holds no more than it draws.
#[test]
#[ignore = "needs Chromium: scripts/test wall"]
fn a_hundred_machines_at_fifty_lines_a_second_stay_smooth() {
    const SECONDS: u64 = 6;
    let serving = Serving::start(&[]);
    let mut browser = page(&serving);
    let machines: Vec<UdpSocket> = (1..=100u8)
        .map(|last| {
            let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 1, last], 0)))
                .expect("all of 127.0.0.0/8 is loopback");
            socket.connect(("127.0.0.1", serving.receiver.port)).expect("loopback");
            socket
        })
        .collect();
    machines.iter().for_each(|socket| drop(socket.send(&model::datagram(0, "first"))));
    browser.until("wall.tiles.size === 100");
    browser.value("location.hash = '#machine=127.0.1.7'");
    browser.until("wall.received === 1");
    let start = Instant::now();
    for sequence in 1..=50 * SECONDS {
        for socket in &machines {
            socket.send(&model::datagram(sequence, &model::text(sequence))).expect("loopback");
        }
        thread::sleep(
            (start + Duration::from_millis(20 * sequence)).saturating_duration_since(Instant::now()),
        );
    }
    browser.until("[...wall.tiles.values()].every(({data}) => data.records === 301)");
    browser.until("wall.received === 301");
    assert_eq!(browser.value("[wall.lost, wall.tiles.size]"), json!([0, 100]));
    browser.until("byId('rows').lastChild.textContent.includes('flood message 00000300 ')");
    // One machine says 20,000 lines as fast as it can: the page shows the last of them.
    for sequence in 301..20_301 {
        machines[6].send(&model::datagram(sequence, &model::text(sequence))).expect("loopback");
        if sequence % 50 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    browser.until("wall.tiles.get('127.0.1.7').data.records === 20301");
    browser.until("wall.received + wall.lost === 20301");
    browser.until("byId('rows').lastChild.textContent.includes('flood message 00020300 ')");
    let held = browser.value("[wall.rows.length <= 22000, byId('rows').children.length < 200]");
    assert_eq!(held, json!([true, true]));
    let metrics = serving.get("/metrics").body;
    assert!(metrics.contains("netconsole_output_lost_records_total{output=\"the wall\"} 0\n"), "{metrics}");
    nothing_was_wrong(&browser);
}

/// On a phone nothing is wider than the screen; the log takes it all, and back leads to the machines.
#[test]
#[ignore = "needs Chromium: scripts/test wall"]
fn it_fits_on_a_phone_and_needs_no_mouse() {
    let serving =
        Serving::start(&["--name", "127.0.0.1=a-board-with-a-name-that-is-longer-than-a-phone-is-wide"]);
    let mut browser = page(&serving);
    browser.size(360, 640);
    let socket = serving.receiver.socket();
    for sequence in 0..100 {
        socket.send(&model::datagram(sequence, &"long ".repeat(60))).expect("loopback");
    }
    socket.send(b"0,100,1001,-;Kernel panic - not syncing: test\n").expect("loopback");
    browser.until("wall.tiles.size === 1 && document.querySelector('.tile').dataset.state === 'crashed'");
    let fits = "document.documentElement.scrollWidth <= 360 && [...document.querySelectorAll('button, input, select')]\
         .filter((part) => part.offsetParent).every((part) => part.getBoundingClientRect().right <= 360)";
    assert_eq!(browser.value(fits), true);
    // By keys alone: to the tile, into its log, to the crash, pause, search, back to the tile.
    for _ in 0..10 {
        browser.press("Tab");
        if browser.value("document.activeElement.className === 'tile'") == true {
            break;
        }
    }
    assert_eq!(browser.value("document.activeElement.className"), "tile");
    browser.press("Enter");
    browser.until("wall.shown.length >= 102 && document.activeElement.id === 'name'");
    browser.until("document.querySelectorAll('#reports details').length === 1");
    assert_eq!(browser.value("getComputedStyle(byId('machines')).display"), "none");
    assert_eq!(browser.value(fits), true);
    browser.press("c");
    browser.until("document.querySelector('.mark')?.textContent.startsWith('… crash report from a-board-')");
    browser.press("p");
    browser.until("wall.paused && byId('pause').getAttribute('aria-pressed') === 'true'");
    browser.press("p");
    browser.until("!wall.paused");
    browser.press("/");
    browser.until("document.activeElement.id === 'search'");
    browser.type_in("PANIC");
    browser.until("wall.shown.length === 1");
    browser.press("Escape");
    browser.until("document.activeElement.className === 'tile' && byId('log').hidden");
    assert_eq!(browser.value("location.hash"), "");
    nothing_was_wrong(&browser);
}

/// On another address than loopback the page asks for the token, which is in no URL; with it a console takes lines.
#[test]
#[ignore = "needs Chromium: scripts/test wall"]
fn with_the_token_a_console_takes_lines() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    fs::write(&file, "0123456789abcdef").expect("a file");
    let file = file.to_str().expect("a plain path");
    let serving = Serving::start_at("0.0.0.0:0", &["--http-token-file", file, "--http-console", "--no-ncrx"]);
    let socket = serving.receiver.socket();
    socket.send(&model::datagram(0, "first")).expect("loopback");
    let mut browser = Browser::start();
    browser.open(&format!("http://127.0.0.1:{}/", serving.port()));
    browser.until("!byId('token').hidden && document.activeElement.id === 'secret'");
    browser.type_in("a-wrong-token-of-some-length");
    browser.press("Enter");
    browser.until("!byId('token').hidden && byId('secret').value === ''");
    assert_eq!(browser.value("wall.tiles.size"), 0);
    browser.type_in("0123456789abcdef");
    browser.press("Enter");
    browser.until("wall.tiles.size === 1");
    browser.value("document.querySelector('.tile').click()");
    browser.until("wall.shown.length === 1 && !byId('console').hidden");
    browser.value("byId('command').focus()");
    browser.type_in("uptime");
    browser.press("Enter");
    let mut line = [0; 100];
    let length = socket.recv(&mut line).expect("a line");
    assert_eq!(&line[..length], b"uptime");
    socket.send(b"up 0:00:03\nnetconsole# ").expect("loopback");
    browser.until("wall.shown.some((row) => row.text === 'up 0:00:03')");
    browser.until("byId('told').textContent === 'sent: uptime' && byId('command').value === ''");
    assert_eq!(browser.value("wall.shown.some((row) => row.text.includes('netconsole#'))"), false);
    let urls = browser.value("performance.getEntries().map((entry) => entry.name).join(' ') + location.href");
    assert!(!urls.as_str().expect("text").contains("0123456789abcdef"), "{urls}");
    // Downloads are made of what the receiver keeps.
    browser.value("window.made = []; URL.createObjectURL = (blob) => { made.push(blob); return 'blob:x' }; HTMLAnchorElement.prototype.click = () => {}");
    for (as_what, contains) in
        [("text", "[    0.000000] first"), ("json", "{\"event\":\"record\""), ("pcap", "first")]
    {
        let text = format!("made.length = 0, download('{as_what}').then(() => made[0].text())");
        let text = browser.value(&text);
        assert!(text.as_str().expect("text").contains(contains), "{as_what}: {text}");
    }
}

/// The picture of doc/receiver.md and README.md: `scripts/record-wall`.
#[test]
#[ignore = "makes a picture: scripts/record-wall"]
fn picture() {
    use std::process::Command;
    let Some(to) = std::env::var_os("WALL_PICTURE") else { return };
    let names = ["board7", "board8", "db1", "gateway", "node3", "rack4-12", "web1", "web2"];
    let named: Vec<String> = names
        .iter()
        .zip(1..)
        .flat_map(|(name, last)| ["--name".to_owned(), format!("127.0.2.{last}={name}")])
        .collect();
    let serving = Serving::start(&named.iter().map(String::as_str).collect::<Vec<_>>());
    let mut browser = page(&serving);
    browser.size(1200, 720);
    let machine = |last: u8| {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 2, last], 0))).expect("loopback");
        socket.connect(("127.0.0.1", serving.receiver.port)).expect("loopback");
        socket
    };
    let boot = fs::read_to_string(crate::run::capture("linux-6.12-basic.txt")).expect("a log");
    // It ends in a panic.
    let boot = boot.lines().filter(|line| line.contains("] "));
    let boot: Vec<&str> =
        boot.take_while(|line| !line.contains("sysrq") && !line.contains("Kernel panic")).collect();
    let say = |last: u8, lines: usize| {
        let socket = machine(last);
        for (sequence, line) in boot.iter().take(lines).enumerate() {
            let (time, text) = line.trim_start_matches('[').split_once("] ").expect("a time");
            let micros: u64 = time.trim().replace('.', "").parse().expect("a number");
            // The same at once would be one machine by two ways.
            let micros = micros + u64::from(last) * 7919;
            socket.send(format!("6,{sequence},{micros},-;{text}\n").as_bytes()).expect("loopback");
            if sequence % 50 == 0 {
                thread::sleep(Duration::from_millis(5));
            }
        }
        socket
    };
    for last in 2..=8 {
        let socket = say(last, if last == 4 { 90 } else { boot.len() });
        if last != 4 {
            let sequence = boot.len() as u64 + u64::from(last == 7) * 12;
            let record = format!(
                "6,{sequence},93000000,-;e1000 0000:00:03.0 eth0: NIC Link is Up 1000 Mbps Full Duplex\n"
            );
            socket.send(record.as_bytes()).expect("loopback");
        }
    }
    let socket = say(1, boot.len());
    send_log(&socket, boot.len() as u64, OOPS);
    browser.until("wall.tiles.size === 8 && wall.tiles.get('board7').data.state === 'crashed'");
    browser.value("location.hash = '#machine=board7'");
    browser.until("document.querySelectorAll('#reports details').length === 1");
    browser.until("byId('rows').children.length > 10 && wall.tiles.get('board7').data.rate === 0");
    let picture = browser.ask("Page.captureScreenshot", json!({"format": "webp", "quality": 70}));
    let picture = picture["data"].as_str().expect("text").to_owned();
    let base64 = tempfile::NamedTempFile::new().expect("a file");
    fs::write(base64.path(), picture).expect("a file");
    let decoded = Command::new("base64").arg("-d").arg(base64.path()).output().expect("coreutils");
    fs::write(to, decoded.stdout).expect("the picture");
}
