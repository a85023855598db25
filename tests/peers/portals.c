/* portals: an NBD server (for fio's nbd engine) in front of one iSCSI volume with several portals, as a host with dm-multipath is.
 *   portals SOCKET IQN SESSIONS PORTAL...
 * Keeps SESSIONS sessions, each to another portal, and sends commands to them in turn. A session that breaks, or does not answer a NOP-Out within NOP_MS, is
 * given up; its commands are sent again through another, and the next portal is tried. As the Linux kernel does, it sends again what ended with UNIT ATTENTION, BUSY,
 * TASK SET FULL or NOT READY/becoming ready, and up to five times what was aborted. Anything else is an error for the client, and told on standard error.
 * Serves one client after the other; ends on SIGTERM. The last line is a JSON object with counts. */
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

enum { MAX_PORTALS = 16, CONNECT_MS = 5000, RETRY_MS = 300, NOP_EVERY_MS = 1000, NOP_MS = 5000, MAX_ABORTS = 5 };
enum { NBD_READ, NBD_WRITE, NBD_DISC, NBD_FLUSH };
enum state { DOWN, CONNECTING, UP };

struct path { const char *portal; struct iscsi_context *iscsi; enum state state; int broken, silent; int64_t since, nop_sent, nop_at; };
struct command { uint16_t type; uint64_t handle, offset; uint32_t length; char *data; struct scsi_iovec iov; int64_t born, not_before; int aborts, sent; struct path *path; struct command *next, *earlier, *later; };

static struct path paths[MAX_PORTALS];
static int path_count, wanted, turn, rotation, lun, block_length, client = -1, gone, ended;
static uint64_t size_bytes;
static const char *iqn;
static struct command *waiting, **waiting_end = &waiting, *sent_first;
static unsigned long logins, breaks, silences, resent, unit_attentions, busies, not_ready, aborts, errors, done_reads, done_writes, done_flushes;
static int64_t longest; static int outstanding;

static int64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000ll + t.tv_nsec / 1000000; }
static void die(const char *what) { fprintf(stderr, "portals: %s: %s\n", what, strerror(errno)); exit(3); }
static void on_signal(int s) { (void)s; ended = 1; }

static void send_all(const void *data, size_t n) {
    for (const char *p = data; n > 0;) {
        ssize_t w = send(client, p, n, MSG_NOSIGNAL);
        if (w < 0) { if (errno == EINTR) continue; gone = 1; return; }
        p += w; n -= (size_t)w;
    }
}
static void receive_all(void *data, size_t n) {
    for (char *p = data; n > 0;) {
        ssize_t r = recv(client, p, n, 0);
        if (r < 0 && errno == EINTR && !ended) continue;
        if (r <= 0) { gone = 1; memset(p, 0, n); return; }
        p += r; n -= (size_t)r;
    }
}

/* ---- commands ---- */
static void note_sent(struct command *c) { c->earlier = NULL; c->later = sent_first; if (sent_first) sent_first->earlier = c; sent_first = c; }
static void forget_sent(struct command *c) {
    if (c->later) c->later->earlier = c->earlier;
    if (c->earlier) c->earlier->later = c->later; else sent_first = c->later;
}
static void enqueue(struct command *c, int first) {
    c->path = NULL;
    if (first) { c->next = waiting; waiting = c; if (!c->next) waiting_end = &c->next; }
    else { c->next = NULL; *waiting_end = c; waiting_end = &c->next; }
}
static void answer(struct command *c, uint32_t error) {
    struct { uint32_t magic, error; uint64_t handle; } __attribute__((packed)) reply = { htobe32(0x67446698), htobe32(error), c->handle };
    int64_t took = now() - c->born;
    if (took > longest) longest = took;
    if (error) errors++; else if (c->type == NBD_READ) done_reads++; else if (c->type == NBD_WRITE) done_writes++; else done_flushes++;
    send_all(&reply, sizeof reply);
    if (!error && c->type == NBD_READ) send_all(c->data, c->length);
    outstanding--; free(c->data); free(c);
}
static void again(struct command *c, int delay) { c->not_before = now() + delay; resent++; enqueue(c, 1); }

