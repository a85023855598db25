/* failover: 4 KiB writes at queue depth 8 through one portal; kills a process; goes on through the other portals; says how long it took.
 *   failover IQN LUN PID SIGNAL WARM_MS PORTAL PORTAL...
 * The first portal holds the session. WARM_MS after the first write completed it sends SIGNAL to PID (SIGKILL, SIGSTOP). When the connection breaks,
 * or nothing completes for 250 ms, it tries the other portals in turn (each in a process of its own time: connect, login, first write).
 * Prints: kill-to-break-ms kill-to-login-ms kill-to-first-write-ms portal writes-before errors
 * kill-to-first-write = from the signal to the completion of the first write that completes after it and was issued or sent again after it. */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

enum { DEPTH = 8, SIZE = 4096, SLOTS = 4096, STALL_MS = 250 };
static struct iscsi_context *session;
static const char *iqn;
static int lun, inflight, stopping, block_length = 512;
static unsigned long completed, errors;
static double last_completion;
static char block[SIZE];

static double ms(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e3 + t.tv_nsec / 1e6; }

static void submit(void);
static void on_write(struct iscsi_context *i, int status, void *data, void *priv) {
    (void)i; (void)priv; inflight--;
    if (data) scsi_free_scsi_task(data);
    if (status == SCSI_STATUS_CANCELLED || status == SCSI_STATUS_ERROR) return;   /* the session broke; it is not the volume's answer */
    if (status == SCSI_STATUS_GOOD) { completed++; last_completion = ms(); } else errors++;
    if (!stopping) submit();
}
static void submit(void) {
    uint32_t lba = (uint32_t)(rand() % SLOTS) * (SIZE / block_length);
    if (iscsi_write10_task(session, lun, lba, (unsigned char *)block, SIZE, block_length, 0, 0, 0, 0, 0, on_write, NULL)) inflight++;
}
/* Serves the session for at most wait_ms; false when it broke. */
static int serve(int wait_ms) {
    struct pollfd p = { .fd = iscsi_get_fd(session), .events = (short)iscsi_which_events(session) };
    int n = poll(&p, 1, wait_ms);
    return n < 0 || iscsi_service(session, n > 0 ? p.revents : 0) == 0;
}
static struct iscsi_context *login(const char *portal) {
    struct iscsi_context *c = iscsi_create_context("iqn.2026-01.local.bench:failover");
    iscsi_set_targetname(c, iqn); iscsi_set_session_type(c, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(c, ISCSI_HEADER_DIGEST_NONE); iscsi_set_noautoreconnect(c, 1);
    iscsi_set_timeout(c, 20);
    if (iscsi_full_connect_sync(c, portal, lun)) { iscsi_destroy_context(c); return NULL; }
    iscsi_set_timeout(c, 0);
    return c;
}

int main(int argc, char **argv) {
    if (argc < 7) { fprintf(stderr, "usage: failover IQN LUN PID SIGNAL WARM_MS PORTAL...\n"); return 2; }
    iqn = argv[1]; lun = atoi(argv[2]);
    int pid = atoi(argv[3]), sig = atoi(argv[4]), warm = atoi(argv[5]), portals = argc - 6, at = 0;
    char **portal = argv + 6;
    memset(block, 0x5a, sizeof block);
    signal(SIGPIPE, SIG_IGN);
    if (!(session = login(portal[0]))) { fprintf(stderr, "cannot log in at %s\n", portal[0]); return 3; }
    struct scsi_task *t = iscsi_readcapacity10_sync(session, lun, 0, 0);
    struct scsi_readcapacity10 *rc = t ? scsi_datain_unmarshall(t) : NULL;
    if (rc) block_length = rc->block_size;
    if (t) scsi_free_scsi_task(t);

    for (int i = 0; i < DEPTH; i++) submit();
    while (!completed) if (!serve(1000)) { fprintf(stderr, "no write completed\n"); return 3; }
    double warmed = ms() + warm;
    while (ms() < warmed) if (!serve(20)) { fprintf(stderr, "the session broke before the kill\n"); return 3; }
    unsigned long before = completed;
    double killed = ms();
    if (kill(pid, sig)) { perror("kill"); return 3; }

    /* What had been answered before the signal may still arrive; the break or the stall shows that it took effect. */
    int alive = 1;
    double stalled_since = killed;
    while (alive) {
        alive = serve(5);
        if (last_completion > stalled_since) stalled_since = last_completion;
        if (alive && ms() - stalled_since > STALL_MS) alive = 0;
        if (alive && ms() - killed > 60000) { fprintf(stderr, "nothing broke within 60 s\n"); return 3; }
    }
    double broke = ms() - killed, logged_in = 0;
    stopping = 1; iscsi_destroy_context(session); session = NULL; stopping = 0;
    while (!session) {
        if (ms() - killed > 120000) { fprintf(stderr, "no portal takes a login within 120 s\n"); return 3; }
        at = at % (portals - 1) + 1;
        if (!(session = login(portal[at]))) usleep(10000);
    }
    logged_in = ms() - killed; inflight = 0;
    unsigned long then = completed;
    for (int i = 0; i < DEPTH; i++) submit();
    while (completed == then) {
        if (!serve(100)) { fprintf(stderr, "the session at %s broke too\n", portal[at]); return 3; }
        if (ms() - killed > 120000) { fprintf(stderr, "no write completed within 120 s\n"); return 3; }
    }
    printf("%.0f\t%.0f\t%.0f\t%s\t%lu\t%lu\n", broke, logged_in, ms() - killed, portal[at], before, errors);
    stopping = 1; double end = ms() + 3000;
    while (inflight > 0 && ms() < end) if (!serve(100)) break;
    return errors ? 1 : 0;
}
