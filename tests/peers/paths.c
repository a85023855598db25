/* paths: an NBD server, for one client at a time, in front of a volume that has several iSCSI portals: what qemu-nbd is for one portal.
 *   paths SOCKET IQN LUN PORTAL PORTAL...
 * One session at a time. When it ends, because the target asked for a logout, or closed or lost the connection, the next portal that lets it in takes over; commands that were not answered are
 * sent again there, in their order. Ends on SIGTERM; prints after each client: sessions begun, the longest time without a session (ms), commands answered, errors. */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

enum { NBD_READ = 0, NBD_WRITE = 1, NBD_DISC = 2, NBD_FLUSH = 3, MAX_DATA = 32 << 20, GIVE_UP_MS = 90000 };

struct command { struct command *next; uint64_t handle, offset; uint32_t length; int type, sent; unsigned char *data; };

static struct iscsi_context *session;
static const char *iqn;
static char **portals;
static int lun, portal_count, at, client = -1, broken;
static uint32_t block_length;
static uint64_t size_bytes;
static struct command *first, **tail = &first;
static unsigned long sessions, answered, errors;
static double longest_ms;

static double ms(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e3 + t.tv_nsec / 1e6; }
static void die(const char *what) { fprintf(stderr, "paths: %s: %s\n", what, strerror(errno)); exit(3); }

static int read_all(void *to, size_t n) { for (char *p = to; n;) { ssize_t r = read(client, p, n); if (r <= 0) { if (r < 0 && errno == EINTR) continue; return 0; } p += r; n -= (size_t)r; } return 1; }
static int write_all(const void *from, size_t n) { for (const char *p = from; n;) { ssize_t r = write(client, p, n); if (r <= 0) { if (r < 0 && errno == EINTR) continue; return 0; } p += r; n -= (size_t)r; } return 1; }

/* ---- sessions ---- */

