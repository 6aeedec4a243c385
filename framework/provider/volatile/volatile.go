// Package volatile is a disk that loses in a power cut what was written to it and not synced: a file system over a directory, which
// remembers what every write of late has replaced.
//
// It stands in for a kernel whose page cache ends with its machine, which processes on a host that stays up do not see. As there,
// fsync, fdatasync and O_SYNC make a file's data safe, and so does time: what was written longer ago than [Writeback]
// has reached the disk in the order in which it was written. That names appear, change and go is safe at once, as in a
// journal; so is a file of which the size was set.
package volatile

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Writeback is how long written data is lost in a power cut, where nobody syncs it.
const Writeback = 5 * time.Second

// mostFiles are waited with at once: each takes a handle. With more of them everything is written back sooner.
const mostFiles = 1000

// mapped is what a kernel has to be able to do for files to be mapped into memory that it has no copies of: PostgreSQL may share memory so.
const mapped = fuse.CAP_DIRECT_IO_ALLOW_MMAP

// Disk is the file system.
type Disk struct {
	mu    sync.Mutex
	tail  []write // the writes of late, in their order
	files int     // that are not safe

	// opening makes the kernel ask for everything that is read. Its own copy, at least that of Linux 6.18, may stay at what was there before
	// a write where somebody reads along: a standby's server then waits for ever for log that it has on disk.
	opening atomic.Uint32
}

// write is what it takes to take one back.
type write struct {
	to     *unsynced
	at     time.Time
	offset int64
	old    []byte // what was there
	size   int64  // of the file before
}

// unsynced is a file with writes since it was synced last.
type unsynced struct {
	file   *os.File // of its own: a client's may be closed, and not to be read from
	writes int      // in the tail
	safe   bool     // it was synced after them
}

// Mount mounts the file system over the directory that it keeps its files in, with no helper and no more privilege than to mount. It
// takes a process for itself, the working directory of which it changes: one that waits for its own file system may wait for ever.
func Mount(dir string) (*Disk, error) {
	if err := os.Chdir(dir); err != nil { // what the mount is going to hide
		return nil, fmt.Errorf("mount a volatile disk: %w", err)
	}
	syscall.Umask(0) // the kernel has applied the one that matters
	d := &Disk{}
	// Nobody else changes the directory, so the kernel may trust what it has seen.
	trust := time.Hour
	options := &fs.Options{EntryTimeout: &trust, AttrTimeout: &trust, NullPermissions: true, MountOptions: fuse.MountOptions{
		DirectMountStrict: true, AllowOther: true, FsName: "volatile", Name: "volatile", DisableXAttrs: true,
		DisabledCapabilities: fuse.CAP_PASSTHROUGH, // writes have to pass by here
		ExtraCapabilities:    mapped,
	}}
	server, err := fs.Mount(dir, d.root(), options)
	if err != nil {
		return nil, fmt.Errorf("mount a volatile disk on %s, by /dev/fuse: %w", dir, err)
	}
	if server.KernelSettings().Flags64()&mapped != 0 {
		d.opening.Store(fuse.FOPEN_DIRECT_IO)
	}
	return d, nil
}

func (d *Disk) root() *node {
	data := &fs.LoopbackRoot{Path: "."}
	root := &node{LoopbackNode: &fs.LoopbackNode{RootData: data}, disk: d}
	data.RootNode = root
	return root
}

// CutPower takes back what was written and is not safe, the last write first. Nothing is written any more: the process that
// serves the file system has to end.
func (d *Disk) CutPower() error {
	d.mu.Lock() // for good
	d.forget(time.Now().Add(-Writeback))
	for _, w := range slices.Backward(d.tail) {
		if w.to.safe {
			continue
		}
		if _, err := w.to.file.WriteAt(w.old, w.offset); err != nil {
			return fmt.Errorf("take a write back: %w", err)
		}
		if now, err := w.to.file.Stat(); err != nil || now.Size() <= w.size {
			continue
		}
		if err := w.to.file.Truncate(w.size); err != nil {
			return fmt.Errorf("take a write back: %w", err)
		}
	}
	return nil
}

