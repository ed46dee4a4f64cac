// The program in the image of these tests. Static, so that it is a whole image by itself.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int trapped;
static void on_term(int signal) { (void)signal; write(1, "trapped\n", 8); _exit(trapped); }

static void print_file(const char *path) {
    char buffer[4096];
    int fd = open(path, O_RDONLY);
    if (fd < 0) { printf("%s: %s\n", path, strerror(errno)); return; }
    ssize_t length;
    while ((length = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, length, stdout);
    close(fd);
}

static void append(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0) { printf("%s: %s\n", path, strerror(errno)); return; }
    dprintf(fd, "%s\n", text);
    close(fd);
}

static void serve(int port, const char *answer) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) { perror("serve"); exit(98); }
    puts("serving");
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        dprintf(client, "%s\n", answer);
        shutdown(client, SHUT_WR);
        char rest[256];
        while (read(client, rest, sizeof rest) > 0) {}
        close(client);
    }
}

// On the loopback alone, so that only who is inside gets an answer. `<file>` is there: 204, else 503.
static void serve_health(int port, const char *file) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) { perror("health"); exit(98); }
    puts("serving");
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        char asked[4096] = "";
        for (int length = 0, got; length < 4000 && !strstr(asked, "\r\n\r\n") && (got = read(client, asked + length, 4000 - length)) > 0;) length += got;
        if (asked[0]) dprintf(client, "HTTP/1.1 %s\r\n\r\n", access(file, F_OK) ? "503 Sick" : "204 Well");
        close(client);
    }
}

// Asks until somebody answers: what serves may start a moment later.
static void fetch(const char *ip, int port, const char *path) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    inet_pton(AF_INET, ip, &address.sin_addr);
    for (int attempt = 0; attempt < 500; attempt++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (!connect(fd, (struct sockaddr *)&address, sizeof address)) {
            char buffer[4096];
            ssize_t length;
            dprintf(fd, "GET %s HTTP/1.0\r\n\r\n", path);
            while ((length = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, length, stdout);
            close(fd);
            return;
        }
        close(fd);
        usleep(10000);
    }
    printf("%s:%d: %s\n", ip, port, strerror(errno));
}

int main(int count, char **args) {
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 1; i < count; i++) {
        const char *word = args[i];
        if (!strcmp(word, "exit")) return atoi(args[++i]);
        else if (!strcmp(word, "--")) { puts("init"); execv(args[i + 1], args + i + 1); }
        else if (!strcmp(word, "say")) puts(args[++i]);
        else if (!strcmp(word, "lines")) { long n = atol(args[++i]); static char line[1024]; memset(line, 'x', 1000); for (long k = 0; k < n; k++) { int length = sprintf(line, "%ld", k); line[length] = ' '; line[1000] = '\n'; for (int at = 0; at < 1001;) at += write(1, line + at, 1001 - at); } }
        else if (!strcmp(word, "wait")) for (;;) pause();
        else if (!strcmp(word, "trap")) { trapped = atoi(args[++i]); signal(SIGTERM, on_term); puts("ready"); }
        else if (!strcmp(word, "trap-int")) { trapped = atoi(args[++i]); signal(SIGINT, on_term); puts("ready"); }
        else if (!strcmp(word, "stubborn")) { signal(SIGTERM, SIG_IGN); puts("stubborn"); }
        else if (!strcmp(word, "eat")) for (;;) { char *block = malloc(1 << 20); memset(block, 1, 1 << 20); }
        else if (!strcmp(word, "cat")) print_file(args[++i]);
        else if (!strcmp(word, "put")) { const char *path = args[++i]; append(path, args[++i]); }
        else if (!strcmp(word, "has")) { if (access(args[++i], F_OK)) return 44; }
        else if (!strcmp(word, "await")) { const char *path = args[++i]; while (access(path, F_OK)) usleep(10000); }
        else if (!strcmp(word, "env")) { const char *name = args[++i]; printf("%s=%s\n", name, getenv(name) ? getenv(name) : "(none)"); }
        else if (!strcmp(word, "who")) printf("%d:%d %s\n", getuid(), getgid(), getcwd(NULL, 0));
        else if (!strcmp(word, "serve")) { int port = atoi(args[++i]); serve(port, args[++i]); }
        else if (!strcmp(word, "health")) { int port = atoi(args[++i]); serve_health(port, args[++i]); }
        else if (!strcmp(word, "fetch")) { const char *ip = args[++i]; int port = atoi(args[++i]); fetch(ip, port, args[++i]); }
        else { fprintf(stderr, "what is %s?\n", word); return 99; }
    }
    return 0;
}
