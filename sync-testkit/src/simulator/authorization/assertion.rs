//! Service accounts: their keys, and the assertions they sign (RFC 7523).

use std::collections::BTreeMap;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous::insecure_decode, decode};
use serde_json::{Map, Value, json};
use url::Url;

pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A key file, as Google hands it out, and the public key.
pub(super) fn make(email: &str) -> (String, Vec<u8>) {
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key can be made");
    let der: Pkcs8V1Der<'_> = key.as_der().expect("a key can be written");
    let encoded = BASE64_STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = encoded.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let file = json!({
        "type": "service_account", "project_id": "simulated", "private_key_id": "key-1", "private_key": pem, "client_email": email,
        "client_id": "1", "token_uri": "https://elsewhere.example/token",
    });
    (file.to_string(), key.public_key().as_ref().to_vec())
}

/// The account that signed, and the scopes it asks for; or what is wrong with the assertion.
pub(super) fn check(
    assertion: &str,
    accounts: &BTreeMap<String, Vec<u8>>,
    token_path: &str,
    now: DateTime<Utc>,
) -> Result<(String, Vec<String>), &'static str> {
    // whose it says it is tells which key it has to be signed with
    let claimed = insecure_decode::<Map<String, Value>>(assertion).map_err(|_| "Invalid JWT.")?;
    let account = claimed.claims.get("iss").and_then(Value::as_str).ok_or("Invalid JWT: no iss.")?;
    let key = accounts.get(account).ok_or("Invalid grant: account not found")?;
    let mut rules = Validation::new(Algorithm::RS256);
    // both are looked at below: the time is the simulation's
    (rules.validate_exp, rules.validate_aud) = (false, false);
    rules.required_spec_claims.clear();
    let claims =
        decode::<Map<String, Value>>(assertion, &DecodingKey::from_rsa_der(key), &rules).map_err(|_| "Invalid JWT Signature.")?.claims;
    let audience = claims.get("aud").and_then(Value::as_str).and_then(|text| Url::parse(text).ok()).ok_or("Invalid JWT: no aud.")?;
    if !audience.path().ends_with(token_path) {
        return Err("Invalid JWT: Failed audience check.");
    }
    let at = |name: &str| claims.get(name).and_then(Value::as_i64);
    let (Some(issued), Some(expires)) = (at("iat"), at("exp")) else { return Err("Invalid JWT: no iat or exp.") };
    if issued > now.timestamp() + 60 || expires <= now.timestamp() || expires - issued > 3600 {
        return Err(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT \
             claim.",
        );
    }
    let scopes = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
    Ok((account.to_owned(), scopes.split_whitespace().map(str::to_owned).collect()))
}
