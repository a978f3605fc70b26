//! The numbers PostgreSQL names things by: log positions, transactions, catalog objects.
//!
//! In: integers of the wire, text of catalog views. Out: types that cannot be mixed up. Never: arithmetic that wraps.
//! Source: PostgreSQL manual, "`pg_lsn` Type" and "Object Identifier Types".

use std::fmt;
use std::str::FromStr;

use crate::error::LsnParseError;

/// Position in the write-ahead log, in bytes from its beginning. Shown as PostgreSQL shows it: `16/B374D848`.
///
/// Shape: `u64`; text is the high and the low 32 bits in upper-case hexadecimal without leading zeros.
/// Errors: [`LsnParseError`] from text that is not of this shape.
/// Source: PostgreSQL manual, "`pg_lsn` Type".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

impl Lsn {
    /// Before every record of the log; PostgreSQL's `InvalidXLogRecPtr`.
    pub const ZERO: Self = Self(0);

    /// The position `bytes` after the beginning of the log.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes from the beginning of the log.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Lsn({self})")
    }
}

impl FromStr for Lsn {
    type Err = LsnParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let half = |digits: &str| {
            // `from_str_radix` would also take a sign.
            let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if hexadecimal { u32::from_str_radix(digits, 16).ok() } else { None }
        };
        text.split_once('/')
            .and_then(|(high, low)| Some((half(high)?, half(low)?)))
            .map(|(high, low)| Self(u64::from(high) << 32 | u64::from(low)))
            .ok_or_else(|| LsnParseError::new(text))
    }
}

/// Transaction id as replication carries it: 32 bits, without the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub u32);

impl fmt::Display for Xid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Object id of a catalog row: a table or a type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(pub u32);

impl fmt::Display for Oid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lsn_reads_and_shows_as_in_postgresql() {
        let lsn: Lsn = "16/B374D848".parse().unwrap();
        assert_eq!(lsn.as_u64(), 0x16_B374_D848);
        assert_eq!(lsn.to_string(), "16/B374D848");
        assert_eq!("0/0".parse(), Ok(Lsn::ZERO));
        assert_eq!("0/1f".parse(), Ok(Lsn::new(0x1F)));
    }

    #[test]
    fn text_that_is_no_lsn_is_refused() {
        for text in
            ["", "/", "16", "16/", "/B3", "1/2/3", "+1/2", "1/-2", " 1/2", "123456789/0", "x/1"]
        {
            assert_eq!(text.parse::<Lsn>(), Err(LsnParseError::new(text)), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_lsn_survives_its_text(bytes: u64) {
            let lsn = Lsn::new(bytes);
            prop_assert_eq!(lsn.to_string().parse::<Lsn>(), Ok(lsn));
        }
    }
}
