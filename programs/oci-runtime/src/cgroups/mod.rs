//! A container's cgroups of version 1, made and joined before libcontainer works.
//!
//! libcontainer moves a process that it has forked, by `cgroup.procs`. For that the kernel holds up every fork and every exit
//! of the machine, and waits until all its processors have seen this: eight milliseconds on a machine at rest. A process that
//! moves its own only thread, by `tasks`, waits for nobody, and what it forks is where it is. So this process goes first.
//!
//! libcontainer would move again whatever it finds. It is therefore called with a root that has no cgroups, in a mount namespace of its own.
//! The container has another one, where a folder with its own cgroups is ready to be shown at `/sys/fs/cgroup`: one mount for
//! libcontainer instead of one for each tree.
//!
//! What is not known here is left to libcontainer, and so is all of cgroup v2.

mod settings;
mod trees;

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::mounts;
use trees::Tree;

/// How long killed processes may take to leave.
const EMPTY_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(2);

/// The cgroups that this process has joined.
pub struct Joined {
    /// The root of each tree: its path leads nowhere any more. And where in it this process was before.
    roots: Vec<(File, String)>,
    /// Below each root, without a slash before it.
    path: String,
    /// What is written last, and into which file.
    last: Vec<(PathBuf, String)>,
}

/// Written when all is made: a small share of the CPU is meant for the program, and would hold up its start on a busy machine.
const LAST: &str = "cpu.shares";

/// Joins the cgroups of a container that runs, for one more process in it, and lets libcontainer find none. `None` when it
/// is left to libcontainer.
///
/// `needed` are the paths that are needed from here on.
pub fn join_running(config: &Value, needed: &[&Path]) -> Result<Option<Joined>> {
    let Some(path) = config["linux"]["cgroupsPath"].as_str().and_then(plain_path) else { return Ok(None) };
    let mountinfo = read(Path::new(MOUNTINFO))?;
    let trees = trees::parse(&mountinfo);
    let joined: Vec<&Tree> = trees.iter().filter(|tree| !tree.controllers.is_empty()).collect();
    if joined.is_empty() || !joined.iter().all(|tree| tree.point().join(path).exists()) {
        return Ok(None);
    }
    let own = Joined::new(&joined, path)?;
    own.enter()?;
    mounts::withdraw(Path::new(trees::ROOT), needed, &mountinfo).context("failed to hide the cgroups")?;
    Ok(Some(own))
}

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// Makes the cgroups that the configuration names, limits and joins them, and changes the configuration to what is left for
/// libcontainer. `None` when everything is, and nothing was done. `needed` are the paths that are needed from here on.
pub fn join(config: &mut Value, needed: &[&Path]) -> Result<Option<Joined>> {
    if config.get("hooks").is_some() {
        // They run where libcontainer works, and may look for the container's cgroups.
        return Ok(None);
    }
    let path = config["linux"]["cgroupsPath"].as_str().and_then(plain_path).map(str::to_owned);
    let Some(path) = path.as_deref() else { return Ok(None) };
    let Some(settings) = settings::of(&config["linux"]["resources"]) else { return Ok(None) };
    if !has_new_mounts(config) {
        return Ok(None);
    }
    let mountinfo = read(Path::new(MOUNTINFO))?;
    let trees = trees::parse(&mountinfo);
    let (joined, shown): (Vec<&Tree>, Vec<&Tree>) = trees.iter().partition(|tree| !tree.controllers.is_empty());
    if joined.is_empty() || settings.iter().any(|setting| !joined.iter().any(|tree| tree.has(setting.controller))) {
        return Ok(None);
    }
    if joined[0].point().join(path).exists() {
        // Not new, and so perhaps not ours to give back.
        return Ok(None);
    }
    let mut own = Joined::new(&joined, path)?;
    let entered = (|| {
        for tree in &joined {
            make(tree, path)?;
        }
        for setting in &settings {
            let place = joined.iter().position(|tree| tree.has(setting.controller)).context("a tree is gone")?;
            match setting.file {
                LAST => own.last.push((within(&own.roots[place].0, path).join(LAST), setting.value.clone())),
                file => write(&joined[place].point().join(path).join(file), &setting.value)?,
            }
        }
        own.enter()?;
        let namespace = mounts::own().context("failed to make the container's mount namespace")?;
        show(config, &own, &joined, &shown)?;
        hand_over(config, namespace)?;
        mounts::withdraw(Path::new(trees::ROOT), needed, &mountinfo).context("failed to hide the cgroups")
    })();
    match entered {
        Ok(()) => Ok(Some(own)),
        Err(err) => {
            own.remove()?;
            Err(err)
        }
    }
}

