# Comes after the kit's: an image with a shell made of this machine's, terminals, and the plugin where the AWS CLI finds it.
import io, os, pty, re, select, shutil, signal, struct, subprocess, tarfile, fcntl, termios

HERE = os.environ["HOME"]
BERTH = os.environ["BERTH"]

def install_plugin():
    folder = HERE + "/bin"
    os.makedirs(folder, exist_ok=True)
    shutil.copy(os.environ["PLUGIN"], folder + "/session-manager-plugin")
    os.chmod(folder + "/session-manager-plugin", 0o755)
    os.environ["PATH"] = folder + ":" + os.environ["PATH"]

def add(archive, name, content, mode=0o644):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    archive.addfile(info, io.BytesIO(content))

def load_shell_image():
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        files = {}
        for program in ["bash", "stty", "cat", "sleep", "id", "touch", "head"]:
            path = os.path.realpath(shutil.which(program))
            files["bin/" + program] = path
            for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True).stdout):
                files[library.lstrip("/")] = os.path.realpath(library)
        files["bin/sh"] = files["bin/bash"]
        for name, path in files.items():
            add(archive, name, open(path, "rb").read(), 0o755)
        add(archive, "etc/passwd", b"root:x:0:0::/:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n")
        for folder in ["tmp", "dev", "proc", "sys"]:
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(info)
    import hashlib
    layer = layer.getvalue()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin", "COLOUR=blue"], "Cmd": ["sleep", "infinity"]},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
    path = HERE + "/shell.tar"
    with tarfile.open(path, "w") as archive:
        add(archive, "config.json", config)
        add(archive, "layer.tar", layer)
        add(archive, "manifest.json", json.dumps([{"Config": "config.json", "RepoTags": ["shell:1"], "Layers": ["layer.tar"]}]).encode())
    return path

def shell(**changes):
    container = {"name": "web", "image": "shell:1", "memory": 128, "essential": True, "command": ["sleep", "infinity"], "stopTimeout": 2,
                 "linuxParameters": {}, **changes}
    return container

def exec_ready(arn, cluster="default"):
    def look():
        t = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"][0]
        agents = [agent for c in t["containers"] for agent in c.get("managedAgents", [])]
        return t if agents and all(a["lastStatus"] == "RUNNING" for a in agents) else None
    t = until("the exec agent runs", look)
    agent = t["containers"][0]["managedAgents"][0]
    assert agent["name"] == "ExecuteCommandAgent" and agent["lastStartedAt"], agent
    return t

class Terminal:
    """A program with a terminal, and somebody at it."""
    def __init__(self, words, rows=30, columns=100):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(words[0], words)
        self.text = ""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern, seconds=int(os.environ["PATIENCE_SECONDS"])):
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < end, f"{pattern!r} is not in {self.text!r}"
            if select.select([self.fd], [], [], 0.2)[0]:
                try: some = os.read(self.fd, 65536)
                except OSError: some = b""
                assert some, f"it ended, and {pattern!r} is not in {self.text!r}"
                self.text += some.decode(errors="replace")
        self.text = self.text[found.end():]
        return found

    def wait(self):
        while True:
            try:
                if not os.read(self.fd, 65536): break
            except OSError: break
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

def cli(arn, command="/bin/sh", cluster="default", more=()):
    return ["/usr/bin/aws", "--endpoint-url", "http://127.0.0.1:4566", "ecs", "execute-command", "--cluster", cluster, "--task", arn,
            "--interactive", "--command", command, *more]

def alive(words):
    """Whether a process of this command line is on the machine."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try: line = open(f"/proc/{pid}/cmdline", "rb").read()
        except OSError: continue
        if line.rstrip(b"\0").split(b"\0") == [word.encode() for word in words]: found.append(int(pid))
    return found
