//! `phone`, with the cargo feature of the same name.

use crate::{Result, mapping::transform::Transforms};

#[cfg(not(feature = "phone"))]
pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("phone", |_| {
        let text = "phone: this program was built without numbering plans; build it with the cargo feature `phone`";
        Err(crate::Error::config("transform", text))
    })
}

#[cfg(feature = "phone")]
pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("phone", |options| Ok(std::sync::Arc::new(plans::Phone::new(options)?)))
}

#[cfg(feature = "phone")]
mod plans {
    use phonenumber::{Mode, country};
    use serde::Deserialize;
    use serde_json::Value;

    use crate::{
        Error, FieldKind, Result,
        mapping::{Cell, Made, Transform, TransformError, transform_options},
    };

    /// The longest text that is looked at, in bytes.
    const LONGEST: usize = 100;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct PhoneOptions {
        /// The country of numbers that name none, by its code of two letters (`DE`). Without it such numbers are refused.
        region: Option<Box<str>>,
    }

    /// A telephone number in E.164: `+` and digits. Empty texts become null. Numbers have to fit their country's numbering plan.
    #[derive(Debug)]
    pub(super) struct Phone {
        region: Option<country::Id>,
    }

    impl Phone {
        pub(super) fn new(options: &Value) -> Result<Self> {
            let options: PhoneOptions = transform_options("phone", options)?;
            let unknown = |region: &str| format!("phone: {region:?} is no country's code; they are of two capitals, like DE");
            let region = options.region.as_deref().map(|region| region.parse().map_err(|_| Error::config("transform", unknown(region))));
            Ok(Self { region: region.transpose()? })
        }
    }

    impl Transform for Phone {
        fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
            let text = match cell {
                Cell::Absent | Cell::Null => return Ok(Made::Unchanged),
                Cell::Empty => return Ok(Made::Null),
                Cell::Value(_) if cell.is_nested() => return Err(TransformError::new("is an object or a list, not a telephone number")),
                Cell::Value(_) => cell.text().unwrap_or_default(),
            };
            let trimmed = text.trim();
            if trimmed.is_empty() {
                return Ok(Made::Null);
            }
            let wrong = || match self.region {
                Some(region) => TransformError::new(format!("is not a telephone number of {} or of a country it names", region.as_ref())),
                None => TransformError::new("is not a telephone number with its country's code, such as +49 30 123456"),
            };
            if trimmed.len() > LONGEST || (self.region.is_none() && !trimmed.starts_with(['+', '\u{ff0b}'])) {
                return Err(wrong());
            }
            let number = phonenumber::parse(self.region, trimmed).ok().filter(phonenumber::is_valid).ok_or_else(wrong)?;
            if number.extension().is_some() {
                return Err(TransformError::new("has an extension, which E.164 cannot hold"));
            }
            let made = number.format().mode(Mode::E164).to_string();
            Ok(if cell.is_text() && made == *text { Made::Unchanged } else { Made::text(&made) })
        }

        fn kind(&self, _: Option<FieldKind>) -> Option<FieldKind> {
            Some(FieldKind::Text)
        }
    }

    #[cfg(test)]
    mod tests {
        use serde_json::json;

        use crate::mapping::transform::tests::{back, case, problem, refused};

        #[test]
        fn numbers_of_many_countries_become_e164() {
            for (region, input, number) in [
                ("DE", r#""030 / 901820""#, r#""+4930901820""#),
                ("DE", r#""+44 20 7946 0958""#, r#""+442079460958""#),
                ("DE", r#""0044 20 7946 0958""#, r#""+442079460958""#),
                ("US", r#""(212) 555-2368""#, r#""+12125552368""#),
                ("GB", r#""020 7946 0958""#, r#""+442079460958""#),
                ("FR", r#""01 42 68 53 00""#, r#""+33142685300""#),
                ("IT", r#""06 6982""#, r#""+39066982""#),
                ("US", "2125552368", r#""+12125552368""#),
                ("DE", r#""""#, "null"),
                ("DE", r#"" ""#, "null"),
            ] {
                case("phone", &json!({ "region": region }), Some(input), Some(number));
            }
            case("phone", &json!(null), Some(r#""+49 30 901820""#), Some(r#""+4930901820""#));
        }

        #[test]
        fn what_no_plan_knows_is_refused() {
            for input in [r#""12""#, r#""call me""#, r#""+999 1234567""#, r#""(000) 000-0000""#, "true", "[]"] {
                refused("phone", &json!({ "region": "US" }), input);
            }
            refused("phone", &json!({ "region": "US" }), r#""(212) 555-2368 ext. 5""#);
            refused("phone", &json!(null), r#""030 901820""#);
            assert!(problem("phone", &json!({ "region": "Germany" })).contains("\"Germany\" is no country's code"));
        }

        #[test]
        fn number_goes_back_as_it_is() {
            back("phone", &json!({ "region": "DE" }), r#""+4930901820""#, r#""+4930901820""#);
        }
    }
}
