//! Amounts as people of a currency write them.

/// Digits before and behind the point that an amount may have; beyond them it is no price.
const MAX_INTEGER_DIGITS: usize = 18;
const MAX_FRACTION_DIGITS: usize = 9;

struct Format {
    code: &'static str,
    prefix: &'static str,
    suffix: &'static str,
    group: char,
    point: char,
    /// The currency's own number of decimals (ISO 4217).
    decimals: usize,
}

#[rustfmt::skip]
const FORMATS: [Format; 4] = [
    Format { code: "VND", prefix: "", suffix: " ₫", group: '.', point: ',', decimals: 0 },
    Format { code: "USD", prefix: "$", suffix: "", group: ',', point: '.', decimals: 2 },
    Format { code: "JPY", prefix: "¥", suffix: "", group: ',', point: '.', decimals: 0 },
    Format { code: "EUR", prefix: "", suffix: " €", group: '.', point: ',', decimals: 2 },
];

/// What is wrong with an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    Amount,
    Currency,
}

/// `amount` in major units, a decimal such as `125000` or `12.5`, and an ISO 4217 code. The currency's decimals are
/// filled up; further ones are shown, never rounded away. A currency that is not in the table has its code behind
/// the bare number.
pub fn format(amount: &str, currency: &str) -> Result<String, MoneyError> {
    let (integer, fraction) = parse(amount).ok_or(MoneyError::Amount)?;
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(MoneyError::Currency);
    }
    let code = currency.to_ascii_uppercase();
    let Some(format) = FORMATS.iter().find(|format| format.code == code) else {
        let point = if fraction.is_empty() { "" } else { "." };
        return Ok(format!("{integer}{point}{fraction} {code}"));
    };
    let mut text = format.prefix.to_owned();
    for (at, digit) in integer.chars().enumerate() {
        if at > 0 && (integer.len() - at) % 3 == 0 {
            text.push(format.group);
        }
        text.push(digit);
    }
    let decimals = fraction.len().max(format.decimals);
    if decimals > 0 {
        text.push(format.point);
        text.push_str(&format!("{fraction:0<decimals$}"));
    }
    text.push_str(format.suffix);
    Ok(text)
}

/// Integer digits without leading zeros and fraction digits without trailing ones.
fn parse(amount: &str) -> Option<(&str, &str)> {
    let (integer, fraction) = match amount.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (amount, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if integer.is_empty() || !digits(integer) || !digits(fraction) {
        return None;
    }
    if integer.len() > MAX_INTEGER_DIGITS || fraction.len() > MAX_FRACTION_DIGITS {
        return None;
    }
    let significant = integer.trim_start_matches('0');
    Some((if significant.is_empty() { "0" } else { significant }, fraction.trim_end_matches('0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_amounts_as_their_currency_does() {
        for (amount, currency, text) in [
            ("125000", "VND", "125.000 ₫"),
            ("125000.00", "vnd", "125.000 ₫"),
            ("999", "VND", "999 ₫"),
            ("1000.5", "VND", "1.000,5 ₫"),
            ("1234567.8", "USD", "$1,234,567.80"),
            ("0.05", "USD", "$0.05"),
            ("0.005", "USD", "$0.005"),
            ("0012", "JPY", "¥12"),
            ("1234567", "JPY", "¥1,234,567"),
            ("1234.5", "EUR", "1.234,50 €"),
            ("000", "EUR", "0,00 €"),
            ("1234.50", "CHF", "1234.5 CHF"),
            ("1234", "THB", "1234 THB"),
            ("999999999999999999", "VND", "999.999.999.999.999.999 ₫"),
        ] {
            assert_eq!(format(amount, currency).as_deref(), Ok(text), "{amount} {currency}");
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for amount in ["", ".", "1.", ".5", "-1", "+1", "1e5", "1,000", "1.2.3", " 1", "١٢", "NaN", "0x10", "1_000"] {
            assert_eq!(format(amount, "VND"), Err(MoneyError::Amount), "{amount}");
        }
        assert_eq!(format(&"9".repeat(19), "VND"), Err(MoneyError::Amount));
        assert_eq!(format("0.0000000001", "VND"), Err(MoneyError::Amount));
        for currency in ["", "VN", "VNDD", "V D", "₫₫₫", "12A"] {
            assert_eq!(format("1", currency), Err(MoneyError::Currency), "{currency}");
        }
    }
}
