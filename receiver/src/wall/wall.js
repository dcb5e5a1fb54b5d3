"use strict";
// What comes from machines is only ever put in place as text (textContent): nothing of it becomes markup.

/** Rows that the page keeps of a log. */
const MOST = 20000;
/** The height of a row, as in the style. */
const ROW = 18;
/** Rows drawn beside those that are seen. */
const BESIDE = 10;

const byId = (id) => document.getElementById(id);
const wall = {
    machine: null,
    find: "",
    tiles: new Map(),
    rows: [],
    shown: [],
    paused: false,
    follows: true,
    level: 7,
    search: "",
    mark: null,
    hello: null,
    // Of this connection.
    received: 0,
    lost: 0,
};
let controller = new AbortController();
let isFresh = false;

/** Text that no terminal or reader is deceived by: control characters and marks of direction are shown. */
function harmless(text) {
    return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (character) => {
        const code = character.charCodeAt(0);
        return code < 0x80 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u{" + code.toString(16) + "}";
    });
}

function element(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
}

// ---- The connection

function headers() {
    const token = sessionStorage.getItem("token");
    return token ? { Authorization: "Bearer " + token } : {};
}

/** Asks for something; where the token is wrong, for the token first. */
async function ask(path, options = {}) {
    for (;;) {
        const answer = await fetch(path, { ...options, headers: { ...headers(), ...options.headers }, cache: "no-store" });
        if (answer.status !== 401) return answer;
        await askToken();
    }
}

let tokenAsked = null;
function askToken() {
    tokenAsked ??= new Promise((resolve) => {
        byId("token").hidden = false;
        byId("secret").focus();
        byId("token").onsubmit = (event) => {
            event.preventDefault();
            sessionStorage.setItem("token", byId("secret").value.trim());
            byId("secret").value = "";
            byId("token").hidden = true;
            tokenAsked = null;
            resolve();
        };
    });
    return tokenAsked;
}

/** Follows the events, again and again. */
async function follow() {
    for (;;) {
        controller = new AbortController();
        const mine = controller;
        const query = new URLSearchParams();
        if (wall.find) query.set("find", wall.find);
        if (wall.machine !== null) query.set("machine", wall.machine);
        try {
            const answer = await ask("events?" + query, { signal: mine.signal });
            if (!answer.ok) throw new Error(answer.statusText);
            byId("connection").textContent = "connected";
            await read(answer.body, mine);
        } catch (error) {
            // It is tried again.
        }
        if (!mine.signal.aborted) {
            byId("connection").textContent = "disconnected, trying again";
            await new Promise((resolve) => setTimeout(resolve, 1000));
        }
    }
}

async function read(body, mine) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
        const { done, value } = await reader.read();
        if (done || mine.signal.aborted) return;
        rest += value;
        let from = 0;
        for (let end; (end = rest.indexOf("\n\n", from)) >= 0; from = end + 2) take(rest.slice(from, end));
        rest = rest.slice(from);
    }
}

function take(event) {
    const match = /^event: (\w+)\ndata: /.exec(event);
    if (!match) return;
    const data = JSON.parse(event.slice(match[0].length));
    switch (match[1]) {
        case "hello": hello(data); break;
        case "tiles": tiles(data); break;
        case "gone": data.forEach(remove); break;
        case "summary": summary(data); break;
        case "lines": lines(data); break;
        case "reports": reports(data); break;
    }
}

function hello(data) {
    wall.hello = data;
    isFresh = true;
    Object.assign(wall, { rows: [], shown: [], received: 0, lost: 0, mark: null });
    byId("console").hidden = !data.console;
    byId("reports").replaceChildren();
    changed();
}

function reconnect() {
    controller.abort();
}

// ---- The tiles

function summary(data) {
    const parts = [`${data.machines} machine${data.machines === 1 ? "" : "s"}`];
    for (const state of ["crashed", "rebooted", "booting", "up", "silent"]) {
        if (data[state]) parts.push(`${data[state]} ${state}`);
    }
    if (data.listed < data.machines) parts.push(`${data.listed} listed: those that changed, crashed or are searched for`);
    if (data.lost) parts.push(`${data.lost} records lost here`);
    byId("summary").textContent = parts.join(", ");
    document.title = (data.crashed ? `(${data.crashed}) ` : "") + "netconsole";
}

