//! Reading what a token endpoint grants, as services write it and not only as the standard does.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};
use sync_core::{Error, ErrorKind, OAuthSpec, Result, TokenSet};

use super::TokenReader;
use crate::Answer;

/// A life that is longer says nothing: ten years.
const LONGEST_LIFE: u64 = 10 * 366 * 24 * 60 * 60;

/// Kinds of tokens that are of no use without a proof for each request.
const BOUND: [&str; 3] = ["mac", "dpop", "pop"];

pub(super) fn tokens(operation: &'static str, answer: &Answer, spec: &OAuthSpec, reader: TokenReader) -> Result<TokenSet> {
    let status = answer.status.as_u16().to_string();
    let mut fields: Map<String, Value> = answer.json(operation).map_err(|error| error.at("status", &*status))?;
    let settings = reader(&mut fields)?;
    let wrong = |text: &'static str| Error::new(ErrorKind::Decode, operation, text).at("status", &*status);
    let access = secret(&fields, "access_token").map_err(wrong)?.ok_or_else(|| wrong("the answer holds no access token"))?;
    if fields.get("token_type").and_then(Value::as_str).is_some_and(|kind| BOUND.iter().any(|bound| kind.eq_ignore_ascii_case(bound))) {
        return Err(wrong("the answer holds a token that is bound to a key; only bearer tokens can be used"));
    }
    Ok(TokenSet {
        access,
        refresh: secret(&fields, "refresh_token").map_err(wrong)?,
        expires_in: fields.get("expires_in").and_then(life).or(spec.life),
        scopes: fields.get("scope").and_then(scopes),
        settings,
    })
}

/// A token; an empty one is none.
fn secret(fields: &Map<String, Value>, name: &str) -> Result<Option<SecretString>, &'static str> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        // what no header may carry is no token (RFC 6750, section 2.1)
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Some(SecretString::from(text.as_str()))),
        Some(_) => Err("the answer holds a token that is no text or has characters no token may have"),
    }
}

/// Seconds, as a number or as text. Zero, less and more than ten years say nothing.
fn life(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| whole(text.trim().parse().ok()?)),
        _ => None,
    }?;
    (1..=LONGEST_LIFE).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// The whole seconds of a number with a fraction.
fn whole(seconds: f64) -> Option<u64> {
    Duration::try_from_secs_f64(seconds).ok().map(|life| life.as_secs())
}

