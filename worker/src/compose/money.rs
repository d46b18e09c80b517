//! Amounts as people of a currency write them: digits by ICU4X, decimals by ISO 4217.

use icu_decimal::{DecimalFormatter, input::Decimal};
use icu_locale_core::{Locale, locale};
use iso_currency::Currency;

/// Digits before and behind the point that an amount may have; beyond them it is no price.
const MAX_INTEGER_DIGITS: usize = 18;
const MAX_FRACTION_DIGITS: usize = 9;

/// A currency that is written as at home: with its locale's separators, and its symbol where CLDR's pattern of the
/// locale has it. A space between the two is a plain one and not CLDR's U+00A0, since clients compare texts.
struct Home {
    currency: Currency,
    locale: Locale,
    symbol: Symbol,
}

enum Symbol {
    Before(&'static str),
    After(&'static str),
}

static HOMES: [Home; 4] = [
    Home { currency: Currency::VND, locale: locale!("vi"), symbol: Symbol::After("₫") },
    Home { currency: Currency::USD, locale: locale!("en-US"), symbol: Symbol::Before("$") },
    Home { currency: Currency::JPY, locale: locale!("ja"), symbol: Symbol::Before("¥") },
    Home { currency: Currency::EUR, locale: locale!("de"), symbol: Symbol::After("€") },
];

/// The language of the sentences that amounts stand in.
static ELSEWHERE: Locale = locale!("en");

/// What is wrong with an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    Amount,
    Currency,
}

/// `amount` in major units, a decimal such as `125000` or `12.5`, and a code of three letters. Decimals are filled up
/// to the currency's own number (ISO 4217); further ones are shown, never rounded away.
///
/// Currencies without a home here are written as English does where it has no symbol, by their code: a symbol that
/// several share, such as `kr`, would not say which is meant. A code that is not in ISO 4217 is taken as it is, and
/// the amount keeps its decimals.
pub fn format(amount: &str, currency: &str) -> Result<String, MoneyError> {
    let mut amount = parse(amount).ok_or(MoneyError::Amount)?;
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(MoneyError::Currency);
    }
    let code = currency.to_ascii_uppercase();
    let known = Currency::from_code(&code);
    if let Some(known) = known {
        amount.absolute.trim_end();
        amount.absolute.pad_end(-i16::try_from(known.exponent().unwrap_or(0)).unwrap_or(0));
    }
    let home = HOMES.iter().find(|home| Some(home.currency) == known);
    let digits = digits(&amount, home.map_or(&ELSEWHERE, |home| &home.locale));
    Ok(match home.map(|home| &home.symbol) {
        Some(Symbol::Before(symbol)) => format!("{symbol}{digits}"),
        Some(Symbol::After(symbol)) => format!("{digits} {symbol}"),
        None => format!("{code} {digits}"),
    })
}

fn digits(amount: &Decimal, locale: &Locale) -> String {
    let formatter = DecimalFormatter::try_new(locale.into(), Default::default());
    formatter.expect("the data of every locale is compiled in").format(amount).to_string()
}

/// Plain digits with at most one point between them, and nothing else that a decimal may be written with.
fn parse(amount: &str) -> Option<Decimal> {
    let (integer, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
    let digits = |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(integer, MAX_INTEGER_DIGITS) || !digits(fraction, MAX_FRACTION_DIGITS) {
        return None;
    }
    let mut amount: Decimal = amount.parse().ok()?;
    amount.absolute.trim_start();
    Some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            ("999999999999999999", "VND", "999.999.999.999.999.999 ₫"),
            ("0.100000000", "USD", "$0.10"),
            ("1.123456789", "USD", "$1.123456789"),
        ] {
            assert_eq!(format(amount, currency).as_deref(), Ok(text), "{amount} {currency}");
        }
    }

    #[test]
    fn writes_every_other_currency_by_its_code() {
        for (amount, currency, text) in [
            ("1234.5", "CHF", "CHF 1,234.50"),
            ("1234", "thb", "THB 1,234.00"),
            ("1.5", "KWD", "KWD 1.500"),
            ("1000", "CLF", "CLF 1,000.0000"),
            ("1500000", "KRW", "KRW 1,500,000"),
            // Gold has no decimals of its own.
            ("31.1035", "XAU", "XAU 31.1035"),
            ("1234.50", "BTC", "BTC 1,234.50"),
            ("007", "ZZZ", "ZZZ 7"),
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
        for currency in ["", "VN", "VNDD", "V D", "₫₫₫", "12A", "₫"] {
            assert_eq!(format("1", currency), Err(MoneyError::Currency), "{currency}");
        }
    }

    /// What a currency's own people would read: the digits before and behind the point.
    fn read(text: &str, point: char) -> (String, String) {
        let digits = |part: &str| part.chars().filter(char::is_ascii_digit).collect();
        let (integer, fraction) = text.rsplit_once(point).unwrap_or((text, ""));
        (digits(integer), digits(fraction))
    }

    proptest! {
        #[test]
        fn no_digit_is_lost_or_made(
            integer in "[0-9]{1,18}",
            fraction in prop_oneof![Just(String::new()), "[0-9]{1,9}"],
            currency in prop_oneof!["VND|USD|JPY|EUR|CHF|KWD|CLF|XAU", "[A-Za-z]{3}"],
        ) {
            let amount = if fraction.is_empty() { integer.clone() } else { format!("{integer}.{fraction}") };
            let text = format(&amount, &currency).unwrap();
            let point = if ["VND", "EUR"].contains(&&*currency.to_ascii_uppercase()) { ',' } else { '.' };
            let (shown_integer, shown_fraction) = read(&text, point);
            let significant = integer.trim_start_matches('0');
            prop_assert_eq!(shown_integer, if significant.is_empty() { "0" } else { significant }, "{}", &text);
            prop_assert_eq!(shown_fraction.trim_end_matches('0'), fraction.trim_end_matches('0'), "{}", &text);
            if let Some(known) = Currency::from_code(&currency.to_ascii_uppercase()) {
                let least = usize::from(known.exponent().unwrap_or(0));
                prop_assert_eq!(shown_fraction.len(), least.max(fraction.trim_end_matches('0').len()), "{}", &text);
            }
        }
    }
}
