// Package disk makes what a machine keeps its data on, of a bounded size, so that it can be filled without harm to anything else.
//
// A disk is a file system in memory, mounted on a directory of this host.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Size is how much a disk holds, in bytes. An instance of a short run needs less than a tenth of that.
const Size = 1 << 30

// segment is the least that PostgreSQL adds to its write-ahead log, see initdb's --wal-segsize.
const segment = 1 << 20

// filler is the file that fills a disk. It has one name, so that any process finds and removes it.
const filler = ".cutset-filler"

// Mount puts a disk of its own on the directory, which is made where it is missing.
func Mount(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("mode=0700,size=%d", Size)); err != nil {
		return fmt.Errorf("mount a disk on %s: %w", dir, err)
	}
	return nil
}

// Unmount removes the disk with what is on it, and its directory. One that is not there is no error.
func Unmount(dir string) error {
	if err := unix.Unmount(dir, unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount the disk on %s: %w", dir, err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // and never what is not on a disk
		return err
	}
	return nil
}

// check refuses to fill what is not a disk of ours.
func check(dir string) (unix.Statfs_t, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fs, fmt.Errorf("ask for the size of %s: %w", dir, err)
	}
	if fs.Type != unix.TMPFS_MAGIC || fs.Blocks*uint64(fs.Bsize) != Size { //nolint:gosec // no size is negative
		return fs, fmt.Errorf("%s is no disk of %d bytes of its own: %w", dir, int64(Size), errors.ErrUnsupported)
	}
	return fs, nil
}

// Fill leaves no room on the disk, for anybody.
func Fill(ctx context.Context, dir string) error {
	if _, err := check(dir); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(dir, filler), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it has no content to lose
	for {
		now, err := check(dir)
		if err != nil || now.Bavail == 0 {
			return err
		}
		info, err := file.Stat()
		if err != nil {
			return err
		}
		// Who else writes may be faster: then there is less room than there was, and this takes none of it.
		room := int64(now.Bavail) * now.Bsize //nolint:gosec // of a disk of ours
		if err := unix.Fallocate(int(file.Fd()), 0, info.Size(), room); err != nil && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("fill the disk on %s: %w", dir, err)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("fill the disk on %s, %d bytes left: %w", dir, room, context.Cause(ctx))
		}
	}
}

// Free takes Fill back.
func Free(dir string) error {
	if err := os.Remove(filepath.Join(dir, filler)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("free the disk on %s: %w", dir, err)
	}
	return nil
}

// Full tells whether the disk has no room left: less than a segment of a log is shown, and an attempt to write one is refused.
// After Fill there is none at all; but a server that ends, for example, removes files of some bytes.
func Full(dir string) (full bool, seen string, err error) {
	now, err := check(dir)
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
	room := int64(now.Bavail) * now.Bsize //nolint:gosec // of a disk of ours
	return room < segment && tried != nil,
		fmt.Sprintf("%d of %d bytes are available; wrote %d of %d bytes, %v", room, int64(Size), written, segment, tried), nil
}
