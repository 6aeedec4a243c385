// Package disk makes what a machine keeps its data on, of a bounded size, so that it can be full without harm to anything else.
//
// A disk is a file system in memory, mounted on a directory of this host. It is filled by making it as small as what is on it: to
// whoever writes there that is the same as a disk that others have filled, and it takes no memory to fill it with.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Size is how much a disk holds, in bytes. An instance of a short run needs less than a tenth of that.
const Size = 1 << 30

// segment is the least that PostgreSQL adds to its write-ahead log, see initdb's --wal-segsize.
const segment = 1 << 20

const (
	marker = ".cutset-disk" // a file on every disk: no other is ever filled, and none is of size 0, which would mean without bounds
	flags  = unix.MS_NOSUID | unix.MS_NODEV
)

// Mount puts a disk of its own on the directory, which is made where it is missing.
func Mount(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("mode=0700,size=%d", Size)); err != nil {
		return fmt.Errorf("mount a disk on %s: %w", dir, err)
	}
	return os.WriteFile(filepath.Join(dir, marker), []byte("made by cutset\n"), 0o600)
}

// Unmount removes the disk with what is on it, and its directory. One that is not there is no error.
func Unmount(dir string) error {
	release(dir)
	if err := unix.Unmount(dir, unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount the disk on %s: %w", dir, err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // and never what is not on a disk
		return err
	}
	return nil
}

// room returns how many bytes are used, and how many are left.
func room(dir string) (used, left int64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, 0, fmt.Errorf("ask for the room on %s: %w", dir, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, marker)); err != nil || fs.Type != unix.TMPFS_MAGIC {
		return 0, 0, fmt.Errorf("%s is no disk that cutset made: %w", dir, errors.ErrUnsupported)
	}
	return int64(fs.Blocks-fs.Bfree) * fs.Bsize, int64(fs.Bavail) * fs.Bsize, nil //nolint:gosec // of a disk of ours
}

func resize(dir string, size int64) error {
	return unix.Mount("", dir, "", unix.MS_REMOUNT|flags, fmt.Sprintf("size=%d", size))
}

// full are the disks that this process keeps full, and what ends that.
var full = struct {
	sync.Mutex
	release map[string]func()
}{release: map[string]func(){}}

// Fill leaves no room on the disk, for anybody, and takes what becomes free later: what fills a disk does not stop at that.
func Fill(ctx context.Context, dir string) error {
	if err := shrink(ctx, dir); err != nil {
		return err
	}
	full.Lock()
	defer full.Unlock()
	if full.release[dir] != nil {
		return nil
	}
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	var kept sync.WaitGroup
	kept.Go(func() { keep(keeping, dir) })
	full.release[dir] = func() { stop(); kept.Wait() }
	return nil
}

// shrink takes the room that there is. Who writes may be faster: then the disk would be too small, and it takes another try.
func shrink(ctx context.Context, dir string) error {
	for {
		used, left, err := room(dir)
		if err != nil || left == 0 {
			return err
		}
		if err := resize(dir, used); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("fill the disk on %s: %w", dir, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("fill the disk on %s, %d bytes left: %w", dir, left, context.Cause(ctx))
		}
	}
}

func keep(ctx context.Context, dir string) {
	const every = 20 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = shrink(ctx, dir) // whether the disk is full is for Full to say
		}
	}
}

// release lets the disk have room again.
func release(dir string) {
	full.Lock()
	defer full.Unlock()
	if stop := full.release[dir]; stop != nil {
		stop()
		delete(full.release, dir)
	}
}

// Free takes Fill back, also that of a process that has ended.
func Free(dir string) error {
	release(dir)
	if _, _, err := room(dir); err != nil {
		return err
	}
	if err := resize(dir, Size); err != nil {
		return fmt.Errorf("free the disk on %s: %w", dir, err)
	}
	return nil
}

// Full tells whether the disk has no room left: less than a segment of a log is shown, and an attempt to write one is refused. What
// somebody removed a moment ago may not have been taken yet.
func Full(dir string) (full bool, seen string, err error) {
	used, left, err := room(dir)
	if err != nil {
		return false, "", err
	}
	probe, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600) // without a name, so it is never left
	if err != nil {
		return false, "", fmt.Errorf("try to write on the disk on %s: %w", dir, err)
	}
	file := os.NewFile(uintptr(probe), "a file on "+dir) //nolint:gosec // no descriptor is negative
	written, tried := file.Write(make([]byte, segment))
	_ = file.Close()
	if tried != nil && !errors.Is(tried, unix.ENOSPC) {
		return false, "", tried
	}
	return left < segment && tried != nil,
		fmt.Sprintf("%d bytes are used and %d left; wrote %d of %d bytes more: %v", used, left, written, segment, tried), nil
}
