// The program in the harness's image: says numbered lines, ends as it was told to, and leaves marks of both ends of its
// life in a folder of the machine. Static, so that it is a whole image by itself.
//
//   program NAME LINES PAUSE_MS CODE     CODE is that of its own end; "wait" stays until a signal comes, and ends with 0
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char mark_path[256];
static const char *who;

// One write, so that marks are there as a whole or not at all.
static void mark(const char *what, int code) {
    char line[512];
    int length = snprintf(line, sizeof line, "%s %s %d\n", what, who, code);
    int fd = open(mark_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || write(fd, line, length) != length) _exit(97);
    close(fd);
}

static void on_signal(int signal) {
    (void)signal;
    mark("end", 0);
    _exit(0);
}

int main(int count, char **args) {
    if (count != 5) return 99;
    int lines = atoi(args[2]), pause_ms = atoi(args[3]);
    // Which task's container this is, as the metadata endpoint names it.
    who = getenv("ECS_CONTAINER_METADATA_URI_V4");
    if (!who) return 98;
    snprintf(mark_path, sizeof mark_path, "/marks/%s", args[1]);
    signal(SIGTERM, on_signal);
    mark("begin", 0);
    for (int line = 1; line <= lines; line++) {
        char text[64];
        int length = snprintf(text, sizeof text, "line %d\n", line);
        if (write(1, text, length) != length) return 96;
        if (pause_ms) usleep(pause_ms * 1000);
    }
    if (!strcmp(args[4], "wait")) for (;;) pause();
    int code = atoi(args[4]);
    mark("end", code);
    return code;
}