function tiles(data) {
    if (isFresh) {
        isFresh = false;
        const names = new Set(data.map((tile) => tile.name));
        [...wall.tiles.keys()].filter((name) => !names.has(name)).forEach(remove);
    }
    for (const tile of data) {
        let known = wall.tiles.get(tile.name);
        if (!known) {
            known = makeTile(tile.name);
            wall.tiles.set(tile.name, known);
        }
        known.data = tile;
        showTile(known);
    }
    order();
}

function makeTile(name) {
    const item = document.createElement("li");
    const button = element("button", "tile");
    button.type = "button";
    const parts = { name: element("b", "", harmless(name)), state: element("span", "state"), last: element("span", "last"), counts: element("span", "counts") };
    button.append(parts.name, parts.state, parts.last, parts.counts);
    button.addEventListener("click", () => { location.hash = "#machine=" + encodeURIComponent(name); });
    item.append(button);
    return { item, button, parts, data: null };
}

function showTile({ button, parts, data }) {
    button.dataset.state = data.state;
    button.setAttribute("aria-current", data.name === wall.machine);
    parts.state.textContent = data.state;
    parts.last.textContent = data.last ? harmless(data.last.text) : "";
    const counts = [`${data.rate < 10 ? data.rate : Math.round(data.rate)}/s`, `${data.records} records`];
    if (data.gaps) counts.push(`${data.gaps} gap${data.gaps === 1 ? "" : "s"}, ${data.missing} missing`);
    if (data.skipped) counts.push(`${data.skipped} skipped`);
    if (data.crashes) counts.push(`${data.crashes} crash${data.crashes === 1 ? "" : "es"}`);
    if (data.reboots) counts.push(`${data.reboots} reboot${data.reboots === 1 ? "" : "s"}`);
    parts.counts.textContent = counts.join(" · ");
    if (data.name === wall.machine) {
        byId("state").dataset.state = data.state;
        byId("state").textContent = data.state + (data.address ? ", " + data.address : "");
    }
}

function remove(name) {
    wall.tiles.get(name)?.item.remove();
    wall.tiles.delete(name);
}

/** Newest first by the last change of state, the crashed before all. */
function order() {
    const rank = ({ data }) => (data.state === "crashed" ? 1 : 0);
    const sorted = [...wall.tiles.values()].sort((one, other) =>
        rank(other) - rank(one) || other.data.since - one.data.since || (one.data.name < other.data.name ? -1 : 1));
    const list = byId("machines");
    const focused = document.activeElement;
    sorted.forEach(({ item }, index) => {
        if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    });
    // Who is moved loses it.
    if (focused !== document.activeElement && list.contains(focused)) focused.focus();
}

// ---- The log

/** As the receiver writes it in text. */
function stamp(line) {
    if (line.time || line.host || line.application) {
        const process = line.process ? `[${line.process}]` : "";
        const by = (line.application ?? "") + process;
        return [line.time, line.host, by].filter(Boolean).join(" ") + ": ";
    }
    if (line.timestamp_us === undefined) return "";
    const micros = String(line.timestamp_us).padStart(7, "0");
    return `[${micros.slice(0, -6).padStart(5)}.${micros.slice(-6)}] `;
}

function symbolText({ address, function: name, file, line }) {
    return `…   ${address} ${name ?? "?"}` + (file ? ` at ${file}` + (line ? `:${line}` : "") : "");
}

/** The rows of a line. */
function rowsOf(line) {
    if (line.event !== "record") {
        if (line.notice === undefined) return [];
        const mark = line.event === "rebooted" ? "boot" : line.event === "crash" ? "crash" : null;
        return [{ time: "", text: harmless("… " + line.notice), style: "notice", level: null, mark }];
    }
    const time = harmless(stamp(line));
    const style = line.crash ? "crash" : line.level === undefined ? "" : "l" + line.level;
    const isBoot = line.sequence === 0 || line.text.startsWith("Linux version ");
    const level = line.level ?? null;
    const rows = line.text.split("\n").map((text, index) =>
        ({ time, text: harmless(text), style, level, mark: isBoot && index === 0 ? "boot" : null }));
    if (line.late) rows.unshift({ time: "", text: "… this record came late", style: "notice", level, mark: null });
    for (const symbol of line.symbols ?? []) {
        rows.push({ time: "", text: harmless(symbolText(symbol)), style: "notice", level, mark: null });
    }
    return rows;
}

