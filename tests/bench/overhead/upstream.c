/* An upstream that is never the bottleneck: one thread, epoll, the same answer to every request.
 *
 * upstream PORT DELAY_MS [CHUNKS]. A body that says "stream":true gets CHUNKS server-sent events and [DONE], each in a
 * write of its own; any other gets a whole answer. Either waits DELAY_MS, for which requests stand in line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 4096
#define ROOM 65536

static const char ANSWER[] =
    "{\"id\":\"c1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":"
    "{\"role\":\"assistant\",\"content\":\"Paris.\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":12,"
    "\"completion_tokens\":250,\"total_tokens\":262}}";
static const char BEGIN[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
static const char DELTA[] = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":"
                            "[{\"index\":0,\"delta\":{\"content\":\"Paris.\"},\"finish_reason\":%s}]}\n\n";
static const char DONE[] = "data: [DONE]\n\n";

struct due {
    double at;
    int fd;
    int stream;
    unsigned caller; /* whose request it was: a descriptor may have another by now */
};

static char held[CONNECTIONS][ROOM]; /* what has come of a request that is not whole */
static size_t size[CONNECTIONS];
static unsigned caller[CONNECTIONS];
static struct due line[CONNECTIONS];
static size_t first, last; /* of the line, which is a ring */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void put(int fd, const char *text, size_t length)
{
    while (length) {
        ssize_t sent = write(fd, text, length);
        if (sent < 0 && errno != EAGAIN)
            return; /* it has gone */
        if (sent > 0)
            text += sent, length -= sent;
    }
}

static void chunk(int fd, const char *event)
{
    char text[1024];
    put(fd, text, snprintf(text, sizeof text, "%zx\r\n%s\r\n", strlen(event), event));
}

static void answer(int fd, int stream, int chunks)
{
    char text[1024];
    if (!stream) {
        int length = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
                              strlen(ANSWER), ANSWER);
        put(fd, text, length);
        return;
    }
    put(fd, BEGIN, strlen(BEGIN));
    for (int i = 1; i <= chunks; i++) {
        snprintf(text, sizeof text, DELTA, i == chunks ? "\"stop\"" : "null");
        chunk(fd, text);
    }
    chunk(fd, DONE);
    put(fd, "0\r\n\r\n", 5);
}

/* Bytes of the request at the beginning of this connection's; 0 while it is not whole. */
static size_t whole(int fd)
{
    char *text = held[fd];
    text[size[fd]] = 0;
    char *end = strstr(text, "\r\n\r\n");
    if (!end)
        return 0;
    char *told = strcasestr(text, "\r\ncontent-length:");
    size_t length = end + 4 - text + (told && told < end ? strtoul(told + 17, NULL, 10) : 0);
    return length <= size[fd] ? length : 0;
}

static void heard(int fd, double delay)
{
    for (size_t length; (length = whole(fd));) {
        char kept = held[fd][length];
        held[fd][length] = 0;
        int stream = strstr(held[fd], "\"stream\":true") || strstr(held[fd], "\"stream\": true");
        held[fd][length] = kept;
        line[last++ % CONNECTIONS] = (struct due){now() + delay, fd, stream, caller[fd]};
        memmove(held[fd], held[fd] + length, size[fd] -= length);
    }
}

int main(int count, char **given)
{
    if (count < 3)
        return 2;
    signal(SIGPIPE, SIG_IGN); /* clients leave */
    double delay = atof(given[2]) / 1000;
    int chunks = count > 3 ? atoi(given[3]) : 20, yes = 1;
    int door = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(atoi(given[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(door, (struct sockaddr *)&place, sizeof place) || listen(door, 1024))
        return 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = door}, events[64];
    epoll_ctl(poll, EPOLL_CTL_ADD, door, &event);
    for (;;) {
        int wait = first == last ? -1 : (int)((line[first % CONNECTIONS].at - now()) * 1000 + 0.999);
        int ready = epoll_wait(poll, events, 64, first != last && wait < 0 ? 0 : wait);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == door) {
                fd = accept(door, NULL, NULL);
                if (fd < 0 || fd >= CONNECTIONS)
                    continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                size[fd] = 0;
                event.data.fd = fd;
                epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
                continue;
            }
            ssize_t got = read(fd, held[fd] + size[fd], ROOM - 1 - size[fd]);
            if (got <= 0) {
                caller[fd]++;
                close(fd);
                continue;
            }
            size[fd] += got;
            heard(fd, delay);
        }
        for (double at = now(); first != last && line[first % CONNECTIONS].at <= at; first++) {
            struct due due = line[first % CONNECTIONS];
            if (due.caller == caller[due.fd])
                answer(due.fd, due.stream, chunks);
        }
    }
}
