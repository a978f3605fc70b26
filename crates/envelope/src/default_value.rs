//! Default values of columns. In: SQL text of `pg_get_expr`. Out: the text of a literal, or that a function makes it.
//! Never: evaluates an expression.
//!
//! Source: Debezium documentation, "Default values"; PostgreSQL manual, "Constants".

/// What a default expression says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DefaultValue {
    /// A constant, as the text of its type.
    Literal(String),
    /// The result of a function: an event schema then shows the type's zero.
    Function,
    /// NULL, or an expression that would have to be computed.
    Unknown,
}

/// Reads the text of `pg_get_expr`.
pub(crate) fn parse(expression: &str) -> DefaultValue {
    let expression = expression.trim();
    if is_function_call(expression) {
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
            ("CURRENT_TIMESTAMP", DefaultValue::Unknown),
            ("NULL::character varying", DefaultValue::Unknown),
            ("('a'::text || 'b'::text)", DefaultValue::Unknown),
            ("('now'::text)::date", literal("now")),
            ("'unterminated", DefaultValue::Unknown),
            ("", DefaultValue::Unknown),
        ] {
            assert_eq!(parse(expression), expected, "{expression}");
        }
    }
}
