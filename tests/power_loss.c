/* Preloaded into a process: what it makes durable is copied aside, file by file and folder by folder, at the moment
   of its fsync. What the copies lack is what a power cut takes. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void copy_file(int fd, const char *kept, unsigned long inode) {
    char from[64], making[4096], path[4096], block[65536];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    snprintf(making, sizeof making, "%s/making.%lu.%d", kept, inode, gettid());
    snprintf(path, sizeof path, "%s/%lu.content", kept, inode);
    int in = open(from, O_RDONLY), out = open(making, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (ssize_t got; in >= 0 && (got = read(in, block, sizeof block)) > 0;)
        if (write(out, block, got) != got) abort();
    close(in);
    close(out);
    renameat(AT_FDCWD, making, AT_FDCWD, path);
}

static void copy_names(int fd, const char *kept, unsigned long inode) {
    char from[64], making[4096], path[4096];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    snprintf(making, sizeof making, "%s/making.%lu.%d", kept, inode, gettid());
    snprintf(path, sizeof path, "%s/%lu.names", kept, inode);
    FILE *out = fopen(making, "w");
    DIR *folder = opendir(from);
    for (struct dirent *each; folder && (each = readdir(folder));)
        if (each->d_type == DT_REG) fprintf(out, "%lu %s\n", (unsigned long)each->d_ino, each->d_name);
    if (folder) closedir(folder);
    fclose(out);
    renameat(AT_FDCWD, making, AT_FDCWD, path);
}

static int keep(int fd, const char *call) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, call);
    const char *kept = getenv("POWER_LOSS_KEPT");
    struct stat status;
    int result = real(fd);
    if (result == 0 && kept && fstat(fd, &status) == 0) {
        if (S_ISDIR(status.st_mode)) copy_names(fd, kept, status.st_ino);
        else if (S_ISREG(status.st_mode)) copy_file(fd, kept, status.st_ino);
    }
    return result;
}

/* An inode comes again: what was kept of the file that had it is not what the next one has. */
static void forget(const char *path) {
    const char *kept = getenv("POWER_LOSS_KEPT");
    struct stat status;
    char copy[4096];
    if (!kept || lstat(path, &status) != 0) return;
    snprintf(copy, sizeof copy, "%s/%lu.content", kept, (unsigned long)status.st_ino);
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    real(copy);
}

int unlink(const char *path) {
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    forget(path);
    return real(path);
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    forget(to);
    return real(from, to);
}

int fsync(int fd) { return keep(fd, "fsync"); }
int fdatasync(int fd) { return keep(fd, "fdatasync"); }
