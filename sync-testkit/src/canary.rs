//! A secret that must turn up nowhere.

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use rand::{RngExt, SeedableRng, distr::Alphanumeric, rngs::StdRng};

/// So many characters of a secret in a row are a leak: a text cut in the middle of one still gives it away.
const WINDOW: usize = 12;

/// A secret to plant (as token, key, password) and then to look for in everything that came out: errors, logs, rows, answers.
///
/// ```
/// let canary = sync_testkit::Canary::new(7);
/// let error = format!("the service refused the token {}", "[redacted]");
/// canary.assert_absent("error", &error);
/// assert!(canary.found_in(&format!("Bearer {}", canary.secret())));
/// ```
#[derive(Clone, Debug)]
pub struct Canary {
    secret: String,
    traces: Vec<String>,
}

impl Canary {
    /// A secret that replays from `seed`: `canary-` and 32 letters and digits.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let tail: String = StdRng::seed_from_u64(seed).sample_iter(Alphanumeric).take(32).map(char::from).collect();
        let mut traces: Vec<String> = (0..=tail.len() - WINDOW).map(|start| tail[start..start + WINDOW].to_owned()).collect();
        let hex: String = tail.bytes().map(|byte| format!("{byte:02x}")).collect();
        traces.extend([hex.to_uppercase(), hex, tail.chars().rev().collect()]);
        // base64 looks different by where the secret begins; a whole group inside stays the same for each of the three places
        for skip in 0..3 {
            traces.push(BASE64_STANDARD_NO_PAD.encode(&tail[skip..skip + 27]));
        }
        Self { secret: format!("canary-{tail}"), traces }
    }

    /// The secret to plant.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Whether `text` gives the secret away: twelve characters of it in a row, or all of it in base64, in hex or backwards.
    #[must_use]
    pub fn found_in(&self, text: &str) -> bool {
        self.traces.iter().any(|trace| text.contains(trace))
    }

    /// Looks for the secret in `text`, named `label`.
    ///
    /// # Panics
    /// When it is there.
    pub fn assert_absent(&self, label: &str, text: &str) {
        assert!(!self.found_in(text), "the planted secret turned up in {label}:\n{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disguise_is_seen_through() {
        let canary = Canary::new(3);
        let secret = canary.secret();
        let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
        let mut texts = vec![secret.to_owned(), secret[10..22].to_owned(), secret.chars().rev().collect(), hex];
        texts.extend(["", "u", "us", "user:"].map(|before| BASE64_STANDARD_NO_PAD.encode(format!("{before}{secret}!"))));
        for text in &texts {
            assert!(canary.found_in(&format!("so: {text}.")), "{text}");
        }
        for text in ["", "canary-", &secret[10..21], Canary::new(4).secret()] {
            assert!(!canary.found_in(text), "{text}");
        }
    }

    #[test]
    #[should_panic(expected = "turned up in the log")]
    fn a_leak_is_named() {
        let canary = Canary::new(3);
        canary.assert_absent("the log", canary.secret());
    }
}
