//! The signs and codes of currencies.

/// What a sign stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// One currency, by its code.
    Of(String),
    /// Several currencies, or nobody knows.
    Several,
}

/// Whether it is a currency sign, a word that serves as one, or a code.
pub(super) fn is_sign(symbol: &str) -> bool {
    let letters = symbol.trim_end_matches(is_mark);
    match symbol.len() - letters.len() {
        0 => WORDS.contains(&symbol) || is_code(&symbol.to_uppercase()),
        _ => symbol.chars().filter(|c| is_mark(*c)).count() == 1 && letters.len() <= 3 && letters.bytes().all(|b| b.is_ascii_uppercase()),
    }
}

/// Whether it is an active code of ISO 4217, in capitals.
pub(super) fn is_code(code: &str) -> bool {
    code.len() == 3 && CODES.split_ascii_whitespace().any(|known| known == code)
}

/// The code a symbol stands for.
pub(super) fn code_of(symbol: &str) -> Sign {
    let capitals = symbol.to_uppercase();
    if is_code(&capitals) {
        return Sign::Of(capitals);
    }
    match SIGNS.iter().find(|(sign, _)| *sign == symbol) {
        Some((_, code)) => Sign::Of((*code).to_owned()),
        None => Sign::Several,
    }
}

fn is_mark(c: char) -> bool {
    "$£¤¥֏؋৲৳฿៛﷼₽₺₴₫₦₱₩₪₹€₡₲₭₮₸₼₾₿＄￡￥￦".contains(c)
}

/// Signs of currencies that are written in letters.
const WORDS: [&str; 12] = ["kr", "kr.", "zł", "Kč", "Ft", "lei", "Fr.", "Fr", "Rs", "Rs.", "лв", "RM"];

/// The signs one currency alone is written with. `$`, `£` before other letters, `¥`, `kr`, `Fr`, `Rs` and `lei` are not among them.
const SIGNS: [(&str, &str); 42] = [
    ("€", "EUR"),
    ("£", "GBP"),
    ("￡", "GBP"),
    ("₹", "INR"),
    ("₩", "KRW"),
    ("￦", "KRW"),
    ("₽", "RUB"),
    ("₺", "TRY"),
    ("₴", "UAH"),
    ("₫", "VND"),
    ("₪", "ILS"),
    ("₱", "PHP"),
    ("₦", "NGN"),
    ("฿", "THB"),
    ("₡", "CRC"),
    ("₲", "PYG"),
    ("₭", "LAK"),
    ("₮", "MNT"),
    ("₸", "KZT"),
    ("₼", "AZN"),
    ("₾", "GEL"),
    ("֏", "AMD"),
    ("؋", "AFN"),
    ("৳", "BDT"),
    ("៛", "KHR"),
    ("zł", "PLN"),
    ("Kč", "CZK"),
    ("Ft", "HUF"),
    ("лв", "BGN"),
    ("RM", "MYR"),
    ("US$", "USD"),
    ("CA$", "CAD"),
    ("AU$", "AUD"),
    ("NZ$", "NZD"),
    ("HK$", "HKD"),
    ("NT$", "TWD"),
    ("MX$", "MXN"),
    ("R$", "BRL"),
    ("S$", "SGD"),
    ("JP¥", "JPY"),
    ("CN¥", "CNY"),
    ("C$", "CAD"),
];

/// The active codes of ISO 4217.
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY \
                     COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD \
                     IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
                     MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS \
                     SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR \
                     ZMW ZWG";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_of_the_table_is_one_and_stands_for_a_code() {
        for (sign, code) in SIGNS {
            assert!(is_sign(sign) && is_code(code), "{sign} {code}");
            assert_eq!(code_of(sign), Sign::Of(code.into()));
        }
    }

    #[test]
    fn what_several_currencies_share_stands_for_none() {
        for sign in ["$", "¥", "kr", "Fr.", "Rs", "lei", "¤", "₿", "XY$"] {
            assert!(is_sign(sign), "{sign}");
            assert_eq!(code_of(sign), Sign::Several, "{sign}");
        }
        assert_eq!(code_of("eur"), Sign::Of("EUR".into()));
    }
}
