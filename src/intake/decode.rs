//! A file's bytes as UTF-8, block by block, with the digest of the raw bytes on the way.
//!
//! Bytes that the encoding does not have come out as [`UNDECODABLE`], which is no part of any UTF-8 text: the record
//! that holds it fails its UTF-8 check and is rejected by name. Nothing is replaced silently.

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Stands where the source had bytes that mean nothing in its encoding.
const UNDECODABLE: u8 = 0xff;
const BLOCK: usize = 64 * 1024;

/// Reads `inner` as `encoding`, gives UTF-8.
pub(super) struct DecodedStream<R> {
    inner: R,
    /// `None`: the bytes are UTF-8 already and go through as they are.
    decoder: Option<Decoder>,
    /// How many bytes of a byte-order mark still have to be left out.
    skip: usize,
    raw: Vec<u8>,
    raw_start: usize,
    raw_end: usize,
    ended: bool,
    digest: Sha256,
}

impl<R: Read> DecodedStream<R> {
    pub(super) fn new(inner: R, encoding: &'static Encoding, byte_order_mark: usize) -> DecodedStream<R> {
        let decoder = (encoding != UTF_8).then(|| encoding.new_decoder_without_bom_handling());
        DecodedStream {
            inner,
            decoder,
            skip: byte_order_mark,
            raw: vec![0; BLOCK],
            raw_start: 0,
            raw_end: 0,
            ended: false,
            digest: Sha256::new(),
        }
    }

    /// SHA-256 of everything read so far, in hexadecimal.
    pub(super) fn digest(&self) -> String {
        self.digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Makes sure that there are raw bytes to decode, or that the end is known.
    fn fill(&mut self) -> io::Result<()> {
        while self.raw_start == self.raw_end && !self.ended {
            let read = match self.inner.read(&mut self.raw) {
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.ended = read == 0;
            self.digest.update(&self.raw[..read]);
            self.raw_start = self.skip.min(read);
            self.skip -= self.raw_start;
            self.raw_end = read;
        }
        Ok(())
    }
}

impl<R: Read> Read for DecodedStream<R> {
    /// `out` must have room for one character and its neighbour; the record reader gives 64 KiB.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            self.fill()?;
            let raw = &self.raw[self.raw_start..self.raw_end];
            let Some(decoder) = &mut self.decoder else {
                let taken = raw.len().min(out.len());
                out[..taken].copy_from_slice(&raw[..taken]);
                self.raw_start += taken;
                return Ok(taken);
            };
            // One byte is kept back for the mark of an undecodable sequence.
            let room = out.len().saturating_sub(1);
            let (result, read, mut written) =
                decoder.decode_to_utf8_without_replacement(raw, &mut out[..room], self.ended);
            self.raw_start += read;
            match result {
                DecoderResult::InputEmpty if self.ended => self.decoder = None,
                DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    out[written] = UNDECODABLE;
                    written += 1;
                }
            }
            if written > 0 {
                return Ok(written);
            }
            if self.decoder.is_none() {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{GB18030, UTF_16LE};

    fn decoded(bytes: &[u8], encoding: &'static Encoding, mark: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut stream = DecodedStream::new(bytes, encoding, mark);
        let mut block = [0; 64];
        loop {
            match stream.read(&mut block).expect("memory does not fail") {
                0 => return out,
                n => out.extend_from_slice(&block[..n]),
            }
        }
    }

    #[test]
    fn text_comes_through_whole_in_small_blocks() {
        let text = "客户编号,姓名\r\n1,刘倩 😀\r\n".repeat(200);
        let (gb, _, _) = GB18030.encode(&text);
        assert_eq!(decoded(&gb, GB18030, 0), text.as_bytes());
        let mut utf16 = vec![0xff, 0xfe];
        utf16.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(decoded(&utf16, UTF_16LE, 2), text.as_bytes());
        assert_eq!(decoded(text.as_bytes(), UTF_8, 0), text.as_bytes());
    }

    #[test]
    fn undecodable_bytes_are_marked_and_not_replaced() {
        assert_eq!(decoded(b"a\xff,b", GB18030, 0), b"a\xff,b");
        assert_eq!(decoded(b"a\0\0\xd8b\0c", UTF_16LE, 0), b"a\xffb\xff");
        assert_eq!(decoded(b"a\xc3(b", UTF_8, 0), b"a\xc3(b");
    }

    #[test]
    fn the_digest_is_that_of_the_raw_bytes() {
        let mut stream = DecodedStream::new(&b"\xef\xbb\xbfabc"[..], UTF_8, 3);
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("memory does not fail");
        assert_eq!(text, "abc");
        let want: String = Sha256::digest(b"\xef\xbb\xbfabc").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(stream.digest(), want);
    }
}
