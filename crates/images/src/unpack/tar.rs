//! A reader of tar streams that bounds everything it keeps.
//!
//! It reads what image builders write: ustar, GNU long names and pax headers. It is our own because a crate that collects a
//! long name or a pax header without a limit lets one small layer take all the memory of a node.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::limits::{TAR_GLOBAL_BYTES_MAX, TAR_HEADER_BYTES_MAX};

const BLOCK: usize = 512;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// One entry, its content aside.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub(crate) modified: (i64, u32),
    pub(crate) size: u64,
    pub(crate) device: (u32, u32),
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Reads a tar stream entry by entry.
pub(crate) struct Tar<R> {
    source: R,
    /// What is left of the entry's content, and of the padding behind it.
    content: u64,
    padding: u64,
    global: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Bytes of extended headers before the current entry.
    extended: u64,
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("invalid tar header: {reason}"))
}

impl<R: Read> Tar<R> {
    pub(crate) fn new(source: R) -> Tar<R> {
        Tar { source, content: 0, padding: 0, global: BTreeMap::new(), extended: 0 }
    }

    /// The next entry; what was not read of the last one is passed over. `None` at the end.
    pub(crate) fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let mut long_path = None;
        let mut long_link = None;
        let mut pax = self.global.clone();
        self.extended = 0;
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = number(&header[124..136])?;
            match header[156] {
                b'L' => long_path = Some(cut(self.collect(size)?)),
                b'K' => long_link = Some(cut(self.collect(size)?)),
                b'x' => read_pax(&self.collect(size)?, &mut pax)?,
                b'g' => {
                    let records = self.collect(size)?;
                    read_pax(&records, &mut self.global)?;
                    let bytes: usize = self.global.iter().map(|(key, value)| key.len() + value.len()).sum();
                    if bytes > TAR_GLOBAL_BYTES_MAX {
                        return Err(invalid("global header too large"));
                    }
                    read_pax(&records, &mut pax)?;
                }
                typeflag => return self.entry(&header, typeflag, size, long_path, long_link, pax).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header: &[u8; BLOCK],
        typeflag: u8,
        size: u64,
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        mut pax: BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> io::Result<Entry> {
        let path = pax.remove(&b"path"[..]).or(long_path).unwrap_or_else(|| name(header));
        let link = pax.remove(&b"linkpath"[..]).or(long_link).unwrap_or_else(|| until_zero(&header[157..257]).to_vec());
        let size = decimal(&mut pax, b"size")?.unwrap_or(size);
        if pax.keys().any(|key| key.starts_with(b"GNU.sparse.")) {
            return Err(invalid("sparse files are not supported"));
        }
        let kind = match typeflag {
            // Before ustar a directory was a file whose name ended with a slash.
            b'0' | 0 | b'7' if path.ends_with(b"/") => Kind::Directory,
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharacterDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            b'S' => return Err(invalid("sparse files are not supported")),
            _ => return Err(invalid("unknown type of entry")),
        };
        let narrow = |value: u64| u32::try_from(value).map_err(|_| invalid("number out of range"));
        let uid = narrow(decimal(&mut pax, b"uid")?.map_or_else(|| number(&header[108..116]), Ok)?)?;
        let gid = narrow(decimal(&mut pax, b"gid")?.map_or_else(|| number(&header[116..124]), Ok)?)?;
        let modified = match pax.remove(&b"mtime"[..]) {
            Some(text) => time(&text).ok_or_else(|| invalid("modification time"))?,
            // A time that does not fit is no reason to refuse an image.
            None => (number(&header[136..148]).ok().and_then(|time| i64::try_from(time).ok()).unwrap_or(0), 0),
        };
        let device = match kind {
            Kind::CharacterDevice | Kind::BlockDevice => {
                (narrow(number(&header[329..337])?)?, narrow(number(&header[337..345])?)?)
            }
            _ => (0, 0),
        };
        // Only a file has content; some writers give a hard link the size of its target.
        let content = if kind == Kind::File { size } else { 0 };
        let padded = content.checked_next_multiple_of(BLOCK as u64).ok_or_else(|| invalid("number out of range"))?;
        self.content = content;
        self.padding = padded - content;
        let xattrs = pax
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(b"SCHILY.xattr.")?.to_vec(), value)))
            .collect();
        let mode = narrow(number(&header[100..108])? & 0o7777)?;
        Ok(Entry { kind, path, link, mode, uid, gid, modified, size: content, device, xattrs })
    }

    /// Passes over what is left of the last entry.
    fn skip(&mut self) -> io::Result<()> {
        let left = self.content.saturating_add(self.padding);
        let skipped = io::copy(&mut (&mut self.source).take(left), &mut io::sink())?;
        if skipped < left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content = 0;
        self.padding = 0;
        Ok(())
    }

    /// The next header block whose checksum is right; `None` at the end mark, or where the stream simply ends.
    fn header(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.source.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte }))
            .sum();
        if number(&block[148..156])? != sum {
            return Err(invalid("checksum"));
        }
        Ok(Some(block))
    }

    /// Reads the content of an extended header, within the limit for all those of one entry.
    fn collect(&mut self, size: u64) -> io::Result<Vec<u8>> {
        self.extended = self.extended.saturating_add(size);
        if self.extended > TAR_HEADER_BYTES_MAX {
            return Err(invalid("extended header too large"));
        }
        let mut bytes = Vec::new();
        (&mut self.source).take(size).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(bytes)
    }
}