function lines(data) {
    if (data.lost) {
        wall.lost += data.lost;
        wall.rows.push({ time: "", text: `… ${data.lost} lines are no longer kept`, style: "notice", level: null, mark: null });
    }
    const before = wall.rows.length;
    for (const line of data.lines) {
        for (const row of rowsOf(line)) wall.rows.push(row);
    }
    wall.received += data.lines.length;
    const isCut = wall.rows.length > MOST + MOST / 10;
    if (isCut) wall.rows.splice(0, wall.rows.length - MOST);
    if (wall.paused) {
        tell(`paused, ${wall.received} lines received`);
    } else if (isCut) {
        choose();
    } else {
        for (const row of wall.rows.slice(before - (data.lost ? 1 : 0))) if (isWanted(row)) wall.shown.push(row);
        changed();
    }
}

function isWanted(row) {
    if (row.level !== null && row.level > wall.level) return false;
    return !wall.search || (row.time + row.text).toLowerCase().includes(wall.search);
}

/** Chooses the rows that are shown from all. */
function choose() {
    const view = byId("view");
    const before = wall.shown.length;
    wall.shown = wall.rows.filter(isWanted);
    if (!wall.follows && !wall.search && before > wall.shown.length) view.scrollTop -= (before - wall.shown.length) * ROW;
    changed();
}

let isDue = false;
/** Has the log drawn before the next picture. */
function changed() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
        isDue = false;
        draw();
    });
}

/** Draws the rows that are seen: how many there are costs nothing. */
function draw() {
    const view = byId("view");
    byId("space").style.height = wall.shown.length * ROW + "px";
    if (wall.follows) view.scrollTop = wall.shown.length * ROW;
    const first = Math.max(0, Math.floor(view.scrollTop / ROW) - BESIDE);
    const seen = wall.shown.slice(first, first + Math.ceil(view.clientHeight / ROW) + 2 * BESIDE);
    const rows = byId("rows");
    rows.style.top = first * ROW + "px";
    while (rows.children.length < seen.length) {
        const row = element("div", "row");
        row.append(element("span", "time"), element("span", "text"));
        rows.append(row);
    }
    while (rows.children.length > seen.length) rows.lastChild.remove();
    seen.forEach((row, index) => {
        const place = rows.children[index];
        place.className = `row ${row.style}${row === wall.mark ? " mark" : ""}`;
        place.firstChild.textContent = row.time;
        place.lastChild.textContent = row.text;
    });
}

function toEnd() {
    Object.assign(wall, { follows: true, mark: null });
    changed();
}

function jump(mark) {
    const at = wall.shown.findLastIndex((row) => row.mark === mark);
    if (at < 0) return tell(`no ${mark} in what is shown`);
    Object.assign(wall, { follows: false, mark: wall.shown[at] });
    // The height first, or there is no such place yet.
    draw();
    byId("view").scrollTop = at * ROW;
    changed();
    tell("");
}

function pause(paused) {
    wall.paused = paused;
    byId("pause").setAttribute("aria-pressed", paused);
    byId("pause").textContent = paused ? "Go on" : "Pause";
    tell(paused ? "paused" : "");
    if (!paused) choose();
}

function tell(text) {
    byId("told").textContent = text;
}

// ---- Reports

/** Each folds out; behind its lines are the functions of the addresses in them. */
function reports(data) {
    const folded = new Set([...byId("reports").children].filter((report) => !report.open).map((report) => report.dataset.key));
    byId("reports").replaceChildren(...data.reverse().map(({ report, symbols }, index) => {
        const details = element("details", "");
        details.dataset.key = report.received + report.title;
        details.open = index === 0 && !folded.has(details.dataset.key);
        const body = document.createElement("pre");
        const named = symbols.map((line) => [line.text.split("\n").map(harmless), line.symbols]);
        for (const line of report.report.split("\n").map(harmless)) {
            body.append(line + "\n");
            const at = named.findIndex(([texts]) => texts.some((text) => text && line.endsWith(text)));
            if (at < 0) continue;
            const [[, found]] = named.splice(at, 1);
            for (const symbol of found) body.append(element("span", "symbol", harmless(symbolText(symbol)) + "\n"));
        }
        details.append(element("summary", "", harmless(`${report.kind}: ${report.title}`)), body);
        return details;
    }));
}

