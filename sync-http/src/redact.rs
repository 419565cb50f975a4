//! Secrets out of texts, by value: whatever a service or a library repeats of them.

use std::{borrow::Cow, error::Error as StdError};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sync_core::Error;
use url::form_urlencoded;

const REDACTED: &str = "[redacted]";

/// Shorter values are no secrets, and taking them out would leave no text at all.
const SHORTEST: usize = 4;

/// `text` with every occurrence of every secret, as it is, percent-encoded or escaped for JSON, replaced by `[redacted]`.
#[must_use]
pub fn scrub(text: &str, secrets: &[&SecretString]) -> String {
    let forms = Forms::of(secrets.iter().copied());
    forms.scrub(text).into_owned()
}

/// The forms in which some secrets may come back. Lives for one call; its memory is zeroed on drop.
#[derive(Debug, Default)]
pub(crate) struct Forms(Vec<SecretString>);

impl Forms {
    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut forms = Self::default();
        for secret in secrets {
            forms.add(secret);
        }
        forms
    }

    pub(crate) fn add(&mut self, secret: &SecretString) {
        let plain = secret.expose_secret();
        if plain.len() < SHORTEST {
            return;
        }
        // Services differ in what they encode of a URL, and in which case.
        let encoded = utf8_percent_encode(plain, NON_ALPHANUMERIC).to_string();
        let segment = crate::segment(plain);
        let field: String = form_urlencoded::byte_serialize(plain.as_bytes()).collect();
        let lower = [lower_case(&encoded), lower_case(&segment), lower_case(&field)];
        let escaped = plain.escape_debug().to_string();
        let slashes = plain.replace('/', "\\/");
        for form in [plain.to_owned(), encoded, segment, field, escaped, slashes].into_iter().chain(lower) {
            if !self.0.iter().any(|known| known.expose_secret() == form) {
                self.0.push(SecretString::from(form));
            }
        }
        // the longest first: a secret that holds another one must not leave its ends behind
        self.0.sort_by_key(|form| std::cmp::Reverse(form.expose_secret().len()));
    }

    pub(crate) fn found_in(&self, text: &str) -> bool {
        self.0.iter().any(|form| text.contains(form.expose_secret()))
    }

    pub(crate) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for form in &self.0 {
            if text.contains(form.expose_secret()) {
                text = Cow::Owned(text.replace(form.expose_secret(), REDACTED));
            }
        }
        text
    }

    /// [`scrub`](Self::scrub) for what may be no text.
    pub(crate) fn scrub_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return match self.scrub(text) {
                Cow::Borrowed(_) => Cow::Borrowed(bytes),
                Cow::Owned(clean) => Cow::Owned(clean.into_bytes()),
            };
        }
        let mut bytes = Cow::Borrowed(bytes);
        for form in &self.0 {
            if let Some(clean) = without(&bytes, form.expose_secret().as_bytes()) {
                bytes = Cow::Owned(clean);
            }
        }
        bytes
    }

    /// The same error, rebuilt without the secrets where one of its texts or causes holds one.
    pub(crate) fn scrub_error(&self, error: Error) -> Error {
        let in_text = self.found_in(error.text()) || error.context().iter().any(|(_, which)| self.found_in(which));
        let cause = StdError::source(&error).filter(|cause| self.found_in_chain(*cause));
        if !in_text && cause.is_none() {
            return error;
        }
        let mut clean = Error::new(error.kind(), error.operation(), self.scrub(error.text()).into_owned())
            .with_retry(error.retry())
            .with_delivery(error.delivery());
        for (what, which) in error.context() {
            clean = clean.at(what, self.scrub(which));
        }
        if let Some(cause) = StdError::source(&error) {
            // a cause cannot be edited: its one line stands for it
            clean = clean.because(self.scrub(&cause.to_string()).into_owned());
        }
        clean
    }

    fn found_in_chain(&self, cause: &(dyn StdError + 'static)) -> bool {
        let mut next = Some(cause);
        while let Some(cause) = next {
            if self.found_in(&cause.to_string()) || self.found_in(&format!("{cause:?}")) {
                return true;
            }
            next = cause.source();
        }
        false
    }
}

