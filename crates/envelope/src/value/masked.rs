//! Values that are hidden or shortened on their way out. In: PostgreSQL's text of a value. Out: the JSON that stands for it.
//! Never: a mask on what is no character type, which Debezium sends as it is; half of a character.
//!
//! Lengths are those of Java's strings: UTF-16 units, so a character beyond the basic plane counts two. Where a cut would
//! split such a pair, Java keeps the lone half, which its JSON writer then refuses; here the whole character goes.
//! Source: Debezium documentation, `column.mask.*`, `column.truncate.*`; Java Object Serialization Specification,
//! "Grammar for the Stream Format"; `java.io.DataInput`, "Modified UTF-8".

use super::{Malformed, Outcome, Writer, base64, json};
use crate::settings::BinaryHandling;
use crate::treatment::{HashAlgorithm, HashInput, Mask, Salt};

/// What comes out in place of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Masked {
    /// Always this JSON, for NULL too.
    Constant(Box<[u8]>),
    /// A digest of the text.
    Digest(Digest),
    /// The text, cut.
    CutText { units_max: usize },
    /// Bytes of `bytea`, cut.
    CutBytes { bytes_max: usize },
    /// The string that the writer makes, cut; what is no string stays whole.
    CutString { units_max: usize, writer: Writer },
}

/// A digest in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    algorithm: HashAlgorithm,
    input: HashInput,
    salt: Salt,
    /// Length of the column.
    digits_max: usize,
}

impl Masked {
    /// `writer` and `length_max` are those of the column; `None` leaves its values as they are.
    pub(crate) fn compile(
        mask: &Mask,
        writer: &Writer,
        is_character: bool,
        column_length: usize,
    ) -> Option<Self> {
        match mask {
            Mask::Truncate { length_max } if *length_max >= column_length => None,
            Mask::Truncate { length_max } => Some(match writer {
                Writer::Text => Self::CutText { units_max: *length_max },
                Writer::Bytea(BinaryHandling::Bytes) => Self::CutBytes { bytes_max: *length_max },
                writer => Self::CutString { units_max: *length_max, writer: writer.clone() },
            }),
            _ if !is_character => None,
            Mask::Asterisks { length } => {
                Some(Self::Constant(format!("\"{}\"", "*".repeat(*length)).into_bytes().into()))
            }
            Mask::Hash { algorithm, input, salt } => Some(Self::Digest(Digest {
                algorithm: *algorithm,
                input: *input,
                salt: salt.clone(),
                digits_max: column_length,
            })),
        }
    }

    /// Appends what stands for `text`.
    pub(super) fn write(&self, text: &[u8], out: &mut Vec<u8>) -> Result<Outcome, Malformed> {
        match self {
            Self::Constant(json) => out.extend_from_slice(json),
            Self::Digest(digest) => digest.write(text, out),
            Self::CutText { units_max } => json::string(cut(text, *units_max), out),
            Self::CutBytes { bytes_max } => {
                // Two digits each, after `\x`.
                let end = bytes_max.saturating_mul(2).saturating_add(2).min(text.len());
                base64::bytea(&text[..end], BinaryHandling::Bytes, out)?;
            }
            Self::CutString { units_max, writer } => {
                let start = out.len();
                let outcome = writer.write(text, out)?;
                cut_json(start, *units_max, out);
                return Ok(outcome);
            }
        }
        Ok(Outcome::Written)
    }

    /// What stands for a value that is already JSON: a stand-in for one that is not there.
    pub(crate) fn stand_in(&self, json: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Constant(constant) => out.extend_from_slice(constant),
            Self::Digest(digest) if json.starts_with(b"\"") => {
                digest.write(&json::unescape(json), &mut out);
            }
            Self::CutText { units_max } | Self::CutString { units_max, .. } => {
                out.extend_from_slice(json);
                cut_json(0, *units_max, &mut out);
            }
            Self::Digest(_) | Self::CutBytes { .. } => out.extend_from_slice(json),
        }
        out
    }

    /// True if NULL looks like any other value.
    pub(crate) fn hides_null(&self) -> bool {
        matches!(self, Self::Constant(_))
    }
}

