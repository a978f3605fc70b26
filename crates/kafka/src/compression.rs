//! The five codecs of record batches, in the framings Java reads and writes.
//!
//! In: the records of a batch. Out: the same, compressed or decompressed. Never here: the batch
//! header. Source: Kafka documentation, "Message Format" (attributes bits 0–2); snappy is framed as
//! xerial's `SnappyOutputStream` does, LZ4 as independent blocks of 64 KiB, as Java requires.

mod lz4;

use std::{
    fmt,
    io::{self, Read, Write},
    mem::take,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{read::MultiGzDecoder, write::GzEncoder};
use lz4_flex::frame::FrameDecoder;

use self::lz4::Lz4;
use crate::buffers::Buffers;

/// How record batches are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// `gzip` with a level of 1–9 (`None`: 6).
    Gzip {
        /// `compression.gzip.level`.
        level: Option<u32>,
    },
    /// `snappy`; it has no levels.
    Snappy,
    /// `lz4`, its fast mode.
    Lz4,
    /// `zstd` with a level of -131072–22 (`None`: 3).
    Zstd {
        /// `compression.zstd.level`.
        level: Option<i32>,
    },
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip { .. } => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd { .. } => "zstd",
        })
    }
}

/// What a decompressed batch may grow to: a guard against bytes made to exhaust memory.
const DECOMPRESSED_BYTES_MAX: u64 = 1 << 30;
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;
/// Magic · version 1 with independent blocks · blocks of up to 64 KiB · checksum of the two.
const LZ4_FRAME: [u8; 7] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82];
/// Of a block's length: it is as it was.
const LZ4_UNCOMPRESSED: u32 = 1 << 31;
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// Compresses batches one after another, keeping what is costly to set up.
pub(crate) struct Compressor {
    compression: Compression,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    /// Made when it is first used.
    lz4: Option<Lz4>,
    /// Of what was compressed and sent.
    pub(crate) buffers: Buffers,
    /// What is compressed before its size is known.
    scratch: BytesMut,
    /// One block.
    block: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new(compression: Compression) -> io::Result<Self> {
        let zstd = match compression {
            Compression::Zstd { level } => {
                Some(zstd::bulk::Compressor::new(level.unwrap_or(ZSTD_LEVEL))?)
            }
            _ => None,
        };
        Ok(Self {
            compression,
            zstd,
            lz4: None,
            buffers: Buffers::default(),
            scratch: BytesMut::new(),
            block: Vec::new(),
        })
    }

    /// Bits 0–2 of a batch's attributes.
    pub(crate) fn attribute(&self) -> i16 {
        match self.compression {
            Compression::None => 0,
            Compression::Gzip { .. } => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd { .. } => 4,
        }
    }

    /// Compresses what follows the first `header_bytes` of `batch` into a new buffer with the same
    /// header. `None`: no codec, or the result would not be smaller, so the batch goes as it is.
    pub(crate) fn compress(&mut self, batch: &[u8], header_bytes: usize) -> Option<BytesMut> {
        let (header, records) = batch.split_at(header_bytes);
        let mut out = take(&mut self.scratch);
        out.clear();
        out.put_slice(header);
        let result = match self.compression {
            Compression::None => return None,
            Compression::Gzip { level } => gzip(records, level.unwrap_or(GZIP_LEVEL), &mut out),
            Compression::Snappy => snappy(records, &mut out),
            Compression::Lz4 => self.lz4(records, &mut out),
            Compression::Zstd { .. } => self.zstd(records, &mut out),
        };
        // Writing to memory fails only inside the codec; the uncompressed batch is right as well.
        let is_smaller = result.is_ok() && out.len() < batch.len();
        let compressed = is_smaller.then(|| {
            let mut compressed = self.buffers.get();
            compressed.extend_from_slice(&out);
            compressed
        });
        self.scratch = out;
        compressed
    }

    /// Shape: frame header · {uint32 length · raw LZ4 block}* · uint32 0, little-endian. The frame is ours because that of
    /// the library copies all records first. Source: LZ4 frame format, 1.6.
    fn lz4(&mut self, records: &[u8], out: &mut BytesMut) -> io::Result<()> {
        let encoder = self.lz4.get_or_insert_with(Lz4::new);
        self.block.resize(lz4::COMPRESSED_BYTES_MAX, 0);
        out.put_slice(&LZ4_FRAME);
        for raw in records.chunks(lz4::BLOCK_BYTES) {
            let compressed = encoder.compress(raw, &mut self.block);
            let (mark, bytes) = if compressed < raw.len() {
                (0, &self.block[..compressed])
            } else {
                (LZ4_UNCOMPRESSED, raw)
            };
            out.put_u32_le(mark | u32::try_from(bytes.len()).map_err(io::Error::other)?);
            out.put_slice(bytes);
        }
        out.put_u32_le(0);
        Ok(())
    }

    fn zstd(&mut self, records: &[u8], out: &mut BytesMut) -> io::Result<()> {
        if let Some(zstd) = &mut self.zstd {
            out.put_slice(&zstd.compress(records)?);
        }
        Ok(())
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compressor({})", self.compression)
    }
}

fn gzip(records: &[u8], level: u32, out: &mut BytesMut) -> io::Result<()> {
    let mut encoder = GzEncoder::new(out.writer(), flate2::Compression::new(level));
    encoder.write_all(records)?;
    encoder.finish().map(drop)
}

