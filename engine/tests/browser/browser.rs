//! A headless Chromium, driven over WebDriver: a few requests of JSON to a chromedriver of the test's own.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use sparr_protocol::testing::skipped;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a test waits for what must come, in steps of 50 ms.
const STEPS: u32 = 1_200;

/// See the module. The browser ends with it.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser; `None` where there is none.
    pub(crate) fn start() -> Option<Self> {
        let driver =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut driver) = driver else {
            skipped("no chromedriver on the path", "what operators see");
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port = loop {
            let line = lines.next().expect("chromedriver says its port").expect("text");
            // The first line names the port that was asked for: any.
            let said = line
                .contains("successfully")
                .then(|| line.trim_end_matches('.').rsplit(' ').next())
                .flatten();
            if let Some(port) = said.and_then(|text| text.parse().ok()) {
                break port;
            }
        };
        // It must not wait for somebody to read on.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().expect("folder");
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let mut arguments = vec![format!("--user-data-dir={}", browser._profile.path().display())];
        for argument in [
            "headless",
            "no-sandbox",
            "disable-gpu",
            "disable-quic",
            "no-first-run",
            "disable-dev-shm-usage",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
        ] {
            arguments.push(format!("--{argument}"));
        }
        let wants =
            json!({"goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": {"args": arguments}});
        let session = browser.call("POST", "/session", &json!({"capabilities": {"alwaysMatch": wants}}));
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("chromedriver listens");
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("written");
        // It keeps the connection, whatever it is asked: its answer ends where it says.
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).expect("a head");
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().expect("a length");
                }
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).expect("a body");
        let value: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(value["value"]["error"].is_null(), "{method} {path}: {}", value["value"]);
        value["value"].clone()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}{path}", self.session), body)
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    /// How wide and high the window is, and what the system wishes.
    pub(crate) fn looks(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// What a script on the page gives back.
    pub(crate) fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Text of an element, by its id.
    pub(crate) fn text(&self, id: &str) -> String {
        let text = self.script(&format!("return document.getElementById('{id}').innerText"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// A key, as a keyboard sends it.
    pub(crate) fn press(&self, key: &str) {
        let keys = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]}));
    }

    /// A text, typed key by key.
    pub(crate) fn keys(&self, text: &str) {
        text.chars().for_each(|key| self.press(&key.to_string()));
    }

    /// Drags over an element from one part of its width to another.
    pub(crate) fn drag(&self, selector: &str, from: f64, to: f64) {
        let place = self.script(&format!(
            "const at = document.querySelector('{selector}').getBoundingClientRect(); \
             return [at.left, at.width, at.top + at.height / 2]"
        ));
        let [left, width, y] = [0, 1, 2].map(|at| place[at].as_f64().expect("a number"));
        let to_place = |part: f64| {
            let x = (left + width * part) as i64;
            json!({"type": "pointerMove", "duration": 50, "x": x, "y": y as i64})
        };
        let moves = json!([
            to_place(from), {"type": "pointerDown", "button": 0}, to_place((from + to) / 2.0), to_place(to),
            {"type": "pointerUp", "button": 0}
        ]);
        self.post("/actions", &json!({"actions": [{"type": "pointer", "id": "mouse", "actions": moves}]}));
    }

    /// What the console said since this was asked last: errors of scripts, and what the security policy refused.
    pub(crate) fn console(&self) -> Vec<String> {
        let lines = self.post("/se/log", &json!({"type": "browser"}));
        lines.as_array().into_iter().flatten().map(|line| line["message"].to_string()).collect()
    }

    /// Leaves a picture of what is seen.
    pub(crate) fn screenshot(&self, name: &str) {
        let picture = self.call("GET", &format!("/session/{}/screenshot", self.session), &Value::Null);
        let picture = BASE64_STANDARD.decode(picture.as_str().expect("a picture")).expect("base64");
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        std::fs::write(file, picture).expect("written");
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, so: impl Fn() -> bool) {
        for _ in 0..STEPS {
            if so() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("in vain: {what}\n{}\n{:?}", self.script("return document.body.innerText"), self.console());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
