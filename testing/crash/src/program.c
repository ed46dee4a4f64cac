// The program in the harness's image: says numbered lines, ends as it was told to, and leaves marks of both ends of its
// life in a folder of the machine. Static, so that it is a whole image by itself.
//
//   program NAME LINES PAUSE_MS CODE     CODE is that of its own end; "wait" stays until a signal comes, and ends with 0
//   program router                       takes what log drivers send to a log router, and leaves no marks
//
// With SERVE=PORT in its environment one that waits answers HTTP there meanwhile.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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

static void leave(int signal) {
    (void)signal;
    _exit(0);
}

// A reader for each connection; they end with their parent, the first process of the container.
static int route(void) {
    signal(SIGTERM, leave);
    signal(SIGCHLD, SIG_IGN);
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/var/run/fluent.sock"};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    unlink(at.sun_path);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 16)) return 95;
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection >= 0 && fork() == 0) {
            char bytes[4096];
            while (read(connection, bytes, sizeof bytes) > 0) {}
            _exit(0);
        }
        close(connection);
    }
}

static int open_port(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 16)) _exit(94);
    return listener;
}

static void serve(int listener) {
    static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        char question[1024];
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) continue;
        if (read(connection, question, sizeof question) > 0 && write(connection, answer, sizeof answer - 1) < 0) {}
        close(connection);
    }
}

int main(int count, char **args) {
    if (count == 2 && !strcmp(args[1], "router")) return route();
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
    const char *port = getenv("SERVE");
    if (!strcmp(args[4], "wait") && port) serve(open_port(atoi(port)));
    if (!strcmp(args[4], "wait")) for (;;) pause();
    int code = atoi(args[4]);
    mark("end", code);
    return code;
}
