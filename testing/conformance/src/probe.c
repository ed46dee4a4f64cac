// The program in the image of these tests. Static, so that it is a whole image by itself. Its arguments are a list of
// small things to do, one after the other; `/bin/sh` is the same program.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static int trapped;
static void on_term(int signal) { (void)signal; write(1, "trapped\n", 8); _exit(trapped); }
static const char *mark;
static void on_term_mark(int signal) {
    (void)signal;
    usleep(300000);
    int fd = open("/marks/order", O_WRONLY | O_CREAT | O_APPEND, 0644);
    dprintf(fd, "%s\n", mark);
    _exit(0);
}
static void say(const char *what, long result) { printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done"); }

static char buffer[1 << 18];
static char *slurp(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) { snprintf(buffer, sizeof buffer, "(%s)", strerror(errno)); return buffer; }
    ssize_t length = 0, got;
    while ((got = read(fd, buffer + length, sizeof buffer - 1 - length)) > 0) length += got;
    buffer[length] = 0;
    close(fd);
    return buffer;
}

// JSON, as far as this needs it.
static const char *comma = "";
static void text(const char *value) {
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)value; *at; at++) {
        if (*at == '"' || *at == '\\') printf("\\%c", *at);
        else if (*at < 32) printf("\\u%04x", *at);
        else putchar(*at);
    }
    putchar('"');
}
static void key(const char *name) { printf("%s", comma); comma = ","; text(name); putchar(':'); }
static void field(const char *name, const char *value) { key(name); text(value); }
static void number(const char *name, long long value) { key(name); printf("%lld", value); }
static void list(const char *name, char **words) {
    key(name);
    putchar('[');
    for (int i = 0; words[i]; i++) { if (i) putchar(','); text(words[i]); }
    putchar(']');
}
static void names_in(const char *name, const char *path) {
    key(name);
    putchar('[');
    DIR *dir = opendir(path);
    int count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' && strcmp(path, "/")) continue;
        if (count++) putchar(',');
        text(entry->d_name);
    }
    if (dir) closedir(dir);
    putchar(']');
}

static void inspect(char **args) {
    putchar('{');
    list("args", args);
    list("env", environ);
    char cwd[4096], link[256];
    field("cwd", getcwd(cwd, sizeof cwd) ? cwd : strerror(errno));
    number("pid", getpid());
    number("uid", getuid()); number("gid", getgid());
    gid_t groups[64];
    int count = getgroups(64, groups);
    key("groups"); putchar('[');
    for (int i = 0; i < count; i++) printf("%s%d", i ? "," : "", groups[i]);
    putchar(']');
    struct utsname system;
    uname(&system);
    field("hostname", system.nodename);
    number("umask", umask(022));
    const char *limits[] = { "cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime" };
    key("limits"); putchar('{'); comma = "";
    for (int i = 0; i < 16; i++) {
        struct rlimit limit;
        getrlimit(i, &limit);
        key(limits[i]); printf("[%lld,%lld]", (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
    putchar('}');
    const char *files[][2] = {
        { "status", "/proc/self/status" }, { "mounts", "/proc/self/mountinfo" }, { "cgroup", "/proc/self/cgroup" },
        { "oom_score_adj", "/proc/self/oom_score_adj" }, { "hosts", "/etc/hosts" }, { "resolv_conf", "/etc/resolv.conf" },
        { "etc_hostname", "/etc/hostname" }, { "init", "/proc/1/comm" }, { "net_dev", "/proc/net/dev" },
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) field(files[i][0], slurp(files[i][1]));
    key("namespaces"); putchar('{'); comma = "";
    const char *kinds[] = { "pid", "ipc", "net", "uts", "mnt", "user", "cgroup" };
    for (int i = 0; i < 7; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
        ssize_t length = readlink(path, link, sizeof link - 1);
        link[length < 0 ? 0 : length] = 0;
        field(kinds[i], link);
    }
    putchar('}');
    key("fds"); putchar('{'); comma = "";
    for (int fd = 0; fd < 256; fd++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, link, sizeof link - 1);
        if (length < 0) continue;
        link[length] = 0;
        snprintf(path, sizeof path, "%d", fd);
        field(path, link);
    }
    putchar('}');
    number("tty", isatty(0) + 2 * isatty(1) + 4 * isatty(2));
    struct statvfs shm;
    number("shm_bytes", statvfs("/dev/shm", &shm) ? -1 : (long long)shm.f_blocks * shm.f_frsize);
    struct stat root, dev_shm;
    number("shm_is_a_mount", !stat("/dev", &root) && !stat("/dev/shm", &dev_shm) && root.st_dev != dev_shm.st_dev);
    names_in("dev", "/dev");
    names_in("root", "/");
    names_in("processes", "/proc");
    puts("}");
    comma = "";
}

static void serve(int port, const char *answer, int type) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    int one = 1, listener = socket(AF_INET, type, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address)) { perror("bind"); exit(98); }
    if (type == SOCK_DGRAM) {
        for (char got[512];;) {
            struct sockaddr_in from;
            socklen_t length = sizeof from;
            if (recvfrom(listener, got, sizeof got, 0, (struct sockaddr *)&from, &length) >= 0)
                sendto(listener, answer, strlen(answer), 0, (struct sockaddr *)&from, length);
        }
    }
    listen(listener, 16);
    puts("serving");
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        char rest[256];
        // Who speaks HTTP is asked first.
        if (!strncmp(answer, "HTTP/", 5) && read(client, rest, sizeof rest) <= 0) { close(client); continue; }
        dprintf(client, "%s\n", answer);
        shutdown(client, SHUT_WR);
        while (read(client, rest, sizeof rest) > 0) {}
        close(client);
    }
}

