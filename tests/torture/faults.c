/* Fails or kills this process at one of its system calls that change files below a folder.
 *
 * Preloaded into a process; `faults_arm` says where and what. Built and driven by faults.py. What
 * reaches the kernel without these functions of the C library is not seen: faults.py compares the
 * bytes written here with those that lie on disk. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT = 0, KILL = -1 };

static char folder[PATH_MAX];
static long turn, at;
static int action, no_exchange;
static long long written;
static FILE *record;
static int busy;

/* From now on: at the `when`-th call (1 is the first; 0 none) return `what`, an errno, or be killed
 * (-1). `names` takes a line per call. Without exchange, renameat2 is not there at all. */
void faults_arm(const char *below, long when, int what, int without_exchange, const char *names) {
  snprintf(folder, sizeof folder, "%s", below);
  turn = 0, written = 0, at = when, action = what, no_exchange = without_exchange;
  record = names ? fopen(names, "we") : NULL;
}

long faults_count(void) { return turn; }
long long faults_written(void) { return written; }

static int inside(const char *path) {
  size_t length = strlen(folder);
  return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

static void whole(char *into, int at_folder, const char *path) {
  char link[64], base[PATH_MAX];
  if (path[0] == '/') {
    snprintf(into, PATH_MAX, "%s", path);
    return;
  }
  if (at_folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
  else snprintf(link, sizeof link, "/proc/self/fd/%d", at_folder);
  ssize_t length = readlink(link, base, sizeof base - 1);
  base[length < 0 ? 0 : length] = 0;
  if (path[0]) snprintf(into, PATH_MAX, "%.2000s/%.2000s", base, path);
  else snprintf(into, PATH_MAX, "%s", base);
}

/* 0: go on; 1: be killed; -1: fail, with errno set. */
static int comes(const char *call, int at_folder, const char *path) {
  char name[PATH_MAX];
  if (!folder[0] || busy) return 0;
  int before = errno;
  whole(name, at_folder, path);
  if (!inside(name)) {
    errno = before;
    return 0;
  }
  turn++;
  if (record) {
    busy = 1;
    fprintf(record, "%s %s\n", call, name + strlen(folder));
    fflush(record);
    busy = 0;
  }
  errno = before;
  if (turn != at) return 0;
  if (action == KILL) return 1;
  if (action == COUNT) return 0;
  errno = action;
  return -1;
}

static _Noreturn void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FALL(call, dir, path) \
  do { int now = comes(call, dir, path); if (now < 0) return -1; if (now) die(); } while (0)

#define WRITER(name, type, parameters, arguments, half) \
  type name parameters { \
    int now = comes("write", fd, ""); \
    if (now < 0) return -1; \
    if (now) { half; die(); } \
    type count = REAL(name) arguments; \
    char place[PATH_MAX]; \
    if (count > 0 && folder[0] && !busy) { whole(place, fd, ""); if (inside(place)) written += count; } \
    return count; \
  }

/* Killed in the middle of a write: half of it is there. */
WRITER(write, ssize_t, (int fd, const void *data, size_t size), (fd, data, size),
       REAL(write)(fd, data, size / 2))
WRITER(pwrite64, ssize_t, (int fd, const void *data, size_t size, off64_t offset),
       (fd, data, size, offset), REAL(pwrite64)(fd, data, size / 2, offset))
WRITER(pwrite, ssize_t, (int fd, const void *data, size_t size, off_t offset),
       (fd, data, size, offset), REAL(pwrite)(fd, data, size / 2, offset))
WRITER(writev, ssize_t, (int fd, const struct iovec *parts, int number), (fd, parts, number), )

#define ON_DESCRIPTOR(name, parameters, arguments) \
  int name parameters { FALL(#name, fd, ""); return REAL(name) arguments; }
ON_DESCRIPTOR(fsync, (int fd), (fd))
ON_DESCRIPTOR(fdatasync, (int fd), (fd))
ON_DESCRIPTOR(ftruncate, (int fd, off_t size), (fd, size))
ON_DESCRIPTOR(ftruncate64, (int fd, off64_t size), (fd, size))

#define ON_PATH(name, dir, parameters, arguments) \
  int name parameters { FALL(#name, dir, path); return REAL(name) arguments; }
ON_PATH(mkdir, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ON_PATH(rmdir, AT_FDCWD, (const char *path), (path))
ON_PATH(unlink, AT_FDCWD, (const char *path), (path))
ON_PATH(chmod, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ON_PATH(unlinkat, dir, (int dir, const char *path, int flags), (dir, path, flags))
ON_PATH(rename, AT_FDCWD, (const char *path, const char *to), (path, to))
ON_PATH(renameat, dir, (int dir, const char *path, int todir, const char *to),
        (dir, path, todir, to))
ON_PATH(utimensat, dir, (int dir, const char *path, const struct timespec times[2], int flags),
        (dir, path, times, flags))

int renameat2(int dir, const char *path, int todir, const char *to, unsigned flags) {
  if (folder[0] && no_exchange) {
    errno = ENOSYS;
    return -1;
  }
  FALL("renameat2", dir, path);
  return REAL(renameat2)(dir, path, todir, to, flags);
}

#define OPENER(name, dir, parameters, arguments) \
  int name parameters { \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
      va_list rest; \
      va_start(rest, flags); \
      mode = va_arg(rest, mode_t); \
      va_end(rest); \
    } \
    if (flags & (O_CREAT | O_WRONLY | O_RDWR)) FALL("open", dir, path); \
    return REAL(name) arguments; \
  }
OPENER(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENER(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENER(openat, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
OPENER(openat64, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