// ---- Copies

function textOf(rows) {
    return rows.map((row) => row.time + row.text + "\n").join("");
}

async function copy() {
    const text = textOf(wall.shown);
    try {
        await navigator.clipboard.writeText(text);
    } catch (error) {
        // Without TLS browsers have this way only.
        const area = document.createElement("textarea");
        area.value = text;
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
    }
    tell(`${wall.shown.length} line${wall.shown.length === 1 ? "" : "s"} copied`);
}

async function download(as) {
    const answer = await ask(`log?as=${as === "pcap" ? "pcap" : "json"}&machine=` + encodeURIComponent(wall.machine));
    if (!answer.ok) return tell(await answer.text());
    let content = await answer.blob();
    if (as === "text") {
        const parsed = (await content.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
        content = new Blob([textOf(parsed.flatMap(rowsOf))], { type: "text/plain" });
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = wall.machine.replace(/[^\w.-]/g, "_") + { text: ".log", json: ".jsonl", pcap: ".pcap" }[as];
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    tell(`${content.size} bytes`);
}

async function send(event) {
    event.preventDefault();
    const line = byId("command").value;
    if (!sessionStorage.getItem("token")) await askToken();
    const answer = await ask("console", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ machine: wall.machine, line }),
    });
    if (!answer.ok) return tell((await answer.text()).trim());
    byId("command").value = "";
    tell(`sent: ${harmless(line)}`);
}

// ---- What a person does

/** The machine is in the address, so that going back works. */
function route() {
    const match = /^#machine=(.*)$/.exec(location.hash);
    const before = wall.machine;
    try {
        wall.machine = match ? decodeURIComponent(match[1]) : null;
    } catch (error) {
        wall.machine = null;
    }
    Object.assign(wall, { rows: [], shown: [], paused: false, follows: true, mark: null });
    byId("log").hidden = wall.machine === null;
    document.body.classList.toggle("open", wall.machine !== null);
    byId("name").textContent = harmless(wall.machine ?? "");
    byId("state").textContent = "";
    pause(false);
    if (wall.machine !== null) byId("name").focus();
    else wall.tiles.get(before)?.button.focus();
    wall.tiles.forEach(showTile);
    reconnect();
}

function close() {
    location.hash = "";
}

byId("back").addEventListener("click", close);
byId("pause").addEventListener("click", () => pause(!wall.paused));
byId("end").addEventListener("click", toEnd);
byId("boot").addEventListener("click", () => jump("boot"));
byId("crash").addEventListener("click", () => jump("crash"));
byId("copy").addEventListener("click", copy);
byId("console").addEventListener("submit", send);
byId("level").addEventListener("change", (event) => {
    wall.level = Number(event.target.value);
    choose();
});
byId("search").addEventListener("input", (event) => {
    wall.search = event.target.value.toLowerCase();
    choose();
});
for (const button of document.querySelectorAll(".download")) {
    button.addEventListener("click", () => download(button.dataset.as));
}
let finding = 0;
byId("find").addEventListener("input", (event) => {
    clearTimeout(finding);
    finding = setTimeout(() => {
        wall.find = event.target.value.trim();
        reconnect();
    }, 300);
});
byId("view").addEventListener("scroll", () => {
    const view = byId("view");
    wall.follows = view.scrollTop + view.clientHeight >= view.scrollHeight - ROW;
    changed();
}, { passive: true });
addEventListener("resize", changed);
addEventListener("hashchange", route);
addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape" && wall.machine !== null) return close();
    if (event.target.matches("input, select")) return;
    const isOpen = wall.machine !== null;
    const act = {
        "/": () => byId(isOpen ? "search" : "find").focus(),
        p: () => isOpen && pause(!wall.paused),
        e: () => isOpen && toEnd(),
        b: () => isOpen && jump("boot"),
        c: () => isOpen && jump("crash"),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
});

route();
follow();
