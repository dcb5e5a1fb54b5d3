//! A Chromium without a screen, driven through a pipe by its DevTools protocol: messages of JSON, each with a zero byte
//! behind it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing here takes longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// A browser with one page.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    number: u64,
    /// What the page complained of.
    pub complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts it, and opens an empty page.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let program = ["/usr/lib/chromium/chromium-headless-shell", "/usr/bin/chromium"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("scripts/setup chromium installs a browser");
        // The pipe is to be its files 3 and 4.
        let mut child = Command::new("/bin/sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh", program])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args(["--remote-debugging-pipe", "--window-size=1200,800"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for message in output.split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).expect("JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let (session, complaints) = (String::new(), Vec::new());
        let mut browser =
            Browser { child, input, messages, session, number: 0, complaints, _profile: profile };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let id = target["targetId"].clone();
        let attached = browser.ask("Target.attachToTarget", json!({"targetId": id, "flatten": true}));
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Has something done.
    pub fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.input.write_all(format!("{message}\0").as_bytes()).expect("it reads");
        loop {
            let mut answer = self.messages.recv_timeout(PATIENCE).expect("it answers");
            match answer["method"].as_str() {
                Some("Runtime.exceptionThrown") => self.complaints.push(answer["params"].to_string()),
                Some("Log.entryAdded") if answer["params"]["entry"]["level"] == "error" => {
                    self.complaints.push(answer["params"]["entry"].to_string());
                }
                _ => {}
            }
            if answer["id"] == self.number {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].take();
            }
        }
    }

    /// Opens an address.
    pub fn open(&mut self, url: &str) {
        self.ask("Page.navigate", json!({"url": url}));
        self.until("document.readyState === 'complete' && typeof wall === 'object'");
    }

    /// The value of an expression of the page's script.
    pub fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.ask("Runtime.evaluate", parameters);
        assert_eq!(result["exceptionDetails"], Value::Null, "{expression}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn until(&mut self, expression: &str) {
        let deadline = std::time::Instant::now() + PATIENCE;
        // While a page is being left there is nobody to ask.
        let look =
            format!("(() => {{ try {{ return !!({expression}) }} catch (error) {{ return false }} }})()");
        while self.value(&look) != true {
            if std::time::Instant::now() > deadline {
                let page = self.value("document.body.innerText");
                panic!("it never was so: {expression}\n{:?}\n{page}", self.complaints);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            _ => u32::from(key.to_ascii_uppercase().bytes().next().expect("a key")),
        };
        let text = match key {
            "Enter" => "\r",
            "Tab" | "Escape" => "",
            _ => key,
        };
        let mut event = json!({"key": key, "windowsVirtualKeyCode": code, "text": text});
        for kind in ["keyDown", "keyUp"] {
            event["type"] = kind.into();
            self.ask("Input.dispatchKeyEvent", event.clone());
        }
    }

    /// Types a text where the focus is.
    pub fn type_in(&mut self, text: &str) {
        self.ask("Input.insertText", json!({"text": text}));
    }

    /// The window's size; as a phone's.
    pub fn size(&mut self, width: u32, height: u32) {
        let parameters =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.ask("Emulation.setDeviceMetricsOverride", parameters);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
