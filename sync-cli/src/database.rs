//! Which database is meant: a file of SQLite, or a PostgreSQL server. No text made here holds a password.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use crate::exit::Failure;

/// A database as the configuration names it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A server, by its URL.
    Postgres(ServerUrl),
}

/// A PostgreSQL URL; only [`secret`](Self::secret) tells its password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    whole: String,
    shown: String,
    with_password: bool,
}

impl ServerUrl {
    /// The whole URL, password included.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "there is nobody to hand it to"))]
    pub(crate) fn secret(&self) -> &str {
        &self.whole
    }

    /// Whether a password stands in it.
    pub(crate) fn has_password(&self) -> bool {
        self.with_password
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "{}", file.display()),
            Self::Postgres(url) => f.write_str(&url.shown),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

impl Serialize for Database {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is wrong with the name of a database, and what to do about it.
#[derive(Debug)]
pub(crate) struct Wrong {
    what: String,
    to_do: &'static str,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.to_do)
    }
}

impl Wrong {
    pub(crate) fn into_failure(self, place: &str) -> Failure {
        Failure::usage(self.what, place, self.to_do)
    }
}

impl TryFrom<String> for Database {
    type Error = Wrong;

    fn try_from(text: String) -> Result<Self, Wrong> {
        Self::parse(&text)
    }
}

impl Database {
    /// Reads `postgres://…`, `sqlite:path` or a path.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = |what: String| Wrong { what, to_do: "name a SQLite file (a path, or sqlite:path) or postgres://user@host/database" };
        if text.trim().is_empty() {
            return Err(wrong("the database has no name".into()));
        }
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        match scheme.to_ascii_lowercase().as_str() {
            "postgres" | "postgresql" => return server(text).map(Self::Postgres),
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() {
                    return Err(wrong("the database has no name".into()));
                }
                return Ok(Self::Sqlite(path.into()));
            }
            "" => {}
            other if rest.starts_with("//") => {
                return Err(wrong(format!("there is no storage for {:?}", format!("{}://", crate::output::plain(other)))));
            }
            _ => {}
        }
        Ok(Self::Sqlite(text.into()))
    }

    /// The file, if it is one.
    pub(crate) fn file(&self) -> Option<&std::path::Path> {
        match self {
            Self::Sqlite(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }
}

#[cfg(not(feature = "postgres"))]
fn server(_: &str) -> Result<ServerUrl, Wrong> {
    Err(Wrong { what: "this build of syncline knows SQLite alone".into(), to_do: "build it with the feature `postgres`" })
}

/// Settings a URL may have after its `?`.
#[cfg(feature = "postgres")]
const SETTINGS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

#[cfg(feature = "postgres")]
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Looks the URL over, so that what is wrong with it is said in words, and nothing unknown in it reaches a log.
#[cfg(feature = "postgres")]
fn server(text: &str) -> Result<ServerUrl, Wrong> {
    const FORM: &str = "it reads postgres://user@host:port/database; in names and passwords write @ as %40, / as %2F, : as %3A, # as %23";
    let wrong = |what: String, to_do| Wrong { what, to_do };
    let parsed = url::Url::parse(text).ok().filter(|url| !url.cannot_be_a_base());
    let Some(mut url) = parsed else { return Err(wrong("the PostgreSQL URL cannot be read".into(), FORM)) };
    if url.fragment().is_some() {
        return Err(wrong("the PostgreSQL URL ends in a #".into(), FORM));
    }
    let (mut secret, mut named) = (url.password().is_some(), !url.path().trim_matches('/').is_empty());
    let mut kept = Vec::new();
    for (name, value) in url.query_pairs() {
        let known = SETTINGS.contains(&&*name) || (name.starts_with("options[") && name.ends_with(']'));
        if !known {
            let text = format!("the PostgreSQL URL has an unknown setting {:?}", crate::output::plain(&name));
            return Err(wrong(text, "use sslmode, sslrootcert, sslcert, sslkey, host, port, dbname, user, application_name or options"));
        }
        if matches!(&*name, "sslmode" | "ssl-mode") && !SSL_MODES.contains(&&*value) {
            let text = format!("the PostgreSQL URL's sslmode {:?} is none", crate::output::plain(&value));
            return Err(wrong(text, "use disable, allow, prefer, require, verify-ca or verify-full"));
        }
        named |= name == "dbname" && !value.is_empty();
        if name == "password" {
            secret = true;
        } else {
            kept.push((name.into_owned(), value.into_owned()));
        }
    }
    if !named && std::env::var_os("PGDATABASE").is_none() {
        return Err(wrong("the PostgreSQL URL names no database".into(), "add its name: postgres://user@host:port/database"));
    }
    let whole = text.to_owned();
    let _ = url.set_password(None);
    if secret || !kept.is_empty() {
        url.set_query(None);
        if !kept.is_empty() {
            // As psql and people read it: a slash in a path needs no escape.
            let pairs: Vec<String> = kept
                .iter()
                .map(|(name, value)| format!("{name}={}", value.replace('%', "%25").replace('&', "%26").replace(' ', "%20")))
                .collect();
            url.set_query(Some(&pairs.join("&")));
        }
    }
    Ok(ServerUrl { whole, shown: url.to_string(), with_password: secret })
}

/// `text` without what stands between `://` and `@`: for texts of others that may repeat what somebody typed.
pub(crate) fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let word = after.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')).unwrap_or(after.len());
        let (word, tail) = after.split_at(word);
        let shown = match word.rfind('@') {
            Some(at) => {
                out.push('…');
                &word[at..]
            }
            None => word,
        };
        out.push_str(shown);
        rest = tail;
    }
    out.push_str(rest);
    match out.find("password=") {
        Some(at) => {
            let value = at + "password=".len();
            let end = out[value..].find(|c: char| c.is_whitespace() || matches!(c, '&' | '\'' | '"')).map_or(out.len(), |end| value + end);
            out.replace_range(value..end, "…");
            out
        }
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_a_file_or_a_server() {
        for (text, shown, file) in [
            ("app.db", "app.db", true),
            ("sqlite:app.db", "app.db", true),
            ("sqlite://data/app.db", "data/app.db", true),
            ("sqlite:///data/app.db", "/data/app.db", true),
            (r"C:\data\app.db", r"C:\data\app.db", true),
            ("odd:name.db", "odd:name.db", true),
        ] {
            let database = Database::parse(text).expect(text);
            assert_eq!((database.to_string().as_str(), database.file().is_some()), (shown, file), "{text}");
        }
        for (text, part) in [("", "no name"), ("sqlite:", "no name"), ("mysql://root:hunter2@host/db", "\"mysql://\"")] {
            let wrong = Database::parse(text).expect_err(text).to_string();
            assert!(wrong.contains(part) && wrong.contains("postgres://user@host/database") && !wrong.contains("hunter2"), "{wrong}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_server_is_shown_without_its_password_wherever_it_stands() {
        for (text, shown) in [
            ("postgres://ada@db.example:5433/app", "postgres://ada@db.example:5433/app"),
            ("postgresql://ada:hunter2@db.example/app", "postgresql://ada@db.example/app"),
            ("POSTGRES://ada:hunter2@db.example/app?sslmode=require", "postgres://ada@db.example/app?sslmode=require"),
            ("postgres://ada@db.example/app?password=hunter2", "postgres://ada@db.example/app"),
            ("postgres://ada@db.example/app?password=hunter2&host=/run/pg", "postgres://ada@db.example/app?host=/run/pg"),
            ("postgres://ada@%2Frun%2Fpg/app", "postgres://ada@%2Frun%2Fpg/app"),
        ] {
            let database = Database::parse(text).expect(text);
            assert_eq!(database.to_string(), shown);
            let Database::Postgres(url) = &database else { panic!("{text} is a server") };
            assert_eq!((url.secret(), url.has_password()), (text, text.contains("hunter2")));
            let said = format!("{database:?}{}", serde_json::to_string(&database).expect("text"));
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn what_is_wrong_with_a_url_is_said_without_repeating_it() {
        for (text, part) in [
            ("postgres://ada:hunter2@db.example", "names no database"),
            ("postgres:hunter2", "cannot be read"),
            ("postgres://ada:hunter2@db.example:port/app", "cannot be read"),
            ("postgres://ada:hunt#er2@db.example/app", "cannot be read"),
            ("postgres://ada@db.example/app#hunter2", "ends in a #"),
            ("postgres://ada@db.example/app?pasword=hunter2", "unknown setting \"pasword\""),
            ("postgres://ada:hunter2@db.example/app?sslmode=on", "sslmode \"on\""),
        ] {
            let wrong = Database::parse(text).expect_err(text).to_string();
            assert!(wrong.contains(part) && !wrong.contains("hunter2") && !wrong.contains("er2"), "{text}: {wrong}");
        }
    }

    #[test]
    fn what_others_repeat_loses_its_passwords() {
        for (text, expected) in [
            ("unrecognized 'postgres://ada:p@ss@host/db' found", "unrecognized 'postgres://…@host/db' found"),
            ("see https://example.org/x for more", "see https://example.org/x for more"),
            ("a://u:p@h b://u:q@h", "a://…@h b://…@h"),
            ("postgres://h/db?password=x&user=y", "postgres://h/db?password=…&user=y"),
        ] {
            assert_eq!(without_passwords(text), expected);
        }
    }
}