// forget drops the writes from before the moment.
func (d *Disk) forget(before time.Time) {
	old := 0
	for old < len(d.tail) && d.tail[old].at.Before(before) {
		if to := d.tail[old].to; !to.safe {
			if to.writes--; to.writes == 0 {
				d.settle(to)
			}
		}
		old++
	}
	clear(d.tail[:old])
	d.tail = d.tail[old:]
}

// settle makes what was written to the file safe.
func (d *Disk) settle(u *unsynced) {
	if u != nil && !u.safe {
		u.safe = true
		d.files--
		_ = u.file.Close() // nothing was written through it
	}
}

// node is a file or directory of a disk.
type node struct {
	*fs.LoopbackNode
	disk *Disk
	late *unsynced // nil, or safe, where everything was synced
}

var (
	_ fs.NodeWrapChilder    = (*node)(nil)
	_ fs.NodeCreater        = (*node)(nil)
	_ fs.NodeOpener         = (*node)(nil)
	_ fs.NodeWriter         = (*node)(nil)
	_ fs.NodeFsyncer        = (*node)(nil)
	_ fs.NodeSetattrer      = (*node)(nil)
	_ fs.NodeCopyFileRanger = (*node)(nil)
)

// WrapChild implements [fs.NodeWrapChilder].
func (n *node) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{LoopbackNode: child.(*fs.LoopbackNode), disk: n.disk}
}

// Create implements [fs.NodeCreater].
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	child, handle, _, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return child, opened(handle, flags), n.disk.opening.Load(), errno
}

// Open implements [fs.NodeOpener].
func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	handle, _, errno := n.LoopbackNode.Open(ctx, flags)
	return opened(handle, flags), n.disk.opening.Load(), errno
}

// safely is a file that is open with O_SYNC or O_DSYNC: its writes are safe when they return. The kernel, which would else ask for an fsync
// after each of them, does not where it caches nothing.
type safely struct{ *fs.LoopbackFile }

func opened(handle fs.FileHandle, flags uint32) fs.FileHandle {
	if file, ok := handle.(*fs.LoopbackFile); ok && flags&unix.O_DSYNC != 0 { // a part of O_SYNC
		return safely{file}
	}
	return handle
}

// Write implements [fs.NodeWriter].
func (n *node) Write(ctx context.Context, handle fs.FileHandle, data []byte, offset int64) (written uint32, errno syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	file, ok := handle.(*fs.LoopbackFile)
	if !ok {
		file = handle.(safely).LoopbackFile
		defer func() { n.disk.settle(n.late) }()
	}
	if err := n.remember(file, len(data), offset); err != nil {
		return 0, fs.ToErrno(err)
	}
	return file.Write(ctx, data, offset)
}

// remember keeps what a write is going to replace.
func (n *node) remember(file *fs.LoopbackFile, length int, offset int64) error {
	now := time.Now()
	n.disk.forget(now.Add(-Writeback))
	if n.disk.files >= mostFiles {
		n.disk.forget(now)
	}
	if n.late == nil || n.late.safe {
		fd, _ := file.PassthroughFd()
		again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		n.late = &unsynced{file: again}
		n.disk.files++
	}
	stat, err := n.late.file.Stat()
	if err != nil {
		return err
	}
	w := write{to: n.late, at: now, offset: offset, size: stat.Size()}
	w.old = make([]byte, max(0, min(int64(length), w.size-offset)))
	if _, err := n.late.file.ReadAt(w.old, offset); err != nil {
		return err
	}
	n.late.writes++
	n.disk.tail = append(n.disk.tail, w)
	return nil
}

// Fsync implements [fs.NodeFsyncer]; fdatasync comes here, too.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.disk.settle(n.late)
	return fs.OK
}

// Setattr implements [fs.NodeSetattrer].
func (n *node) Setattr(ctx context.Context, handle fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if _, sized := in.GetSize(); sized {
		n.disk.settle(n.late)
	}
	return n.LoopbackNode.Setattr(ctx, handle, in, out)
}

// CopyFileRange implements [fs.NodeCopyFileRanger] by not doing so: the kernel then reads and writes instead.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, syscall.ENOSYS
}