static void on_done(struct iscsi_context *iscsi, int status, void *data, void *private) {
    struct command *c = private; struct scsi_task *task = data; struct path *path = c->path;
    forget_sent(c);
    int key = task ? task->sense.key : 0, ascq = task ? task->sense.ascq : 0;
    int short_read = status == SCSI_STATUS_GOOD && c->type == NBD_READ && task && task->residual_status != SCSI_RESIDUAL_NO_RESIDUAL;
    if (task) scsi_free_scsi_task(task);
    switch (status) {
    case SCSI_STATUS_GOOD:
        if (short_read) break;
        answer(c, 0); return;
    case SCSI_STATUS_CANCELLED: case SCSI_STATUS_ERROR: case SCSI_STATUS_TIMEOUT:   /* the session broke: says nothing of the command */
        if (path) path->broken = 1;
        again(c, 0); return;
    case SCSI_STATUS_BUSY: case SCSI_STATUS_TASK_SET_FULL: case SCSI_STATUS_TASK_ABORTED:
        busies++; again(c, 100); return;
    case SCSI_STATUS_CHECK_CONDITION:
        if (key == SCSI_SENSE_UNIT_ATTENTION) { unit_attentions++; again(c, 0); return; }
        if (key == SCSI_SENSE_NOT_READY && ascq == 0x0401) { not_ready++; again(c, 500); return; }
        if (key == SCSI_SENSE_COMMAND_ABORTED && c->aborts++ < MAX_ABORTS) { aborts++; again(c, 0); return; }
        break;
    }
    fprintf(stderr, "portals: error: command %u at %lu, %u bytes, through %s: status %d sense %x/%04x%s after %ld ms: %s\n", c->type, (unsigned long)c->offset, c->length,
            path ? path->portal : "?", status, (unsigned)key, (unsigned)ascq, short_read ? " short" : "", (long)(now() - c->born), iscsi_get_error(iscsi));
    answer(c, key == SCSI_SENSE_DATA_PROTECTION || ascq == 0x2707 ? ENOSPC : EIO);
}
static int submit(struct path *p, struct command *c) {
    struct scsi_task *t; uint64_t lba = c->offset / (unsigned)block_length;
    c->path = p; c->sent++; note_sent(c); c->iov.iov_base = c->data; c->iov.iov_len = c->length;
    if (c->type == NBD_READ) t = iscsi_read16_iov_task(p->iscsi, lun, lba, c->length, block_length, 0, 0, 0, 0, 0, on_done, c, &c->iov, 1);
    else if (c->type == NBD_WRITE) t = iscsi_write16_iov_task(p->iscsi, lun, lba, NULL, c->length, block_length, 0, 0, 0, 0, 0, on_done, c, &c->iov, 1);
    else t = iscsi_synchronizecache16_task(p->iscsi, lun, 0, 0, 0, 0, on_done, c);
    if (!t) forget_sent(c);
    return t != NULL;
}
static void dispatch(void) {
    int64_t t = now();
    for (struct command **at = &waiting; *at;) {
        struct command *c = *at; struct path *p = NULL;
        if (c->not_before > t) { at = &c->next; continue; }
        for (int i = 0; i < path_count && !p; i++) {
            struct path *q = &paths[(turn + i) % path_count];
            if (q->state == UP && !q->broken && !q->silent) { p = q; turn = (turn + i + 1) % path_count; }
        }
        if (!p) return;
        *at = c->next; if (!*at) waiting_end = at;
        if (!submit(p, c)) { p->broken = 1; enqueue(c, 1); return; }
    }
}

