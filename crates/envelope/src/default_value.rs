//! Default values of columns. In: SQL text of `pg_get_expr`, and the form of the column. Out: JSON for the schema.
//! Never: evaluates an expression.
//!
//! Source: Debezium documentation, "Default values"; PostgreSQL manual, "Constants"; what Debezium 3.6 makes of moments at
//! the end of their range, which its driver reads otherwise in a default than its decoder does in a row.

use crate::table::Column;
use crate::types::{Defaults, Form};
use crate::value::temporal::{TimeForm, Unit};
use crate::value::{Outcome, Writer};

/// Functions that SQL calls without parentheses.
const CURRENT_MOMENTS: [&str; 5] =
    ["CURRENT_TIMESTAMP", "CURRENT_TIME", "CURRENT_DATE", "LOCALTIME", "LOCALTIMESTAMP"];

/// The default value as the schema shows it.
pub(crate) fn json(column: &Column, form: &Form) -> Option<Vec<u8>> {
    let expression = column.default.as_deref().filter(|_| !column.generated)?;
    let text = match (parse(expression), form.defaults) {
        (DefaultValue::Literal(text), Defaults::Constants | Defaults::ConstantsAndFunctions(_)) => {
            text
        }
        (DefaultValue::Function, Defaults::ConstantsAndFunctions(zero)) => zero.to_owned(),
        _ => return None,
    };
    match extreme(&form.writer, &text) {
        Some(Extreme::Shown(json)) => return Some(json.as_bytes().to_vec()),
        Some(Extreme::Hidden) => return None,
        None => {}
    }
    let text = of_the_column(&form.writer, text);
    let mut json = Vec::new();
    match form.writer.write(text.as_bytes(), &mut json) {
        Ok(Outcome::Written | Outcome::Altered) => Some(json),
        // Or an expression this connector cannot compute, like CURRENT_DATE written as a string.
        Ok(Outcome::Inexpressible | Outcome::Beyond) | Err(_) => None,
    }
}

/// A moment as the type of the column has it: a constant keeps the type it was written with, as in `'2020-01-01'::date` of a
/// column that was changed to a timestamp.
fn of_the_column(writer: &Writer, text: String) -> String {
    let (moment, era) = match text.strip_suffix(" BC") {
        Some(moment) => (moment, " BC"),
        None => (text.as_str(), ""),
    };
    let day = moment.split_once(' ').map(|(day, _)| day);
    match (writer, day) {
        (Writer::Timestamp(_) | Writer::TimestampWithZone(_), None) if !is_infinite(moment) => {
            format!("{moment} 00:00:00{era}")
        }
        (Writer::DateDays | Writer::DateIso, Some(day)) => format!("{day}{era}"),
        _ => text,
    }
}

fn is_infinite(moment: &str) -> bool {
    matches!(moment, "infinity" | "-infinity")
}

/// What becomes of a default that is shown otherwise than the same value in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extreme {
    /// With this JSON.
    Shown(&'static str),
    /// Not at all.
    Hidden,
}

/// `None` for what is shown as in a row. So are `infinity` in days and in microseconds: what Debezium has there is a number
/// that wrapped around.
fn extreme(writer: &Writer, text: &str) -> Option<Extreme> {
    use Extreme::{Hidden, Shown};
    Some(match (writer, text) {
        // The last moment of a day.
        (Writer::Time(form), "24:00:00") => Shown(match form {
            TimeForm::Number(Unit::Millis) => "86399999",
            TimeForm::Number(Unit::Micros) => "86399999999",
            TimeForm::Number(Unit::Nanos) => "86399999999999",
            TimeForm::Iso => "\"23:59:59.999999999Z\"",
        }),
        (Writer::DateIso, "infinity") => Shown("\"+999999999-12-31Z\""),
        (Writer::DateIso, "-infinity") => Shown("\"-999999999-01-01Z\""),
        (Writer::Timestamp(TimeForm::Iso), "infinity") => {
            Shown("\"+999999999-12-31T23:59:59.999999999Z\"")
        }
        (Writer::Timestamp(TimeForm::Iso), "-infinity") => Shown("\"-999999999-01-01T00:00:00Z\""),
        (Writer::Timestamp(TimeForm::Number(Unit::Micros)), "-infinity") => {
            Shown("-9223372036854775808")
        }
        (
            Writer::Timestamp(TimeForm::Number(Unit::Millis | Unit::Nanos))
            | Writer::TimestampWithZone(_),
            "infinity" | "-infinity",
        ) => Hidden,
        _ => return None,
    })
}

/// What a default expression says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DefaultValue {
    /// A constant, as the text of its type.
    Literal(String),
    /// The result of a function: an event schema then shows the type's zero.
    Function,
    /// NULL, or an expression that would have to be computed.
    Unknown,
}

/// Reads the text of `pg_get_expr`.
fn parse(expression: &str) -> DefaultValue {
    let expression = expression.trim();
    let is_moment = CURRENT_MOMENTS.iter().any(|name| expression.eq_ignore_ascii_case(name));
    if is_moment || is_function_call(expression) {
        return DefaultValue::Function;
    }
    match literal(expression) {
        Some((text, rest)) if is_casts(rest) => DefaultValue::Literal(text),
        _ => DefaultValue::Unknown,
    }
}

/// `nextval(…)`, also inside one opening parenthesis, as in `(now() + …)`.
fn is_function_call(expression: &str) -> bool {
    let inner = expression.strip_prefix('(').unwrap_or(expression);
    let name = inner
        .find(|character: char| {
            !(character.is_ascii_alphanumeric() || matches!(character, '_' | '.'))
        })
        .unwrap_or(inner.len());
    name > 0 && inner[name..].starts_with('(') && inner[name..].contains(')')
}

