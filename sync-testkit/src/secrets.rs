//! Everything that came out, and whether a planted secret is in it.

use std::{
    error::Error as _,
    fmt::{self, Debug, Write as _},
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::GeneralPurpose, prelude::BASE64_STANDARD_NO_PAD, prelude::BASE64_URL_SAFE_NO_PAD};
use sync_core::Error;

use crate::Canary;

/// Shorter pieces turn up by chance, and are not looked for.
const SHORTEST: usize = 8;

/// What percent-encoders leave as it is: nothing, RFC 3986's unreserved, what forms do, what JavaScript does, what paths may hold.
const KEPT: [&str; 5] = ["", "-._~", "-._*", "-._~!*'()", "-._~!*'()$&+,;=:@"];

/// So many characters before and after a secret tell whoever reads the failure where it came from.
const AROUND: usize = 80;

/// What was logged, line by line. Clones are the same; hand one to a subscriber as its writer.
///
/// ```
/// # use std::io::Write as _;
/// let log = sync_testkit::Log::default();
/// // tracing_subscriber::fmt().with_writer({ let log = log.clone(); move || log.clone() })
/// log.clone().write_all(b"run started\n").expect("taken");
/// assert!(log.text().contains("run started"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Everything so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What came out of some work, each piece by where it did: texts, errors with their causes, Debug forms, log lines, files. Searched at the
/// end for the secrets that were planted before.
///
/// ```
/// # use sync_testkit::{Canary, Outputs};
/// let canary = Canary::new(7);
/// let mut outputs = Outputs::default();
/// outputs.text("an answer", "all is well");
/// outputs.assert_without(&[&canary]);
/// outputs.text("an error", format!("GET /?key={} failed", canary.secret()));
/// assert_eq!(outputs.leaks(&[&canary])[0].place, "an error");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Outputs(Vec<(String, String)>);

/// A secret that came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Where.
    pub place: String,
    /// In which form.
    pub form: &'static str,
    /// What stands around it.
    pub excerpt: String,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {:?}", self.place, self.form, self.excerpt)
    }
}

impl Outputs {
    /// Adds a text: an answer, a line, JSON of an event.
    pub fn text(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    /// Adds what a value shows of itself, both ways.
    pub fn debug(&mut self, place: impl Into<String>, what: &impl Debug) {
        self.text(place, format!("{what:?}\n{what:#?}"));
    }

    /// Adds everything an error says: its line, hint, context, Debug, and all its causes.
    pub fn error(&mut self, place: impl Into<String>, error: &Error) {
        let mut text = format!("{error}\n{error:?}\n{error:#?}\n{}\n{:?}", error.hint(), error.context());
        let mut cause = error.source();
        while let Some(error) = cause {
            // writing to a string cannot fail
            let _ = write!(text, "\n{error}\n{error:?}");
            cause = error.source();
        }
        self.text(place, text);
    }

    /// Adds a log as it is now.
    pub fn log(&mut self, log: &Log) {
        self.text("the log", log.text());
    }

    /// Adds every byte of every file in a folder and those below it, and the files' names.
    ///
    /// # Panics
    /// When one cannot be read.
    pub fn files(&mut self, folder: &Path) {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("an entry of the folder").path();
            if path.is_dir() {
                self.files(&path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let place = path.display().to_string();
            self.text("the name of a file", place.clone());
            self.text(place, String::from_utf8_lossy(&bytes));
        }
    }

    /// The pieces: where, and what came out there. A test should see that what it meant to search is among them.
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(place, text)| (place.as_str(), text.as_str()))
    }

    /// Where the canaries came out: any twelve characters of one in a row, or the whole in hex, backwards, percent-encoded, escaped for JSON,
    /// or in base64 wherever it begins in a group (so in a Basic header too).
    #[must_use]
    pub fn leaks(&self, canaries: &[&Canary]) -> Vec<Leak> {
        let mut leaks = Vec::new();
        for canary in canaries {
            let forms = forms(canary.secret());
            for (place, text) in &self.0 {
                let seen = found(&forms, text).or_else(|| piece(canary, text));
                leaks.extend(seen.map(|(form, excerpt)| Leak { place: place.clone(), form, excerpt }));
            }
        }
        leaks
    }