/// Shape: magic · int32 version (1) · int32 oldest reader (1) · {int32 length · raw snappy block}*.
fn snappy(records: &[u8], out: &mut BytesMut) -> io::Result<()> {
    out.put_slice(XERIAL_MAGIC);
    out.put_i32(1);
    out.put_i32(1);
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block).map_err(io::Error::other)?;
        out.put_u32(u32::try_from(compressed.len()).map_err(io::Error::other)?);
        out.put_slice(&compressed);
    }
    Ok(())
}

/// Undoes whatever `attributes` says was done to `records`.
///
/// Errors: an unknown codec, damaged data, or more than 1 GiB of output.
pub(crate) fn decompress(attributes: i16, records: Bytes) -> io::Result<Bytes> {
    match attributes & 0x07 {
        0 => Ok(records),
        1 => read_bounded(MultiGzDecoder::new(&records[..])),
        2 => unsnappy(records),
        3 => read_bounded(FrameDecoder::new(&records[..])),
        4 => read_bounded(zstd::stream::read::Decoder::new(&records[..])?),
        codec => Err(io::Error::other(format!("compression codec {codec} is unknown"))),
    }
}

fn read_bounded(decoder: impl Read) -> io::Result<Bytes> {
    let mut out = Vec::new();
    decoder.take(DECOMPRESSED_BYTES_MAX + 1).read_to_end(&mut out)?;
    bounded(out.len())?;
    Ok(out.into())
}

fn bounded(bytes: usize) -> io::Result<()> {
    if bytes as u64 > DECOMPRESSED_BYTES_MAX {
        let text = format!("a batch decompresses to more than {DECOMPRESSED_BYTES_MAX} bytes");
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// Java and librdkafka write xerial's framing, some clients a bare snappy block.
fn unsnappy(mut records: Bytes) -> io::Result<Bytes> {
    let mut decoder = snap::raw::Decoder::new();
    if !records.starts_with(XERIAL_MAGIC) {
        bounded(snap::raw::decompress_len(&records).map_err(io::Error::other)?)?;
        return decoder.decompress_vec(&records).map(Into::into).map_err(io::Error::other);
    }
    let truncated = || io::Error::from(io::ErrorKind::UnexpectedEof);
    records.advance(16.min(records.len()));
    let mut out = Vec::new();
    while records.has_remaining() {
        let length = records.try_get_u32().map_err(|_| truncated())? as usize;
        if length > records.len() {
            return Err(truncated());
        }
        let block = records.split_to(length);
        let plain_bytes = snap::raw::decompress_len(&block).map_err(io::Error::other)?;
        bounded(out.len() + plain_bytes)?;
        out.extend(decoder.decompress_vec(&block).map_err(io::Error::other)?);
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip { level: None },
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd { level: None },
    ];

    #[test]
    fn every_codec_gives_back_what_it_was_given() {
        let records: Vec<u8> = (0..200_000_u32).flat_map(|n| (n / 7).to_be_bytes()).collect();
        let mut batch = vec![7; 61];
        batch.extend_from_slice(&records);
        for compression in ALL {
            let mut compressor = Compressor::new(compression).unwrap();
            let Some(compressed) = compressor.compress(&batch, 61) else {
                assert_eq!(compression, Compression::None);
                continue;
            };
            assert_eq!(&compressed[..61], &batch[..61]);
            assert!(compressed.len() < batch.len() / 2, "{compression}");
            let body = compressed.freeze().slice(61..);
            let plain = decompress(compressor.attribute(), body).unwrap();
            assert!(plain == records, "{compression}");
        }
    }

    #[test]
    fn a_block_that_does_not_shrink_stays_as_it_is() {
        let mut random = 1_u64;
        let noise = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random.to_be_bytes()[0]
        });
        let mut batch = vec![0; 61];
        batch.extend(noise.take(100_000));
        batch.resize(300_061, 7);
        let mut compressor = Compressor::new(Compression::Lz4).unwrap();
        let compressed = compressor.compress(&batch, 61).unwrap().freeze();
        assert!((100_000..120_000).contains(&compressed.len()), "{}", compressed.len());
        let plain = decompress(compressor.attribute(), compressed.slice(61..)).unwrap();
        assert!(plain == batch[61..]);
    }

    #[test]
    fn a_batch_that_does_not_shrink_goes_uncompressed() {
        let mut compressor = Compressor::new(Compression::Lz4).unwrap();
        assert!(compressor.compress(&[1; 64], 61).is_none());
    }

    #[test]
    fn a_bare_snappy_block_is_read_too() {
        let block = snap::raw::Encoder::new().compress_vec(b"hello hello hello").unwrap();
        assert_eq!(&decompress(2, block.into()).unwrap()[..], b"hello hello hello");
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic() {
        for codec in 1..=7 {
            for len in 0..40 {
                let noise: Vec<u8> = (0..len).map(|n: u8| n.wrapping_mul(151)).collect();
                let mut framed = XERIAL_MAGIC.to_vec();
                framed.extend_from_slice(&noise);
                drop(decompress(codec, noise.into()));
                drop(decompress(codec, framed.into()));
            }
        }
    }
}
