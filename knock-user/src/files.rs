//! Directories of ours, and the files in them: who owns them, who may look into them, and no link of a stranger's on
//! the way there. Whoever can change a directory in which root works has root do what he wants.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use log::warn;
use rustix::fs::{self as sys, AtFlags, FileType, Gid, Mode, OFlags, Stat};
use rustix::process::geteuid;

/// Opens a name only, and no link behind it.
const NAME: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Opens a file; a pipe in its place makes nobody wait.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// `BPF_FS_MAGIC` of linux/magic.h.
pub const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
/// All bits of a mode but the file's type.
const BITS: u32 = 0o7777;

/// A directory of ours, held open: what is done in it is done in this one, whatever becomes of its name.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// Which parents of a directory are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// All of them.
    Whole,
    /// Those on a BPF file system: whoever mounted it could as well mount another.
    Bpffs,
}

impl Folder {
    /// A directory that is there, root's or our own. Nothing is changed.
    ///
    /// # Errors
    ///
    /// Of the system, with the path; a directory that others could have put in its place, with the remedy.
    pub fn open(path: &Path, way: Way) -> Result<Self> {
        let (parent, name) = walk(path, way, false)?;
        let (folder, stat) = Self::enter(&parent, &name, path)?;
        if stat.st_uid != 0 {
            need_own(path, &stat)?;
        }
        Ok(folder)
    }

