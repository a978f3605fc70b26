//! LZ4 blocks of change events: the same few shapes over and over, with other values in them.
//!
//! In: at most 64 KiB. Out: one raw LZ4 block, which every reader of LZ4 takes. Never here: frames, I/O, state from one block to the next.
//! What differs from other encoders is where a match is looked for first. A record repeats one before it but for its values, so behind a
//! value the one goes on as far from the other as before: that distance is tried before the table of places, eight bytes at once. Matches
//! of less than six bytes are left alone: they save little, and cost whoever decompresses as much as long ones.
//! Source: LZ4 block format, 2022-07-31; `docs/adr/0021-lz4-for-change-events.md`, with the measurements.

/// What a block has at most: every place in it fits 16 bits, and so does every distance.
pub(super) const BLOCK_BYTES: usize = 64 * 1024;
/// What a block can become: a byte more for each 255 literals, and room to copy more of them than there are.
pub(super) const COMPRESSED_BYTES_MAX: usize = BLOCK_BYTES + BLOCK_BYTES / 255 + 2 * MOVE_BYTES;

/// Literals up to so many are copied in one move.
const MOVE_BYTES: usize = 16;
const PLACES_LOG2: u32 = 13;
const PLACES: usize = 1 << PLACES_LOG2;
/// The shortest match that is used.
const MATCH_BYTES_MIN: usize = 6;
/// Bits of eight bytes that are not part of what the table knows.
const UNKNOWN_BITS: u32 = 16;
/// A match begins at least so far from the end. The format asks for 12; the rest is room to look ahead.
const TAIL_BYTES: usize = 24;
/// The last bytes are always literals.
const LAST_LITERALS: usize = 5;
/// The format counts the length of a match from here.
const MATCH_BYTES_BASE: usize = 4;
/// A length that has no room in its half of the token.
const LONG: usize = 15;
/// After so many places without a match only every second one is tried, and so on.
const MISSES_LOG2: u32 = 4;

/// Compresses one block after the other.
pub(super) struct Lz4 {
    /// Where six bytes were seen last, by their hash.
    places: Box<[u16; PLACES]>,
}

impl Lz4 {
    pub(super) fn new() -> Self {
        Self { places: Box::new([0; PLACES]) }
    }

    /// Compresses `block` into `out`, which has [`COMPRESSED_BYTES_MAX`] bytes. Returns how many of them are used, which may be more than
    /// the block has.
    pub(super) fn compress(&mut self, block: &[u8], out: &mut [u8]) -> usize {
        self.places.fill(0);
        let mut out = Sequences { out, len: 0, block, written: 0 };
        if block.len() > TAIL_BYTES {
            search(block, &mut self.places, &mut out);
        }
        out.finish()
    }
}

/// A part of the block that repeats what stands `distance` bytes before it.
#[derive(Clone, Copy)]
struct Match {
    from: usize,
    until: usize,
    distance: usize,
}

/// Finds what repeats, from the beginning to the end.
fn search(block: &[u8], places: &mut [u16; PLACES], out: &mut Sequences<'_>) {
    let last = block.len() - TAIL_BYTES;
    let (mut at, mut distance, mut misses) = (1, 1, 0_usize);
    while at < last {
        let bytes = eight(block, at);
        // Of eight bytes the first four are the same, or the last four.
        let differs = bytes ^ eight(block, at - distance);
        let from = if differs.trailing_zeros() >= 32 {
            Some(at)
        } else if differs.leading_zeros() >= 32 {
            Some(at + differs_until(differs))
        } else {
            let place = &mut places[hash(bytes)];
            let known = usize::from(std::mem::replace(place, short(at)));
            let is_same = (eight(block, known) ^ bytes) << UNKNOWN_BITS == 0 && known < at;
            if is_same {
                distance = at - known;
            }
            is_same.then_some(at)
        };
        let found = from.map(|from| extend(block, from, distance, out.written));
        match found {
            Some(found) if found.until - found.from >= MATCH_BYTES_MIN => {
                out.push(found);
                at = found.until;
                misses = 0;
                for seen in [at - MATCH_BYTES_MIN, at - MATCH_BYTES_MIN / 2] {
                    places[hash(eight(block, seen))] = short(seen);
                }
            }
            _ => {
                misses += 1;
                at += 1 + (misses >> MISSES_LOG2);
            }
        }
    }
}

/// Makes a match as long as it is, in both directions, but not into what is written already.
#[inline]
fn extend(block: &[u8], from: usize, distance: usize, written: usize) -> Match {
    let repeats = &block[from..block.len() - LAST_LITERALS];
    let until = from + common(repeats, &block[from - distance..]);
    let mut begin = from;
    while begin > written && begin > distance && block[begin - 1] == block[begin - 1 - distance] {
        begin -= 1;
    }
    Match { from: begin, until, distance }
}

