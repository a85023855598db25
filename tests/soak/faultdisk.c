/* faultdisk: a FUSE file system with one file, `disk`, that is a sparse file elsewhere, and fails on demand: a loop device on it is a disk that breaks and heals.
 *   faultdisk MOUNTPOINT BACKING SIZE_BYTES CONTROL
 * CONTROL is a file of three bytes, looked at on every request: [0] not 0: writes and flushes fail with EIO; [1] not 0: reads do; [2] pause before each write, in 2 ms.
 * Speaks the kernel's protocol (linux/fuse.h) itself, in one thread; needs root. Ends when it is unmounted. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOT = 1, DISK = 2, MAX_WRITE = 1 << 20 };
static int device, backing; static uint64_t size_bytes; static volatile unsigned char *control;

static void reply(uint64_t unique, int error, const void *data, size_t n) {
    struct fuse_out_header h = { .len = (uint32_t)(sizeof h + (error ? 0 : n)), .error = error, .unique = unique };
    struct iovec v[2] = { { &h, sizeof h }, { (void *)data, error ? 0 : n } };
    if (writev(device, v, error || !n ? 1 : 2) < 0 && errno != ENOENT) perror("faultdisk: reply");
}
static struct fuse_attr attributes(uint64_t node) {
    struct fuse_attr a = { .ino = node, .nlink = 1, .mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0600, .size = node == ROOT ? 0 : size_bytes, .blocks = size_bytes / 512, .blksize = 4096 };
    return a;
}
static void take(struct fuse_in_header *in, char *body, char *data) {
    switch (in->opcode) {
    case FUSE_INIT: {
        struct fuse_init_in *i = (void *)body;
        struct fuse_init_out o = { .major = 7, .minor = 31, .max_readahead = i->max_readahead, .flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES, .max_background = 64,
                                   .congestion_threshold = 48, .max_write = MAX_WRITE, .time_gran = 1, .max_pages = MAX_WRITE / 4096 };
        reply(in->unique, 0, &o, sizeof o); return; }
    case FUSE_LOOKUP: {
        struct fuse_entry_out e = { .nodeid = DISK, .entry_valid = 3600, .attr_valid = 3600, .attr = attributes(DISK) };
        if (in->nodeid != ROOT || strcmp(body, "disk")) reply(in->unique, -ENOENT, NULL, 0); else reply(in->unique, 0, &e, sizeof e);
        return; }
    case FUSE_GETATTR: case FUSE_SETATTR: {
        struct fuse_attr_out a = { .attr_valid = 3600, .attr = attributes(in->nodeid) };
        reply(in->unique, 0, &a, sizeof a); return; }
    case FUSE_OPEN: case FUSE_OPENDIR: { struct fuse_open_out o = { .open_flags = 0 }; reply(in->unique, 0, &o, sizeof o); return; }
    case FUSE_READ: {
        struct fuse_read_in *r = (void *)body; ssize_t n;
        if (control[1] || (n = pread(backing, data, r->size, (off_t)r->offset)) < 0) reply(in->unique, -EIO, NULL, 0); else reply(in->unique, 0, data, (size_t)n);
        return; }
    case FUSE_WRITE: {
        struct fuse_write_in *w = (void *)body; struct fuse_write_out o = { .size = w->size };
        if (control[2]) usleep(control[2] * 2000u);
        if (control[0] || pwrite(backing, body + sizeof *w, w->size, (off_t)w->offset) != (ssize_t)w->size) reply(in->unique, -EIO, NULL, 0); else reply(in->unique, 0, &o, sizeof o);
        return; }
    case FUSE_FSYNC: reply(in->unique, control[0] ? -EIO : 0, NULL, 0); return;
    case FUSE_FALLOCATE: {
        struct fuse_fallocate_in *f = (void *)body;
        reply(in->unique, control[0] ? -EIO : fallocate(backing, (int)f->mode, (off_t)f->offset, (off_t)f->length) ? -errno : 0, NULL, 0); return; }
    case FUSE_STATFS: {
        struct fuse_statfs_out s = { .st = { .blocks = size_bytes / 4096, .bfree = size_bytes / 4096, .bavail = size_bytes / 4096, .bsize = 4096, .frsize = 4096, .namelen = 255 } };
        reply(in->unique, 0, &s, sizeof s); return; }
    case FUSE_FLUSH: case FUSE_RELEASE: case FUSE_RELEASEDIR: case FUSE_ACCESS: reply(in->unique, 0, NULL, 0); return;
    case FUSE_FORGET: case FUSE_BATCH_FORGET: case FUSE_INTERRUPT: return;
    case FUSE_DESTROY: reply(in->unique, 0, NULL, 0); exit(0);
    default: reply(in->unique, -ENOSYS, NULL, 0);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) { fprintf(stderr, "usage: faultdisk MOUNTPOINT BACKING SIZE_BYTES CONTROL\n"); return 2; }
    size_bytes = strtoull(argv[3], NULL, 10);
    backing = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int c = open(argv[4], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (backing < 0 || c < 0 || device < 0 || ftruncate(backing, (off_t)size_bytes) || ftruncate(c, 4096)) { perror("faultdisk"); return 1; }
    control = mmap(NULL, 4096, PROT_READ, MAP_SHARED, c, 0);
    char options[128]; snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
    if (control == MAP_FAILED || mount("faultdisk", argv[1], "fuse", MS_NOSUID | MS_NODEV, options)) { perror("faultdisk: mount"); return 1; }
    char *buffer = aligned_alloc(4096, MAX_WRITE + 65536), *data = aligned_alloc(4096, MAX_WRITE);
    for (;;) {
        ssize_t n = read(device, buffer, MAX_WRITE + 65536);
        if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
        if (n < (ssize_t)sizeof(struct fuse_in_header)) return n < 0 && errno != ENODEV ? 1 : 0;
        take((struct fuse_in_header *)buffer, buffer + sizeof(struct fuse_in_header), data);
    }
}
