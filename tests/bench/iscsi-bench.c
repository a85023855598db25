#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <unistd.h>
#include <poll.h>
#include <time.h>
#include <math.h>
#include <dirent.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

enum { RD, WR };
static struct iscsi_context *I;
static int lun, bs, qd = 1, wpct, seq, flush_each, fua;
static uint64_t volb, nslots, cursor;
static uint32_t iosz;
static uint64_t endns, startns, done_ops, done_bytes, errs;
static int inflight, stopping, mode_verify;
static char *rnd;                      /* 8 MiB of incompressible bytes */
#define RNDSZ (8u << 20)
/* log-linear histogram in ns: 64 sub-buckets per power of two */
#define SUB 64
static uint64_t hist[64 * SUB]; static double lsum; static uint64_t lmax;
static uint64_t ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static uint64_t xs = 88172645463325252ull;
static uint64_t rng(void) { xs ^= xs << 13; xs ^= xs >> 7; xs ^= xs << 17; return xs * 2685821657736338717ull; }
static int hidx(uint64_t v) { if (v < SUB) return v; int e = 63 - __builtin_clzll(v); return (e - 5) * SUB + ((v >> (e - 6)) & (SUB - 1)); }
static double hval(int i) { if (i < SUB) return i; int e = i / SUB + 5; return (double)(1ull << e) + ((i % SUB) + 0.5) * (double)(1ull << (e - 6)); }
static double pct(double p) { uint64_t n = 0, t = (uint64_t)ceil(done_ops * p); for (int i = 0; i < 64 * SUB; i++) { n += hist[i]; if (n >= t && n) return hval(i) / 1000; } return 0; }

struct slot { uint64_t t0; char *buf; struct scsi_iovec iov; uint64_t lba; int dir, phase; uint32_t len; };
static void submit(struct slot *s);
static void die(const char *m) { fprintf(stderr, "%s: %s\n", m, I ? iscsi_get_error(I) : ""); exit(3); }