/// How many bytes are the same at the beginning of both.
#[inline]
fn common(one: &[u8], other: &[u8]) -> usize {
    let (words, _) = one.as_chunks::<8>();
    let (others, _) = other.as_chunks::<8>();
    let mut same = 0;
    for (word, other) in words.iter().zip(others) {
        let differs = u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other);
        if differs != 0 {
            return same + differs.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    let rest = one[same..].iter().zip(&other[same..]);
    same + rest.take_while(|(one, other)| one == other).count()
}

/// Behind the last of eight bytes that differ.
fn differs_until(differs: u64) -> usize {
    8 - differs.leading_zeros() as usize / 8
}

#[inline]
fn eight(block: &[u8], at: usize) -> u64 {
    let bytes = block.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Of the first six bytes.
#[inline]
fn hash(bytes: u64) -> usize {
    let mixed = (bytes << UNKNOWN_BITS).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (u64::BITS - PLACES_LOG2)) as usize
}

/// A number below [`BLOCK_BYTES`].
#[inline]
fn short(number: usize) -> u16 {
    let [low, high, ..] = number.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// Writes sequences of literals and matches.
struct Sequences<'a> {
    out: &'a mut [u8],
    len: usize,
    block: &'a [u8],
    /// So much of the block.
    written: usize,
}

impl Sequences<'_> {
    /// Shape: token (4 bits number of literals, 4 bits length of the match less 4) · more of the number · literals · uint16 distance,
    /// little-endian · more of the length. A half of the token that is 15 goes on in bytes that are added up, to the first that is not 255.
    #[inline]
    fn push(&mut self, found: Match) {
        let Match { from, until, distance } = found;
        let length = until - from - MATCH_BYTES_BASE;
        self.literals(from, length);
        self.out[self.len..self.len + 2].copy_from_slice(&short(distance).to_le_bytes());
        self.len += 2;
        self.more(length);
        self.written = until;
    }

    /// The rest of the block is literals.
    fn finish(mut self) -> usize {
        self.literals(self.block.len(), 0);
        self.len
    }

    /// The token, and all up to `until` as literals.
    #[inline]
    fn literals(&mut self, until: usize, length: usize) {
        let count = until - self.written;
        let [token, ..] = (count.min(LONG) << 4 | length.min(LONG)).to_le_bytes();
        self.out[self.len] = token;
        self.len += 1;
        self.more(count);
        let literals = &self.block[self.written..];
        let out = &mut self.out[self.len..];
        match (literals.first_chunk::<MOVE_BYTES>(), out.first_chunk_mut()) {
            (Some(literals), Some(out)) if count <= MOVE_BYTES => *out = *literals,
            _ => out[..count].copy_from_slice(&literals[..count]),
        }
        self.len += count;
    }

    #[inline]
    fn more(&mut self, count: usize) {
        let Some(mut rest) = count.checked_sub(LONG) else { return };
        while rest >= 255 {
            self.out[self.len] = 255;
            self.len += 1;
            rest -= 255;
        }
        let [rest, ..] = rest.to_le_bytes();
        self.out[self.len] = rest;
        self.len += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(block: &[u8]) -> Vec<u8> {
        let mut out = vec![0; COMPRESSED_BYTES_MAX];
        let len = Lz4::new().compress(block, &mut out);
        out.truncate(len);
        out
    }

    /// By the decoder of a library, which shares nothing with the encoder.
    fn expect_same(block: &[u8]) -> usize {
        let compressed = compressed(block);
        let plain = lz4_flex::block::decompress(&compressed, block.len()).unwrap();
        assert!(plain == block, "{} bytes", block.len());
        compressed.len()
    }

    struct Noise(u64);

    impl Noise {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, end: usize) -> usize {
            usize::try_from(self.next() % end as u64).unwrap()
        }
    }

    #[test]
    fn blocks_of_every_small_size_come_back() {
        for len in 0..600 {
            expect_same(&vec![7; len]);
            expect_same(&b"abcdefgh".repeat(75)[..len]);
            let mut noise = Noise(len as u64 + 1);
            let bytes: Vec<u8> = (0..len).map(|_| noise.next().to_le_bytes()[0]).collect();
            expect_same(&bytes);
        }
    }

    /// Pieces of what is there already, new bytes and runs, in random lengths: matches of every distance and length, overlapping ones among them.
    #[test]
    fn random_mixtures_come_back() {
        for seed in 1..400 {
            let mut noise = Noise(seed);
            let (len, letters) = (noise.below(BLOCK_BYTES), 1 + noise.below(255));
            let mut block = Vec::new();
            while block.len() < len {
                let most = 1 << noise.below(10);
                let piece = 1 + noise.below(most);
                match noise.below(3) {
                    0 if !block.is_empty() => {
                        let from = noise.below(block.len());
                        (from..from + piece).for_each(|at| block.push(block[at]));
                    }
                    1 => block.resize(block.len() + piece, noise.next().to_le_bytes()[0]),
                    _ => block.extend((0..piece).map(|_| noise.below(letters).to_le_bytes()[0])),
                }
            }
            block.truncate(len);
            expect_same(&block);
        }
    }

    #[test]
    fn a_whole_block_of_one_byte_and_one_of_noise_have_room() {
        assert!(expect_same(&vec![0; BLOCK_BYTES]) < 300);
        let mut noise = Noise(5);
        let bytes: Vec<u8> = (0..BLOCK_BYTES).map(|_| noise.next().to_le_bytes()[0]).collect();
        assert!(expect_same(&bytes) < BLOCK_BYTES + BLOCK_BYTES / 200);
    }

    /// Rows as narrow as this are what it is worst at.
    #[test]
    fn narrow_events_become_as_small_as_elsewhere_but_for_a_quarter() {
        let events: Vec<u8> = (0..200_u64)
            .flat_map(|n| {
                let id = n * 7919 % 90_000 + 10_000;
                format!(r#"{{"before":null,"after":{{"id":{id},"status":"new","total":{}}},"op":"c","ts_ms":17643168{id}}}"#, n * n).into_bytes()
            })
            .collect();
        let len = expect_same(&events);
        let library = lz4_flex::block::compress(&events).len();
        assert!(len * 100 < library * 125, "{len}, where a library needs {library}");
    }

    /// What the format asks of the end of a block, and some decoders rely on.
    #[test]
    fn a_block_ends_in_five_literals() {
        for len in TAIL_BYTES + 2..300 {
            let compressed = compressed(&vec![b'x'; len]);
            assert_eq!(compressed[compressed.len() - LAST_LITERALS - 1] >> 4, 5, "{len}");
            assert!(compressed.ends_with(&[b'x'; LAST_LITERALS]), "{len}");
        }
    }
}