/// The longest beginning of at most so many UTF-16 units.
pub(crate) fn cut(text: &[u8], units_max: usize) -> &[u8] {
    if text.len() <= units_max {
        return text;
    }
    let mut units = 0;
    for (index, &byte) in text.iter().enumerate() {
        units += units_of(byte);
        if units > units_max {
            return &text[..index];
        }
    }
    text
}

/// UTF-16 units of the character that begins with this byte of UTF-8; 0 for a byte inside one.
fn units_of(byte: u8) -> usize {
    match byte {
        0x80..=0xBF => 0,
        0xF0.. => 2,
        _ => 1,
    }
}

/// Cuts the JSON string that begins at `start` and ends the buffer; anything else is left alone.
fn cut_json(start: usize, units_max: usize, out: &mut Vec<u8>) {
    if out.get(start) != Some(&b'"') {
        return;
    }
    let mut units = 0;
    let mut index = start + 1;
    let end = out.len() - 1;
    while index < end {
        let length = match (out[index], out[index + 1]) {
            (b'\\', b'u') => 6,
            (b'\\', _) => 2,
            _ => 1,
        };
        units += units_of(out[index]);
        if units > units_max {
            out.truncate(index);
            out.push(b'"');
            return;
        }
        index += length;
    }
}

impl Digest {
    fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        match self.algorithm {
            HashAlgorithm::Md5 => self.with(md5::Md5::default(), text, out),
            HashAlgorithm::Sha1 => self.with(sha1::Sha1::default(), text, out),
            HashAlgorithm::Sha224 => self.with(sha2::Sha224::default(), text, out),
            HashAlgorithm::Sha256 => self.with(sha2::Sha256::default(), text, out),
            HashAlgorithm::Sha384 => self.with(sha2::Sha384::default(), text, out),
            HashAlgorithm::Sha512 => self.with(sha2::Sha512::default(), text, out),
            HashAlgorithm::Sha512To224 => self.with(sha2::Sha512_224::default(), text, out),
            HashAlgorithm::Sha512To256 => self.with(sha2::Sha512_256::default(), text, out),
            HashAlgorithm::Sha3To224 => self.with(sha3::Sha3_224::default(), text, out),
            HashAlgorithm::Sha3To256 => self.with(sha3::Sha3_256::default(), text, out),
            HashAlgorithm::Sha3To384 => self.with(sha3::Sha3_384::default(), text, out),
            HashAlgorithm::Sha3To512 => self.with(sha3::Sha3_512::default(), text, out),
        }
    }

    fn with<D: md5::Digest>(&self, mut digest: D, text: &[u8], out: &mut Vec<u8>) {
        digest.update(self.salt.bytes());
        match self.input {
            HashInput::Utf8 => digest.update(text),
            HashInput::JavaSerialized => java_serialized(text, |bytes| digest.update(bytes)),
        }
        let start = out.len();
        base64::bytes_json(&digest.finalize(), BinaryHandling::Hex, out);
        cut_json(start, self.digits_max, out);
    }
}

/// The stream of Java's `ObjectOutputStream` that holds one string.
///
/// Shape: magic AC ED · version 00 05 · `TC_STRING` 74 and the length in two bytes, or `TC_LONGSTRING` 7C and the length in
/// eight · the text in modified UTF-8, where a character beyond the basic plane is its two surrogates of three bytes each.
fn java_serialized(text: &[u8], mut push: impl FnMut(&[u8])) {
    let pairs = text.iter().filter(|&&byte| byte >= 0xF0).count();
    let length = text.len() + 2 * pairs;
    push(&[0xAC, 0xED, 0, 5]);
    if let Ok(length) = u16::try_from(length) {
        push(&[0x74]);
        push(&length.to_be_bytes());
    } else {
        push(&[0x7C]);
        push(&(length as u64).to_be_bytes());
    }
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte >= 0xF0) {
        push(&rest[..at]);
        let Some((quad, after)) = rest[at..].split_first_chunk::<4>() else { break };
        push(&surrogates(*quad));
        rest = after;
    }
    push(rest);
}