/* ---- paths ---- */
static void on_connected(struct iscsi_context *iscsi, int status, void *data, void *private) {
    struct path *p = private; (void)data; (void)iscsi;
    if (p->state != CONNECTING) return;
    if (status != SCSI_STATUS_GOOD) { p->broken = 1; return; }
    p->state = UP; p->since = p->nop_at = now(); p->nop_sent = 0; logins++;
}
static void on_nop(struct iscsi_context *iscsi, int status, void *data, void *private) {
    struct path *p = private; (void)data; (void)iscsi;
    if (status == SCSI_STATUS_GOOD) { p->nop_sent = 0; p->silent = 0; p->nop_at = now(); }
}
static void connect_path(struct path *p) {
    p->iscsi = iscsi_create_context("iqn.2026-01.local.soak:host");
    p->state = CONNECTING; p->since = now(); p->broken = p->silent = 0;
    iscsi_set_isid_random(p->iscsi, (uint32_t)(p - paths) + 1 + (uint32_t)getpid() * 16, 0);
    iscsi_set_targetname(p->iscsi, iqn); iscsi_set_session_type(p->iscsi, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(p->iscsi, ISCSI_HEADER_DIGEST_NONE); iscsi_set_noautoreconnect(p->iscsi, 1);
    if (iscsi_full_connect_async(p->iscsi, p->portal, lun, on_connected, p)) p->broken = 1;
}
static void close_path(struct path *p) {
    if (p->state == UP) breaks++;
    struct iscsi_context *iscsi = p->iscsi;
    p->state = DOWN; p->since = now(); p->iscsi = NULL;
    iscsi_destroy_context(iscsi);   /* ends its commands as cancelled, and they are queued again; but not those of a session that the target asked to log out of */
    for (struct command *c = sent_first, *later; c; c = later) { later = c->later; if (c->path == p) { forget_sent(c); again(c, 0); } }
}
static void keep_paths(void) {
    int64_t t = now(); int sessions = 0;
    for (int i = 0; i < path_count; i++) {
        struct path *p = &paths[i];
        if (p->state == DOWN) continue;
        if (p->state == CONNECTING && t - p->since > CONNECT_MS) p->broken = 1;
        if (p->state == UP && !p->broken) {
            if (!p->nop_sent && t - p->nop_at > NOP_EVERY_MS) { p->nop_sent = t; if (iscsi_nop_out_async(p->iscsi, on_nop, NULL, 0, p)) p->broken = 1; }
            if (p->nop_sent && t - p->nop_sent > NOP_MS / 2) p->silent = 1;   /* nothing new through it, and nothing taken away yet */
            if (p->nop_sent && t - p->nop_sent > NOP_MS) { silences++; p->broken = 1; }
        }
        if (p->broken) close_path(p); else if (!p->silent) sessions++;
    }
    for (int i = 0; i < path_count && sessions < wanted; i++) {
        struct path *p = &paths[(rotation + i) % path_count];
        if (p->state == DOWN && t - p->since >= RETRY_MS) { connect_path(p); sessions++; rotation = (rotation + i + 1) % path_count; i = -1; }
    }
}

/* ---- NBD, fixed newstyle ---- */
static void reply_option(uint32_t option, uint32_t type, const void *data, uint32_t n) {
    struct { uint64_t magic; uint32_t option, type, length; } __attribute__((packed)) h = { htobe64(0x3e889045565a9ull), htobe32(option), htobe32(type), htobe32(n) };
    send_all(&h, sizeof h); if (n) send_all(data, n);
}
static void handshake(void) {
    struct { uint64_t magic, ihaveopt; uint16_t flags; } __attribute__((packed)) hello = { htobe64(0x4e42444d41474943ull), htobe64(0x49484156454F5054ull), htobe16(3) };
    uint32_t flags; send_all(&hello, sizeof hello); receive_all(&flags, 4);
    uint16_t transmission = htobe16(1 | 4);   /* has flags, sends flush */
    while (!gone) {
        struct { uint64_t magic; uint32_t option, length; } __attribute__((packed)) o; receive_all(&o, sizeof o);
        if (gone) return;
        uint32_t option = be32toh(o.option), n = be32toh(o.length);
        char *data = malloc(n + 1); receive_all(data, n); free(data);
        if (option == 1) {   /* EXPORT_NAME */
            struct { uint64_t size; uint16_t flags; } __attribute__((packed)) e = { htobe64(size_bytes), transmission };
            char zeros[124] = { 0 }; send_all(&e, sizeof e); if (!(be32toh(flags) & 2)) send_all(zeros, sizeof zeros);
            return;
        }
        if (option == 6 || option == 7) {   /* INFO, GO */
            struct { uint16_t type; uint64_t size; uint16_t flags; } __attribute__((packed)) i = { 0, htobe64(size_bytes), transmission };
            struct { uint16_t type; uint32_t min, preferred, max; } __attribute__((packed)) b = { htobe16(3), htobe32((uint32_t)block_length), htobe32(4096), htobe32(1 << 20) };
            reply_option(option, 3, &i, sizeof i); reply_option(option, 3, &b, sizeof b); reply_option(option, 1, NULL, 0);
            if (option == 7) return;
        } else if (option == 2) { reply_option(option, 1, NULL, 0); gone = 1; }
        else reply_option(option, 0x80000001u, NULL, 0);
    }
}
static void take_request(void) {
    struct { uint32_t magic; uint16_t flags, type; uint64_t handle, offset; uint32_t length; } __attribute__((packed)) r;
    receive_all(&r, sizeof r);
    if (gone) return;
    if (be32toh(r.magic) != 0x25609513) { fprintf(stderr, "portals: not an NBD request\n"); gone = 1; return; }
    struct command *c = calloc(1, sizeof *c);
    c->type = be16toh(r.type); c->handle = r.handle; c->offset = be64toh(r.offset); c->length = be32toh(r.length); c->born = now(); outstanding++;
    if (c->type == NBD_DISC) { gone = 1; free(c); outstanding--; return; }
    if (c->type == NBD_READ || c->type == NBD_WRITE) c->data = malloc(c->length);
    if (c->type == NBD_WRITE) receive_all(c->data, c->length);
    if (c->type > NBD_FLUSH || c->offset % (unsigned)block_length || c->length % (unsigned)block_length) { answer(c, EINVAL); return; }
    enqueue(c, 0);
}

static void learn_size(void) {
    for (int64_t end = now() + 60000; now() < end && !ended; usleep(200000))
        for (int i = 0; i < path_count; i++) {
            struct iscsi_context *c = iscsi_create_context("iqn.2026-01.local.soak:host");
            iscsi_set_targetname(c, iqn); iscsi_set_session_type(c, ISCSI_SESSION_NORMAL); iscsi_set_noautoreconnect(c, 1); iscsi_set_timeout(c, 10);
            struct scsi_task *t = iscsi_full_connect_sync(c, paths[i].portal, lun) ? NULL : iscsi_readcapacity16_sync(c, lun);
            struct scsi_readcapacity16 *rc = t && t->status == SCSI_STATUS_GOOD ? scsi_datain_unmarshall(t) : NULL;
            if (rc) { block_length = (int)rc->block_length; size_bytes = (rc->returned_lba + 1) * rc->block_length; }
            if (t) scsi_free_scsi_task(t);
            if (rc) { iscsi_logout_sync(c); iscsi_destroy_context(c); return; }
            iscsi_destroy_context(c);
        }
    fprintf(stderr, "portals: no portal serves %s\n", iqn); exit(3);
}

int main(int argc, char **argv) {
    if (argc < 5 || argc > 4 + MAX_PORTALS) { fprintf(stderr, "usage: portals SOCKET IQN SESSIONS PORTAL...\n"); return 2; }
    iqn = argv[2]; wanted = atoi(argv[3]); path_count = argc - 4;
    for (int i = 0; i < path_count; i++) { paths[i].portal = argv[4 + i]; paths[i].since = -RETRY_MS; }
    if (wanted < 1 || wanted > path_count) wanted = path_count;
    struct sigaction a = { .sa_handler = on_signal }; sigaction(SIGTERM, &a, NULL); sigaction(SIGINT, &a, NULL); signal(SIGPIPE, SIG_IGN);
    rotation = getpid() % path_count;
    learn_size();
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[1]); unlink(argv[1]);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1)) die(argv[1]);
    while (!ended) {
        if (gone && outstanding == 0) { close(client); client = -1; gone = 0; }   /* what is under way ends first: its answers go nowhere */
        if (client < 0) {
            struct pollfd l = { .fd = listener, .events = POLLIN };
            if (poll(&l, 1, 0) > 0 && (client = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) handshake();
        }
        struct pollfd fds[MAX_PORTALS + 1]; struct path *of[MAX_PORTALS + 1]; int n = 1;
        keep_paths(); dispatch();
        fds[0] = (struct pollfd){ .fd = gone ? -1 : client >= 0 ? client : listener, .events = POLLIN };
        for (int i = 0; i < path_count; i++)
            if (paths[i].state != DOWN) { of[n] = &paths[i]; fds[n++] = (struct pollfd){ .fd = iscsi_get_fd(paths[i].iscsi), .events = (short)iscsi_which_events(paths[i].iscsi) }; }
        if (poll(fds, (nfds_t)n, waiting ? 20 : 100) < 0 && errno != EINTR) die("poll");
        for (int i = 1; i < n; i++)
            if (fds[i].revents && iscsi_service(of[i]->iscsi, fds[i].revents)) of[i]->broken = 1;
        if (client >= 0 && fds[0].revents) take_request();
    }
    printf("{\"reads\": %lu, \"writes\": %lu, \"flushes\": %lu, \"errors\": %lu, \"unanswered\": %d, \"longest_ms\": %ld, \"logins\": %lu, \"breaks\": %lu, \"silences\": %lu, \"resent\": %lu,"
           " \"unit_attentions\": %lu, \"busy\": %lu, \"not_ready\": %lu, \"aborted\": %lu}\n", done_reads, done_writes, done_flushes, errors, outstanding, (long)longest, logins, breaks,
           silences, resent, unit_attentions, busies, not_ready, aborts);
    unlink(argv[1]);
    return errors ? 1 : 0;
}
