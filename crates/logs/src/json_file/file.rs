//! A file that is moved aside when it is full.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::task::JoinHandle;

use super::JsonFileOptions;

/// `json.log`, and the older `json.log.1` to `json.log.<files_max - 1>`, with `.gz` behind them when compressed.
pub(crate) struct RotatedFile {
    path: PathBuf,
    options: JsonFileOptions,
    open: Option<Open>,
    /// The newest old file is being compressed; nothing is moved meanwhile.
    compressing: Option<JoinHandle<()>>,
}

struct Open {
    file: File,
    bytes: u64,
}

impl RotatedFile {
    /// Nothing is opened yet: the directory need not exist.
    pub fn new(path: PathBuf, options: JsonFileOptions) -> RotatedFile {
        RotatedFile { path, options, open: None, compressing: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends entries, each up to one of `ends`, and never a part of one. After an error some are written and some not.
    pub async fn append(&mut self, entries: &[u8], ends: &[usize]) -> io::Result<()> {
        let mut begin = 0;
        while begin < entries.len() {
            let room = self.room().await?;
            // Like Docker, an entry is written while the file is not full yet, however long it is.
            let index = ends.partition_point(|end| *end <= begin);
            let fitting = ends[index..].partition_point(|end| ((*end - begin) as u64) < room);
            let end = ends[(index + fitting).min(ends.len() - 1)];
            self.write(&entries[begin..end])?;
            begin = end;
        }
        Ok(())
    }

    /// How many bytes the file may still grow until it is full, which is at least one.
    async fn room(&mut self) -> io::Result<u64> {
        let bytes = self.open()?.bytes;
        let Some(bytes_max) = self.options.bytes_max else { return Ok(u64::MAX) };
        if bytes < bytes_max {
            return Ok(bytes_max - bytes);
        }
        self.rotate().await?;
        Ok(bytes_max)
    }

    fn open(&mut self) -> io::Result<&mut Open> {
        match &mut self.open {
            Some(open) => Ok(open),
            none => {
                // As open to others as Docker's.
                let file = File::options().append(true).create(true).mode(0o640).open(&self.path)?;
                let bytes = file.metadata()?.len();
                Ok(none.insert(Open { file, bytes }))
            }
        }
    }

    fn write(&mut self, entries: &[u8]) -> io::Result<()> {
        let open = self.open()?;
        match open.file.write_all(entries) {
            Ok(()) => {
                open.bytes += entries.len() as u64;
                Ok(())
            }
            Err(error) => {
                // The disk is full, and half an entry would spoil the next.
                let _ = open.file.set_len(open.bytes);
                Err(error)
            }
        }
    }

    async fn rotate(&mut self) -> io::Result<()> {
        if let Some(compressing) = self.compressing.take() {
            // It tells its own errors, and the file it could not compress is still there.
            let _ = compressing.await;
        }
        self.open = None;
        let files_max = self.options.files_max;
        if files_max < 2 {
            fs::remove_file(&self.path)?;
            return self.open().map(drop);
        }
        for number in (1..files_max).rev() {
            for suffix in ["", ".gz"] {
                let old = self.old(number, suffix);
                let moved = match number + 1 == files_max {
                    true => fs::remove_file(&old),
                    false => fs::rename(&old, self.old(number + 1, suffix)),
                };
                if let Err(error) = moved
                    && error.kind() != io::ErrorKind::NotFound
                {
                    return Err(error);
                }
            }
        }
        let newest = self.old(1, "");
        fs::rename(&self.path, &newest)?;
        if self.options.compress {
            self.compressing = Some(tokio::task::spawn_blocking(move || compress(&newest)));
        }
        self.open().map(drop)
    }

    fn old(&self, number: usize, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}.{number}{suffix}", self.path.display()))
    }
}

fn compress(path: &Path) {
    let target = PathBuf::from(format!("{}.gz", path.display()));
    let aside = PathBuf::from(format!("{}.gz.tmp", path.display()));
    let compressed =
        compress_into(path, &aside).and_then(|()| fs::rename(&aside, &target)).and_then(|()| fs::remove_file(path));
    if let Err(error) = compressed {
        let _ = fs::remove_file(&aside);
        tracing::warn!(path = %path.display(), %error, "failed to compress an old log file");
    }
}

fn compress_into(path: &Path, target: &Path) -> io::Result<()> {
    let mut source = File::open(path)?;
    let file = File::options().write(true).create(true).truncate(true).mode(0o640).open(target)?;
    let mut encoder = GzEncoder::new(file, Compression::default());
    io::copy(&mut source, &mut encoder)?;
    encoder.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn options(bytes_max: Option<u64>, files_max: usize) -> JsonFileOptions {
        JsonFileOptions { bytes_max, files_max, compress: false }
    }

    /// Appends words, all at once or one at a time, and says which files there are then.
    async fn check(options: JsonFileOptions, words: &str, expected: &[(&str, &str)]) {
        for at_once in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let mut file = RotatedFile::new(dir.path().join("json.log"), options);
            let entries: Vec<String> = words.split(' ').map(|word| format!("{word}\n")).collect();
            let ends: Vec<usize> = entries
                .iter()
                .scan(0, |end, entry| {
                    *end += entry.len();
                    Some(*end)
                })
                .collect();
            if at_once {
                file.append(entries.concat().as_bytes(), &ends).await.unwrap();
            } else {
                for entry in &entries {
                    // Another process each time.
                    file = RotatedFile::new(dir.path().join("json.log"), options);
                    file.append(entry.as_bytes(), &[entry.len()]).await.unwrap();
                }
            }
            let mut files: Vec<(String, String)> = fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .map(|path| {
                    (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
                })
                .collect();
            files.sort();
            let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.trim_end())).collect();
            assert_eq!(files, expected, "at once: {at_once}");
        }
    }

    #[tokio::test]
    async fn full_files_are_moved_aside() {
        check(options(None, 1), "a b c", &[("json.log", "a\nb\nc")]).await;
        // A file is full once it has the bytes, and so it may have a few more.
        check(options(Some(3), 3), "a b c", &[("json.log", "c"), ("json.log.1", "a\nb")]).await;
        check(options(Some(4), 3), "a b c d e", &[("json.log", "e"), ("json.log.1", "c\nd"), ("json.log.2", "a\nb")])
            .await;
        check(options(Some(2), 3), "a b c d", &[("json.log", "d"), ("json.log.1", "c"), ("json.log.2", "b")]).await;
        check(options(Some(2), 1), "a b c", &[("json.log", "c")]).await;
        check(options(Some(1), 2), "longer entries", &[("json.log", "entries"), ("json.log.1", "longer")]).await;
    }

    #[tokio::test]
    async fn old_files_are_compressed() {
        let dir = tempfile::tempdir().unwrap();
        let options = JsonFileOptions { compress: true, ..options(Some(2), 3) };
        let mut file = RotatedFile::new(dir.path().join("json.log"), options);
        file.append(b"a\nb\nc\nd\n", &[2, 4, 6, 8]).await.unwrap();
        if let Some(compressing) = file.compressing.take() {
            compressing.await.unwrap();
        }
        let read = |name: &str| {
            let mut text = String::new();
            GzDecoder::new(File::open(dir.path().join(name)).unwrap()).read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!((read("json.log.1.gz").as_str(), read("json.log.2.gz").as_str()), ("c\n", "b\n"));
        assert_eq!(fs::read_to_string(dir.path().join("json.log")).unwrap(), "d\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_an_error() {
        let mut file = RotatedFile::new(PathBuf::from("/nonexistent/json.log"), options(None, 1));
        assert!(file.append(b"a\n", &[2]).await.is_err());
    }
}