/// A character of four bytes of UTF-8 as two surrogates of three bytes each.
fn surrogates(quad: [u8; 4]) -> [u8; 6] {
    let mut bytes = [0; 6];
    let character = str::from_utf8(&quad).ok().and_then(|text| text.chars().next());
    let mut pair = [0; 2];
    let units = character.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf16(&mut pair);
    for (three, unit) in bytes.chunks_exact_mut(3).zip(units) {
        let [low, high] = unit.to_le_bytes();
        three.copy_from_slice(&[
            0xE0 | high >> 4,
            0x80 | (high & 15) << 2 | low >> 6,
            0x80 | low & 63,
        ]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(mask: &Mask, writer: &Writer, column_length: usize, text: &str) -> String {
        let masked = Masked::compile(mask, writer, *writer == Writer::Text, column_length).unwrap();
        let mut out = b"before".to_vec();
        masked.write(text.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    fn hashed(algorithm: HashAlgorithm, input: HashInput, text: &str) -> String {
        let salt = Salt::new("CzQMA0cB5K");
        let json = masked(&Mask::Hash { algorithm, input, salt }, &Writer::Text, 255, text);
        json.trim_matches('"').to_owned()
    }

    const ANY_LENGTH: usize = 2_147_483_647;

    #[test]
    fn digests_are_those_of_the_recordings() {
        use HashAlgorithm::Sha256;
        use HashInput::{JavaSerialized, Utf8};
        for (input, text, expected) in [
            (
                JavaSerialized,
                "hello",
                "b4d39ab0d198fb4cac8b2f023da74f670bcaf192dcc79b5d6361b7ae6b2fafdf",
            ),
            (Utf8, "hello", "c4bf2f9ebc99b7f64add45103e81eb4ca483649064e3e1398b21f41786360c7b"),
            (Utf8, "", "38bc986eb4a5475fab16ac693f6c1b4c2445600da5c5aec3d04301e48d6d0d68"),
        ] {
            assert_eq!(hashed(Sha256, input, text), expected, "{text} {input:?}");
        }
        let salt = Salt::new("CzQMA0cB5K");
        let mask = Mask::Hash { algorithm: Sha256, input: JavaSerialized, salt };
        assert_eq!(masked(&mask, &Writer::Text, 20, "test"), "\"8e68c68edbbac316dfe2\"");
        assert_eq!(masked(&mask, &Writer::Text, 20, ""), "\"7b061bc77caec9afdc6b\"");
    }

    /// Digests of the empty input, from the algorithms' standards.
    #[test]
    fn each_name_is_its_algorithm() {
        for (name, digest) in [
            ("MD5", "d41d8cd98f00b204e9800998ecf8427e"),
            ("SHA-1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("SHA-224", "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"),
            ("SHA-256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("SHA-384", "38b060a751ac96384cd9327eb1b1e36a21fdb71114be0743"),
            ("SHA-512", "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc"),
            ("SHA-512/224", "6ed0dd02806fa89e25de060c19d3ac86cabb87d6a0ddd05c333b84f4"),
            ("SHA-512/256", "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a"),
            ("SHA3-224", "6b4e03423667dbb73b6e15454f0eb1abd4597f9a1b078e3f5b5a6bc7"),
            ("SHA3-256", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"),
            ("SHA3-384", "0c63a75b845e4f7d01107d852e4c2485c51a50aaaa94fc61"),
            ("SHA3-512", "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859"),
        ] {
            let algorithm = HashAlgorithm::from_name(name).unwrap();
            let mask = Mask::Hash { algorithm, input: HashInput::Utf8, salt: Salt::new("") };
            let whole = masked(&mask, &Writer::Text, ANY_LENGTH, "");
            assert!(whole.trim_matches('"').starts_with(digest), "{name}: {whole}");
        }
    }

    #[test]
    fn a_string_is_serialised_as_java_does() {
        let serialised = |text: &str| {
            let mut bytes = Vec::new();
            java_serialized(text.as_bytes(), |part| bytes.extend_from_slice(part));
            bytes
        };
        assert_eq!(serialised("é"), [0xAC, 0xED, 0, 5, 0x74, 0, 2, 0xC3, 0xA9]);
        assert_eq!(
            serialised("a😀b")[4..],
            [0x74, 0, 8, b'a', 0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80, b'b']
        );
        let long = serialised(&"x".repeat(65_536));
        assert_eq!(long[4..13], [0x7C, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(serialised(&"x".repeat(65_535))[4..7], [0x74, 0xFF, 0xFF]);
    }

    #[test]
    fn text_is_cut_by_utf_16_units_and_never_inside_a_character() {
        let cut_to = |length_max, text| {
            masked(&Mask::Truncate { length_max }, &Writer::Text, ANY_LENGTH, text)
        };
        for (length_max, text, expected) in [
            (3, "hello", "\"hel\""),
            (3, "ab", "\"ab\""),
            (3, "日本語テ", "\"日本語\""),
            (0, "x", "\"\""),
            (3, "a😀b", "\"a😀\""),
            (2, "a😀b", "\"a\""),
            (2, "\"\"\"", r#""\"\"""#),
        ] {
            assert_eq!(cut_to(length_max, text), expected, "{text} to {length_max}");
        }
    }

    #[test]
    fn strings_of_other_types_are_cut_too_and_numbers_are_not() {
        let truncate = Mask::Truncate { length_max: 4 };
        let cut = |writer: &Writer, text| masked(&truncate, writer, ANY_LENGTH, text);
        assert_eq!(cut(&Writer::Integer, "1234567"), "1234567");
        assert_eq!(cut(&Writer::TimestampWithZone(6), "2020-01-02 03:04:05+00"), "\"2020\"");
        assert_eq!(cut(&Writer::Bytea(BinaryHandling::Bytes), "\\x0001020304"), "\"AAECAw==\"");
        assert_eq!(cut(&Writer::Bytea(BinaryHandling::Bytes), "\\x00"), "\"AA==\"");
        assert_eq!(cut(&Writer::Bytea(BinaryHandling::Hex), "\\x0001020304"), "\"0001\"");
    }

    #[test]
    fn only_character_types_are_hidden_and_only_what_is_longer_is_cut() {
        let asterisks = Mask::Asterisks { length: 3 };
        assert_eq!(masked(&asterisks, &Writer::Text, 9, "x"), "\"***\"");
        assert_eq!(Masked::compile(&asterisks, &Writer::Integer, false, 10), None);
        let truncate = Mask::Truncate { length_max: 10 };
        assert_eq!(Masked::compile(&truncate, &Writer::Text, true, 10), None);
    }

    #[test]
    fn stand_ins_are_hidden_like_values() {
        let compile = |mask| Masked::compile(&mask, &Writer::Text, true, 64).unwrap();
        let stand_in = |masked: &Masked, json: &str| {
            String::from_utf8(masked.stand_in(json.as_bytes())).unwrap()
        };
        let hash = compile(Mask::Hash {
            algorithm: HashAlgorithm::Sha256,
            input: HashInput::Utf8,
            salt: Salt::new("CzQMA0cB5K"),
        });
        assert!(stand_in(&hash, "\"hello\"").starts_with("\"c4bf2f9e"));
        assert_eq!(stand_in(&hash, "null"), "null");
        let truncate = compile(Mask::Truncate { length_max: 3 });
        assert_eq!(stand_in(&truncate, r#""a\nb\u0001c""#), r#""a\nb""#);
        assert_eq!(stand_in(&truncate, "null"), "null");
        assert_eq!(stand_in(&compile(Mask::Asterisks { length: 1 }), "null"), "\"*\"");
    }

    proptest! {
        #[test]
        fn a_cut_keeps_a_beginning_of_at_most_that_length(text in "(\\PC|[\\x00-\\x22\\\\]){0,12}", length_max in 0_usize..12) {
            let truncate = Mask::Truncate { length_max };
            let json = masked(&truncate, &Writer::Text, ANY_LENGTH, &text);
            let kept: String = serde_json::from_str(&json).unwrap();
            prop_assert!(text.starts_with(&kept));
            prop_assert!(kept.encode_utf16().count() <= length_max);
            let next = text[kept.len()..].chars().next().map_or(usize::MAX, char::len_utf16);
            prop_assert!(kept == text || kept.encode_utf16().count() + next > length_max);
            let other = Writer::Masked(Box::new(Masked::CutString { units_max: length_max, writer: Writer::Text }));
            let mut out = Vec::new();
            other.write(text.as_bytes(), &mut out).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), json);
        }
    }
}
