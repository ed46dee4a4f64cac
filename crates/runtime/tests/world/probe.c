// The program in the containers of these tests. Static, so that it is a whole image by itself.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void print_file(const char *path) {
    char buffer[4096];
    int fd = open(path, O_RDONLY);
    if (fd < 0) { printf("%s: %s\n", path, strerror(errno)); return; }
    ssize_t length;
    while ((length = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, length, stdout);
    close(fd);
}

static volatile sig_atomic_t resized;
static void note_resize(int signal) { (void)signal; resized = 1; }

int main(int count, char **args) {
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 1; i < count; i++) {
        const char *word = args[i];
        if (!strcmp(word, "exit")) return atoi(args[++i]);
        else if (!strcmp(word, "say")) puts(args[++i]);
        else if (!strcmp(word, "mutter")) { fputs(args[++i], stdout); }
        else if (!strcmp(word, "shout")) fprintf(stderr, "%s\n", args[++i]);
        else if (!strcmp(word, "binary")) write(1, "a\0b\xff\n", 5);
        else if (!strcmp(word, "wait")) for (;;) pause();
        else if (!strcmp(word, "stubborn")) { signal(SIGTERM, SIG_IGN); puts("stubborn"); }
        else if (!strcmp(word, "eat")) for (;;) { char *block = malloc(1 << 20); memset(block, 1, 1 << 20); }
        else if (!strcmp(word, "cat")) print_file(args[++i]);
        else if (!strcmp(word, "put")) close(open(args[++i], O_WRONLY | O_CREAT, 0644));
        else if (!strcmp(word, "device")) {
            int major = atoi(args[++i]), minor = atoi(args[++i]);
            unlink("/node");
            if (mknod("/node", S_IFCHR | 0600, makedev(major, minor)) < 0) { printf("mknod: %s\n", strerror(errno)); continue; }
            int fd = open("/node", O_WRONLY);
            puts(fd < 0 ? strerror(errno) : "opened");
            close(fd);
        }
        else if (!strcmp(word, "child")) { if (fork() == 0) for (;;) pause(); }
        else if (!strcmp(word, "who")) printf("%d:%d %s\n", getuid(), getgid(), getcwd(NULL, 0));
        else if (!strcmp(word, "env")) puts(getenv(args[++i]) ? getenv(args[i]) : "(none)");
        else if (!strcmp(word, "files")) { struct rlimit limit; getrlimit(RLIMIT_NOFILE, &limit); printf("%lu\n", limit.rlim_cur); }
        else if (!strcmp(word, "reopen")) { int fd = open("/dev/stdout", O_WRONLY); dprintf(fd < 0 ? 2 : fd, fd < 0 ? "refused\n" : "reopened\n"); }
        else if (!strcmp(word, "tty")) puts(ttyname(0) ? ttyname(0) : "no terminal");
        else if (!strcmp(word, "size")) { struct winsize size = {0}; ioctl(0, TIOCGWINSZ, &size); printf("%dx%d\n", size.ws_col, size.ws_row); }
        else if (!strcmp(word, "resized")) { signal(SIGWINCH, note_resize); puts("listening"); while (!resized) usleep(1000); }
        else if (!strcmp(word, "echo")) { char buffer[4096]; ssize_t length; while ((length = read(0, buffer, sizeof buffer)) > 0) write(1, buffer, length); }
        else if (!strcmp(word, "orphan")) { if (fork() == 0) { puts("orphan"); for (;;) pause(); } }
        else if (!strcmp(word, "lines")) { long n = atol(args[++i]); static char line[1024]; memset(line, 'x', 1000); for (long k = 0; k < n; k++) { int length = sprintf(line, "%ld", k); line[length] = ' '; line[1000] = '\n'; for (int at = 0; at < 1001;) at += write(1, line + at, 1001 - at); } }
        else { fprintf(stderr, "what is %s?\n", word); return 99; }
    }
    return 0;
}