impl Joined {
    fn new(trees: &[&Tree], path: &str) -> Result<Joined> {
        let before = read(Path::new("/proc/self/cgroup"))?;
        let roots = trees.iter().map(|tree| Ok((open(&tree.point())?, trees::place(tree, &before).to_owned())));
        Ok(Joined { roots: roots.collect::<Result<_>>()?, path: path.to_owned(), last: Vec::new() })
    }

    /// Everything is made, and the program is about to run.
    pub fn complete(&self) -> Result<()> {
        self.last.iter().try_for_each(|(path, value)| write(path, value))
    }

    fn enter(&self) -> Result<()> {
        // Zero is the thread that writes. Another number would be looked for, and waited for.
        self.roots.iter().try_for_each(|(root, _)| write(&within(root, &self.path).join("tasks"), "0"))
    }

    /// Goes back to where this process was before.
    pub fn leave(&self) -> Result<()> {
        for (root, before) in &self.roots {
            // Within a container that place may be outside of what can be seen.
            let back = write(&within(root, before).join("tasks"), "0");
            back.or_else(|_| write(&within(root, "tasks"), "0"))?;
        }
        Ok(())
    }

    /// Leaves and removes them, with whatever is in them.
    pub fn remove(&self) -> Result<()> {
        self.leave()?;
        let deadline = Instant::now() + EMPTY_WITHIN;
        for (root, _) in &self.roots {
            let dir = within(root, &self.path);
            loop {
                match fs::remove_dir(&dir) {
                    Ok(()) => break,
                    Err(err) if err.kind() == io::ErrorKind::NotFound => break,
                    Err(err) if err.raw_os_error() != Some(libc::EBUSY) || Instant::now() > deadline => {
                        return Err(err).with_context(|| format!("failed to remove cgroup {}", self.path));
                    }
                    Err(_) => kill_all(&dir),
                }
            }
        }
        Ok(())
    }
}

fn kill_all(dir: &Path) {
    for pid in fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Ok(pid) = pid.parse::<i32>()
            && pid > 0
        {
            // SAFETY: no memory is involved. The kernel hands numbers out in turn, so this one is not reused so soon.
            let _ = unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
    // A child that has ended is in its cgroup until its end was taken note of.
    // SAFETY: a null status is allowed.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
    std::thread::sleep(LOOK_AGAIN_AFTER);
}

/// Without the slash before it, if it leads nowhere but down.
fn plain_path(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    path.split('/').all(|name| !matches!(name, "" | "." | "..")).then_some(path)
}

/// The container gets a mount namespace that is made for it. One of users is not made from within another root.
fn has_new_mounts(config: &Value) -> bool {
    let mut namespaces = config["linux"]["namespaces"].as_array().into_iter().flatten();
    let has_users = namespaces.clone().any(|one| one["type"] == "user");
    !has_users && namespaces.any(|one| one["type"] == "mount" && one["path"].is_null())
}

fn open(point: &Path) -> Result<File> {
    File::open(point).with_context(|| format!("failed to open {}", point.display()))
}

/// A path by way of a folder that is open.
fn within(root: &File, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{path}", root.as_raw_fd()))
}

fn make(tree: &Tree, path: &str) -> Result<()> {
    let mut dir = tree.point();
    for name in path.split('/') {
        let above = dir.clone();
        dir.push(name);
        match fs::create_dir(&dir) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.with_context(|| format!("failed to make cgroup {}", dir.display()))?,
        }
        if tree.has("cpuset") {
            // No process may enter before these are set.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if read(&dir.join(file))?.trim().is_empty() {
                    write(&dir.join(file), read(&above.join(file))?.trim())?;
                }
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}

fn write(path: &Path, value: &str) -> Result<()> {
    let written =
        File::options().write(true).open(path).and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()));
    written.with_context(|| format!("failed to write {value} to {}", path.display()))
}