static void done(struct slot *s, int status) {
    uint64_t t = ns(), l = t - s->t0;
    inflight--;
    if (status != SCSI_STATUS_GOOD) { errs++; if (errs > 100) stopping = 1; }
    else if (t <= endns || mode_verify) { done_ops++; done_bytes += s->len; hist[hidx(l)]++; lsum += l; if (l > lmax) lmax = l; }
    if (t >= endns && !mode_verify) stopping = 1;
    if (!stopping) submit(s);
}
static void cb(struct iscsi_context *i, int status, void *data, void *priv) {
    struct slot *s = priv; struct scsi_task *task = data;
    if (status == SCSI_STATUS_GOOD && s->dir == RD && task->residual_status == SCSI_RESIDUAL_UNDERFLOW) status = SCSI_STATUS_CHECK_CONDITION;
    if (status != SCSI_STATUS_GOOD && errs < 3)
        fprintf(stderr, "io error: status=%d sense key=%d ascq=0x%x %s\n", status, task ? task->sense.key : -1, task ? task->sense.ascq : 0, iscsi_get_error(i));
    scsi_free_scsi_task(task);
    if (flush_each && s->phase == 0 && status == SCSI_STATUS_GOOD) {
        s->phase = 1;
        if (!iscsi_synchronizecache10_task(I, lun, 0, 0, 0, 0, cb, s)) die("synccache");
        return;
    }
    done(s, status);
}
static void submit(struct slot *s) {
    uint64_t n = seq ? cursor++ % nslots : rng() % nslots;
    s->lba = n * (iosz / bs); s->len = iosz; s->phase = 0;
    s->dir = (wpct == 100 || (wpct && rng() % 100 < (unsigned)wpct)) ? WR : RD;
    s->t0 = ns(); inflight++;
    struct scsi_task *t;
    if (s->dir == RD) {
        s->iov.iov_base = s->buf; s->iov.iov_len = iosz;
        t = iscsi_read10_iov_task(I, lun, s->lba, iosz, bs, 0, 0, 0, 0, 0, cb, s, &s->iov, 1);
    } else {
        char *b = rnd + (rng() % (RNDSZ - iosz)) / 8 * 8; *(uint64_t *)b = rng();
        s->iov.iov_base = b; s->iov.iov_len = iosz;
        t = iscsi_write10_iov_task(I, lun, s->lba, NULL, iosz, bs, 0, 0, fua, 0, 0, cb, s, &s->iov, 1);
    }
    if (!t) die("submit");
}
static void pump(void) {
    struct pollfd p = { .fd = iscsi_get_fd(I), .events = iscsi_which_events(I) };
    if (poll(&p, 1, 30000) <= 0) die("poll timeout 30s");
    if (iscsi_service(I, p.revents) < 0) die("iscsi_service");
}
/* ---- CPU accounting ---- */
static double tck;
static double pidcpu(const char *pids, double *rss) {
    double s = 0; *rss = 0; char *d = strdup(pids), *sv, *k;
    for (k = strtok_r(d, ",", &sv); k; k = strtok_r(NULL, ",", &sv)) {
        char fn[64], buf[2048]; snprintf(fn, sizeof fn, "/proc/%s/stat", k); FILE *f = fopen(fn, "r"); if (!f) continue;
        size_t n = fread(buf, 1, sizeof buf - 1, f); fclose(f); buf[n] = 0; char *q = strrchr(buf, ')'); if (!q) continue;
        unsigned long u, st; long cu, cs, r; 
        if (sscanf(q + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld %*d %*d %*d %*d %*u %*u %ld", &u, &st, &cu, &cs, &r) == 5) { s += (u + st + cu + cs) / tck; *rss += r * (double)sysconf(_SC_PAGESIZE) / 1048576; }
    }
    free(d); return s;
}
static double allcpu(void) { FILE *f = fopen("/proc/stat", "r"); unsigned long long v[8] = {0}; fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v+1, v+2, v+3, v+4, v+5, v+6, v+7); fclose(f); return (v[0] + v[1] + v[2] + v[5] + v[6]) / tck; }
static double selfcpu(void) { struct rusage r; getrusage(RUSAGE_SELF, &r); return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6; }
static void stamp(char *b, uint64_t lba, uint64_t gen) { uint64_t x = lba * 0x9E3779B97F4A7C15ull ^ gen; for (unsigned i = 0; i < iosz / 8; i++) { x ^= x << 13; x ^= x >> 7; x ^= x << 17; ((uint64_t *)b)[i] = x; } }
static int vdone; static void vcb(struct iscsi_context *i, int status, void *data, void *priv) { vdone = 1; if (status != SCSI_STATUS_GOOD) { errs++; fprintf(stderr, "verify io error %d %s\n", status, iscsi_get_error(i)); } scsi_free_scsi_task(data); }

int main(int c, char **v) {
    if (c != 9) { fprintf(stderr, "usage: portal iqn lun workload secs sizeMiB label pids\n"); return 2; }
    const char *w = v[4]; double secs = atof(v[5]); uint64_t mib = strtoull(v[6], 0, 10); lun = atoi(v[3]); tck = sysconf(_SC_CLK_TCK);
    xs ^= ns() * 0x9E3779B97F4A7C15ull;
    char ini[128]; snprintf(ini, sizeof ini, "iqn.2026-01.local.bench:client%d", getpid());
    I = iscsi_create_context(ini); iscsi_set_targetname(I, v[2]); iscsi_set_session_type(I, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(I, ISCSI_HEADER_DIGEST_NONE); iscsi_set_noautoreconnect(I, 1); iscsi_set_timeout(I, 30);
    if (iscsi_full_connect_sync(I, v[1], lun)) die("connect");
    int one = 1; setsockopt(iscsi_get_fd(I), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct scsi_task *t = NULL; struct scsi_readcapacity16 *rc16; uint64_t nb = 0;
    t = iscsi_readcapacity16_sync(I, lun);
    if (t && t->status == SCSI_STATUS_GOOD && (rc16 = scsi_datain_unmarshall(t))) { bs = rc16->block_length; nb = rc16->returned_lba + 1; }
    else { if (t) scsi_free_scsi_task(t); t = iscsi_readcapacity10_sync(I, lun, 0, 0); struct scsi_readcapacity10 *r = t ? scsi_datain_unmarshall(t) : NULL; if (!r) die("readcapacity"); bs = r->block_size; nb = (uint64_t)r->lba + 1; }
    scsi_free_scsi_task(t);
    volb = nb * bs; if (mib && (mib << 20) < volb) volb = mib << 20;
    iosz = 4096; rnd = malloc(RNDSZ); for (unsigned i = 0; i < RNDSZ / 8; i++) ((uint64_t *)rnd)[i] = rng();
    int bounded = 0;
    if (!strcmp(w, "fill")) { iosz = 1 << 20; qd = 4; wpct = 100; seq = 1; bounded = 1; }
    else if (!strcmp(w, "verify")) { mode_verify = 1; }
    else {
        char kind[32], sz[16]; if (sscanf(w, "%31[^-]-%15[^-]-qd%d", kind, sz, &qd) != 3) { fprintf(stderr, "bad workload %s\n", w); return 2; }
        iosz = atoi(sz) * (strchr(sz, 'm') ? 1048576u : 1024u);
        if (!strcmp(kind, "randread")) ; else if (!strcmp(kind, "randwrite")) wpct = 100;
        else if (!strncmp(kind, "randrw", 6)) wpct = 100 - atoi(kind + 6);
        else if (!strcmp(kind, "seqread")) seq = 1; else if (!strcmp(kind, "seqwrite")) seq = 1, wpct = 100;
        else if (!strcmp(kind, "writeflush")) wpct = 100, flush_each = 1; else if (!strcmp(kind, "writefua")) wpct = 100, fua = 1;
        else { fprintf(stderr, "bad workload %s\n", w); return 2; }
    }
    nslots = volb / iosz;
    double rss0, rss1; double p0 = strcmp(v[8], "-") ? pidcpu(v[8], &rss0) : 0, a0 = allcpu(), s0 = selfcpu();
    startns = ns();
    if (mode_verify) {     /* 4096 stamped 4k/16k/64k blocks, overwritten once, in random order; then read back */
        uint64_t bad = 0; uint32_t szs[3] = { 4096, 16384, 65536 }; unsigned N = 3000; uint64_t base = rng(); char *b = malloc(65536), *e = malloc(65536); endns = ~0ull;
        unsigned *perm = malloc(N * sizeof *perm); uint64_t step = volb / N / 65536 * 65536; if (!step) { fprintf(stderr, "volume too small\n"); return 2; }
        for (int pass = 0; pass < 3; pass++) {
            for (unsigned i = 0; i < N; i++) perm[i] = i;
            for (unsigned i = N - 1; i; i--) { unsigned j = rng() % (i + 1), x = perm[i]; perm[i] = perm[j]; perm[j] = x; }
            for (unsigned k = 0; k < N; k++) {
                unsigned i = perm[k]; iosz = szs[i % 3]; uint64_t lba = i * step / bs; struct scsi_iovec iov = { b, iosz }; vdone = 0;
                if (pass < 2) { stamp(b, lba, base + pass); iscsi_write10_iov_task(I, lun, lba, NULL, iosz, bs, 0, 0, 0, 0, 0, vcb, b, &iov, 1); }
                else { memset(b, 0, iosz); iscsi_read10_iov_task(I, lun, lba, iosz, bs, 0, 0, 0, 0, 0, vcb, b, &iov, 1); }
                while (!vdone) pump();
                if (pass == 2) { stamp(e, lba, base + 1); if (memcmp(b, e, iosz)) bad++; }
            }
        }
        printf("%s\tverify\t%u blocks\tbad=%lu\terrors=%lu\t%s\n", v[7], N, bad, errs, bad || errs ? "FAIL" : "OK");
        iscsi_logout_sync(I); return bad || errs ? 1 : 0;
    }
    if (bounded) { endns = ~0ull; if (qd > (int)nslots) qd = nslots; } else endns = startns + (uint64_t)(secs * 1e9);
    struct slot *S = calloc(qd, sizeof *S);
    for (int i = 0; i < qd; i++) { posix_memalign((void **)&S[i].buf, 4096, iosz); submit(&S[i]); }
    while (inflight) { pump(); if (bounded && cursor >= nslots) stopping = 1; }
    double el = (ns() - startns) / 1e9; if (!bounded && el > secs && el < secs + 1) el = secs;
    double a1 = allcpu(), s1 = selfcpu(), p1 = 0; rss1 = 0; int havep = strcmp(v[8], "-"); if (havep) p1 = pidcpu(v[8], &rss1);
    if (bounded) { vdone = 0; iscsi_synchronizecache10_task(I, lun, 0, 0, 0, 0, vcb, NULL); while (!vdone) pump(); }
    double sc = p1 - p0, cc = s1 - s0;
    printf("%s\t%s\t%.0f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f\t%lu\t", v[7], w, done_ops / el, done_bytes / el / 1e6, done_ops ? lsum / done_ops / 1000 : 0, pct(.5), pct(.99), pct(.999), lmax / 1000.0, errs);
    if (havep) printf("%.2f\t%.2f\t%.2f\t%.0f\t", sc, done_bytes ? sc / (done_bytes / 1073741824.0) : 0, done_ops ? sc / (done_ops / 1e5) : 0, rss1); else printf("-\t-\t-\t-\t");
    printf("%.2f\t%.2f\n", cc, a1 - a0 - sc - cc); fflush(stdout);
    iscsi_logout_sync(I); return errs ? 1 : 0;
}