static struct iscsi_context *login(const char *portal) {
    struct iscsi_context *c = iscsi_create_context("iqn.2026-01.local.peer:paths");
    iscsi_set_targetname(c, iqn); iscsi_set_session_type(c, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(c, ISCSI_HEADER_DIGEST_NONE); iscsi_set_noautoreconnect(c, 1); iscsi_set_timeout(c, 20);
    if (iscsi_full_connect_sync(c, portal, lun)) { iscsi_destroy_context(c); return NULL; }
    iscsi_set_timeout(c, 0);
    return c;
}

static void unlink_command(struct command *c) {
    for (struct command **p = &first; *p; p = &(*p)->next) if (*p == c) { *p = c->next; if (tail == &c->next) tail = p; break; }
    free(c->data); free(c);
}

static void answer(struct command *c, int failed) {
    unsigned char header[16];
    uint32_t magic = htobe32(0x67446698), error = htobe32(failed ? 5 : 0);
    memcpy(header, &magic, 4); memcpy(header + 4, &error, 4); memcpy(header + 8, &c->handle, 8);
    if (failed) errors++; else answered++;
    if (client >= 0 && (!write_all(header, 16) || (!failed && c->type == NBD_READ && !write_all(c->data, c->length)))) { close(client); client = -1; }
    unlink_command(c);
}

static void on_done(struct iscsi_context *i, int status, void *data, void *priv) {
    struct command *c = priv;
    struct scsi_task *task = data;
    (void)i; c->sent = 0;
    if (status == SCSI_STATUS_GOOD) {
        if (c->type == NBD_READ) { if (task->datain.size == (int)c->length) memcpy(c->data, task->datain.data, c->length); else status = SCSI_STATUS_ERROR; }
        if (task) scsi_free_scsi_task(task);
        if (status == SCSI_STATUS_GOOD) answer(c, 0); else { fprintf(stderr, "paths: a short read\n"); answer(c, 1); }
        return;
    }
    /* Not an answer of the volume: the session ended. What the unit says first after a login, and that it is busy, is no error either. */
    int again = status == SCSI_STATUS_CANCELLED || status == SCSI_STATUS_ERROR || status == SCSI_STATUS_BUSY || status == SCSI_STATUS_TASK_SET_FULL
        || (status == SCSI_STATUS_CHECK_CONDITION && task && task->sense.key == SCSI_SENSE_UNIT_ATTENTION);
    if (status == SCSI_STATUS_CANCELLED || status == SCSI_STATUS_ERROR) broken = 1;
    if (!again) fprintf(stderr, "paths: command %d at %llu + %u failed: status %d, sense key %d, ascq %04x\n", c->type, (unsigned long long)c->offset, c->length, status,
        task ? (int)task->sense.key : -1, task ? (unsigned)task->sense.ascq : 0);
    if (task) scsi_free_scsi_task(task);
    if (!again) answer(c, 1);
}

static void send_waiting(void) {
    for (struct command *c = first; c && !broken; c = c->next) {
        if (c->sent) continue;
        struct scsi_task *t = c->type == NBD_READ ? iscsi_read16_task(session, lun, c->offset / block_length, c->length, (int)block_length, 0, 0, 0, 0, 0, on_done, c)
            : c->type == NBD_WRITE ? iscsi_write16_task(session, lun, c->offset / block_length, c->data, c->length, (int)block_length, 0, 0, 0, 0, 0, on_done, c)
            : iscsi_synchronizecache16_task(session, lun, 0, 0, 0, 0, on_done, c);
        if (t) c->sent = 1; else broken = 1;
    }
}

static void connect_somewhere(void) {
    double since = ms();
    while (!(session = login(portals[at]))) {
        at = (at + 1) % portal_count;
        if (ms() - since > GIVE_UP_MS) { fprintf(stderr, "paths: no portal lets anybody in\n"); exit(3); }
        usleep(5000);
    }
    broken = 0; sessions++;
    fprintf(stderr, "paths: at %s after %.0f ms\n", portals[at], ms() - since);
    if (size_bytes && ms() - since > longest_ms) longest_ms = ms() - since;
}

static void reconnect(void) {
    /* Its callbacks mark what was under way as not sent. */
    struct iscsi_context *old = session; session = NULL;
    iscsi_destroy_context(old);
    for (struct command *c = first; c; c = c->next) c->sent = 0;
    at = (at + 1) % portal_count;
    connect_somewhere();
}

/* ---- the client ---- */

static int option_reply(uint32_t option, uint32_t type, const void *data, uint32_t length) {
    unsigned char h[20];
    uint64_t magic = htobe64(0x3e889045565a9ULL); option = htobe32(option); type = htobe32(type);
    uint32_t n = htobe32(length);
    memcpy(h, &magic, 8); memcpy(h + 8, &option, 4); memcpy(h + 12, &type, 4); memcpy(h + 16, &n, 4);
    return write_all(h, 20) && (!length || write_all(data, length));
}

static int handshake(void) {
    unsigned char hello[18], option[16];
    uint64_t magic = htobe64(0x4e42444d41474943ULL), have = htobe64(0x49484156454f5054ULL), size = htobe64(size_bytes);
    uint16_t flags = htobe16(3), transmission = htobe16(1 | 4);   /* fixed newstyle, no zeroes; has flags, send flush */
    uint32_t client_flags;
    memcpy(hello, &magic, 8); memcpy(hello + 8, &have, 8); memcpy(hello + 16, &flags, 2);
    if (!write_all(hello, 18) || !read_all(&client_flags, 4)) return 0;
    int zeroes = !(be32toh(client_flags) & 2);
    for (;;) {
        uint32_t code, length; unsigned char body[4096];
        if (!read_all(option, 16)) return 0;
        memcpy(&code, option + 8, 4); memcpy(&length, option + 12, 4); code = be32toh(code); length = be32toh(length);
        if (length > sizeof body || !read_all(body, length)) return 0;
        if (code == 1) {   /* NBD_OPT_EXPORT_NAME */
            unsigned char reply[134] = { 0 }; memcpy(reply, &size, 8); memcpy(reply + 8, &transmission, 2);
            return write_all(reply, zeroes ? 134 : 10);
        }
        if (code == 2) { option_reply(code, 1, NULL, 0); return 0; }
        if (code != 6 && code != 7) { if (!option_reply(code, 0x80000001u, NULL, 0)) return 0; continue; }   /* unsupported */
        unsigned char info[12] = { 0 }; memcpy(info + 2, &size, 8); memcpy(info + 10, &transmission, 2);
        if (!option_reply(code, 3, info, 12) || !option_reply(code, 1, NULL, 0)) return 0;
        if (code == 7) return 1;   /* NBD_OPT_GO */
    }
}

/* False when the client is done. */
static int take_request(void) {
    unsigned char h[28]; uint32_t magic, length; uint16_t type; uint64_t offset;
    if (!read_all(h, 28)) return 0;
    memcpy(&magic, h, 4); memcpy(&type, h + 6, 2); memcpy(&offset, h + 16, 8); memcpy(&length, h + 24, 4);
    type = be16toh(type); length = be32toh(length);
    if (be32toh(magic) != 0x25609513 || type == NBD_DISC || length > MAX_DATA) return 0;
    struct command *c = calloc(1, sizeof *c);
    if (!c) die("memory");
    memcpy(&c->handle, h + 8, 8); c->offset = be64toh(offset); c->length = length; c->type = type;
    if (type != NBD_FLUSH && !(c->data = malloc(length ? length : 1))) die("memory");
    *tail = c; tail = &c->next;
    if (type == NBD_WRITE && !read_all(c->data, length)) { unlink_command(c); return 0; }
    if (type > NBD_FLUSH || (type != NBD_FLUSH && (c->offset % block_length || length % block_length))) answer(c, 1);
    return 1;
}

static void serve(int listener) {
    struct pollfd p[2] = { { .fd = iscsi_get_fd(session), .events = (short)iscsi_which_events(session) }, { .fd = client >= 0 ? client : listener, .events = POLLIN } };
    if (p[0].fd < 0) broken = 1;
    else if (poll(p, 2, 20) < 0) { if (errno != EINTR) die("poll"); return; }
    if (!broken && iscsi_service(session, p[0].revents)) broken = 1;
    if (broken || iscsi_get_fd(session) < 0) { reconnect(); send_waiting(); return; }
    if (!(p[1].revents & (POLLIN | POLLHUP | POLLERR))) { send_waiting(); return; }
    if (client < 0) {
        client = accept(listener, NULL, NULL);
        if (client >= 0 && !handshake()) { close(client); client = -1; }
    } else if (!take_request()) {
        close(client); client = -1;
        while (first && !first->sent) unlink_command(first);
        printf("%lu\t%.0f\t%lu\t%lu\n", sessions, longest_ms, answered, errors); fflush(stdout);
    }
    send_waiting();
}

int main(int argc, char **argv) {
    if (argc < 5) { fprintf(stderr, "usage: paths SOCKET IQN LUN PORTAL...\n"); return 2; }
    iqn = argv[2]; lun = atoi(argv[3]); portals = argv + 4; portal_count = argc - 4;
    signal(SIGPIPE, SIG_IGN);
    connect_somewhere();
    struct scsi_task *t = iscsi_readcapacity16_sync(session, lun);
    struct scsi_readcapacity16 *rc = t && t->status == SCSI_STATUS_GOOD ? scsi_datain_unmarshall(t) : NULL;
    if (!rc) { fprintf(stderr, "paths: no capacity\n"); return 3; }
    block_length = rc->block_length; size_bytes = (rc->returned_lba + 1) * (uint64_t)block_length;
    scsi_free_scsi_task(t);
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    strncpy(a.sun_path, argv[1], sizeof a.sun_path - 1);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 1)) die(argv[1]);
    for (;;) serve(listener);
}