// By address or by a name of /etc/hosts. Asks until somebody answers: what serves may start a moment later.
static void fetch(const char *name, int port, const char *path, int attempts) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    if (inet_pton(AF_INET, name, &address.sin_addr) != 1) {
        char *hosts = slurp("/etc/hosts");
        for (char *line = strtok(hosts, "\n"); line; line = strtok(NULL, "\n")) {
            char ip[64], names[1024];
            if (sscanf(line, "%63s %1023[^\n]", ip, names) == 2 && strstr(names, name)) inet_pton(AF_INET, ip, &address.sin_addr);
        }
    }
    for (int attempt = 0; attempt < attempts; attempt++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct timeval patience = { .tv_sec = 2 };
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (!connect(fd, (struct sockaddr *)&address, sizeof address)) {
            ssize_t length;
            dprintf(fd, "GET %s HTTP/1.0\r\n\r\n", path);
            while ((length = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, length, stdout);
            close(fd);
            return;
        }
        close(fd);
        usleep(10000);
    }
    printf("%s:%d: %s\n", name, port, strerror(errno));
}

// What each system call answers to nonsense: whether a filter lets it through shows in the error.
static void syscalls(void) {
    for (int number = 0; number < 480; number++) {
#ifdef SYS_sync
        if (number == SYS_sync) continue; // Waits for every disk of the machine.
#endif
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            fclose(stdout);
            signal(SIGALRM, SIG_DFL);
            alarm(1);
            errno = 0;
            long result = syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
            _exit(result == -1 ? errno : 0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) printf("%d through\n", number);
        else printf("%d %d\n", number, WEXITSTATUS(status));
    }
}

static void processes(void) {
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        printf("%s %s", entry->d_name, slurp(path));
    }
    if (dir) closedir(dir);
}

static int abstract_socket(const char *name, int listening) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), path = name[0] == '/';
    strncpy(address.sun_path + !path, name, sizeof address.sun_path - 2);
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + !path + strlen(name) + path;
    if (listening ? bind(fd, (void *)&address, length) || listen(fd, 8) : connect(fd, (void *)&address, length)) return -1;
    return fd;
}

