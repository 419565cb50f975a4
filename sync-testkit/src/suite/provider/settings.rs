//! Credentials and settings.

use serde_json::{Value, json};
use sync_core::{Delivery, ErrorKind};

use super::case::Case;
use crate::suite::{Expect, Finding, differs, ensure, refused, same};

pub(super) async fn validating_changes_nothing(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial();
    let before = trial.world.service.records();
    let provider = &trial.world.provider;
    let first = provider.validate_credentials(&trial.cx).await.expected("an account")?;
    let again = provider.validate_credentials(&trial.cx).await.expected("an account a second time")?;
    same("the same account twice", &first, &again)?;
    ensure(!first.id.is_empty(), "an account with an id", || format!("{first:?}"))?;
    same("the records of the service", &before, &trial.world.service.records())
}

pub(super) async fn a_bad_token_is_refused(case: &Case<'_>) -> Result<(), Finding> {
    let trial = case.trial_with(1, |services| services.with_token("wrong"));
    let error = refused(trial.world.provider.validate_credentials(&trial.cx).await, "Auth")?;
    same("the kind of the error", &ErrorKind::Auth, &error.kind())?;
    let trial = case.trial_with(1, |services| services.with_token("wrong"));
    let error = refused(trial.read().await, "a read that fails with Auth")?;
    same("the kind of the error of a read", &ErrorKind::Auth, &error.kind())
}

/// Settings that do not fit are refused before anything leaves, by name.
async fn names(case: &Case<'_>, setting: &str, settings: Value) -> Result<(), Finding> {
    let mut trial = case.trial_of(1);
    trial.cx = trial.services.context(settings.clone());
    let rule = format!("Config that names `{setting}`, nothing sent, for {settings}");
    let error = refused(trial.world.provider.validate_credentials(&trial.cx).await, &rule)?;
    let mut text = format!("{error}");
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        text.push_str(&source.to_string());
        cause = source.source();
    }
    let sent = trial.world.controls.calls().len();
    let good = error.kind() == ErrorKind::Config && error.delivery() == Delivery::NotSent && text.contains(setting) && sent == 0;
    if good { Ok(()) } else { Err(differs(rule, format!("{sent} calls and {error:?}"))) }
}

pub(super) async fn a_missing_setting_is_named(case: &Case<'_>) -> Result<(), Finding> {
    for name in &case.subject.required_settings {
        let mut settings = case.subject.settings.clone();
        if let Some(fields) = settings.as_object_mut() {
            fields.remove(*name);
        }
        names(case, name, settings).await?;
    }
    Ok(())
}

pub(super) async fn an_unknown_setting_is_named(case: &Case<'_>) -> Result<(), Finding> {
    let mut settings = case.subject.settings.clone();
    settings["no_such_setting"] = json!(1);
    names(case, "no_such_setting", settings).await
}

pub(super) async fn a_wrong_setting_is_named(case: &Case<'_>) -> Result<(), Finding> {
    for (name, settings) in &case.subject.wrong_settings {
        names(case, name, settings.clone()).await?;
    }
    Ok(())
}