/// The granted scopes, whatever stands between them.
fn scopes(value: &Value) -> Option<Vec<Box<str>>> {
    let mut found: Vec<Box<str>> = Vec::new();
    let mut add = |text: &str| {
        for name in text.split(|letter: char| letter == ',' || letter.is_whitespace()).filter(|name| !name.is_empty()) {
            if !found.iter().any(|known| **known == *name) {
                found.push(name.into());
            }
        }
    };
    match value {
        Value::String(text) => add(text),
        Value::Array(names) => names.iter().filter_map(Value::as_str).for_each(add),
        _ => return None,
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;
    use serde_json::json;
    use sync_core::{ClientAuth, RefreshRule, Revokes};

    use super::*;
    use crate::{HeaderMap, StatusCode};

    fn spec(life: Option<Duration>) -> OAuthSpec {
        OAuthSpec {
            authority: "shop",
            authorize_url: "https://shop.example/authorize".into(),
            token_url: "https://shop.example/token".into(),
            revoke_url: None,
            revokes: Revokes::Refresh,
            client_auth: ClientAuth::Body,
            scopes: &[],
            scope_separator: ' ',
            authorize_params: &[],
            refresh: RefreshRule::Kept,
            life,
            issuer: None,
        }
    }

    fn read(body: &str) -> Result<TokenSet> {
        let answer = Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) };
        tokens("oauth.renew", &answer, &spec(None), |_| Ok(Map::new()))
    }

    fn with(more: Value) -> TokenSet {
        let mut body = json!({"access_token": "a-1"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        read(&body.to_string()).expect("tokens")
    }

    #[test]
    fn a_life_is_read_however_it_is_written_and_nonsense_is_unknown() {
        for (written, seconds) in [
            (json!({"expires_in": 3599}), Some(3599)),
            (json!({"expires_in": "3599"}), Some(3599)),
            (json!({"expires_in": " 60 "}), Some(60)),
            (json!({"expires_in": 3599.9}), Some(3599)),
            (json!({"expires_in": "86400.0"}), Some(86_400)),
            (json!({}), None),
            (json!({"expires_in": null}), None),
            (json!({"expires_in": 0}), None),
            (json!({"expires_in": "0"}), None),
            (json!({"expires_in": -1}), None),
            (json!({"expires_in": u64::MAX}), None),
            (json!({"expires_in": 1e300}), None),
            (json!({"expires_in": "99999999999999999999999"}), None),
            (json!({"expires_in": "never"}), None),
            (json!({"expires_in": "NaN"}), None),
            (json!({"expires_in": [3599]}), None),
        ] {
            assert_eq!(with(written.clone()).expires_in, seconds.map(Duration::from_secs), "{written}");
        }
        let answer = Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from_static(br#"{"access_token":"a"}"#) };
        let default = Some(Duration::from_secs(7));
        assert_eq!(tokens("x", &answer, &spec(default), |_| Ok(Map::new())).expect("tokens").expires_in, default);
    }

    #[test]
    fn scopes_are_read_in_any_order_and_with_any_separator() {
        let set = |names: &[&str]| Some(names.iter().map(|name| Box::from(*name)).collect::<Vec<Box<str>>>());
        for (written, expected) in [
            (json!({"scope": "b a"}), set(&["b", "a"])),
            (json!({"scope": "a,b"}), set(&["a", "b"])),
            (json!({"scope": " a,  b\ta "}), set(&["a", "b"])),
            (json!({"scope": ["a", "b c"]}), set(&["a", "b", "c"])),
            (json!({"scope": ""}), set(&[])),
            (json!({"scope": null}), None),
            (json!({}), None),
        ] {
            assert_eq!(with(written.clone()).scopes, expected, "{written}");
        }
    }

    #[test]
    fn an_answer_without_a_refresh_token_keeps_the_one_there_is() {
        for (written, expected) in [
            (json!({"refresh_token": "r-1"}), Some("r-1")),
            (json!({"refresh_token": ""}), None),
            (json!({"refresh_token": null}), None),
            (json!({}), None),
        ] {
            let found = with(written.clone()).refresh;
            assert_eq!(found.as_ref().map(|token| token.expose_secret()), expected, "{written}");
        }
    }

    #[test]
    fn what_holds_no_token_is_unreadable_and_shows_nothing() {
        for body in [
            "<!doctype html>s3cret",
            "",
            r#"{"access_token":""}"#,
            r#"{"access_token":null}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"s3cret\n"}"#,
            r#"{"access_token":"s3cret","token_type":"DPoP"}"#,
            r#"{"access_token":"s3cret","refresh_token":["s3cret"]}"#,
            r#"{"access_token":"s3cret""#,
            r#"["s3cret"]"#,
            "access_token=s3cret&expires=1",
        ] {
            let error = read(body).expect_err(body);
            assert_eq!(error.kind(), ErrorKind::Decode, "{body}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
            assert!(error.context().contains(&("status", "200".to_owned())), "{error:?}");
        }
        for kind in ["bearer", "Bearer", "BEARER", "bot", "user"] {
            with(json!({ "token_type": kind }));
        }
    }

    #[test]
    fn a_service_may_keep_its_token_elsewhere_and_say_more() {
        let reader: TokenReader = |fields| {
            let inner = fields.remove("inner").unwrap_or_default();
            fields.insert("access_token".into(), inner["token"].clone());
            Ok(Map::from_iter([("dc".to_owned(), inner["dc"].clone())]))
        };
        let body = Bytes::from_static(br#"{"inner":{"token":"a-2","dc":"us6"}}"#);
        let answer = Answer { status: StatusCode::OK, headers: HeaderMap::new(), body };
        let found = tokens("x", &answer, &spec(None), reader).expect("tokens");
        assert_eq!((found.access.expose_secret(), &found.settings["dc"]), ("a-2", &json!("us6")));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            prop::collection::vec("[ -~]{0,6}", 0..3).prop_map(Value::from),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_comes_is_tokens_within_bounds_or_unreadable(
            access in any_value(), refresh in any_value(), expires in any_value(), scope in any_value(), kind in any_value(),
        ) {
            let body = json!({"access_token": access, "refresh_token": refresh, "expires_in": expires, "scope": scope, "token_type": kind});
            match read(&body.to_string()) {
                Ok(found) => {
                    prop_assert!(!found.access.expose_secret().is_empty());
                    prop_assert!(found.expires_in.is_none_or(|life| (1..=LONGEST_LIFE).contains(&life.as_secs())));
                    prop_assert!(found.scopes.iter().flatten().all(|name| !name.is_empty() && !name.contains([' ', ','])));
                }
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Decode),
            }
        }
    }
}