/// Makes the folder that the container will see, if it is to see one, and has libcontainer bind it.
fn show(config: &mut Value, own: &Joined, joined: &[&Tree], shown: &[&Tree]) -> Result<()> {
    let mounts = config["mounts"].as_array_mut().into_iter().flatten();
    let Some(mount) = mounts.into_iter().find(|mount| mount["type"] == "cgroup") else { return Ok(()) };
    let options: Vec<&str> = mount["options"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let readonly = options.contains(&"ro");
    // In the place of a tree, so that it is gone with all of them where there may be none.
    let folder = joined[0].point();
    let others: Vec<File> = shown.iter().map(|tree| open(&tree.point())).collect::<Result<_>>()?;
    let ours = joined.iter().zip(&own.roots).map(|(tree, (root, _))| (*tree, within(root, &own.path)));
    let theirs = shown.iter().zip(&others).map(|(tree, root)| (*tree, within(root, "")));
    let trees: Vec<(&Tree, PathBuf)> = ours.chain(theirs).collect();
    mounts::tmpfs(&folder, "mode=755").context("failed to mount a folder for cgroups")?;
    for (tree, source) in trees {
        let target = folder.join(&tree.name);
        fs::create_dir(&target).with_context(|| format!("failed to make {}", target.display()))?;
        mounts::bind(&source, &target).with_context(|| format!("failed to show cgroups of {}", tree.name))?;
        mounts::restrict(&target, readonly).with_context(|| format!("failed to restrict cgroups of {}", tree.name))?;
        for link in tree.name.split(',').filter(|link| *link != tree.name) {
            std::os::unix::fs::symlink(&tree.name, folder.join(link)).context("failed to link cgroups")?;
        }
    }
    // The folder itself can be written, as in Docker's containers: some programs make one of their own in it.
    let restrictions: Vec<&str> = options.iter().copied().filter(|option| !["cgroup", "ro"].contains(option)).collect();
    let options: Vec<&str> = ["rbind", "rprivate"].into_iter().chain(restrictions).collect();
    *mount = json!({ "destination": mount["destination"], "type": "bind", "source": folder, "options": options });
    if readonly {
        drop_readonly_trees(config);
    }
    Ok(())
}

/// What is read-only already need not be made so.
fn drop_readonly_trees(config: &mut Value) {
    if let Some(paths) = config["linux"]["readonlyPaths"].as_array_mut() {
        let root = format!("{}/", trees::ROOT);
        paths.retain(|path| path.as_str().is_none_or(|path| !path.starts_with(&root)));
    }
}

/// Has libcontainer put the container's first process into this mount namespace, and do nothing about cgroups. Other namespaces
/// that are files are opened here, where all their mounts are.
fn hand_over(config: &mut Value, mounts: File) -> Result<()> {
    // Open until this process and those that it forks are gone: the container's program does not inherit it.
    let kept = |file: File| json!(format!("/proc/self/fd/{}", file.into_raw_fd()));
    let mut mounts = Some(mounts);
    for one in config["linux"]["namespaces"].as_array_mut().into_iter().flatten() {
        if one["type"] == "mount" {
            one["path"] = mounts.take().map_or(Value::Null, kept);
        } else if let Some(path) = one["path"].as_str() {
            one["path"] = kept(open(Path::new(path))?);
        }
    }
    if let Some(linux) = config["linux"].as_object_mut() {
        linux.remove("resources");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_down() {
        assert_eq!(plain_path("/ecs/task/web"), Some("ecs/task/web"));
        for other in ["", "/", "ecs/task", "/ecs//web", "/ecs/../web", "/ecs/./web", "/ecs/"] {
            assert_eq!(plain_path(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_done_is_taken_out_of_the_configuration() {
        let mut config = json!({
            "linux": {
                "namespaces": [{ "type": "pid" }, { "type": "mount" }],
                "resources": { "pids": { "limit": 9 } },
                "readonlyPaths": ["/proc/sys", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory"],
            }
        });
        assert!(has_new_mounts(&config));
        drop_readonly_trees(&mut config);
        hand_over(&mut config, File::open("/proc/self/ns/mnt").unwrap()).unwrap();
        assert!(!has_new_mounts(&config));
        assert_eq!(config["linux"]["readonlyPaths"], json!(["/proc/sys"]));
        assert!(config["linux"].get("resources").is_none());
        assert_eq!(config["linux"]["namespaces"][0], json!({ "type": "pid" }));
    }
}