/// The hex digits of percent-encodings in lower case.
fn lower_case(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_at_checked(2) {
        Some((hex, rest)) => format!("{text}%{}{rest}", hex.to_ascii_lowercase()),
        None => format!("{text}%{part}"),
    })
}

/// `bytes` with every `secret` replaced; `None` when there is none.
fn without(bytes: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut clean: Option<Vec<u8>> = None;
    let (mut from, mut at) = (0, 0);
    while let Some(hit) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == secret[0])) {
        at += hit;
        if bytes[at..].starts_with(secret) {
            let clean = clean.get_or_insert_default();
            clean.extend_from_slice(&bytes[from..at]);
            clean.extend_from_slice(REDACTED.as_bytes());
            at += secret.len();
            from = at;
        } else {
            at += 1;
        }
    }
    clean.map(|mut clean| {
        clean.extend_from_slice(&bytes[from..]);
        clean
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_a_secret_is_taken_out() {
        let secret = SecretString::from("ab/c+d=\"e");
        for text in ["ab/c+d=\"e", "x=ab%2Fc%2Bd%3D%22e&y", r"ab\/c+d=\u0022 ab/c+d=\x22 ab/c+d=\x22", r#"{"t":"ab/c+d=\"e"}"#] {
            let clean = scrub(text, &[&secret]);
            assert!(!clean.contains("ab/c+d=\"e") && !clean.contains("ab%2Fc%2Bd%3D%22e"), "{clean}");
        }
        assert_eq!(scrub("x=ab%2Fc%2Bd%3D%22e&y", &[&secret]), "x=[redacted]&y");
        let dashed = SecretString::from("ab-c/d e");
        for text in ["ab%2Dc%2Fd%20e", "ab-c%2Fd%20e", "ab-c%2fd%20e", "ab-c%2Fd+e", "ab%2dc%2fd%20e"] {
            assert_eq!(scrub(&format!("<{text}>"), &[&dashed]), "<[redacted]>", "{text}");
        }
    }

    #[test]
    fn a_secret_inside_another_leaves_no_ends() {
        let (inner, outer) = (SecretString::from("middle"), SecretString::from("head-middle-tail"));
        assert_eq!(scrub("x head-middle-tail y middle", &[&inner, &outer]), "x [redacted] y [redacted]");
    }

    #[test]
    fn bytes_that_are_no_text_are_cleaned_too() {
        let forms = Forms::of([&SecretString::from("s3cret-1"), &SecretString::from("s3s3")]);
        for (bytes, expected) in [
            (&b"\xff\xfes3cret-1s3cret-1 \x80"[..], &b"\xff\xfe[redacted][redacted] \x80"[..]),
            (b"\xffs3s3cret-1", b"\xffs3[redacted]"),
            (b"\xffs3s3s3s3s", b"\xff[redacted][redacted]s"),
            (b"\xffs3cret-", b"\xffs3cret-"),
            (b"s3cret-1", b"[redacted]"),
            (b"", b""),
        ] {
            assert_eq!(&*forms.scrub_bytes(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn nothing_and_next_to_nothing_is_no_secret() {
        assert_eq!(scrub("a text", &[&SecretString::from(""), &SecretString::from("a")]), "a text");
    }

    #[test]
    fn a_cause_that_repeats_a_secret_is_replaced_by_its_clean_line() {
        let forms = Forms::of([&SecretString::from("xoxb-secret")]);
        let error = Error::config("slack.auth.test", "refused").at("token", "xoxb-secret").because("header was xoxb-secret");
        let shown = format!("{:?}", forms.scrub_error(error));
        assert!(!shown.contains("xoxb-secret"), "{shown}");
        assert!(shown.contains("header was [redacted]"), "{shown}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_text_keeps_a_planted_secret(secret in "[A-Za-z0-9._~+/=\"-]{8,40}", before in ".{0,20}", after in ".{0,20}") {
            let planted = SecretString::from(secret.clone());
            let text = format!("{before}{secret}{after}{}", utf8_percent_encode(&secret, NON_ALPHANUMERIC));
            prop_assert!(!scrub(&text, &[&planted]).contains(&secret));
        }
    }
}