/// The content of the current entry.
impl<R: Read> Read for Tar<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.source).take(self.content).read(buffer)?;
        if count == 0 && self.content > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= count as u64;
        Ok(count)
    }
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn cut(bytes: Vec<u8>) -> Vec<u8> {
    until_zero(&bytes).to_vec()
}

/// The header's own name, with ustar's prefix.
fn name(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_zero(&header[..100]);
    let is_posix = &header[257..263] == b"ustar\0";
    let prefix = if is_posix { until_zero(&header[345..500]) } else { &[] };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// An octal number in text, or a big-endian one when the first bit says so.
fn number(field: &[u8]) -> io::Result<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len().saturating_sub(8));
        let (first, rest) = match high.split_first() {
            Some((first, rest)) => (first & 0x7f, rest),
            None => (0, high),
        };
        let mut low = low.to_vec();
        if high.is_empty() {
            low[0] &= 0x7f;
        }
        if first != 0 || rest.iter().any(|byte| *byte != 0) {
            return Err(invalid("number out of range"));
        }
        return Ok(low.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)));
    }
    let text = field.iter().copied().skip_while(|byte| *byte == b' ').take_while(|byte| *byte != 0 && *byte != b' ');
    text.into_iter().try_fold(0_u64, |value, byte| match byte {
        b'0'..=b'7' => value
            .checked_mul(8)
            .map(|value| value + u64::from(byte - b'0'))
            .ok_or_else(|| invalid("number out of range")),
        _ => Err(invalid("number")),
    })
}

/// A decimal number of a pax header, taken out of it.
fn decimal(pax: &mut BTreeMap<Vec<u8>, Vec<u8>>, key: &[u8]) -> io::Result<Option<u64>> {
    let Some(value) = pax.remove(key) else { return Ok(None) };
    let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| invalid("number"))
}

/// Seconds with an optional fraction, perhaps negative.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    match (text.starts_with('-'), nanoseconds) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        _ => Some((seconds, nanoseconds)),
    }
}

/// Records of the form `length key=value\n`, where the length counts itself.
fn read_pax(mut bytes: &[u8], into: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> io::Result<()> {
    let wrong = || invalid("pax record");
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(wrong)?;
        let length: usize =
            std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        let record = bytes.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(wrong)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
        let (key, value) = (record[..equals].to_vec(), &record[equals + 1..]);
        // An empty value takes an earlier one back.
        if value.is_empty() && !key.starts_with(b"SCHILY.xattr.") {
            into.remove(&key);
        } else {
            into.insert(key, value.to_vec());
        }
        bytes = &bytes[length..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header with a right checksum, so that what is behind it is looked at too.
    fn header(field: usize, bytes: &[u8], typeflag: u8) -> Vec<u8> {
        let mut block = [0; BLOCK];
        block[..1].copy_from_slice(b"f");
        block[124..135].copy_from_slice(b"00000000005");
        block[156] = typeflag;
        let end = (field + bytes.len()).min(BLOCK);
        block[field..end].copy_from_slice(&bytes[..end - field]);
        block[148..156].copy_from_slice(b"        ");
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block.to_vec()
    }

    fn read(bytes: &[u8]) -> io::Result<u64> {
        let mut tar = Tar::new(bytes);
        let mut read = 0;
        while tar.next_entry()?.is_some() {
            read += io::copy(&mut tar, &mut io::sink())?;
        }
        Ok(read)
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(
            field in 0..BLOCK,
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            typeflag in prop::sample::select(&b"01234567LKxgS?\0"[..]),
            content in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            let tar = [header(field, &bytes, typeflag), content].concat();
            let read = read(&tar).unwrap_or_default();
            prop_assert!(read <= tar.len() as u64);
        }

        #[test]
        fn pax_records_are_read_or_refused(bytes in "[0-9]{0,4}[ =a-z\n\\PC]{0,40}") {
            let mut records = BTreeMap::new();
            let _ = read_pax(bytes.as_bytes(), &mut records);
            let kept: usize = records.iter().map(|(key, value)| key.len() + value.len()).sum();
            prop_assert!(kept <= bytes.len());
        }
    }

    #[test]
    fn numbers_are_read_in_both_forms() {
        assert_eq!(number(b"0000644\0").unwrap(), 0o644);
        assert_eq!(number(b" 644  \0\0").unwrap(), 0o644);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 0]).unwrap(), 256);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]).unwrap(), 1 << 33);
        for bad in [&b"9"[..], b"-1", &[0xff; 12], b"7777777777777777777777777"] {
            assert!(number(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_may_have_fractions_and_be_before_1970() {
        assert_eq!(time(b"1.5"), Some((1, 500_000_000)));
        assert_eq!(time(b"1.1234567891"), Some((1, 123_456_789)));
        assert_eq!(time(b"-1.5"), Some((-2, 500_000_000)));
        assert_eq!(time(b"7"), Some((7, 0)));
        for bad in [&b""[..], b"x", b"1.x", b"\xff"] {
            assert_eq!(time(bad), None, "{bad:?}");
        }
    }
}