    /// A directory of our own, made if it is not there. What its mode allows beyond `widest` is taken away, whatever
    /// the umask, and said.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn make(path: &Path, way: Way, widest: u32) -> Result<Self> {
        let (parent, name) = walk(path, way, true)?;
        make(&parent, &name, 0o700).with_context(|| path.display().to_string())?;
        let (folder, stat) = Self::enter(&parent, &name, path)?;
        need_own(path, &stat)?;
        folder.mend(&stat, widest)?;
        Ok(folder)
    }

    /// A directory in this one, as [`Self::make`] makes it.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn make_in(&self, name: &str, widest: u32) -> Result<Self> {
        let path = self.path.join(name);
        make(&self.fd, OsStr::new(name), 0o700).with_context(|| path.display().to_string())?;
        let (folder, stat) = Self::enter(&self.fd, OsStr::new(name), &path)?;
        need_own(&path, &stat)?;
        folder.mend(&stat, widest)?;
        Ok(folder)
    }

    fn enter(parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<(Self, Stat)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match sys::openat(parent, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                let stat = sys::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
                let is_link = stat.is_ok_and(|stat| kind(&stat) == FileType::Symlink);
                let what = if is_link { "a symbolic link" } else { "no directory" };
                bail!("{0}: it is {what}: `rm {0}`", path.display());
            }
            Err(error) => return Err(error_at(path, error)),
        };
        let stat = sys::fstat(&fd).map_err(|error| error_at(path, error))?;
        Ok((Self { fd, path: path.to_owned() }, stat))
    }

    fn mend(&self, stat: &Stat, widest: u32) -> Result<()> {
        let mode = stat.st_mode & BITS;
        let wanted = mode & widest | 0o700;
        if mode != wanted {
            self.set_mode(wanted).with_context(|| self.path.display().to_string())?;
        }
        // To pass through is not to look into.
        if mode & !widest & 0o066 != 0 {
            warn!("{}: mode {mode:04o}, which let others in: it is {wanted:04o} now", self.path.display());
        }
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The group that it belongs to, and its mode.
    ///
    /// # Errors
    ///
    /// Of the system.
    pub fn group_and_mode(&self) -> io::Result<(u32, u32)> {
        let stat = sys::fstat(&self.fd)?;
        Ok((stat.st_gid, stat.st_mode & BITS))
    }

    /// Sets its mode.
    ///
    /// # Errors
    ///
    /// Of the system.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(sys::fchmod(&self.fd, Mode::from_raw_mode(mode))?)
    }

    /// Gives it to a group, which takes `CAP_CHOWN` unless it is one of ours.
    ///
    /// # Errors
    ///
    /// Of the system.
    pub fn set_group(&self, group: u32) -> io::Result<()> {
        Ok(sys::fchown(&self.fd, None, Some(Gid::from_raw(group)))?)
    }

    /// Opens a file in it as it is, whoever's it is; never a link.
    ///
    /// # Errors
    ///
    /// Of the system.
    pub fn open_any(&self, name: &str, flags: OFlags) -> io::Result<File> {
        Ok(sys::openat(&self.fd, name, flags | FILE, Mode::from_raw_mode(0o600))?.into())
    }

    /// Opens a file of ours to write, for nobody else to read; it is made if it is not there. Of one that others can
    /// open the mode is mended, and said; one that is not ours, or no file, gives way to a new one.
    ///
    /// # Errors
    ///
    /// Of the system, with the path.
    pub fn write(&self, name: &str, flags: OFlags) -> Result<File> {
        let named = || self.path.join(name).display().to_string();
        let flags = flags | OFlags::CREATE;
        match self.open_any(name, flags) {
            Ok(file) => match file.metadata().with_context(named)? {
                about if !is_own(&about) => {}
                about if about.mode() & 0o077 == 0 => return Ok(file),
                about => {
                    sys::fchmod(&file, Mode::from_raw_mode(0o600)).map_err(io::Error::from).with_context(named)?;
                    warn!("{}: mode {:04o}, which let others in: it is 0600 now", named(), about.mode() & BITS);
                    return Ok(file);
                }
            },
            Err(error) if no_file(&error) => {}
            Err(error) => return Err(error).with_context(named),
        }
        warn!("{}: it is no file of ours: it is made anew", named());
        self.remove(name).with_context(named)?;
        self.open_any(name, flags | OFlags::EXCL).with_context(named)
    }

    /// Reads a file of root's or ours.
    ///
    /// # Errors
    ///
    /// Of the system, with the path; another's file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let mut octets = Vec::new();
        self.open_to_read(name)?
            .read_to_end(&mut octets)
            .with_context(|| self.path.join(name).display().to_string())?;
        Ok(octets)
    }

    /// Opens a file of root's or ours to read.
    ///
    /// # Errors
    ///
    /// Of the system, with the path; another's file.
    pub fn open_to_read(&self, name: &str) -> Result<File> {
        let path = self.path.join(name);
        let file = self.open_any(name, OFlags::RDONLY).with_context(|| path.display().to_string())?;
        let about = file.metadata().with_context(|| path.display().to_string())?;
        if !about.is_file() {
            bail!("{0}: it is no file: `rm {0}`", path.display());
        }
        if about.uid() != 0 {
            need_owner(&path, about.uid())?;
        }
        Ok(file)
    }

    /// Puts a file in the place of another, as a whole or not at all, and leaves it open at its end.
    ///
    /// # Errors
    ///
    /// Of the system, with the path.
    pub fn replace(&self, name: &str, octets: &[u8], settle: impl Fn(&File) -> io::Result<()>) -> Result<File> {
        let beside = format!("{name}-new");
        let named = || self.path.join(name).display().to_string();
        let mut file = self.write(&beside, OFlags::WRONLY | OFlags::TRUNC)?;
        let written = file.write_all(octets).and_then(|()| settle(&file));
        let done = written.and_then(|()| Ok(sys::renameat(&self.fd, &*beside, &self.fd, name)?));
        // It would take up room that others need.
        done.inspect_err(|_| drop(self.remove(&beside))).with_context(named)?;
        Ok(file)
    }

    /// Gives a file another name.
    ///
    /// # Errors
    ///
    /// Of the system.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(sys::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Removes a file, or a link.
    ///
    /// # Errors
    ///
    /// Of the system.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(sys::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// True if `file` is still what has this name.
    ///
    /// # Errors
    ///
    /// Of the system.
    pub fn is(&self, name: &str, file: &File) -> io::Result<bool> {
        let about = file.metadata()?;
        match sys::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok((stat.st_dev, stat.st_ino) == (about.dev(), about.ino())),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Brings its names to the disk.
    ///
    /// # Errors
    ///
    /// Of the system.
    pub fn sync(&self) -> io::Result<()> {
        Ok(sys::fsync(&self.fd)?)
    }

    /// Refuses what is in it and not our own, directories aside; lets nobody else read or write what is.
    ///
    /// # Errors
    ///
    /// Names the first that is not ours, with the remedy.
    pub fn need_own_files(&self) -> Result<()> {
        let named = || self.path.display().to_string();
        for entry in sys::Dir::read_from(&self.fd).with_context(named)? {
            let entry = entry.with_context(named)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let path = self.path.join(&*name.to_string_lossy());
            let stat =
                sys::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| error_at(&path, error))?;
            need_own(&path, &stat)?;
            match kind(&stat) {
                FileType::Symlink => bail!("{0}: it is a symbolic link: `rm {0}`", path.display()),
                FileType::RegularFile if stat.st_mode & 0o077 != 0 => {
                    // No link, and nobody else's directory: the name still means it.
                    let mode = Mode::from_raw_mode(0o600);
                    sys::chmodat(&self.fd, name, mode, AtFlags::empty()).map_err(|error| error_at(&path, error))?;
                    warn!("{}: mode {:04o}: it is 0600 now", path.display(), stat.st_mode & BITS);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// True if a file is our own, and nobody else can open it.
///
/// # Errors
///
/// Of the system.
pub fn is_private(file: &File) -> io::Result<bool> {
    let about = file.metadata()?;
    Ok(is_own(&about) && about.mode() & 0o077 == 0)
}

/// A file of our own, and under no other name.
fn is_own(about: &Metadata) -> bool {
    about.is_file() && about.nlink() <= 1 && about.uid() == geteuid().as_raw()
}

/// True if an error comes from [`is_want`].
#[must_use]
pub fn is_want_of_room(error: &Error) -> bool {
    error.root_cause().downcast_ref::<io::Error>().is_some_and(is_want)
}

/// True if the system has no room or no descriptor for something, which may come again, and is nobody's mistake.
#[must_use]
pub fn is_want(error: &io::Error) -> bool {
    const WANTS: [rustix::io::Errno; 7] = [
        rustix::io::Errno::NOSPC,
        rustix::io::Errno::DQUOT,
        rustix::io::Errno::ROFS,
        rustix::io::Errno::NOMEM,
        rustix::io::Errno::MFILE,
        rustix::io::Errno::NFILE,
        rustix::io::Errno::IO,
    ];
    error.raw_os_error().is_some_and(|number| WANTS.iter().any(|want| want.raw_os_error() == number))
}

/// The kind of the error of the system's that this one comes from.
#[must_use]
pub fn kind_of(error: &Error) -> Option<ErrorKind> {
    error.root_cause().downcast_ref::<io::Error>().map(io::Error::kind)
}

/// True if something that is no file has the name.
fn no_file(error: &io::Error) -> bool {
    let number = error.raw_os_error().unwrap_or_default();
    [rustix::io::Errno::LOOP, rustix::io::Errno::NXIO].iter().any(|one| one.raw_os_error() == number)
}

fn error_at(path: &Path, error: rustix::io::Errno) -> Error {
    anyhow!(io::Error::from(error)).context(path.display().to_string())
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn need_own(path: &Path, stat: &Stat) -> Result<()> {
    need_owner(path, stat.st_uid)
}

fn need_owner(path: &Path, owner: u32) -> Result<()> {
    let own = geteuid().as_raw();
    if owner != own {
        bail!(
            "{0}: it belongs to the user {owner}, not to {own} as what the gate trusts must: look who made it, and \
             `rm -r {0}`",
            path.display()
        );
    }
    Ok(())
}

fn make(parent: &impl AsFd, name: &OsStr, mode: u32) -> io::Result<()> {
    match sys::mkdirat(parent, name, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        // What is there is there, also where nothing can be made.
        Err(error) => match sys::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(()),
            Err(_) => Err(error.into()),
        },
    }
}

/// Goes to the parent of a directory, name by name, and returns it with the last name.
fn walk(path: &Path, way: Way, make_missing: bool) -> Result<(OwnedFd, OsString)> {
    let path = std::path::absolute(path)?;
    let name = path.file_name().with_context(|| format!("{}: no name of a directory", path.display()))?.to_owned();
    let mut todo: VecDeque<OsString> = names(path.parent().unwrap_or(Path::new("/")));
    let root = || sys::open("/", NAME | OFlags::DIRECTORY, Mode::empty()).map_err(|error| error_at(&path, error));
    let (mut at, mut fd, mut links) = (PathBuf::from("/"), root()?, 0);
    need_safe(&fd, &at, way)?;
    while let Some(next) = todo.pop_front() {
        let there = at.join(&next);
        if make_missing {
            make(&fd, &next, 0o755).with_context(|| there.display().to_string())?;
        }
        let opened = sys::openat(&fd, &*next, NAME, Mode::empty()).map_err(|error| error_at(&path, error))?;
        let stat = sys::fstat(&opened).map_err(|error| error_at(&path, error))?;
        if kind(&stat) == FileType::Symlink {
            links += 1;
            if links > MAX_LINKS {
                bail!("{}: too many symbolic links", there.display());
            }
            // Whoever can change a link decides where it leads to.
            if stat.st_uid != 0 {
                need_own(&there, &stat)?;
            }
            let target = sys::readlinkat(&opened, "", Vec::new()).map_err(|error| error_at(&path, error))?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                (at, fd) = (PathBuf::from("/"), root()?);
            }
            for name in names(&target).into_iter().rev() {
                todo.push_front(name);
            }
            continue;
        }
        need_safe(&opened, &there, way)?;
        fd = opened;
        if next == ".." {
            at.pop();
        } else {
            at = there;
        }
    }
    Ok((fd, name))
}

/// The names of a path, one after the other.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

/// Refuses a directory in which others can put something else in the place of ours. A sticky one is none: there, ours
/// stays ours once it is there, and whose it is is looked at.
fn need_safe(fd: &OwnedFd, path: &Path, way: Way) -> Result<()> {
    if way == Way::Bpffs && !is_bpffs(fd) {
        return Ok(());
    }
    let stat = sys::fstat(fd).map_err(|error| error_at(path, error))?;
    if stat.st_uid != 0 {
        need_own(path, &stat)?;
    }
    let others = if stat.st_gid == 0 { 0o002 } else { 0o022 };
    if stat.st_mode & others != 0 && stat.st_mode & 0o1000 == 0 {
        let mode = stat.st_mode & BITS;
        bail!("{0}: mode {mode:04o}: others can put what they want in it: `chmod go-w {0}`", path.display());
    }
    Ok(())
}

fn is_bpffs(fd: &OwnedFd) -> bool {
    sys::fstatfs(fd).is_ok_and(|about| about.f_type as u64 == BPF_FS_MAGIC)
}

#[cfg(test)]
mod tests;
