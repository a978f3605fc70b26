//! Blocks of a spill file: up to 64 KiB each, compressed, with a checksum.
//!
//! In: bytes. Out: the same bytes, or an error; blocks say nothing of what is in them.
//! Never: bytes that are not those that were written.

use std::io::{self, Read, Write};

/// What is compressed at once.
pub(super) const BLOCK_BYTES: usize = 64 * 1024;

/// Shape: `u32` length when unpacked · `u32` length · `u32` CRC-32C of what follows.
const HEADER_BYTES: usize = 12;

/// Appends these bytes, one after the other, as blocks. Returns the bytes written.
pub(super) fn write(file: &mut impl Write, parts: [&[u8]; 2]) -> io::Result<u64> {
    let mut block = vec![0; HEADER_BYTES + lz4_flex::block::get_maximum_output_size(BLOCK_BYTES)];
    let mut written = 0;
    for raw in parts.into_iter().flat_map(|part| part.chunks(BLOCK_BYTES)) {
        let packed = lz4_flex::block::compress_into(raw, &mut block[HEADER_BYTES..]);
        let packed = packed.map_err(io::Error::other)?;
        let (header, rest) = block.split_at_mut(HEADER_BYTES);
        let check = crc32c::crc32c(&rest[..packed]);
        header[..4].copy_from_slice(&length(raw.len())?.to_le_bytes());
        header[4..8].copy_from_slice(&length(packed)?.to_le_bytes());
        header[8..].copy_from_slice(&check.to_le_bytes());
        file.write_all(&block[..HEADER_BYTES + packed])?;
        written += (HEADER_BYTES + packed) as u64;
    }
    Ok(written)
}

/// Appends what the next block unpacks to, and returns the bytes read. `packed` is scratch.
///
/// Errors: the file ends, or is not as it was written.
pub(super) fn read(
    file: &mut impl Read,
    packed: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> io::Result<u64> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header)?;
    let [unpacked, length, check] = [0, 4, 8]
        .map(|at| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
    let (unpacked, length) = (unpacked as usize, length as usize);
    if unpacked > BLOCK_BYTES || length > lz4_flex::block::get_maximum_output_size(BLOCK_BYTES) {
        return Err(damaged());
    }
    packed.resize(length, 0);
    file.read_exact(packed)?;
    if crc32c::crc32c(packed) != check {
        return Err(damaged());
    }
    let before = out.len();
    out.resize(before + unpacked, 0);
    let filled = lz4_flex::block::decompress_into(packed, &mut out[before..]);
    if filled.map_err(|_| damaged())? != unpacked {
        return Err(damaged());
    }
    Ok((HEADER_BYTES + length) as u64)
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(io::Error::other)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a block is not as it was written")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(mut file: &[u8]) -> io::Result<Vec<u8>> {
        let (mut packed, mut out) = (Vec::new(), Vec::new());
        while !file.is_empty() {
            read(&mut file, &mut packed, &mut out)?;
        }
        Ok(out)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(one in prop::collection::vec(0u8..4, 0..200_000), other in prop::collection::vec(any::<u8>(), 0..70_000)) {
            let mut file = Vec::new();
            let written = write(&mut file, [&one, &other]).unwrap();
            prop_assert_eq!(written, file.len() as u64);
            prop_assert_eq!(read_all(&file).unwrap(), [one, other].concat());
        }
    }

    #[test]
    fn a_byte_that_changed_is_found() {
        let mut file = Vec::new();
        write(&mut file, [&[7; 1000], b"and more"]).unwrap();
        for at in 0..file.len() {
            let mut other = file.clone();
            other[at] ^= 0x10;
            assert!(read_all(&other).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_file_that_ends_early_is_found() {
        let mut file = Vec::new();
        write(&mut file, [&[7; 1000], b""]).unwrap();
        assert!(read_all(&file[..file.len() - 1]).is_err());
    }
}
