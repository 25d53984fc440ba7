//! Reads many files of this machine at once.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::crew::each;
use crate::room::Room;

/// The files, one after the other: of each as many bytes as it has by its size and one more, by which it shows that it ends there. Also
/// whether each was read whole and has that size; why not is for others to find out. None when they are too large for any memory.
pub fn read_all(files: &[(PathBuf, usize)], threads: usize) -> Option<(Room, Vec<bool>)> {
    let size = files.iter().try_fold(0usize, |sum, (_, size)| sum.checked_add(size.checked_add(1)?))?;
    let mut room = Room::of(size);
    let (mut places, mut left) = (Vec::with_capacity(files.len()), &mut room[..]);
    for (_, size) in files {
        let (place, rest) = left.split_at_mut(size + 1);
        places.push(Mutex::new(place));
        left = rest;
    }
    let whole = each(threads, files.len(), |i| {
        let mut place = places[i].lock().unwrap_or_else(PoisonError::into_inner);
        read(&files[i].0, &mut place).is_ok_and(|found| found == files[i].1)
    });
    drop(places);
    Some((room, whole))
}

/// How many bytes of a file there are, or as many as fit. A read that gives less than it could has come to the end.
fn read(path: &PathBuf, place: &mut [u8]) -> std::io::Result<usize> {
    let mut file = File::open(path)?;
    let mut found = 0;
    while found + 1 < place.len() {
        match file.read(&mut place[found..]) {
            Ok(0) => break,
            Ok(n) => found += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_are_there_and_of_their_size_are_read() {
        let folder = std::env::temp_dir().join(format!("compactor-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = |name: &str, size: usize| (folder.join(name), size);
        std::fs::write(folder.join("a"), b"abc").expect("written");
        std::fs::write(folder.join("b"), b"defgh").expect("written");
        let wanted = [file("a", 3), file("b", 4), file("b", 5), file("b", 6), file("missing", 2), file("a", 0)];
        for threads in [1, 3] {
            let (room, read) = read_all(&wanted, threads).expect("few");
            assert_eq!(read, [true, false, true, false, false, true]);
            assert_eq!((&room[..3], &room[9..14]), (&b"abc"[..], &b"defgh"[..]));
        }
        assert!(read_all(&[file("a", usize::MAX)], 1).is_none());
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
