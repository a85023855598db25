/* pause: 4 KiB writes and reads at queue depth 8 through one portal while a command runs; says for how long nothing completed.
 *   pause IQN LUN PORTAL WARM_MS WINDOW_MS COMMAND...
 * WARM_MS after the first completion COMMAND is started by /bin/sh; I/O goes on for WINDOW_MS more.
 * Prints: longest-gap-ms gap-began-ms-after-the-command longest-gap-before-ms completed errors
 * A broken session is an error: the gateway that it uses is not meant to go away. */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

enum { DEPTH = 8, SIZE = 4096, SLOTS = 4096 };
static struct iscsi_context *session;
static int lun, inflight, stopping, block_length = 512;
static unsigned long completed, errors;
static double last, gap, gap_at;
static char block[SIZE];

static double ms(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e3 + t.tv_nsec / 1e6; }
static void note(double now) { if (last && now - last > gap) { gap = now - last; gap_at = last; } last = now; }

static void submit(void);
static void on_done(struct iscsi_context *i, int status, void *data, void *priv) {
    (void)i; (void)priv; inflight--;
    if (data) scsi_free_scsi_task(data);
    if (status == SCSI_STATUS_GOOD) { completed++; note(ms()); } else errors++;
    if (!stopping) submit();
}
static void submit(void) {
    uint32_t lba = (uint32_t)(rand() % SLOTS) * (SIZE / block_length);
    struct scsi_task *t = rand() % 4 ? iscsi_write10_task(session, lun, lba, (unsigned char *)block, SIZE, block_length, 0, 0, 0, 0, 0, on_done, NULL)
                                     : iscsi_read10_task(session, lun, lba, SIZE, block_length, 0, 0, 0, 0, 0, on_done, NULL);
    if (t) inflight++;
}
static void serve(void) {
    struct pollfd p = { .fd = iscsi_get_fd(session), .events = (short)iscsi_which_events(session) };
    int n = poll(&p, 1, 2);
    if (n < 0 || iscsi_service(session, n > 0 ? p.revents : 0)) { fprintf(stderr, "the session broke: %s\n", iscsi_get_error(session)); exit(3); }
}

int main(int argc, char **argv) {
    if (argc != 7) { fprintf(stderr, "usage: pause IQN LUN PORTAL WARM_MS WINDOW_MS COMMAND\n"); return 2; }
    lun = atoi(argv[2]);
    memset(block, 0x5a, sizeof block);
    signal(SIGPIPE, SIG_IGN);
    session = iscsi_create_context("iqn.2026-01.local.bench:pause");
    iscsi_set_targetname(session, argv[1]); iscsi_set_session_type(session, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(session, ISCSI_HEADER_DIGEST_NONE); iscsi_set_noautoreconnect(session, 1);
    if (iscsi_full_connect_sync(session, argv[3], lun)) { fprintf(stderr, "cannot log in at %s: %s\n", argv[3], iscsi_get_error(session)); return 3; }
    struct scsi_task *t = iscsi_readcapacity10_sync(session, lun, 0, 0);
    struct scsi_readcapacity10 *rc = t ? scsi_datain_unmarshall(t) : NULL;
    if (rc) block_length = rc->block_size;
    if (t) scsi_free_scsi_task(t);

    for (int i = 0; i < DEPTH; i++) submit();
    while (!completed) serve();
    for (double end = ms() + atoi(argv[4]); ms() < end;) serve();
    double before = gap, started = ms();
    gap = 0;
    pid_t child = fork();
    if (child == 0) { dup2(2, 1); execl("/bin/sh", "sh", "-c", argv[6], (char *)NULL); _exit(127); }
    for (double end = started + atoi(argv[5]); ms() < end;) serve();
    note(ms());
    printf("%.0f\t%.0f\t%.0f\t%lu\t%lu\n", gap, gap_at - started, before, completed, errors);
    stopping = 1;
    for (double end = ms() + 3000; inflight > 0 && ms() < end;) serve();
    int status = 0; waitpid(child, &status, 0);
    if (status) { fprintf(stderr, "the command failed\n"); return 4; }
    return errors ? 1 : 0;
}
