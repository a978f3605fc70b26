//! Documents, identifiers, addresses, ranges, arrays, and the types of extensions.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::texts::text;
use super::{Value, extreme_or};

pub(in super::super) fn json(random: &mut StdRng) -> String {
    let extremes = [
        "null",
        "\"\"",
        "{}",
        "[]",
        "  { \"a\" :1 , \"a\":2}",
        "1e40",
        "\"\\u00e9\\n\"",
        "[1.10, true, {}]",
    ];
    extreme_or(random, &extremes, |random| {
        let text = serde_json::Value::String(text(random));
        let (number, fraction) = (random.random::<i32>(), random.random_range(0..100));
        let truth = random.random::<bool>();
        format!("{{\"n\": {number}.{fraction:02}, \"t\": {text}, \"x\": [{truth}, null]}}")
    })
}

/// Without control characters, which XML cannot hold.
pub(in super::super) fn xml(random: &mut StdRng) -> String {
    extreme_or(random, &["", "plain", "<a/>", "<a>1</a><b/>"], |random| {
        let number = random.random::<u16>();
        format!("<e n=\"{number}\">ž &amp; {number}</e>")
    })
}

pub(in super::super) fn uuid(random: &mut StdRng) -> String {
    let extremes = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"];
    extreme_or(random, &extremes, |random| {
        let hex = format!("{:032x}", random.random::<u128>());
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    })
}

pub(in super::super) fn point(random: &mut StdRng) -> String {
    extreme_or(random, &["(0,0)", "(1,1)", "(-1.5,1e10)", "(1e-300,-1e300)"], |random| {
        let mut number = || f64::from(random.random_range(-100_000..100_000)) / 64.0;
        format!("({},{})", number(), number())
    })
}

pub(in super::super) fn inet(random: &mut StdRng) -> String {
    let extremes =
        ["0.0.0.0", "255.255.255.255", "10.1.2.3/8", "::1", "2001:db8::1/64", "::ffff:1.2.3.4"];
    extreme_or(random, &extremes, |random| {
        let [a, b, c, d] = random.random::<u32>().to_be_bytes();
        format!("{a}.{b}.{c}.{d}/{}", random.random_range(1..=32))
    })
}

/// Without bits right of the netmask.
pub(in super::super) fn cidr(random: &mut StdRng) -> String {
    extreme_or(random, &["0.0.0.0/0", "10.0.0.0/8", "2001:db8::/32", "::/0"], |random| {
        let [a, b, c, _] = random.random::<u32>().to_be_bytes();
        format!("{a}.{b}.{c}.0/24")
    })
}

fn octets(random: &mut StdRng, count: usize) -> String {
    let octets: Vec<String> =
        (0..count).map(|_| format!("{:02x}", random.random::<u8>())).collect();
    octets.join(":")
}

pub(in super::super) fn macaddr(random: &mut StdRng) -> String {
    octets(random, 6)
}

pub(in super::super) fn macaddr8(random: &mut StdRng) -> String {
    octets(random, 8)
}

/// A range between two texts that the server orders as written.
fn range(random: &mut StdRng, low: &str, high: &str) -> String {
    match random.random_range(0..6) {
        0 => "empty".to_owned(),
        1 => format!("[{low},)"),
        2 => format!("(,{high}]"),
        3 => "(,)".to_owned(),
        4 => format!("[{low},{high}]"),
        _ => format!("[{low},{high})"),
    }
}

pub(in super::super) fn int4range(random: &mut StdRng) -> String {
    let low = random.random_range(-100_000..100_000);
    let high = low + random.random_range(1..1_000);
    range(random, &low.to_string(), &high.to_string())
}

pub(in super::super) fn int8range(random: &mut StdRng) -> String {
    let low = random.random_range(-1_000_000_000_000_i64..1_000_000_000_000);
    let high = low + random.random_range(1..1_000_000);
    range(random, &low.to_string(), &high.to_string())
}

pub(in super::super) fn numrange(random: &mut StdRng) -> String {
    let low = random.random_range(-1_000..1_000);
    range(random, &format!("{low}.5"), &format!("{}.25", low + 7))
}

