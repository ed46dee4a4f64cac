//! A writer of tars that writes whatever it is told, lies included.

use std::collections::BTreeMap;

#[derive(Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

/// One entry's header, to be changed before it is written.
pub struct Header {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub typeflag: u8,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: u64,
    pub size: u64,
    pub device: (u32, u32),
}

impl Header {
    pub fn new(typeflag: u8, path: &str) -> Header {
        let (path, link) = (path.as_bytes().to_vec(), Vec::new());
        Header { path, link, typeflag, mode: 0o644, uid: 0, gid: 0, mtime: 1_000_000_000, size: 0, device: (0, 0) }
    }
}

impl Tar {
    pub fn new() -> Tar {
        Tar::default()
    }

    /// The finished tar.
    pub fn end(mut self) -> Vec<u8> {
        self.bytes.extend([0; 1024]);
        self.bytes
    }

    pub fn finished(&self) -> Vec<u8> {
        [&self.bytes[..], &[0; 1024]].concat()
    }

    pub fn file(self, path: &str, content: &str) -> Tar {
        self.entry(Header::new(b'0', path), content.as_bytes())
    }

    pub fn dir(self, path: &str) -> Tar {
        self.entry(Header { mode: 0o755, ..Header::new(b'5', path) }, b"")
    }

    pub fn symlink(self, path: &str, target: &str) -> Tar {
        self.link(b'2', path, target)
    }

    pub fn hard_link(self, path: &str, target: &str) -> Tar {
        self.link(b'1', path, target)
    }

    fn link(self, typeflag: u8, path: &str, target: &str) -> Tar {
        self.entry(Header { link: target.as_bytes().to_vec(), ..Header::new(typeflag, path) }, b"")
    }

    pub fn device(self, typeflag: u8, path: &str, device: (u32, u32)) -> Tar {
        self.entry(Header { device, ..Header::new(typeflag, path) }, b"")
    }

    /// An extended header for the entry that comes next.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        self.extended(b'x', records)
    }

    pub fn extended(self, typeflag: u8, records: &[(&str, &[u8])]) -> Tar {
        let records: BTreeMap<_, _> = records.iter().copied().collect();
        let mut bytes = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while rest + length.to_string().len() != length {
                length += 1;
            }
            bytes.extend(format!("{length} {key}=").into_bytes());
            bytes.extend(value);
            bytes.push(b'\n');
        }
        self.entry(Header::new(typeflag, "PaxHeader"), &bytes)
    }

    pub fn entry(self, header: Header, content: &[u8]) -> Tar {
        let size = if header.size > 0 { header.size } else { content.len() as u64 };
        self.raw(Header { size, ..header }, content)
    }

    /// Writes an entry whose size may be a lie.
    pub fn raw(mut self, header: Header, content: &[u8]) -> Tar {
        let mut block = [0_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &header.path[..header.path.len().min(100)]);
        put(100, format!("{:07o}", header.mode).as_bytes());
        put(108, format!("{:07o}", header.uid & 0o7777777).as_bytes());
        put(116, format!("{:07o}", header.gid & 0o7777777).as_bytes());
        if header.size < 1 << 33 {
            put(124, format!("{:011o}", header.size).as_bytes());
        } else {
            put(124, &[0x80, 0, 0, 0]);
            put(128, &header.size.to_be_bytes());
        }
        put(136, format!("{:011o}", header.mtime).as_bytes());
        put(148, b"        ");
        put(156, &[header.typeflag]);
        put(157, &header.link[..header.link.len().min(100)]);
        put(257, b"ustar\x0000");
        put(329, format!("{:07o}", header.device.0).as_bytes());
        put(337, format!("{:07o}", header.device.1).as_bytes());
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend(block);
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }
}