static int act(int count, char **args) {
    for (int i = 0; i < count; i++) {
        const char *word = args[i];
#define IS(name) !strcmp(word, name)
#define NEXT (i + 1 < count ? args[++i] : "")
        if (IS("exit")) return atoi(NEXT);
        else if (IS("inspect")) inspect(args - 1);
        else if (IS("say")) puts(NEXT);
        else if (IS("complain")) { fprintf(stderr, "%s\n", NEXT); }
        else if (IS("flood")) for (;;) puts("one line of very many, each of them as long as this one is");
        else if (IS("wait")) for (;;) pause();
        else if (IS("sleep")) usleep(1000 * atoi(NEXT));
        else if (IS("trap")) { trapped = atoi(NEXT); signal(SIGTERM, on_term); }
        // Says so when it ends, after a while: whoever does not wait for it comes first.
        else if (IS("trap-and-mark")) { mark = NEXT; signal(SIGTERM, on_term_mark); for (;;) pause(); }
        else if (IS("trap-int")) { trapped = atoi(NEXT); signal(SIGINT, on_term); }
        else if (IS("stubborn")) signal(SIGTERM, SIG_IGN);
        // Not by abort: the first process of a namespace is not killed by a signal that it sends to itself.
        else if (IS("crash")) *(volatile int *)16 = 1;
        else if (IS("eat")) { for (long left = atol(NEXT); left; left--) { char *block = malloc(1 << 20); memset(block, 1, 1 << 20); } }
        else if (IS("cat")) { printf("%s", slurp(NEXT)); }
        else if (IS("put")) { const char *path = NEXT; int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644); say(path, fd); if (fd >= 0) { dprintf(fd, "%s\n", NEXT); close(fd); } else NEXT; }
        else if (IS("overwrite")) { const char *path = NEXT, *what = NEXT; int fd = open(path, O_WRONLY); say(path, fd < 0 ? -1 : write(fd, what, strlen(what))); }
        else if (IS("has")) { if (access(NEXT, F_OK)) return 44; }
        else if (IS("await")) { const char *path = NEXT; while (access(path, F_OK)) usleep(10000); }
        else if (IS("env")) { const char *name = NEXT; printf("%s=%s\n", name, getenv(name) ? getenv(name) : "(none)"); }
        else if (IS("ls")) { const char *path = NEXT; printf("%s", "{"); names_in(path, path); printf("%s", "}"); puts(""); comma = ""; }
        else if (IS("mode")) { const char *path = NEXT; struct stat found; if (lstat(path, &found)) say(path, -1); else printf("%s: %o %d:%d\n", path, found.st_mode, found.st_uid, found.st_gid); }
        else if (IS("serve")) { int port = atoi(NEXT); serve(port, NEXT, SOCK_STREAM); }
        else if (IS("serve-udp")) { int port = atoi(NEXT); serve(port, NEXT, SOCK_DGRAM); }
        else if (IS("fetch")) { const char *name = NEXT; int port = atoi(NEXT); fetch(name, port, NEXT, 500); }
        // What a variable has as its address, and a path below it.
        else if (IS("fetch-env")) {
            char uri[512], path[1024], host[64];
            snprintf(uri, sizeof uri, "%s", getenv(NEXT) ? getenv(args[i]) : "");
            if (sscanf(uri, "http://%63[^/]%s", host, path) == 2) { strncat(path, NEXT, 256); fetch(host, 80, path, 500); }
        }
        else if (IS("knock")) { const char *name = NEXT; int port = atoi(NEXT); fetch(name, port, "/", 1); }
        else if (IS("listen")) { const char *name = NEXT; int fd = abstract_socket(name, 1); say(name, fd); }
        else if (IS("connect")) { const char *name = NEXT; say(name, abstract_socket(name, 0)); }
        else if (IS("syscalls")) syscalls();
        else if (IS("ps")) processes();
        else if (IS("background")) { fflush(stdout); if (!fork()) { i++; continue; } i++; while (i + 1 < count && strcmp(args[i], "then")) i++; }
        else if (IS("then")) { }
        // A child of a child, which ends after its parent and is left to the first process.
        else if (IS("orphan")) { fflush(stdout); pid_t child = fork(); if (!child) { if (!fork()) { usleep(200000); _exit(0); } _exit(0); } waitpid(child, NULL, 0); }
        else if (IS("fork-until-refused")) {
            int made = 0;
            fflush(stdout);
            for (pid_t child; (child = fork()) >= 0; made++) if (!child) for (;;) pause();
            int why = errno;
            printf("refused after %d: %s\n", made, strerror(why));
        }
        else if (IS("fill")) {
            const char *path = NEXT;
            int fd = open(path, O_WRONLY | O_CREAT, 0644);
            long long written = 0;
            static char block[1 << 16];
            memset(block, 1, sizeof block);
            for (ssize_t got; (got = write(fd, block, sizeof block)) > 0;) written += got;
            printf("%s after %lld: %s\n", path, written, strerror(errno));
        }
        else if (IS("close-stdio")) { fflush(stdout); close(0); close(1); close(2); }
        else if (IS("stdin")) {
            struct pollfd in = { .fd = 0, .events = POLLIN };
            int ready = poll(&in, 1, 300);
            char got[64];
            ssize_t length = ready > 0 ? read(0, got, sizeof got) : -2;
            printf("stdin: %s\n", length == -2 ? "waits" : length == 0 ? "ends" : length < 0 ? strerror(errno) : "speaks");
        }
        else if (IS("window")) { struct winsize size = { 0 }; int got = ioctl(1, TIOCGWINSZ, &size); printf("%d %dx%d\n", got, size.ws_row, size.ws_col); }
        else if (IS("shm-put")) { int id = shmget(atoi(NEXT), 4096, IPC_CREAT | 0666); char *at = shmat(id, NULL, 0); say("shm", id); if (id >= 0) strcpy(at, NEXT); }
        else if (IS("shm-get")) { int id = shmget(atoi(NEXT), 4096, 0666); if (id < 0) say("shm", -1); else printf("shm: %s\n", (char *)shmat(id, NULL, 0)); }
        else if (IS("kill")) { int pid = atoi(NEXT); say("kill", kill(pid, atoi(NEXT))); }
        else if (IS("mount")) { const char *kind = NEXT, *at = NEXT; say("mount", mount("none", at, kind, 0, NEXT)); }
        else if (IS("remount-rw")) { const char *at = NEXT; say("remount", mount("none", at, NULL, MS_REMOUNT | MS_BIND, NULL)); }
        else if (IS("unmount")) { const char *at = NEXT; say("unmount", umount2(at, MNT_DETACH)); }
        else if (IS("mknod")) {
            const char *path = NEXT; int major = atoi(NEXT), minor = atoi(NEXT);
            say("mknod", mknod(path, S_IFCHR | 0600, makedev(major, minor)));
            say("open", open(path, O_RDWR));
        }
        else if (IS("mkblock")) {
            const char *path = NEXT; int major = atoi(NEXT), minor = atoi(NEXT);
            say("mknod", mknod(path, S_IFBLK | 0600, makedev(major, minor)));
            say("open", open(path, O_RDONLY));
        }
        else if (IS("open")) { const char *path = NEXT; say(path, open(path, O_RDWR)); }
        else if (IS("mkdir")) { const char *path = NEXT; say(path, mkdir(path, 0755)); }
        else if (IS("symlink")) { const char *target = NEXT, *path = NEXT; say(path, symlink(target, path)); }
        else if (IS("setuid")) { say("setuid", setuid(atoi(NEXT))); }
        else if (IS("run")) { execv(args[i + 1], args + i + 1); say(args[i + 1], -1); return 126; }
        else if (IS("chroot")) { say("chroot", chroot(NEXT)); }
        else if (IS("unshare")) { say("unshare", unshare(CLONE_NEWUSER | CLONE_NEWNS)); }
        else if (IS("clone-user")) {
            long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0L, 0L, 0L, 0L);
            if (!child) _exit(0);
            say("clone", child);
            unsigned long long arguments[8] = { CLONE_NEWUSER };
            child = syscall(SYS_clone3, arguments, sizeof arguments);
            if (!child) _exit(0);
            say("clone3", child);
        }
        else if (IS("by-handle")) { // The escape that open_by_handle_at once was: inode 2 is the root of a file system.
            struct { struct file_handle head; unsigned char bytes[8]; } handle = { .head = { .handle_bytes = 8, .handle_type = 1 }, .bytes = { 2 } };
            int mount_fd = open("/etc/hosts", O_RDONLY);
            say("open_by_handle_at", open_by_handle_at(mount_fd, &handle.head, O_RDONLY));
        }
        else { fprintf(stderr, "what is %s?\n", word); return 99; }
        fflush(stdout);
    }
    return 0;
}

int main(int count, char **args) {
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    const char *name = strrchr(args[0], '/');
    if (strcmp(name ? name + 1 : args[0], "sh") || count < 3) return act(count - 1, args + 1);
    // A shell's `-c`, whose words are separated by single spaces.
    char *words[64];
    int found = 0;
    for (char *word = strtok(args[2], " "); word && found < 64; word = strtok(NULL, " ")) words[found++] = word;
    return act(found, words);
}
