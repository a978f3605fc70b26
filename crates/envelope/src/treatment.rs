//! What the settings do to one column beyond the form of its type. In: the choices of `connector`, made once per version of
//! a table. Out: plain data. Never: reads configuration text, changes a value; `value::masked` does.
//!
//! Source: Debezium documentation, `column.mask.*`, `column.truncate.*`, `column.propagate.source.type`; Java Security
//! Standard Algorithm Names, "`MessageDigest`".

use std::fmt;

use crate::notice::NoticeKind;
use crate::table::Table;
use crate::types::source_type;

/// What is done to one column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnTreatment {
    /// How its values are hidden or shortened in `before` and `after`. The record key keeps them.
    pub mask: Option<Mask>,
    /// `column.propagate.source.type`, `datatype.propagate.source.type`: its schema tells its type in the source.
    pub source_type: bool,
}

/// How the values of a column are hidden or shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// `column.truncate.to.<length>.chars`: at most so many UTF-16 units of text, or bytes of `bytea`.
    Truncate {
        /// Longest result.
        length_max: usize,
    },
    /// `column.mask.with.<length>.chars`: so many asterisks in place of any value, NULL included.
    Asterisks {
        /// How many.
        length: usize,
    },
    /// `column.mask.hash.*`: a digest in hexadecimal, cut to the length of the column.
    Hash {
        /// Digest algorithm.
        algorithm: HashAlgorithm,
        /// What follows the salt in its input.
        input: HashInput,
        /// What its input begins with.
        salt: Salt,
    },
}

impl Mask {
    /// The parameter that tells consumers of it, for a column of this length.
    ///
    /// Debezium says `masked` of any column, also of one that is no character type and whose values it does not hide.
    pub(crate) fn parameter(&self, column_length: usize) -> Option<(&'static str, String)> {
        match self {
            Self::Truncate { length_max } => {
                (*length_max < column_length).then(|| ("truncateLength", length_max.to_string()))
            }
            Self::Asterisks { .. } | Self::Hash { .. } => Some(("masked", "true".to_owned())),
        }
    }
}

/// Columns that are to be hidden and are not, or not everywhere.
pub(crate) fn exposures(table: &Table) -> impl Iterator<Item = (NoticeKind, usize)> + '_ {
    table.columns.iter().enumerate().flat_map(|(index, column)| {
        let hidden =
            matches!(column.treatment.mask, Some(Mask::Asterisks { .. } | Mask::Hash { .. }));
        let unmasked = column.captured && !source_type::is_character(&column.data_type);
        [(unmasked, NoticeKind::Unmasked), (table.key.contains(&index), NoticeKind::UnmaskedInKey)]
            .into_iter()
            .filter(move |(applies, _)| hidden && *applies)
            .map(move |(_, kind)| (kind, index))
    })
}

/// What a digest is made of, after the salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashInput {
    /// `column.mask.hash.<algorithm>…`: the value as Java serialises a string.
    JavaSerialized,
    /// `column.mask.hash.v2.<algorithm>…`: the UTF-8 bytes of the value.
    Utf8,
}

/// What keeps digests from being looked up in a table of known ones; not shown in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt(Box<[u8]>);

impl Salt {
    /// The bytes as they are in the key of the setting.
    pub fn new(text: &str) -> Self {
        Self(text.as_bytes().into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Salt(…)")
    }
}

/// A digest algorithm that Java's `MessageDigest` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the algorithm of its name")]
pub enum HashAlgorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512To224,
    Sha512To256,
    Sha3To224,
    Sha3To256,
    Sha3To384,
    Sha3To512,
}

impl HashAlgorithm {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha512To224,
        Self::Sha512To256,
        Self::Sha3To224,
        Self::Sha3To256,
        Self::Sha3To384,
        Self::Sha3To512,
    ];

    /// By Java's name, without regard to case; `SHA` and `SHA1` are other names of `SHA-1`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if ["SHA", "SHA1"].iter().any(|alias| name.eq_ignore_ascii_case(alias)) {
            "SHA-1"
        } else {
            name
        };
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// Java's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
            Self::Sha512To224 => "SHA-512/224",
            Self::Sha512To256 => "SHA-512/256",
            Self::Sha3To224 => "SHA3-224",
            Self::Sha3To256 => "SHA3-256",
            Self::Sha3To384 => "SHA3-384",
            Self::Sha3To512 => "SHA3-512",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_go_by_javas_names() {
        for algorithm in HashAlgorithm::ALL {
            let lower = algorithm.name().to_lowercase();
            assert_eq!(HashAlgorithm::from_name(&lower), Some(algorithm));
        }
        assert_eq!(HashAlgorithm::from_name("sha1"), Some(HashAlgorithm::Sha1));
        assert_eq!(HashAlgorithm::from_name("SHA256"), None, "Java has no such name");
    }

    #[test]
    fn a_salt_is_not_shown() {
        assert!(!format!("{:?}", Salt::new("CzQMA0cB5K")).contains("CzQ"));
    }
}
