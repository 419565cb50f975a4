//! A signed assertion in place of a user's grant (RFC 7523), as Google's service accounts make it.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};
use sync_core::{Error, OAuthSpec, Result};
use zeroize::Zeroizing;

pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The longest life Google takes.
const LIFE: i64 = 3600;

/// What a key file says. Its own `token_uri` is not among it: who changes a file must not choose where the assertion is sent.
struct KeyFile {
    client_email: String,
    private_key: Zeroizing<String>,
    private_key_id: Option<String>,
    /// A user of the domain to act for; no part of Google's file, added by who connects.
    subject: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    iat: i64,
    exp: i64,
}

/// The assertion a key file signs for the token endpoint of `spec`, good for an hour from `now`.
pub(super) fn signed(operation: &'static str, file: &SecretString, spec: &OAuthSpec, now: DateTime<Utc>) -> Result<SecretString> {
    let wrong =
        |problem: String| Error::config(operation, format!("the service account's key file {problem}")).at("authority", spec.authority);
    let file = key_file(file.expose_secret()).map_err(wrong)?;
    // the crate's error names the kind of mistake; it is dropped, for nobody promises that it never shows more
    let key = EncodingKey::from_rsa_pem(file.private_key.as_bytes())
        .map_err(|_| wrong("has a `private_key` that is no RSA key in PEM; download the file again".to_owned()))?;
    let (scope, iat) = (spec.scopes.iter().map(|scope| scope.name).collect::<Vec<_>>().join(" "), now.timestamp());
    let claims =
        Claims { iss: &file.client_email, scope: &scope, aud: &spec.token_url, sub: file.subject.as_deref(), iat, exp: iat + LIFE };
    let header = Header { kid: file.private_key_id, ..Header::new(Algorithm::RS256) };
    let signed = encode(&header, &claims, &key).map_err(|_| wrong("has a `private_key` that cannot sign; make a new key".to_owned()))?;
    Ok(SecretString::from(signed))
}

/// Reads a key file; the error says which field is wrong and never what it holds.
fn key_file(text: &str) -> Result<KeyFile, String> {
    let mut fields: Map<String, Value> = serde_json::from_str(text).map_err(|_| "is no JSON object; give its whole text".to_owned())?;
    match fields.get("type").map(Value::as_str) {
        Some(Some("service_account")) => {}
        Some(_) => return Err("is of another `type` than service_account; make a key for a service account".to_owned()),
        None => return Err("has no `type`; is it a key file of a service account?".to_owned()),
    }
    let mut optional = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(Value::Null) | None => Ok(None),
        Some(_) => Err(format!("has a `{name}` that is empty or no text")),
    };
    let missing = |name: &str| format!("has no `{name}`");
    Ok(KeyFile {
        client_email: optional("client_email")?.ok_or_else(|| missing("client_email"))?,
        private_key: Zeroizing::new(optional("private_key")?.ok_or_else(|| missing("private_key"))?),
        private_key_id: optional("private_key_id")?,
        subject: optional("subject")?,
    })
}

#[cfg(test)]
mod tests {
    use sync_core::{ClientAuth, ErrorKind, RefreshRule, Revokes};

    use super::*;

    fn spec() -> OAuthSpec {
        OAuthSpec {
            authority: "google",
            authorize_url: "https://accounts.example/auth".into(),
            token_url: "https://oauth2.example/token".into(),
            revoke_url: None,
            revokes: Revokes::Refresh,
            client_auth: ClientAuth::Body,
            scopes: &[],
            scope_separator: ' ',
            authorize_params: &[],
            refresh: RefreshRule::Kept,
            life: None,
            issuer: None,
        }
    }

    #[test]
    fn a_key_file_that_cannot_be_used_says_which_field_is_wrong_and_never_what_it_holds() {
        for (file, problem) in [
            ("", "no JSON object"),
            ("s3cret", "no JSON object"),
            (r#"["s3cret"]"#, "no JSON object"),
            (r#"{"client_email":"s3cret"}"#, "no `type`"),
            (r#"{"type":"authorized_user","client_secret":"s3cret"}"#, "another `type`"),
            (r#"{"type":"service_account","private_key":"s3cret"}"#, "no `client_email`"),
            (r#"{"type":"service_account","client_email":"a@b"}"#, "no `private_key`"),
            (r#"{"type":"service_account","client_email":"","private_key":"s3cret"}"#, "`client_email` that is empty"),
            (r#"{"type":"service_account","client_email":"a@b","private_key":["s3cret"]}"#, "`private_key` that is empty or no text"),
            (r#"{"type":"service_account","client_email":"a@b","private_key":"s3cret"}"#, "no RSA key in PEM"),
            (
                r#"{"type":"service_account","client_email":"a@b","private_key":"-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n"}"#,
                "no RSA key in PEM",
            ),
            (
                r#"{"type":"service_account","client_email":"a@b","private_key":"s3cret","subject":["s3cret"]}"#,
                "`subject` that is empty or no text",
            ),
        ] {
            let error = signed("oauth.renew", &SecretString::from(file), &spec(), DateTime::UNIX_EPOCH).expect_err(file);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.text().contains(problem), "{file}: {error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