pub(in super::super) fn daterange(random: &mut StdRng) -> String {
    let year = random.random_range(1_900..2_100);
    range(random, &format!("{year}-03-31"), &format!("{}-01-01", year + 1))
}

pub(in super::super) fn tsrange(random: &mut StdRng) -> String {
    let year = random.random_range(1_900..2_100);
    range(
        random,
        &format!("\"{year}-03-31 15:30:00.5\""),
        &format!("\"{}-01-01 00:00:00\"", year + 1),
    )
}

pub(in super::super) fn tstzrange(random: &mut StdRng) -> String {
    let year = random.random_range(1_900..2_100);
    let (low, high) =
        (format!("\"{year}-03-31 15:30:00.5+02\""), format!("\"{}-01-01 00:00:00+00\"", year + 1));
    range(random, &low, &high)
}

pub(in super::super) fn tsvector(random: &mut StdRng) -> String {
    extreme_or(random, &["", "'a'", "'fat':1A 'cat':2,4B"], |random| {
        format!("'w{}':{} 'it''s'", random.random::<u8>(), random.random_range(1..100))
    })
}

pub(in super::super) fn hstore(random: &mut StdRng) -> String {
    let extremes = ["", "a=>NULL", "\"\"=>\"\"", "a=>\"x\\\"y\\\\z\""];
    extreme_or(random, &extremes, |random| {
        let number = random.random::<u16>();
        format!("\"key {number}\"=>\"väl {number}\", k=>{}", number % 7)
    })
}

pub(in super::super) fn ltree(random: &mut StdRng) -> String {
    extreme_or(random, &["", "Top"], |random| {
        format!("Top.n{}.Leaf_{}", random.random::<u8>(), random.random::<u8>())
    })
}

pub(in super::super) fn isbn(random: &mut StdRng) -> String {
    let books = ["978-0-393-04002-9", "0-306-40615-2", "978-3-16-148410-0"];
    books.choose(random).copied().unwrap_or_default().to_owned()
}

pub(in super::super) fn composite(random: &mut StdRng) -> String {
    format!("({},two)", random.random::<i32>())
}

pub(in super::super) fn multirange(random: &mut StdRng) -> String {
    let low = random.random_range(-1_000..1_000);
    format!("{{[{low},{}),[{},)}}", low + 1, low + 10)
}

pub(in super::super) fn tsquery(random: &mut StdRng) -> String {
    format!("'fat' <-> 'w{}'", random.random::<u8>())
}

pub(in super::super) fn pg_lsn(random: &mut StdRng) -> String {
    format!("{:X}/{:X}", random.random::<u16>(), random.random::<u32>())
}

pub(in super::super) fn box_corners(random: &mut StdRng) -> String {
    let corner = random.random_range(0..100);
    format!("(0,0),({corner},1)")
}

pub(in super::super) fn geometry(random: &mut StdRng) -> String {
    let (x, y) = (random.random_range(-180..180), random.random_range(-90..90));
    match random.random_range(0..3) {
        0 => format!("SRID=4326;POINT({x} {y})"),
        1 => format!("LINESTRING({x} {y}, 0 0)"),
        _ => "POINT EMPTY".to_owned(),
    }
}

pub(in super::super) fn vector_3(random: &mut StdRng) -> String {
    let mut number = || f32::from(random.random::<i8>()) / 4.0;
    format!("[{},{},{}]", number(), number(), number())
}

pub(in super::super) fn sparsevec(random: &mut StdRng) -> String {
    format!("{{1:{},9:2.5}}/3000", random.random_range(1..100))
}

/// An array of one dimension: empty, with NULLs, with elements of `element`.
pub(in super::super) fn array(random: &mut StdRng, element: Value, null_chance: f64) -> String {
    let count = random.random_range(0..5);
    let elements: Vec<String> = (0..count)
        .map(|_| {
            if random.random_bool(null_chance) {
                return "NULL".to_owned();
            }
            let escaped = element(random).replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{escaped}\"")
        })
        .collect();
    format!("{{{}}}", elements.join(","))
}