/// A constant at the beginning, and what follows it.
fn literal(expression: &str) -> Option<(String, &str)> {
    if let Some(inner) = expression.strip_prefix('(') {
        let (text, rest) = literal(inner)?;
        let rest =
            rest.find(')').filter(|&end| is_casts(&rest[..end])).map(|end| &rest[end + 1..])?;
        return Some((text, rest));
    }
    if let Some(inner) = expression.strip_prefix('\'') {
        return quoted(inner, false);
    }
    if let Some(inner) = expression.strip_prefix("B'") {
        return quoted(inner, false);
    }
    if let Some(inner) = expression.strip_prefix("E'") {
        return quoted(inner, true);
    }
    let end = expression
        .find(|character: char| {
            !(character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '+'))
        })
        .unwrap_or(expression.len());
    let (word, rest) = expression.split_at(end);
    let is_constant =
        matches!(word, "true" | "false") || word.parse::<f64>().is_ok_and(f64::is_finite);
    is_constant.then(|| (word.to_owned(), rest))
}

/// Text up to the closing quote; `''` is one quote, and with `escapes` a backslash takes the next character.
fn quoted(inner: &str, escapes: bool) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = inner.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' if characters.peek().is_some_and(|&(_, next)| next == '\'') => {
                characters.next();
                text.push('\'');
            }
            '\'' => return Some((text, &inner[at + 1..])),
            '\\' if escapes => text.push(characters.next()?.1),
            _ => text.push(character),
        }
    }
    None
}

/// Nothing, or `::type` any number of times; the type may have a modifier.
fn is_casts(rest: &str) -> bool {
    rest.is_empty()
        || rest.strip_prefix("::").is_some_and(|casts| {
            casts.chars().all(|character| {
                character.is_alphanumeric()
                    || matches!(
                        character,
                        ' ' | '_' | '.' | '"' | '(' | ')' | ',' | ':' | '[' | ']'
                    )
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_read_functions_recognised_and_the_rest_left_alone() {
        let literal = |text: &str| DefaultValue::Literal(text.to_owned());
        for (expression, expected) in [
            ("5", literal("5")),
            ("0.0", literal("0.0")),
            ("false", literal("false")),
            ("'-1'::integer", literal("-1")),
            ("('-1'::integer)::numeric", literal("-1")),
            ("(- 1)", DefaultValue::Unknown),
            ("'default'::text", literal("default")),
            ("'it''s'::text", literal("it's")),
            ("E'a\\\\b'::text", literal("a\\b")),
            ("'DRAFT'::g_types.e_b58", literal("DRAFT")),
            ("'x'::\"My Enum\"", literal("x")),
            (
                "'2021-03-20 13:44:28+00'::timestamp with time zone",
                literal("2021-03-20 13:44:28+00"),
            ),
            ("'1.5'::numeric(5,2)", literal("1.5")),
            ("''::character varying", literal("")),
            ("B'101'::\"bit\"", literal("101")),
            ("nextval('t_id_seq'::regclass)", DefaultValue::Function),
            ("gen_random_uuid()", DefaultValue::Function),
            ("timezone('utc'::text, now())", DefaultValue::Function),
            ("(now() + '1 day'::interval)", DefaultValue::Function),
            ("(1 + 1)", DefaultValue::Unknown),
            ("CURRENT_TIMESTAMP", DefaultValue::Function),
            ("LOCALTIMESTAMP(3)", DefaultValue::Function),
            ("CURRENT_USER", DefaultValue::Unknown),
            ("(CURRENT_DATE + 1)", DefaultValue::Unknown),
            ("NULL::character varying", DefaultValue::Unknown),
            ("('a'::text || 'b'::text)", DefaultValue::Unknown),
            ("('now'::text)::date", literal("now")),
            ("'unterminated", DefaultValue::Unknown),
            ("", DefaultValue::Unknown),
        ] {
            assert_eq!(parse(expression), expected, "{expression}");
        }
    }

    #[test]
    fn moments_at_the_end_of_their_range_are_shown_as_the_driver_of_debezium_reads_them() {
        let [millis, micros, nanos] =
            [Unit::Millis, Unit::Micros, Unit::Nanos].map(TimeForm::Number);
        let shown = |json| Some(Extreme::Shown(json));
        for (writer, text, expected) in [
            (Writer::Time(millis), "24:00:00", shown("86399999")),
            (Writer::Time(micros), "24:00:00", shown("86399999999")),
            (Writer::Time(nanos), "24:00:00", shown("86399999999999")),
            (Writer::Time(micros), "23:59:59", None),
            (Writer::DateDays, "infinity", None),
            (Writer::DateIso, "-infinity", shown("\"-999999999-01-01Z\"")),
            (Writer::Timestamp(millis), "infinity", Some(Extreme::Hidden)),
            (Writer::Timestamp(micros), "infinity", None),
            (Writer::Timestamp(micros), "-infinity", shown("-9223372036854775808")),
            (Writer::Timestamp(nanos), "-infinity", Some(Extreme::Hidden)),
            (
                Writer::Timestamp(TimeForm::Iso),
                "infinity",
                shown("\"+999999999-12-31T23:59:59.999999999Z\""),
            ),
            (Writer::TimestampWithZone(6), "infinity", Some(Extreme::Hidden)),
            (Writer::Text, "infinity", None),
        ] {
            assert_eq!(extreme(&writer, text), expected, "{writer:?} {text}");
        }
    }
}