    /// Where a secret of any kind came out whole, in the forms of [`leaks`](Self::leaks): a sealing key, a password of the test's.
    ///
    /// # Panics
    /// When it is shorter than eight bytes, which would be found by chance.
    #[must_use]
    pub fn leaks_of(&self, secret: &str) -> Vec<Leak> {
        assert!(secret.len() >= SHORTEST, "a secret to look for has at least {SHORTEST} bytes");
        let forms = forms(secret);
        let leak =
            |(place, text): &(String, String)| found(&forms, text).map(|(form, excerpt)| Leak { place: place.clone(), form, excerpt });
        self.0.iter().filter_map(leak).collect()
    }

    /// Nothing of the canaries came out anywhere.
    ///
    /// # Panics
    /// With every place where something did, and when nothing was collected, since nothing would be proved.
    #[track_caller]
    pub fn assert_without(&self, canaries: &[&Canary]) {
        assert!(!self.0.is_empty() && !canaries.is_empty(), "nothing was collected, or nothing is looked for");
        let leaks: Vec<_> = self.leaks(canaries).iter().map(Leak::to_string).collect();
        assert!(leaks.is_empty(), "a planted secret turned up in\n{}", leaks.join("\n"));
    }
}

/// The forms in which a secret may come out, by their names.
fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let bytes = secret.as_bytes();
    let every = |prefix: &str, upper: bool| {
        let digits = |byte: &u8| if upper { format!("{prefix}{byte:02X}") } else { format!("{prefix}{byte:02x}") };
        bytes.iter().map(digits).collect::<String>()
    };
    let quoted = serde_json::to_string(secret).expect("text is always JSON");
    let quoted = quoted[1..quoted.len() - 1].to_owned();
    let mut forms = vec![("plain", secret.to_owned()), ("escaped for JSON", quoted.replace('/', "\\/")), ("escaped for JSON", quoted)];
    let shown = format!("{secret:?}");
    forms.push(("escaped for Debug", shown[1..shown.len() - 1].to_owned()));
    forms.extend([true, false].map(|upper| ("escaped for JSON", utf16(secret, upper))));
    for upper in [true, false] {
        for keep in KEPT {
            forms.push(("percent-encoded", percent(secret, keep, upper)));
        }
        forms.push(("percent-encoded", percent(secret, KEPT[2], upper).replace("%20", "+")));
        forms.push(("percent-encoded", every("%", upper)));
        forms.push(("in hex", every("", upper)));
    }
    forms.push(("backwards", secret.chars().rev().collect()));
    // base64 looks different by where in a group of three bytes the secret begins; whole groups inside stay the same
    let engines: [(&str, &GeneralPurpose); 2] = [("in base64", &BASE64_STANDARD_NO_PAD), ("in base64 for URLs", &BASE64_URL_SAFE_NO_PAD)];
    for (name, engine) in engines {
        for skip in 0..3usize {
            let whole = bytes.len().saturating_sub(skip) / 3 * 3;
            forms.push((name, engine.encode(&bytes[skip..skip + whole])));
        }
    }
    forms.retain(|(_, form)| form.len() >= SHORTEST);
    forms
}

/// Each character as `\u0000`, which JSON allows for all of them.
fn utf16(secret: &str, upper: bool) -> String {
    secret.encode_utf16().map(|unit| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") }).collect()
}

/// Percent-encoded but for letters, digits and `keep`.
fn percent(secret: &str, keep: &str, upper: bool) -> String {
    let encode = |text: String, byte: u8| match byte {
        _ if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) => text + char::from(byte).encode_utf8(&mut [0; 4]),
        _ if upper => text + &format!("%{byte:02X}"),
        _ => text + &format!("%{byte:02x}"),
    };
    secret.bytes().fold(String::new(), encode)
}

/// The form a text holds, and the text around it.
fn found(forms: &[(&'static str, String)], text: &str) -> Option<(&'static str, String)> {
    forms.iter().find_map(|(name, form)| text.find(form.as_str()).map(|at| (*name, around(text, at, at + form.len()))))
}

/// The line of a text that holds a piece of a canary, or as much of it as a failure can show.
fn piece(canary: &Canary, text: &str) -> Option<(&'static str, String)> {
    let line = text.lines().find(|line| canary.found_in(line)).or_else(|| canary.found_in(text).then_some(text))?;
    Some(("a piece of it", line.chars().take(4 * AROUND).collect()))
}

fn around(text: &str, start: usize, end: usize) -> String {
    let before = text[..start].char_indices().rev().take(AROUND).last().map_or(start, |(at, _)| at);
    let after: String = text[end..].chars().take(AROUND).collect();
    format!("{}{after}", &text[before..end])
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
